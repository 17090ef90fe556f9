"""Business metrics that the functions emit."""

from typing import Final

from aws_cdk import Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_logs as logs
from constructs import Construct, IConstruct

NAMESPACE: Final = "SMS/Engagement"
"""CloudWatch namespace of the functions' own metrics."""


def service_name(scope: IConstruct, service: str) -> str:
    """Return the service's name in logs, traces and metrics, apart for two copies in one account."""
    return f"{Stack.of(scope).stack_name}-{service}"


def business_metric(
    scope: IConstruct,
    service: str,
    name: str,
    *,
    period: Duration | None = None,
    statistic: str | None = None,
) -> cloudwatch.Metric:
    """Return a metric that the functions of a service emit; the sum over five minutes by default."""
    return cloudwatch.Metric(
        namespace=NAMESPACE,
        metric_name=name,
        dimensions_map={"service": service_name(scope, service)},
        period=period or Duration.minutes(5),
        statistic=statistic or "Sum",
    )


def count_messages(
    scope: Construct, id: str, log_group: logs.ILogGroup, *, message: str, metric: str
) -> logs.MetricFilter:
    """Count the log lines of a function that have a message, by its ``service``, as a metric."""
    return logs.MetricFilter(
        scope,
        id,
        log_group=log_group,
        filter_pattern=logs.FilterPattern.string_value("$.message", "=", message),
        metric_namespace=NAMESPACE,
        metric_name=metric,
        dimensions={"service": "$.service"},
    )
