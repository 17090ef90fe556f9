"""Executions that wait for others: by the clock, once a name, and no longer than they are wanted."""

import json
import uuid
from datetime import timedelta

import pytest

DAY = 86400


def machine(start, **states):
    return {"StartAt": start, "States": states}


def waits(seconds, then=None):
    return {"Type": "Wait", "Seconds": seconds, **({"Next": then} if then else {"End": True})}


CHILD = machine(
    "Wait", Wait=waits(3 * DAY, "Done"), Done={"Type": "Pass", "Result": {"texts": 7}, "End": True}
)
FAILING = machine(
    "Wait", Wait=waits(DAY, "Fail"), Fail={"Type": "Fail", "Error": "NobodyError", "Cause": "nobody there"}
)


def nested(child, *, name=None, input_=None, form=".sync:2", **more):
    """A task that runs a child; what fails is caught by its name."""
    parameters = {"StateMachineArn": child, "Input": input_ or {"who": "everybody"}}
    return {
        "Type": "Task",
        "Resource": f"arn:aws:states:::states:startExecution{form}",
        "Parameters": parameters | ({"Name": name} if name else {}),
        "Catch": [
            {"ErrorEquals": ["StepFunctions.ExecutionAlreadyExistsException"], "Next": "Exists"},
            {"ErrorEquals": ["States.Timeout"], "Next": "Timeout"},
            {"ErrorEquals": ["NobodyError"], "Next": "Own error"},
            {"ErrorEquals": ["States.TaskFailed"], "Next": "Failed"},
        ],
        "Next": "After",
        **more,
    }


def parent(task):
    ends = {name: {"Type": "Pass", "End": True} for name in ("Exists", "Timeout", "Own error", "Failed")}
    return machine("Child", Child=task, After=waits(3600), **ends)


class Nested:
    """A child machine, and parents that run it."""

    def __init__(self, running, child=CHILD):
        self.running, self.states = running, running.client("stepfunctions")
        self.machine = running.state_machine(child)

    def start(self, **task):
        return self.running.execution(parent(nested(self.machine, **task)))

    def children(self):
        found = self.states.list_executions(stateMachineArn=self.machine)["executions"]
        return [self.running.described(each["executionArn"]) for each in found]

    def child(self):
        (found,) = self.children()
        return found

    def entered(self, execution):
        """Names of the states that an execution went through."""
        events = self.states.get_execution_history(executionArn=execution)["events"]
        return [
            each["stateEnteredEventDetails"]["name"] for each in events if "stateEnteredEventDetails" in each
        ]


@pytest.fixture
def started(timed):
    """Lets what was started go as far as it comes by itself."""
    return lambda: timed.clock("?quiet_within=20")


def test_a_parent_that_waits_holds_up_no_jump_and_goes_on_when_its_child_ends(timed, started):
    tree = Nested(timed)
    execution = tree.start()

    waiting = started()
    due = timed.jump(timedelta(days=4))

    assert waiting["running"] == 0
    assert timed.described(execution)["status"] == "SUCCEEDED"
    ends = [each.at for each in due if each.what == "wait"]
    assert ends[1] - ends[0] == pytest.approx(timedelta(hours=1), abs=timedelta(seconds=30))
    child, took = tree.child(), timed.described(execution)
    assert took["stopDate"] - child["stopDate"] == pytest.approx(
        timedelta(hours=1), abs=timedelta(seconds=30)
    )


@pytest.mark.parametrize("form", [".sync:2", ".sync"])
def test_the_result_says_what_became_of_the_child(timed, form):
    tree = Nested(timed)
    definition = parent(nested(tree.machine, form=form))
    definition["States"]["After"] = {"Type": "Pass", "End": True}
    execution = timed.execution(definition)
    timed.jump(timedelta(days=4))

    result = json.loads(timed.described(execution)["output"])

    output = result["Output"] if form == ".sync:2" else json.loads(result["Output"])
    assert output == {"texts": 7}
    assert (result["Status"], result["Name"]) == ("SUCCEEDED", tree.child()["name"])
    assert result["StopDate"] - result["StartDate"] == pytest.approx(3 * DAY * 1000, abs=30_000)


def test_a_child_that_fails_fails_the_task_and_its_own_error_is_in_the_cause(timed):
    tree = Nested(timed, FAILING)
    execution = tree.start()
    timed.jump(timedelta(days=2))

    assert tree.entered(execution) == ["Child", "Failed"]
    cause = json.loads(json.loads(timed.described(execution)["output"])["Cause"])
    assert (cause["Status"], cause["Error"], cause["Cause"]) == ("FAILED", "NobodyError", "nobody there")


def test_a_name_runs_once(timed, started):
    tree, name = Nested(timed), f"journey-{uuid.uuid4().hex[:8]}"
    first = tree.start(name=name)
    started()

    joined = tree.start(name=name)
    other = tree.start(name=name, input_={"who": "nobody"})
    started()
    others = tree.entered(other)
    timed.jump(timedelta(days=4))
    late = tree.start(name=name)
    timed.jump(timedelta(minutes=1))

    assert others == ["Child", "Exists"]
    assert tree.entered(late) == ["Child", "Exists"]
    assert tree.entered(first) == tree.entered(joined) == ["Child", "After"]
    assert tree.child()["status"] == "SUCCEEDED"


def test_starting_what_runs_already_gives_what_runs(timed):
    tree = Nested(timed)

    def start(input_):
        return tree.states.start_execution(stateMachineArn=tree.machine, name="once", input=input_)

    first = start("{}")

    assert start("{}")["executionArn"] == first["executionArn"]
    with pytest.raises(tree.states.exceptions.ExecutionAlreadyExists):
        start('{"a": 1}')


def test_stopping_the_parent_stops_the_child(timed, started):
    tree = Nested(timed)
    execution = tree.start()
    started()

    tree.states.stop_execution(executionArn=execution)
    started()

    assert tree.child()["status"] == "ABORTED"
    assert timed.described(execution)["status"] == "ABORTED"
    name = tree.machine.rpartition(":")[2]
    assert [due for due in timed.jump(timedelta(days=4)) if name in due.name] == []


def test_a_child_that_is_stopped_fails_the_task(timed, started):
    tree = Nested(timed)
    execution = tree.start()
    started()

    tree.states.stop_execution(executionArn=tree.child()["executionArn"])
    started()

    assert tree.entered(execution) == ["Child", "Failed"]


def test_a_task_that_waited_long_enough_stops_the_child(timed, started):
    tree = Nested(timed)
    execution = tree.start(TimeoutSeconds=DAY)
    started()

    due = timed.jump(timedelta(days=1, hours=1))

    assert [each.what for each in due] == ["timeout"]
    assert tree.entered(execution) == ["Child", "Timeout"]
    assert tree.child()["status"] == "ABORTED"


def test_branches_wait_side_by_side_and_a_run_can_be_looked_at(timed, started):
    tree = Nested(timed)
    name = f"journey-{uuid.uuid4().hex[:8]}"
    child = nested(tree.machine, name=name)
    del child["Next"], child["Catch"]
    branches = [
        machine("Child", Child={**child, "End": True}),
        machine("Later", Later=waits(2 * DAY)),
    ]
    arn = tree.machine.replace(":stateMachine:", ":execution:") + f":{name}"
    look = {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:sfn:describeExecution",
        "Parameters": {"ExecutionArn": arn},
        "ResultSelector": {"status.$": "$.Status"},
        "End": True,
    }
    both = {"Type": "Parallel", "Branches": branches, "ResultPath": None, "Next": "Look"}
    execution = timed.execution(machine("Both", Both=both, Look=look))
    started()

    timed.jump(timedelta(days=4))

    assert json.loads(timed.described(execution)["output"]) == {"status": "SUCCEEDED"}


def test_children_tell_of_their_status(timed, started, inbox):
    topic = timed.client("sns").create_topic(Name=f"status-{uuid.uuid4().hex[:8]}")["TopicArn"]
    receive = inbox(timed, topic)
    tree = Nested(timed)
    events = timed.client("events")
    rule = f"rule-{uuid.uuid4().hex[:8]}"
    pattern = {
        "source": ["aws.states"],
        "detail": {"stateMachineArn": [tree.machine], "status": ["SUCCEEDED"]},
    }
    events.put_rule(Name=rule, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=rule, Targets=[{"Id": "topic", "Arn": topic}])
    tree.start()
    started()

    timed.jump(timedelta(days=4))

    assert json.loads(receive())["detail"]["executionArn"] == tree.child()["executionArn"]


def test_without_the_patches_a_second_child_takes_the_place_of_the_first(unpatched):
    tree = Nested(unpatched, machine("Done", Done={"Type": "Pass", "End": True}))
    definition = parent(nested(tree.machine, name="once"))
    definition["States"]["After"] = {"Type": "Pass", "End": True}

    assert [unpatched.run(definition)["status"] for _ in range(2)] == ["SUCCEEDED", "SUCCEEDED"]
    assert len(tree.children()) == 1
