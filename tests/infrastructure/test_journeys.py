"""Journeys: one state machine each, what it promises, and what is refused."""

import json
import re
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_kms as kms
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_sns as sns
from syrupy.assertion import SnapshotAssertion

from sms_engagement import (
    Branch,
    Confirmed,
    FunctionOptions,
    Journey,
    JourneyDefinition,
    JourneyEngine,
    Send,
    SmsAnalyticsPipeline,
    SmsChannel,
    StopRules,
    Wait,
    promotional,
    welcome_series,
)
from sms_engagement.journeys.compiler import compile_journey
from sms_engagement_runtime.journeys.adapters import dynamodb_subscribers
from sms_engagement_runtime.journeys.domain import runs
from sms_engagement_runtime.journeys.domain.description import MAX_STEPS
from sms_engagement_runtime.journeys.domain.reasons import JourneyReason
from sms_engagement_runtime.journeys.domain.runs import StepRun
from tests.infrastructure.synthesis import (
    ATTRIBUTES,
    ROOT,
    Template,
    channel_in,
    nag_findings,
    new_stack,
    resources_of,
    rights_of,
    scrubbed,
    template_of,
)
from tests.support.state_machines import TaskFailed, Walk, walk

WELCOME = json.loads(compile_journey(welcome_series()))
EXECUTION = {"Execution": {"Name": "run", "Input": {"segment": "vip"}}}
EXISTS = "StepFunctions.ExecutionAlreadyExistsException"


def imported(stack: cdk.Stack) -> Any:
    return SmsChannel.from_attributes(stack, "Channel", ATTRIBUTES)


def subscribers(stack: cdk.Stack, **props: Any) -> dynamodb.ITableV2:
    return dynamodb.TableV2.from_table_attributes(stack, "Subscribers", table_name="subscribers", **props)


def everything_on(stack: cdk.Stack) -> None:
    key = kms.Key(stack, "Key", enable_key_rotation=True)
    channel = channel_in(stack, encryption_key=key, parts_per_second=100, max_parts=2)
    pager = sns.Topic(stack, "Pager", enforce_ssl=True)
    engine = JourneyEngine(
        stack,
        "Engine",
        channel=channel,
        subscribers=subscribers(stack, encryption_key=kms.Key(stack, "Other", enable_key_rotation=True)),
        require_recorded_consent=True,
        max_concurrency=4,
        stop_rules=StopRules(max_opt_out_percent=2, min_volume=500),
        expires_after=cdk.Duration.days(3),
        function_options=FunctionOptions(architecture=cdk.aws_lambda.Architecture.X86_64),
        alarm_topic=pager,
        removal_policy=cdk.RemovalPolicy.DESTROY,
    )
    Journey(
        stack,
        "Welcome",
        channel=channel,
        engine=engine,
        definition=welcome_series(wait=cdk.Duration.hours(36)),
        segment_trigger="new",
        alarm_topic=pager,
    )
    Journey(
        stack,
        "Promotional",
        channel=channel,
        engine=engine,
        definition=promotional(),
        schedule=scheduler.ScheduleExpression.cron(
            hour="10", minute="0", week_day="MON", time_zone=cdk.TimeZone.AMERICA_NEW_YORK
        ),
        alarm_topic=pager,
    )


@pytest.fixture(scope="module")
def default_stack() -> cdk.Stack:
    stack = new_stack()
    Journey(
        stack,
        "Welcome",
        channel=imported(stack),
        subscribers=subscribers(stack),
        definition=welcome_series(),
    )
    return stack


@pytest.fixture(scope="module")
def default(default_stack: cdk.Stack) -> Template:
    return template_of(default_stack)


@pytest.fixture(scope="module")
def full_stack() -> cdk.Stack:
    stack = new_stack()
    everything_on(stack)
    return stack


@pytest.fixture(scope="module")
def full(full_stack: cdk.Stack) -> Template:
    return template_of(full_stack)


def machines(template: Template) -> dict[str, dict[str, Any]]:
    """State machines by their id without its hash."""
    found = resources_of(template, "AWS::StepFunctions::StateMachine")
    return {name[:-8]: properties for name, properties in found.items()}


def test_default_template(default: Template, snapshot: SnapshotAssertion) -> None:
    assert scrubbed(default) == snapshot


def test_template_with_everything_set(full: Template, snapshot: SnapshotAssertion) -> None:
    assert scrubbed(full) == snapshot


def test_no_unacknowledged_nag_finding(default_stack: cdk.Stack, full_stack: cdk.Stack) -> None:
    assert nag_findings(default_stack) == []
    assert nag_findings(full_stack) == []


def test_ids_of_what_holds_data_are_a_public_contract(default: Template) -> None:
    stateful = ("AWS::DynamoDB::GlobalTable", "AWS::S3::Bucket", "AWS::SQS::Queue")

    ids = {name for type_ in stateful for name in resources_of(default, type_)}

    assert ids == {
        "WelcomeEngineBucket1CFCA303",
        "WelcomeEngineDeadLetters117C20D9",
        "WelcomeEngineEnrolmentsEFD7000E",
    }


def test_tokens_are_the_substitutions(full: Template) -> None:
    for name in ("WelcomeStateMachine", "PromotionalStateMachine"):
        machine = machines(full)[name]
        tokens = set(re.findall(r"\$\{(\w+)\}", machine["DefinitionString"]))

        assert tokens == machine["DefinitionSubstitutions"].keys()


def test_each_function_has_exactly_the_rights_that_it_needs(default: Template) -> None:
    rights = {name.removeprefix("WelcomeEngine"): found for name, found in rights_of(default).items()}
    objects = {"s3:GetObject", "s3:ListBucket", "s3:PutObject"}

    assert rights["StartJourneyRole"] == set()
    assert rights["AudienceRole"] == objects | {
        "dynamodb:BatchGetItem", "dynamodb:Query", "dynamodb:Scan", "secretsmanager:GetSecretValue",
    }  # fmt: skip
    assert rights["SendPartRole"] == objects | {
        "dynamodb:BatchGetItem",
        "dynamodb:ConditionCheckItem",
        "dynamodb:GetItem",
        "dynamodb:PutItem",
        "dynamodb:UpdateItem",
        "events:PutEvents",
        "secretsmanager:GetSecretValue",
        "sms-voice:SendTextMessage",
    }
    assert rights["PhoneEventsRole"] - {"sqs:GetQueueAttributes", "sqs:GetQueueUrl"} == {
        "dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:PutItem", "sns:Publish", "sqs:SendMessage",
    }  # fmt: skip
    assert rights["WelcomeRole"] == {
        "events:DescribeRule",
        "events:PutRule",
        "events:PutTargets",
        "lambda:InvokeFunction",
        "states:DescribeExecution",
        "states:StartExecution",
        "states:StopExecution",
    }


def test_the_subscribers_are_never_written_to(default: Template) -> None:
    writes = [
        statement["Action"]
        for policy in resources_of(default, "AWS::IAM::Policy").values()
        for statement in policy["PolicyDocument"]["Statement"]
        if "table/subscribers" in json.dumps(statement["Resource"])
    ]

    reads = {"dynamodb:BatchGetItem", "dynamodb:Query", "dynamodb:Scan"}
    assert writes
    assert all(set([given] if isinstance(given, str) else given) <= reads for given in writes)


def test_the_index_is_called_the_same_on_both_sides(default: Template) -> None:
    assert f"/index/{dynamodb_subscribers.INDEX}" in json.dumps(default)


def test_the_index_of_the_analytics_projects_what_journeys_ask_it_for() -> None:
    stack = new_stack()
    SmsAnalyticsPipeline(stack, "Analytics", channel=channel_in(stack))
    (table,) = [
        table
        for name, table in resources_of(template_of(stack), "AWS::DynamoDB::GlobalTable").items()
        if "Subscribers" in name
    ]
    (index,) = [
        one for one in table["GlobalSecondaryIndexes"] if one["IndexName"] == dynamodb_subscribers.INDEX
    ]
    keys = {key["AttributeName"] for key in (*table["KeySchema"], *index["KeySchema"])}
    projected = keys | set(index["Projection"].get("NonKeyAttributes", ()))

    is_whole = index["Projection"]["ProjectionType"] == "ALL"
    assert is_whole or set(dynamodb_subscribers.INDEX_ATTRIBUTES) <= projected


def test_enrolments_are_protected_recoverable_and_forget_in_time(default: Template) -> None:
    (table,) = resources_of(default, "AWS::DynamoDB::GlobalTable").values()

    assert [key["AttributeName"] for key in table["KeySchema"]] == ["enrolment_id"]
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expiresAt", "Enabled": True}
    (replica,) = table["Replicas"]
    assert replica["DeletionProtectionEnabled"] is True
    assert replica["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}


def test_answers_and_opt_outs_reach_their_function_and_end_in_a_dead_letter_queue(default: Template) -> None:
    rules = resources_of(default, "AWS::Events::Rule").values()

    patterns = [rule["EventPattern"] for rule in rules]

    own = {
        "detail": {"construct": ["journeys"]},
        "detail-type": ["ReplyReceived"],
        "source": ["sms-engagement"],
    }
    assert own in patterns
    assert {"detail-type": ["OptedOut"], "source": ["sms-engagement"]} in patterns
    assert all("DeadLetterConfig" in target for rule in rules for target in rule["Targets"])


def test_a_schedule_and_a_trigger_that_come_twice_are_one_occasion(full: Template) -> None:
    (schedule,) = [
        schedule
        for name, schedule in resources_of(full, "AWS::Scheduler::Schedule").items()
        if not name.startswith("Channel")
    ]
    (trigger,) = [
        rule
        for rule in resources_of(full, "AWS::Events::Rule").values()
        if rule["EventPattern"]["detail-type"] == ["SubscriberEntered"]
    ]
    (target,) = trigger["Targets"]
    transformer = target["InputTransformer"]

    assert json.loads(schedule["Target"]["Input"])["occasion"] == "<aws.scheduler.scheduled-time>"
    assert trigger["EventPattern"]["detail"] == {"segment": ["new"]}
    assert transformer["InputPathsMap"] == {"detail-subscriberId": "$.detail.subscriberId", "id": "$.id"}
    assert '"subscriberIds":[<detail-subscriberId>],"occasion":<id>' in transformer["InputTemplate"]
    assert "DeadLetterConfig" in target
    assert "DeadLetterConfig" in schedule["Target"]


def test_every_function_has_an_alarm(default: Template) -> None:
    functions = {name[:-8] for name in resources_of(default, "AWS::Lambda::Function")}
    alarms = {name[:-8] for name in resources_of(default, "AWS::CloudWatch::Alarm")}

    own = {name.removeprefix("WelcomeEngine").removeprefix("Broadcast") for name in functions}
    assert {f"WelcomeEngineAlarms{name}Errors" for name in own} <= alarms
    assert {"WelcomeAlarmsJourneyFailed", "WelcomeEngineAlarmsRunFailed"} <= alarms


def test_journeys_share_one_engine(full: Template) -> None:
    assert {name for name in machines(full) if not name.startswith("Channel")} == {
        "EngineBroadcastStateMachine", "PromotionalStateMachine", "WelcomeStateMachine",
    }  # fmt: skip


# The state machine, walked


def started(*, dry_run: bool = False) -> dict[str, Any]:
    steps = {
        f"step{number}": {
            "name": f"run-{number}",
            "startsAt": f"2026-11-2{number}T17:00:00Z",
            "input": {"reason": "", "dryRun": dry_run, "about": {"run": "run", "number": number, "step": {}}},
        }
        for number in ((1,) if dry_run else (1, 2))
    }
    return {"Payload": {"dryRun": dry_run, "journey": {"name": "welcome"}, "steps": steps}}


def walked(*answers: Any, dry_run: bool = False, statuses: tuple[str, ...] = ()) -> Walk:
    """Walk the welcome series; the engine answers these, an exception is raised."""
    engine, looks = iter(answers), iter(statuses)

    def call(resource: str, _parameters: dict[str, Any]) -> Any:
        if resource.endswith("lambda:invoke"):
            return started(dry_run=dry_run)
        answer = {"Status": next(looks)} if resource.endswith("describeExecution") else next(engine)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return walk(WELCOME, {"$": EXECUTION}, call)


def test_each_moment_is_one_run_of_the_engine() -> None:
    run = walked({}, {})

    (checks, first, second) = run.calls
    assert checks[1]["Payload"]["journey"] == welcome_series().to_json()
    assert (checks[1]["Payload"]["runId"], checks[1]["Payload"]["input"]) == ("run", {"segment": "vip"})
    assert [call[1]["Name"] for call in (first, second)] == ["run-1", "run-2"]
    assert first[0].endswith("startExecution.sync:2")
    assert first[1]["Input"] == {
        "reason": "",
        "dryRun": False,
        "about": {"journey": {"name": "welcome"}, "run": "run", "number": 1, "step": {}},
    }
    assert run.waits == ["2026-11-21T17:00:00Z", "2026-11-22T17:00:00Z"]
    assert run.states[-1] == "Done"


def test_a_dry_run_ends_behind_the_first_moment() -> None:
    run = walked({}, dry_run=True)

    assert len(run.calls) == 2
    assert run.states[-1] == "Done"


def test_a_step_that_fails_leaves_the_others_to_their_end_and_then_fails_the_whole() -> None:
    failure = TaskFailed("States.TaskFailed")
    # Repeated, its name is taken; and it has failed.
    run = walked(failure, TaskFailed(EXISTS), {}, statuses=("FAILED",))

    assert "Step 2 is over" in run.states
    assert (run.is_failed, run.error) == (True, "StepFailed")


def test_a_run_that_is_there_already_is_waited_for() -> None:
    run = walked(TaskFailed(EXISTS), {}, statuses=("RUNNING", "RUNNING", "SUCCEEDED"))

    looks = [parameters for resource, parameters in run.calls if resource.endswith("describeExecution")]
    assert looks == [{"ExecutionArn": "${EngineExecutions}:run-1"}] * 3
    assert run.waits.count(21_600) == 2
    assert run.states[-1] == "Done"


def test_input_that_is_refused_is_what_the_execution_fails_with() -> None:
    def refuse(_resource: str, _parameters: dict[str, Any]) -> Any:
        raise TaskFailed("JourneyInputError", "the input must be a JSON object")

    run = walk(WELCOME, {"$": EXECUTION}, refuse)

    assert (run.is_failed, run.error) == (True, "JourneyInputError")
    # Where a redrive begins: a Fail state would only fail again.
    assert run.states[-1] == "Check input"


def test_a_branch_that_waits_for_a_month_leaves_the_others_their_share_of_the_history() -> None:
    # 25,000 events an execution (Step Functions, quotas). A look is a Wait, a Task and a Choice: entered,
    # left, and for the Task scheduled, started and succeeded.
    pauses = {
        name: state["Seconds"]
        for branch in WELCOME["States"]["Text everybody"]["Branches"]
        for name, state in branch["States"].items()
        if state["Type"] == "Wait" and "Seconds" in state
    }

    assert len(pauses) == 2
    for seconds in pauses.values():
        assert 30 * 86_400 / seconds * 9 * MAX_STEPS < 25_000


def long_journey(*, texts: int, locales: int, length: int) -> JourneyDefinition:
    words = dict.fromkeys(("en", "es", "fr", "de", "pt", "it")[:locales], "x" * length)
    steps: list[Any] = []
    for number in range(texts):
        steps += [Send(f"text-{number}", words), Wait(cdk.Duration.days(1))]
    return JourneyDefinition(name="long", steps=steps, values={"promo": None})


def test_the_longest_journey_with_the_longest_start_fits_into_a_state() -> None:
    journey = long_journey(texts=20, locales=6, length=600)
    compile_journey(journey)
    longest = "\N{WATER BUFFALO}" * runs.MAX_TEXT_LENGTH
    given = {
        "subscriberIds": ["a" * 96 + f"{number:04}" for number in range(runs.MAX_SUBSCRIBER_IDS)],
        "segment": longest,
        "reason": longest,
        "occasion": longest,
        "values": {"promo": "x" * 40},
        "campaign": "c" * 30,
    }
    event = {"runId": "r" * 80, "journey": journey.to_json(), "input": given}

    steps = runs.start(event, now=datetime(2026, 11, 21, tzinfo=UTC), max_parts=4)
    abouts = [{**step.engine_input, "about": dict(step.engine_input["about"])} for step in steps]
    for about in abouts:
        del about["about"]["journey"]

    assert len(json.dumps([journey.to_json(), abouts], ensure_ascii=False).encode()) < 262_144


def test_the_largest_journey_leaves_the_engine_some_room() -> None:
    with pytest.raises(ValueError, match="at most") as refused:
        compile_journey(long_journey(texts=1, locales=1, length=200_000))
    (most,) = re.findall(r"at most (\d+) fit", str(refused.value))
    overhead = len(json.dumps(long_journey(texts=1, locales=1, length=1).to_json())) - 1
    journey = long_journey(texts=1, locales=1, length=int(most) - overhead)
    compile_journey(journey)
    given = {"subscriberIds": ["a" * 96 + f"{number:04}" for number in range(runs.MAX_SUBSCRIBER_IDS)]}
    event = {"runId": "r" * 80, "journey": journey.to_json(), "input": given | {"values": {"promo": "x"}}}

    (step,) = runs.start(event, now=datetime(2026, 11, 21, tzinfo=UTC), max_parts=2_000)

    assert 240_000 < len(json.dumps(step.engine_input)) < 262_144 - 10_000


def test_a_journey_that_outgrows_a_state_is_refused() -> None:
    with pytest.raises(ValueError, match=r"its texts take \d+ bytes, at most \d+ fit into a state"):
        compile_journey(long_journey(texts=20, locales=6, length=1_000))


@pytest.mark.parametrize(
    ("expires_after", "longest"), [(None, 74), (cdk.Duration.days(3), 85), (cdk.Duration.days(30), 58)]
)
def test_a_journey_that_outlives_what_its_first_moment_wrote_is_refused(
    expires_after: cdk.Duration | None, longest: int
) -> None:
    def definition(days: int) -> JourneyDefinition:
        return JourneyDefinition(
            name="slow", steps=(Send("first", "One"), Wait(cdk.Duration.days(days)), Send("second", "Two"))
        )

    stack = new_stack()
    channel = imported(stack)
    engine = JourneyEngine(
        stack, "Engine", channel=channel, subscribers=subscribers(stack), expires_after=expires_after
    )

    with pytest.raises(ValueError, match=f"come to {longest + 1} days, at most {longest} are allowed"):
        journey_in(stack, definition(longest + 1), channel=channel, engine=engine)
    journey_in(stack, definition(longest), channel=channel, engine=engine)
    # What it needs at its end is as old as the journey, and the bucket forgets by age.
    (bucket,) = resources_of(template_of(stack), "AWS::S3::Bucket").values()
    lifetimes = [
        rule["ExpirationInDays"] for rule in bucket["LifecycleConfiguration"]["Rules"] if "Prefix" not in rule
    ]
    expiry = 14 if expires_after is None else expires_after.to_days()
    assert all(longest + expiry < days for days in lifetimes)


def test_a_journey_that_makes_its_engine_may_last_as_long_as_with_its_default() -> None:
    steps = (Send("first", "One"), Wait(cdk.Duration.days(75)), Send("second", "Two"))

    with pytest.raises(ValueError, match="come to 75 days, at most 74 are allowed"):
        journey_in(new_stack(), JourneyDefinition(name="slow", steps=steps))


def test_every_task_has_a_time_limit_and_retries_with_jitter_and_no_step_ends_the_others() -> None:
    branches = WELCOME["States"]["Text everybody"]["Branches"]
    tasks = [
        state
        for states in (WELCOME["States"], *(branch["States"] for branch in branches))
        for state in states.values()
        if state["Type"] == "Task"
    ]

    assert len(tasks) == 5
    for task in tasks:
        assert task["TimeoutSeconds"] > 0
        assert all(
            retry.get("JitterStrategy") == "FULL" or not retry["MaxAttempts"] for retry in task["Retry"]
        )
    assert all(task["Catch"][-1]["ErrorEquals"] == ["States.ALL"] for task in tasks[1:])


def test_what_the_machine_holds_is_what_the_functions_read() -> None:
    held = WELCOME["States"]["Check input"]["Parameters"]["Payload"]["journey"]

    about = {
        "journey": held,
        "run": "run",
        "number": 2,
        "step": {
            "startedAt": "2026-11-21T17:00:00+00:00",
            "occasion": "once",
            "first": "run_welcome-1",
            "previous": "run_welcome-1",
            "values": {},
            "segment": None,
            "subscriberIds": None,
        },
    }
    assert StepRun.from_json(about).to_json()["journey"] == welcome_series().to_json()


# What is refused


def journey_in(stack: cdk.Stack, definition: JourneyDefinition | None = None, **props: Any) -> Journey:
    channel = props.pop("channel", None) or imported(stack)
    if "engine" not in props:
        props.setdefault("subscribers", subscribers(stack))
    return Journey(
        stack, props.pop("id", "Journey"), channel=channel, definition=definition or welcome_series(), **props
    )


@pytest.mark.parametrize(
    ("props", "message"),
    [
        ({"subscribers": None}, "needs the table of subscribers, or an engine"),
        ({"segment_trigger": ""}, "segment_trigger must be the name of a segment"),
        ({"segment_trigger": "v" * 193}, "segment_trigger has 193 characters, at most 192 are allowed"),
        (
            {"definition": promotional(promo=None), "segment_trigger": "vip"},
            "starts by itself, and promo has no default",
        ),
        ({"definition": promotional(promotion="a" * 161)}, "takes 2 message parts, at most 1"),
        ({"definition": promotional(promotion="Only ${5}")}, r"must not hold \$\{"),
    ],
)
def test_bad_props_are_refused_at_once(props: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        journey_in(new_stack(), **props)


@pytest.mark.parametrize(
    ("props", "message"),
    [
        ({"max_concurrency": 2}, "max_concurrency must be between 1 and 1, got 2"),
        ({"expires_after": cdk.Duration.minutes(1)}, "expires_after must be between"),
    ],
)
def test_bad_props_of_the_engine_are_refused_at_once(props: dict[str, Any], message: str) -> None:
    stack = new_stack()

    with pytest.raises(ValueError, match=message):
        JourneyEngine(stack, "Engine", channel=imported(stack), subscribers=subscribers(stack), **props)


def test_an_engine_brings_its_table_and_its_channel() -> None:
    stack = new_stack()
    first = journey_in(stack)

    with pytest.raises(ValueError, match="are the engine's"):
        journey_in(
            stack,
            promotional(),
            channel=first.channel,
            engine=first.engine,
            id="B",
            subscribers=first.engine.subscribers,
        )
    other = SmsChannel.from_attributes(stack, "OtherChannel", ATTRIBUTES)
    with pytest.raises(ValueError, match="on another channel"):
        journey_in(stack, promotional(), channel=other, engine=first.engine, id="C")


def test_two_journeys_of_one_name_need_two_channels() -> None:
    stack = new_stack()
    first = journey_in(stack)

    with pytest.raises(ValueError, match="has the journey welcome Test/Journey already"):
        journey_in(stack, channel=first.channel, engine=first.engine, id="Again")


def test_a_journey_of_ones_own_is_a_declaration() -> None:
    stack = new_stack()
    definition = JourneyDefinition(
        name="tips",
        steps=(
            Send("first", "Tip one"),
            Wait(cdk.Duration.days(7)),
            Branch(Confirmed(), then=(Send("second", "Tip two"),)),
        ),
    )

    journey = journey_in(stack, definition)

    compiled = json.loads(machines(template_of(stack))["JourneyStateMachine"]["DefinitionString"])
    assert len(compiled["States"]["Text everybody"]["Branches"]) == 2
    assert journey.state_machine_arn


def test_the_example_of_the_documentation_is_right() -> None:
    text = (ROOT / "docs" / "journeys.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    stack = new_stack()
    analytics = SimpleNamespace(subscribers_table=subscribers(stack))
    names = {
        "self": stack,
        "channel": imported(stack),
        "analytics": analytics,
        "ScheduleExpression": scheduler.ScheduleExpression,
        "TimeZone": cdk.TimeZone,
    }

    exec(example, names)

    assert {"WelcomeStateMachine", "PromotionalStateMachine", "WinBackStateMachine"} < machines(
        template_of(stack)
    ).keys()


def test_the_documentation_tells_every_reason_and_every_word_of_the_input() -> None:
    text = (ROOT / "docs" / "journeys.md").read_text(encoding="utf-8")

    assert [reason for reason in JourneyReason if f"`{reason}`" not in text] == []
    assert [word for word in runs.INPUT_KEYS if f"| `{word}` |" not in text] == []
