"""Alarms that every system has: what failed, what waits, and what waits for a human.

`docs/monitoring.md` lists them, `docs/runbook.md` says of each what to do.
"""

from collections.abc import Mapping
from typing import Any, Final, cast

from aws_cdk import Duration, Stack
from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct, IConstruct

_PERIOD: Final = Duration.minutes(5)
_AT_OR_ABOVE: Final = cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD
_ABOVE: Final = cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD

MAX_ERROR_PERCENT: Final = 5
"""Share of failed calls of a function, and of an API, above which it is an incident."""

MAX_PAGE_LATENCY: Final = Duration.seconds(3)
"""What a person waits for a page."""


class Alarms(Construct):
    """Alarms of one system, each with a pointer into the runbook.

    Parameters
    ----------
    system
        As the runbook calls it: ``channel``, ``reviews``, ``appointments``, ``analytics``, ``journeys``.
    topic
        Told when an alarm starts and ends; without one the alarms exist and notify nobody. CloudWatch is
        allowed to publish to it, and to use its key: a topic that has a policy, or a key of its own,
        otherwise refuses alarms without anybody seeing it. (CloudWatch user guide, *Alarm actions*: to a
        topic under the key ``alias/aws/sns`` no alarm can be published.) An imported topic has to allow it
        itself.

    Attributes
    ----------
    by_name
        Every alarm by its id.
    """

    def __init__(self, scope: Construct, id: str, *, system: str, topic: sns.ITopic | None) -> None:
        super().__init__(scope, id)
        self.by_name: dict[str, cloudwatch.Alarm] = {}
        self._system = system
        self._topic = topic
        if topic is not None:
            _let_cloudwatch_publish(self, topic)

    def add(
        self,
        name: str,
        metric: cloudwatch.IMetric,
        *,
        threshold: float,
        description: str,
        periods: int = 1,
        comparison: cloudwatch.ComparisonOperator = _AT_OR_ABOVE,
    ) -> cloudwatch.Alarm:
        """Alarm when a metric is at or above a threshold, unless told otherwise; no data is no alarm.

        Nothing is measured where nothing happens, so missing data is what a quiet night looks like.
        """
        alarm = cloudwatch.Alarm(
            self,
            name,
            metric=metric,
            threshold=threshold,
            evaluation_periods=periods,
            comparison_operator=comparison,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
            alarm_description=f"{description} (runbook: {self._system}/{name})",
        )
        if self._topic is not None:
            action = actions.SnsAction(self._topic)
            alarm.add_alarm_action(action)
            alarm.add_ok_action(action)
        self.by_name[name] = alarm
        return alarm

    def add_functions(self, functions: Mapping[str, lambda_.IFunction]) -> None:
        """Alarm on more than 5 % failed invocations of a function, from the second failure on."""
        for name, function in functions.items():
            self._add_rate(
                f"{name}Errors",
                {
                    "errors": function.metric_errors(period=_PERIOD, statistic="Sum"),
                    "invocations": function.metric_invocations(period=_PERIOD, statistic="Sum"),
                },
                label="Errors, %",
                description=f"{name} fails for over {MAX_ERROR_PERCENT} % of its calls",
            )

    def add_seldom_called(self, functions: Mapping[str, lambda_.IFunction]) -> None:
        """Alarm on each failed invocation of a function that is called once a day or less."""
        for name, function in functions.items():
            self.add(
                f"{name}Errors",
                function.metric_errors(period=_PERIOD, statistic="Sum"),
                threshold=1,
                description=f"{name} failed; it is called so seldom that a single failure counts",
            )

    def add_dead_letter_queues(self, queues: Mapping[str, sqs.IQueue]) -> None:
        """Alarm on the first message of a dead-letter queue."""
        for name, queue in queues.items():
            self.add(
                f"{name}NotEmpty",
                queue.metric_approximate_number_of_messages_visible(period=_PERIOD, statistic="Maximum"),
                threshold=1,
                description=f"{name} holds what could not be processed; redrive it once the cause is gone",
            )

    def add_queues(self, queues: Mapping[str, tuple[sqs.IQueue, Duration, str]]) -> None:
        """Alarm when the oldest message of a queue is older than it should get; the text says what waits."""
        for name, (queue, longest, what) in queues.items():
            self.add(
                f"{name}Age",
                queue.metric_approximate_age_of_oldest_message(period=_PERIOD, statistic="Maximum"),
                threshold=longest.to_seconds(),
                description=what,
            )

    def add_tables(self, tables: Mapping[str, dynamodb.ITable]) -> None:
        """Alarm on any throttled request of a table or of its indexes, all of which have to be there."""
        for name, table in tables.items():
            self.add(
                f"{name}Throttles",
                throttled_requests(table, period=_PERIOD),
                threshold=1,
                description=f"table {name}, or an index of it, throttles requests",
            )

    def add_state_machine(self, name: str, machine: sfn.IStateMachine, *, description: str) -> None:
        """Alarm on the first execution that failed or was cut off at its time-out."""
        self.add(name, lost_executions(machine), threshold=1, description=description)

    def add_api(self, api: apigateway.IHttpApi, *, slowest: Duration, who: str) -> None:
        """Alarm on server errors and on slow answers of an API.

        Server errors are those of the functions, and what never reached one: throttled, timed out. The time
        is that of the whole call, with the start of a function, which no metric of the function has.

        Parameters
        ----------
        slowest
            Longest time of 19 calls in 20 that is no alarm.
        who
            Who waits for the answers.
        """
        self._add_rate(
            "ApiErrors",
            {
                "errors": api.metric_server_error(period=_PERIOD, statistic="Sum"),
                "calls": api.metric_count(period=_PERIOD, statistic="SampleCount"),
            },
            label="Server errors, %",
            description=f"over {MAX_ERROR_PERCENT} % of the calls of the API end in a server error",
        )
        self.add(
            "ApiSlow",
            api.metric_latency(period=_PERIOD, statistic="p95"),
            threshold=slowest.to_milliseconds(),
            comparison=_ABOVE,
            periods=2,
            description=f"{who} waits over {int(slowest.to_seconds())} seconds for one answer in twenty",
        )

    def _add_rate(
        self, name: str, metrics: Mapping[str, cloudwatch.IMetric], *, label: str, description: str
    ) -> None:
        """Alarm when the first metric is more than 5 % of the second one, and 2 at least."""
        errors, calls = metrics
        rate = cloudwatch.MathExpression(
            # A single failure among few calls is a retry, not an incident.
            expression=f"IF({errors} >= 2, 100 * {errors} / {calls}, 0)",
            using_metrics=dict(metrics),
            period=_PERIOD,
            label=label,
        )
        self.add(name, rate, threshold=MAX_ERROR_PERCENT, comparison=_ABOVE, description=description)


def throttled_requests(
    table: dynamodb.ITable, *, period: Duration | None = None
) -> cloudwatch.MathExpression:
    """Return the throttled requests of a table and of each of its indexes that is there by now.

    A metric of a table is without its indexes: they have dimensions of their own, ``TableName`` with
    ``GlobalSecondaryIndexName`` (DynamoDB developer guide, *DynamoDB metrics and dimensions*:
    ``WriteThrottleEvents``).
    """
    period = period or _PERIOD
    metrics: dict[str, cloudwatch.IMetric] = {}
    for number, index in enumerate((None, *index_names(table))):
        dimensions = {} if index is None else {"GlobalSecondaryIndexName": index}
        for kind in ("Read", "Write"):
            metrics[f"{kind.lower()}s{number or ''}"] = cloudwatch.Metric(
                namespace="AWS/DynamoDB",
                metric_name=f"{kind}ThrottleEvents",
                dimensions_map={"TableName": table.table_name, **dimensions},
                period=period,
                statistic="Sum",
            )
    return cloudwatch.MathExpression(
        # DynamoDB reports them only where there are any, and a sum with a missing part is missing.
        expression=" + ".join(f"FILL({name}, 0)" for name in metrics),
        using_metrics=metrics,
        period=period,
        label="Throttled requests",
    )


def index_names(table: IConstruct) -> list[str]:
    """Return the names of the global secondary indexes of a table; none of one that is imported."""
    resource = table.node.default_child
    if not isinstance(resource, dynamodb.CfnTable | dynamodb.CfnGlobalTable):
        return []
    indexes = cast("list[dict[str, Any]] | None", Stack.of(table).resolve(resource.global_secondary_indexes))
    return [index["indexName"] for index in indexes or ()]


def lost_executions(
    machine: sfn.IStateMachine, *, period: Duration | None = None
) -> cloudwatch.MathExpression:
    """Return the executions that failed, and those cut off at their time-out, which did not fail."""
    period = period or _PERIOD
    return cloudwatch.MathExpression(
        expression="FILL(failed, 0) + FILL(timedOut, 0)",
        using_metrics={
            "failed": machine.metric_failed(period=period, statistic="Sum"),
            "timedOut": machine.metric_timed_out(period=period, statistic="Sum"),
        },
        period=period,
        label="Executions that did not succeed",
    )


def _let_cloudwatch_publish(alarms: Construct, topic: sns.ITopic) -> None:
    stack = Stack.of(alarms)
    service = iam.ServicePrincipal(
        "cloudwatch.amazonaws.com", conditions={"StringEquals": {"aws:SourceAccount": stack.account}}
    )
    topic.add_to_resource_policy(
        iam.PolicyStatement(principals=[service], actions=["sns:Publish"], resources=[topic.topic_arn])
    )
    if topic.master_key is not None:
        # CloudWatch user guide, *Alarm actions*, as for every service that publishes to an encrypted topic.
        topic.master_key.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[service], actions=["kms:Decrypt", "kms:GenerateDataKey*"], resources=["*"]
            )
        )
