"""Alarms of all environments: everything that can fail has one, and each goes off when it should."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from tests.infrastructure.synthesis import Template, merged, resources_of
from tests.support.alarm_evaluation import State, metrics_of, period_of, state_of

type Alarm = Mapping[str, Any]
type Periods = Sequence[Mapping[str, float]]

ENVIRONMENTS = {"local", "dev", "staging", "prod"}


@pytest.fixture(scope="module")
def environments(environment_templates: Mapping[str, Template]) -> Mapping[str, Template]:
    """All stacks of an environment as one template, by the environment's name."""
    return {
        environment: merged(
            {
                stack: template
                for stack, template in environment_templates.items()
                if stack.startswith(f"{environment}-")
            }
        )
        for environment in {stack.split("-")[0] for stack in environment_templates}
    }


def alarms_of(template: Template) -> dict[str, Alarm]:
    return resources_of(template, "AWS::CloudWatch::Alarm")


def watched(template: Template, metric: str, dimension: str) -> set[str]:
    """What the alarms of a template look at by a metric: logical ids, or the value with other dimensions."""
    return {
        "/".join([logical_id(found.dimensions[dimension]), *others_of(found.dimensions, dimension)])
        for alarm in alarms_of(template).values()
        for found in metrics_of(alarm)
        if found.name == metric and dimension in found.dimensions
    }


def logical_id(value: str) -> str:
    """The logical id that a reference is to, in a dimension or in a property."""
    match json.loads(value):
        case {"Ref": str(name)} | {"Fn::GetAtt": [str(name), _]}:
            return name
    raise AssertionError(f"{value} refers to nothing of this template")


def others_of(dimensions: Mapping[str, str], one: str) -> list[str]:
    return [value for name, value in sorted(dimensions.items()) if name != one]


def test_all_environments_are_looked_at(environments: Mapping[str, Template]) -> None:
    assert set(environments) == ENVIRONMENTS
    assert all(len(alarms_of(template)) > 50 for template in environments.values())


def test_every_function_has_an_alarm_on_its_errors(environments: Mapping[str, Template]) -> None:
    for template in environments.values():
        functions = set(resources_of(template, "AWS::Lambda::Function"))

        assert functions - watched(template, "Errors", "FunctionName") == set()


def test_every_table_and_every_index_has_an_alarm_on_throttled_requests(
    environments: Mapping[str, Template],
) -> None:
    for template in environments.values():
        found = {
            "/".join([name, *index])
            for name, table in resources_of(template, "AWS::DynamoDB::GlobalTable").items()
            for index in [[], *([each["IndexName"]] for each in table.get("GlobalSecondaryIndexes", ()))]
        }

        assert watched(template, "ReadThrottleEvents", "TableName") == found
        assert watched(template, "WriteThrottleEvents", "TableName") == found
        # By its own dimension, or a throttled index would ring nothing.
        assert any(name.endswith("/userId-timestamp-index") for name in found)


def test_every_queue_has_an_alarm(environments: Mapping[str, Template]) -> None:
    for template in environments.values():
        queues = resources_of(template, "AWS::SQS::Queue")
        fed_by_failures = {
            logical_id(json.dumps(queue["RedrivePolicy"]["deadLetterTargetArn"]))
            for queue in queues.values()
            if "RedrivePolicy" in queue
        }
        read_by_functions = {
            logical_id(json.dumps(source["EventSourceArn"]))
            for source in resources_of(template, "AWS::Lambda::EventSourceMapping").values()
        }

        waiting = watched(template, "ApproximateAgeOfOldestMessage", "QueueName")
        failed = watched(template, "ApproximateNumberOfMessagesVisible", "QueueName")

        assert set(queues) & read_by_functions == waiting
        assert set(queues) - waiting == failed
        assert fed_by_failures <= failed


def test_every_state_machine_has_an_alarm_on_what_failed_and_on_what_was_cut_off(
    environments: Mapping[str, Template],
) -> None:
    for template in environments.values():
        machines = set(resources_of(template, "AWS::StepFunctions::StateMachine"))

        assert watched(template, "ExecutionsFailed", "StateMachineArn") == machines
        assert watched(template, "ExecutionsTimedOut", "StateMachineArn") == machines


def test_every_api_has_alarms_on_errors_and_on_slow_answers(
    environments: Mapping[str, Template],
) -> None:
    for template in environments.values():
        apis = set(resources_of(template, "AWS::ApiGatewayV2::Api"))

        for metric in ("5xx", "Count", "Latency"):
            assert watched(template, metric, "ApiId") == apis


def test_every_stream_has_an_alarm_and_so_has_everybody_who_reads_one(
    environments: Mapping[str, Template],
) -> None:
    for template in environments.values():
        streams = set(resources_of(template, "AWS::Kinesis::Stream"))
        readers = {
            logical_id(json.dumps(source["FunctionName"]))
            for source in resources_of(template, "AWS::Lambda::EventSourceMapping").values()
            if "StartingPosition" in source
        }

        assert watched(template, "WriteProvisionedThroughputExceeded", "StreamName") == streams
        assert watched(template, "IteratorAge", "FunctionName") == readers


def dead_letter_arns(template: Template) -> Iterator[tuple[str, Any]]:
    """What sends something to somebody else, with the queue of what does not arrive."""
    for name, rule in resources_of(template, "AWS::Events::Rule").items():
        for target in rule["Targets"]:
            yield name, target.get("DeadLetterConfig", {}).get("Arn")
    for name, schedule in resources_of(template, "AWS::Scheduler::Schedule").items():
        yield name, schedule["Target"].get("DeadLetterConfig", {}).get("Arn")
    for name, subscription in resources_of(template, "AWS::SNS::Subscription").items():
        # SNS keeps trying an address of people, and has nothing to set aside.
        if subscription["Protocol"] != "email":
            yield name, subscription.get("RedrivePolicy", {}).get("deadLetterTargetArn")
    for name, source in resources_of(template, "AWS::Lambda::EventSourceMapping").items():
        if "StartingPosition" in source:
            yield name, source["DestinationConfig"]["OnFailure"]["Destination"]
    for name, asynchronous in resources_of(template, "AWS::Lambda::EventInvokeConfig").items():
        yield name, asynchronous["DestinationConfig"]["OnFailure"]["Destination"]


def test_what_does_not_arrive_lands_in_a_queue_with_an_alarm(
    environments: Mapping[str, Template],
) -> None:
    for template in environments.values():
        alarmed = watched(template, "ApproximateNumberOfMessagesVisible", "QueueName")
        for name, arn in dead_letter_arns(template):
            assert arn is not None, f"{name} has no dead-letter queue"
            assert logical_id(json.dumps(arn)) in alarmed, f"{name}: its dead-letter queue has no alarm"


# Each alarm, by a metric that fires it.


def of_count(alarm: Alarm) -> tuple[list[Periods], list[Periods]]:
    """Series that fire an alarm on one metric, and series just under its threshold."""
    threshold = alarm["Threshold"]
    beyond, within = {
        "GreaterThanOrEqualToThreshold": (threshold, threshold - 1),
        "GreaterThanThreshold": (threshold + 1, threshold),
    }[alarm["ComparisonOperator"]]
    needed = alarm["EvaluationPeriods"]
    firing: list[Periods] = [[{"metric": beyond}] * needed]
    # One period is not enough, nor is one that was long ago.
    quiet: list[Periods] = [
        [{"metric": within}] * needed,
        [{}] * needed,
        [{"metric": beyond}, *[{}] * needed],
    ]
    if needed > 1:
        quiet.append([*[{"metric": beyond}] * (needed - 1), {"metric": within}])
    return firing, quiet


def each_alone(alarm: Alarm, value: float) -> list[Periods]:
    """One period with data of one metric, for each metric of the alarm."""
    return [[{metric.id: value}] for metric in metrics_of(alarm)]


def shares(*values: Mapping[str, float]) -> list[Periods]:
    return [[each] for each in values]


QUIET_HOUR: Periods = [{}]


def of_shares(name: str, alarm: Alarm) -> tuple[list[Periods], list[Periods]]:
    """The same for alarms on several metrics: what fires them, and what is just too little of it."""
    ids = frozenset(metric.id for metric in metrics_of(alarm))
    if all(re.fullmatch(r"(reads|writes)\d?|failed|timedOut", each) for each in ids) and ids != {"failed"}:
        return each_alone(alarm, 1), [*each_alone(alarm, 0), QUIET_HOUR]
    if len(ids) == 2 and "errors" in ids:
        (calls,) = ids - {"errors"}
        return (
            shares({"errors": 6, calls: 100}, {"errors": 2, calls: 2}),
            # Just five per cent, and a single failure of a function that is hardly called.
            [
                *shares({"errors": 5, calls: 100}, {"errors": 1, calls: 1}, {"errors": 0, calls: 9}),
                QUIET_HOUR,
            ],
        )
    if name.endswith("DeliveryFailures"):
        return (
            shares({"delivered": 98, "failed": 2}, {"failed": 100}),
            [*shares({"delivered": 99, "failed": 1}, {"failed": 99}, {"delivered": 5000}), QUIET_HOUR],
        )
    if name.endswith("DeliveryRate"):
        return (
            shares({"delivered": 94, "failed": 6}, {"failed": 100}),
            [*shares({"delivered": 95, "failed": 5}, {"failed": 99}, {"delivered": 5000}), QUIET_HOUR],
        )
    if name.endswith("OptOutRate"):
        return (
            shares({"delivered": 100, "optOuts": 6}),
            [*shares({"delivered": 100, "optOuts": 5}, {"delivered": 99, "optOuts": 99}), QUIET_HOUR],
        )
    raise AssertionError(f"{name} is an alarm of a new kind ({sorted(ids)}): say here what fires it")


def series_of(name: str, alarm: Alarm) -> tuple[list[Periods], list[Periods]]:
    return of_shares(name, alarm) if "Metrics" in alarm else of_count(alarm)


def each_alarm(templates: Mapping[str, Template]) -> Iterator[tuple[str, Alarm]]:
    for stack, template in templates.items():
        for name, alarm in alarms_of(template).items():
            yield f"{stack}/{name[:-8]}", alarm


def test_every_alarm_goes_off_when_its_metric_is_beyond_the_threshold(
    environments: Mapping[str, Template],
) -> None:
    silent = [
        (name, list(periods))
        for name, alarm in each_alarm(environments)
        for periods in series_of(name, alarm)[0]
        if state_of(alarm, periods) is not State.ALARM
    ]

    assert silent == []


def test_no_alarm_goes_off_just_under_its_threshold(environments: Mapping[str, Template]) -> None:
    loud = [
        (name, list(periods))
        for name, alarm in each_alarm(environments)
        for periods in series_of(name, alarm)[1]
        if state_of(alarm, periods) is not State.OK
    ]

    assert loud == []


@pytest.mark.parametrize(
    ("alarm", "threshold", "comparison"),
    [
        ("RouterErrors", 5, "GreaterThanThreshold"),
        ("ApiErrors", 5, "GreaterThanThreshold"),
        ("MessagesThrottles", 1, "GreaterThanOrEqualToThreshold"),
        ("DeliveryFailures", 1, "GreaterThanThreshold"),
        ("FormSlow", 3000, "GreaterThanThreshold"),
        ("ApiSlow", 3000, "GreaterThanThreshold"),
        ("DeliveryRate", 95, "LessThanThreshold"),
        ("OptOutRate", 5, "GreaterThanThreshold"),
        # A minute, after the window in which a batch is gathered.
        ("EventProcessorBehind", 65_000, "GreaterThanThreshold"),
    ],
)
def test_thresholds_are_those_that_were_promised(
    environments: Mapping[str, Template], alarm: str, threshold: float, comparison: str
) -> None:
    found = [
        each
        for name, each in each_alarm(environments)
        if name.endswith(f"Alarms{alarm}") and "Appointments" not in name
    ]

    assert len(found) == len(ENVIRONMENTS)
    assert {(each["Threshold"], each["ComparisonOperator"]) for each in found} == {(threshold, comparison)}


def test_an_alarm_can_be_evaluated_by_cloudwatch(environments: Mapping[str, Template]) -> None:
    """Limits of PutMetricAlarm: periods, the range that is looked at, metrics of one alarm."""
    for name, alarm in each_alarm(environments):
        period = period_of(alarm)

        assert period % 60 == 0, name
        assert period * alarm["EvaluationPeriods"] <= (86_400 if period < 3_600 else 7 * 86_400), name
        assert len(metrics_of(alarm)) <= 10, name
        assert alarm["TreatMissingData"] == "notBreaching", name
        assert len(alarm["AlarmDescription"]) <= 1024, name
