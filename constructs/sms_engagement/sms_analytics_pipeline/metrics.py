"""Business metrics of the pipeline, and the rates made of them."""

import re
from collections.abc import Mapping
from typing import Final

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch

from sms_engagement_runtime.sms_analytics_pipeline.domain.metrics import CAMPAIGN, COUNTRY, NAMESPACE

MINIMUM_VOLUME: Final = 100
"""Texts in a period below which a rate says nothing."""

_PERIOD: Final = Duration.minutes(5)
_RATE_PERIOD: Final = Duration.hours(1)


def marketing_metric(
    name: str,
    *,
    dimensions: Mapping[str, str] | None = None,
    period: Duration | None = None,
    statistic: str | None = None,
) -> cloudwatch.Metric:
    """Return a metric of namespace ``SMS/Marketing``: the sum over five minutes by default."""
    return cloudwatch.Metric(
        namespace=NAMESPACE,
        metric_name=name,
        dimensions_map=dimensions or {},
        period=period or _PERIOD,
        statistic=statistic or "Sum",
    )


def country_metric(name: str, country: str, *, period: Duration | None = None) -> cloudwatch.Metric:
    """Return a metric by country, as ``MessagesDeliveredByCountry``."""
    return marketing_metric(name, dimensions={COUNTRY: country}, period=period)


def campaign_metric(name: str, campaign_id: str, *, period: Duration | None = None) -> cloudwatch.Metric:
    """Return a metric by campaign, as ``CampaignMessagesDelivered``; needs ``metrics_by_campaign``."""
    return marketing_metric(name, dimensions={CAMPAIGN: campaign_id}, period=period)


def delivery_rate(
    *, minimum_volume: int = MINIMUM_VOLUME, period: Duration | None = None
) -> cloudwatch.MathExpression:
    """Return delivered texts per ended text, in per cent; 100 where fewer texts ended than the minimum.

    Of sums, so that each text weighs the same.
    """
    return _rate(
        f"IF(delivered + failed >= {minimum_volume}, 100 * delivered / (delivered + failed), 100)",
        {"delivered": "MessagesDelivered", "failed": "MessagesFailed"},
        label=f"Delivered, % (100 below {minimum_volume} texts)",
        period=period,
    )


def opt_out_rate(
    *, minimum_volume: int = MINIMUM_VOLUME, period: Duration | None = None
) -> cloudwatch.MathExpression:
    """Return opt-outs per delivered text, in per cent; 0 where fewer were delivered than the minimum."""
    return _rate(
        f"IF(delivered >= {minimum_volume}, 100 * optOuts / delivered, 0)",
        {"delivered": "MessagesDelivered", "optOuts": "OptOuts"},
        label=f"Opted out, % (0 below {minimum_volume} texts)",
        period=period,
    )


def response_rate(
    *, minimum_volume: int = MINIMUM_VOLUME, period: Duration | None = None
) -> cloudwatch.MathExpression:
    """Return answers per delivered text, in per cent; 0 where fewer were delivered than the minimum."""
    return _rate(
        f"IF(delivered >= {minimum_volume}, 100 * responses / delivered, 0)",
        {"delivered": "MessagesDelivered", "responses": "ResponsesReceived"},
        label=f"Answered, % (0 below {minimum_volume} texts)",
        period=period,
    )


def cost_per_message(*, period: Duration | None = None) -> cloudwatch.MathExpression:
    """Return US dollars per text that ended."""
    return _rate(
        "IF(delivered + failed > 0, cost / (delivered + failed), 0)",
        {"delivered": "MessagesDelivered", "failed": "MessagesFailed", "cost": "TotalCostUSD"},
        label="USD a text",
        period=period,
    )


def cost_per_response(*, period: Duration | None = None) -> cloudwatch.MathExpression:
    """Return US dollars per answer."""
    return _rate(
        "IF(responses > 0, cost / responses, 0)",
        {"responses": "ResponsesReceived", "cost": "TotalCostUSD"},
        label="USD an answer",
        period=period,
    )


def _rate(
    expression: str, metrics: Mapping[str, str], *, label: str, period: Duration | None
) -> cloudwatch.MathExpression:
    period = period or _RATE_PERIOD
    # A metric without data in a period is missing there, and so would be what is made of it.
    filled = {name: f"FILL({name}, 0)" for name in metrics}
    return cloudwatch.MathExpression(
        expression=re.sub(r"[a-z][A-Za-z]*", lambda word: filled[word[0]], expression),
        using_metrics={name: marketing_metric(metric, period=period) for name, metric in metrics.items()},
        label=label,
        period=period,
    )
