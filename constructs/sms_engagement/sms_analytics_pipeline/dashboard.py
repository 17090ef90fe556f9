"""The pipeline's dashboard in CloudWatch."""

from typing import TYPE_CHECKING

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch

from sms_engagement.dashboards import add_head

if TYPE_CHECKING:
    from sms_engagement.sms_analytics_pipeline.construct import SmsAnalyticsPipeline

_HALF = 12
_HOUR = Duration.hours(1)


def pipeline_dashboard(pipeline: "SmsAnalyticsPipeline") -> cloudwatch.Dashboard:
    """Make the dashboard of a pipeline: counts, rates, cost, and how far behind its consumers are."""
    dashboard = cloudwatch.Dashboard(pipeline, "Dashboard", default_interval=Duration.days(7))
    add_head(
        dashboard,
        pipeline,
        system="analytics",
        about="Every delivery event and answer: counted, kept and usable.",
        alarms=[pipeline.alarms],
    )
    counts = ("MessagesDelivered", "MessagesFailed", "ResponsesReceived", "OptOuts")
    dashboard.add_widgets(
        cloudwatch.GraphWidget(
            title="Texts and answers an hour",
            width=_HALF,
            left=[pipeline.metrics.count(name, period=_HOUR) for name in counts],
        ),
        cloudwatch.GraphWidget(
            title="Rates of an hour",
            width=_HALF,
            left=[
                pipeline.metric_delivery_rate(),
                pipeline.metric_response_rate(),
                pipeline.metric_opt_out_rate(),
            ],
            left_y_axis=cloudwatch.YAxisProps(min=0, max=100, label="%", show_units=False),
        ),
    )
    dashboard.add_widgets(
        cloudwatch.GraphWidget(
            title="Cost",
            width=_HALF,
            left=[pipeline.metrics.count("TotalCostUSD", period=_HOUR)],
            right=[pipeline.metrics.cost_per_message(), pipeline.metrics.cost_per_response()],
        ),
        cloudwatch.GraphWidget(
            title="By country",
            width=_HALF,
            left=[
                cloudwatch.MathExpression(
                    expression=pipeline.metrics.of_each_country(name, period=_HOUR),
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
                pipeline.metrics.count("RecordsSetAside"),
                *(
                    queue.metric_approximate_number_of_messages_visible(label=name)
                    for name, queue in pipeline.dead_letter_queues.items()
                ),
            ],
        ),
    )
    return dashboard
