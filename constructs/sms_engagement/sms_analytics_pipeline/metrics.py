"""Business metrics of the pipeline, and the rates made of them."""

import re
from collections.abc import Mapping
from typing import Final
from weakref import WeakKeyDictionary

from aws_cdk import Duration, Stack, Token
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import IConstruct

from sms_engagement_runtime.sms_analytics_pipeline.domain.metrics import CAMPAIGN, COUNTRY, NAMESPACE

STANDARD_NAMESPACE: Final = NAMESPACE
"""Where the metrics of a pipeline go that is given no other namespace."""

MINIMUM_VOLUME: Final = 100
"""Texts in a period below which a rate says nothing."""

_PERIOD: Final = Duration.minutes(5)
_RATE_PERIOD: Final = Duration.hours(1)


# PutMetricData: 1 to 255 characters, not a colon first; ``AWS/`` is for AWS's own.
_NAMESPACE: Final = re.compile(r"(?!AWS/)[A-Za-z0-9./_#-][A-Za-z0-9./_#:-]{0,254}")

# Of the app that is synthesized: which pipeline writes into which namespace of an account and Region.
_CLAIMED: Final[WeakKeyDictionary[IConstruct, dict[tuple[str, str, str], str]]] = WeakKeyDictionary()


def check_namespace(namespace: str) -> None:
    """Refuse a namespace that CloudWatch would not take.

    Raises
    ------
    ValueError
        Saying what was given and what is allowed. Unresolved tokens pass.
    """
    if not Token.is_unresolved(namespace) and not _NAMESPACE.fullmatch(namespace):
        raise ValueError(
            f"metric_namespace must be 1 to 255 letters, digits and ./_#:- without AWS/ in front, got "
            f"{namespace!r}; leave it out for {NAMESPACE!r}"
        )


def doubt_of_namespace(pipeline: IConstruct, namespace: str) -> str | None:
    """Return what is doubtful about a namespace: that another pipeline of the account writes into it."""
    stack = Stack.of(pipeline)
    place = (stack.account, stack.region, namespace)
    owner = _CLAIMED.setdefault(pipeline.node.root, {}).setdefault(place, pipeline.node.path)
    if owner == pipeline.node.path:
        return None
    return (
        f"{owner} writes its metrics into {namespace!r} of the same account and Region, too: deployed "
        f"together, both show the sum of both, and the alarms on rates are about neither; give one of them "
        f"another metric_namespace, or an account of its own"
    )


class MarketingMetrics:
    """Metrics of one pipeline, all in one namespace.

    Parameters
    ----------
    namespace
        As the pipeline's functions write them.
    minimum_volume
        Texts in a period below which a rate says nothing.
    """

    def __init__(self, *, namespace: str = NAMESPACE, minimum_volume: int = MINIMUM_VOLUME) -> None:
        self.namespace = namespace
        self.minimum_volume = minimum_volume

    def count(
        self,
        name: str,
        *,
        dimensions: Mapping[str, str] | None = None,
        period: Duration | None = None,
        statistic: str | None = None,
    ) -> cloudwatch.Metric:
        """Return a metric: the sum over five minutes by default."""
        return cloudwatch.Metric(
            namespace=self.namespace,
            metric_name=name,
            dimensions_map=dimensions or {},
            period=period or _PERIOD,
            statistic=statistic or "Sum",
        )

    def of_country(self, name: str, country: str, *, period: Duration | None = None) -> cloudwatch.Metric:
        """Return a metric by country, as ``MessagesDeliveredByCountry``."""
        return self.count(name, dimensions={COUNTRY: country}, period=period)

    def of_each_country(self, name: str, *, period: Duration) -> str:
        """Return the search expression for a metric by country, one series each."""
        found = f'{{{self.namespace},{COUNTRY}}} MetricName="{name}"'
        return f"SEARCH('{found}', 'Sum', {int(period.to_seconds())})"

    def of_campaign(
        self, name: str, campaign_id: str, *, period: Duration | None = None
    ) -> cloudwatch.Metric:
        """Return a metric by campaign, as ``CampaignMessagesDelivered``; needs ``metrics_by_campaign``."""
        return self.count(name, dimensions={CAMPAIGN: campaign_id}, period=period)

    def delivery_rate(self, *, period: Duration | None = None) -> cloudwatch.MathExpression:
        """Return delivered texts per ended text, in per cent; 100 where fewer ended than the minimum.

        Of sums, so that each text weighs the same.
        """
        volume = self.minimum_volume
        return self._rate(
            f"IF(delivered + failed >= {volume}, 100 * delivered / (delivered + failed), 100)",
            {"delivered": "MessagesDelivered", "failed": "MessagesFailed"},
            label=f"Delivered, % (100 below {volume} texts)",
            period=period,
        )

    def opt_out_rate(self, *, period: Duration | None = None) -> cloudwatch.MathExpression:
        """Return opt-outs per delivered text, in per cent; 0 where fewer were delivered than the minimum."""
        return self._rate(
            f"IF(delivered >= {self.minimum_volume}, 100 * optOuts / delivered, 0)",
            {"delivered": "MessagesDelivered", "optOuts": "OptOuts"},
            label=f"Opted out, % (0 below {self.minimum_volume} texts)",
            period=period,
        )

    def response_rate(self, *, period: Duration | None = None) -> cloudwatch.MathExpression:
        """Return answers per delivered text, in per cent; 0 where fewer were delivered than the minimum."""
        return self._rate(
            f"IF(delivered >= {self.minimum_volume}, 100 * responses / delivered, 0)",
            {"delivered": "MessagesDelivered", "responses": "ResponsesReceived"},
            label=f"Answered, % (0 below {self.minimum_volume} texts)",
            period=period,
        )

    def cost_per_message(self, *, period: Duration | None = None) -> cloudwatch.MathExpression:
        """Return US dollars per text that ended."""
        return self._rate(
            "IF(delivered + failed > 0, cost / (delivered + failed), 0)",
            {"delivered": "MessagesDelivered", "failed": "MessagesFailed", "cost": "TotalCostUSD"},
            label="USD a text",
            period=period,
        )

    def cost_per_response(self, *, period: Duration | None = None) -> cloudwatch.MathExpression:
        """Return US dollars per answer."""
        return self._rate(
            "IF(responses > 0, cost / responses, 0)",
            {"responses": "ResponsesReceived", "cost": "TotalCostUSD"},
            label="USD an answer",
            period=period,
        )

    def _rate(
        self, expression: str, metrics: Mapping[str, str], *, label: str, period: Duration | None
    ) -> cloudwatch.MathExpression:
        period = period or _RATE_PERIOD
        # A metric without data in a period is missing there, and so would be what is made of it.
        filled = {name: f"FILL({name}, 0)" for name in metrics}
        return cloudwatch.MathExpression(
            expression=re.sub(r"[a-z][A-Za-z]*", lambda word: filled[word[0]], expression),
            using_metrics={name: self.count(metric, period=period) for name, metric in metrics.items()},
            label=label,
            period=period,
        )
