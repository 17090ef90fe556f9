"""Alarms that every system has: what failed, and what waits for a human."""

from collections.abc import Mapping

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

_PERIOD = Duration.minutes(5)
_AT_OR_ABOVE = cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD


class Alarms(Construct):
    """Alarms on functions, dead-letter queues and tables.

    Parameters
    ----------
    topic
        Told when an alarm starts and ends; without one the alarms exist and notify nobody.

    Attributes
    ----------
    by_name
        Every alarm by its id.
    """

    def __init__(self, scope: Construct, id: str, *, topic: sns.ITopic | None) -> None:
        super().__init__(scope, id)
        self.by_name: dict[str, cloudwatch.Alarm] = {}
        self._topic = topic

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
        """Alarm when a metric is at or above a threshold, unless told otherwise; no data is no alarm."""
        alarm = cloudwatch.Alarm(
            self,
            name,
            metric=metric,
            threshold=threshold,
            evaluation_periods=periods,
            comparison_operator=comparison,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
            alarm_description=description,
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
            rate = cloudwatch.MathExpression(
                # A single failure among few calls is a retry, not an incident.
                expression="IF(errors >= 2, 100 * errors / invocations, 0)",
                using_metrics={
                    "errors": function.metric_errors(period=_PERIOD, statistic="Sum"),
                    "invocations": function.metric_invocations(period=_PERIOD, statistic="Sum"),
                },
                period=_PERIOD,
                label="Errors, %",
            )
            self.add(
                f"{name}Errors", rate, threshold=5, description=f"{name} fails for over 5 % of its calls"
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

    def add_tables(self, tables: Mapping[str, dynamodb.ITableV2]) -> None:
        """Alarm on any throttled request of a table or its indexes."""
        for name, table in tables.items():
            throttled = cloudwatch.MathExpression(
                # DynamoDB reports either only where there is any, and a sum with a missing part is missing.
                expression="FILL(reads, 0) + FILL(writes, 0)",
                using_metrics={
                    "reads": table.metric("ReadThrottleEvents", period=_PERIOD, statistic="Sum"),
                    "writes": table.metric("WriteThrottleEvents", period=_PERIOD, statistic="Sum"),
                },
                period=_PERIOD,
                label="Throttled requests",
            )
            self.add(
                f"{name}Throttles", throttled, threshold=1, description=f"table {name} throttles requests"
            )
