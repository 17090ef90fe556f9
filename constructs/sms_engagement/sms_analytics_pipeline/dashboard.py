"""The pipeline's dashboard in CloudWatch."""

from typing import TYPE_CHECKING

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch

from sms_engagement.sms_analytics_pipeline.metrics import (
    cost_per_message,
    cost_per_response,
    marketing_metric,
    response_rate,
)

if TYPE_CHECKING:
    from sms_engagement.sms_analytics_pipeline.construct import SmsAnalyticsPipeline

_HALF = 12
_HOUR = Duration.hours(1)


def pipeline_dashboard(pipeline: "SmsAnalyticsPipeline") -> cloudwatch.Dashboard:
    """Make the dashboard of a pipeline: counts, rates, cost, and how far behind its consumers are."""
    dashboard = cloudwatch.Dashboard(pipeline, "Dashboard", default_interval=Duration.days(7))
    counts = ("MessagesDelivered", "MessagesFailed", "ResponsesReceived", "OptOuts")
    dashboard.add_widgets(
        cloudwatch.GraphWidget(
            title="Texts and answers an hour",
            width=_HALF,
            left=[marketing_metric(name, period=_HOUR) for name in counts],
        ),
        cloudwatch.GraphWidget(
            title="Rates of an hour",
            width=_HALF,
            left=[
                pipeline.metric_delivery_rate(),
                response_rate(minimum_volume=pipeline.minimum_volume),
                pipeline.metric_opt_out_rate(),
            ],
            left_y_axis=cloudwatch.YAxisProps(min=0, max=100, label="%", show_units=False),
        ),
    )
    dashboard.add_widgets(
        cloudwatch.GraphWidget(
            title="Cost",
            width=_HALF,
            left=[marketing_metric("TotalCostUSD", period=_HOUR)],
            right=[cost_per_message(), cost_per_response()],
        ),
        cloudwatch.GraphWidget(
            title="By country",
            width=_HALF,
            left=[
                cloudwatch.MathExpression(
                    expression=f"SEARCH('{{SMS/Marketing,Country}} MetricName=\"{name}\"', 'Sum', 3600)",
                    label="",
                    period=_HOUR,
                )
                for name in ("MessagesDeliveredByCountry", "MessagesFailedByCountry")
            ],
        ),
    )
    dashboard.add_widgets(
        cloudwatch.GraphWidget(
            title="Behind the stream",
            width=_HALF,
            left=[
                consumer.metric("IteratorAge", statistic=cloudwatch.Stats.MAXIMUM, label=name)
                for name, consumer in pipeline.consumers.items()
            ],
        ),
        cloudwatch.GraphWidget(
            title="What could not be read or done",
            width=_HALF,
            left=[
                marketing_metric("RecordsSetAside"),
                *(
                    queue.metric_approximate_number_of_messages_visible(label=name)
                    for name, queue in pipeline.dead_letter_queues.items()
                ),
            ],
        ),
    )
    return dashboard
