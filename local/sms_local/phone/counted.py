"""Where the dashboard's numbers come from: counts, metrics, answers and subscribers. Reads are bounded."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from sms_engagement_runtime.sms_analytics_pipeline.adapters.dynamodb_counts import DynamoCounts
from sms_engagement_runtime.sms_analytics_pipeline.adapters.dynamodb_subscribers import from_row
from sms_engagement_runtime.sms_analytics_pipeline.domain.counting import Counts, Group
from sms_engagement_runtime.sms_analytics_pipeline.domain.events import MILLICENTS_PER_USD
from sms_engagement_runtime.sms_analytics_pipeline.domain.metrics import NAMESPACE
from sms_engagement_runtime.sms_analytics_pipeline.domain.subscribers import effective_status

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

#: Days that the dashboard looks back: those that the saved queries of the archive read.
LOOKS_BACK: Final = timedelta(days=31)
#: The latest days are read each time, since they change; those before rarely.
_LATEST: Final = timedelta(days=2)
_OLDER_FRESH_SECONDS: Final = 30.0

#: Rows of a table that are looked through, in pages of that many.
MOST_ROWS: Final = 3000
_ROWS_A_PAGE: Final = 500

#: The clock may have been further ahead before it was put back, and what was counted then still lies there.
_AHEAD: Final = timedelta(days=400)

#: Sums that one GetMetricStatistics may return (its API reference).
_MOST_SUMS: Final = 1440
_MINUTE: Final = 60

_COUNTS_OF_METRICS: Final = {
    "MessagesDelivered": "delivered",
    "MessagesFailed": "failed",
    "ResponsesReceived": "responses",
    "OptOuts": "opt_outs",
    "TotalCostUSD": "cost_millicents",
}


class CountsReader:
    """Reads the counts table. Not safe to use from several threads at once."""

    def __init__(self, client: "DynamoDBClient", *, table: str) -> None:
        # Nothing is written here, so that the retention is nobody's.
        self._counts = DynamoCounts(client, table=table, retention=timedelta(0))
        self._older: dict[Group, Counts] = {}
        self._older_day: Any = None
        self._older_read_at = 0.0

    def read(self, now: datetime) -> dict[Group, Counts]:
        """Return the counts of `LOOKS_BACK`, to `now` in virtual time and to what is counted after it."""
        today = now.astimezone(UTC).date()
        is_old = time.monotonic() - self._older_read_at > _OLDER_FRESH_SECONDS
        if self._older_day != today or is_old:
            self._older = self._counts.read(today - LOOKS_BACK, today - _LATEST)
            self._older_day, self._older_read_at = today, time.monotonic()
        # A clock that is a little ahead counts tomorrow.
        latest = self._counts.read(today - _LATEST + timedelta(days=1), today + timedelta(days=1))
        return {**self._older, **latest}

    def forget(self) -> None:
        """Read everything anew."""
        self._older_day = None


class MetricsReader:
    """Reads the totals of the metrics.

    They lie on the machine's time, or on virtual time, so that all of both is added up. Metrics cannot be
    deleted: what there was when the cloud was emptied is taken off.

    Parameters
    ----------
    client
        CloudWatch client.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._before = Counts()

    def read(self, now: datetime) -> Counts:
        """Return the totals since the cloud was emptied."""
        sums = self._sums(now)
        sums.add(self._before, -1)
        return sums

    def forget(self, now: datetime) -> None:
        """Take everything until now as what was before."""
        self._before = self._sums(now)

    def _sums(self, now: datetime) -> Counts:
        real = datetime.now(UTC)
        begin = min(real, now) - LOOKS_BACK
        end = max(real, now) + _AHEAD
        begin = begin.replace(minute=0, second=0, microsecond=0)
        period = -(-int((end - begin).total_seconds()) // _MOST_SUMS)
        period = -(-period // _MINUTE) * _MINUTE
        counts = Counts()
        for metric, name in _COUNTS_OF_METRICS.items():
            answer = self._client.get_metric_statistics(
                Namespace=NAMESPACE,
                MetricName=metric,
                StartTime=begin,
                EndTime=end,
                Period=period,
                Statistics=["Sum"],
            )
            total = sum(one["Sum"] for one in answer["Datapoints"])
            unit = MILLICENTS_PER_USD if name == "cost_millicents" else 1
            setattr(counts, name, round(total * unit))
        return counts


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """How many answers and subscribers there are of each kind.

    Attributes
    ----------
    is_cut
        Whether there are more than were looked through.
    """

    sentiments: Mapping[str, int] = field(default_factory=dict)
    statuses: Mapping[str, int] = field(default_factory=dict)
    is_cut: bool = False


class PeopleReader:
    """Counts answers by sentiment and subscribers by status; no phone number leaves it."""

    def __init__(
        self, client: "DynamoDBClient", *, responses: str | None = None, subscribers: str | None = None
    ) -> None:
        self._client = client
        self._responses = responses
        self._subscribers = subscribers

    def read(self, now: datetime) -> People:
        """Return the counts; `now` is virtual time, as a subscription that nobody confirmed expires."""
        sentiments, statuses = Counter[str](), Counter[str]()
        is_cut = False
        if self._responses is not None:
            found = _some_rows(self._client, self._responses, "sentiment")
            sentiments.update(row.get("sentiment", {}).get("S", "") for row in found.rows)
            is_cut = found.is_cut
        if self._subscribers is not None:
            found = _some_rows(self._client, self._subscribers, None)
            at = int(now.timestamp() * 1000)
            statuses.update(effective_status(from_row(row), at).value for row in found.rows)
            is_cut = is_cut or found.is_cut
        return People(sentiments=sentiments, statuses=statuses, is_cut=is_cut)


@dataclass(frozen=True, slots=True)
class _Rows:
    rows: list[dict[str, Any]]
    is_cut: bool


def _some_rows(client: "DynamoDBClient", table: str, only: str | None) -> _Rows:
    rows: list[dict[str, Any]] = []
    for page in _pages(client, table, only):
        rows += page
        if len(rows) >= MOST_ROWS:
            return _Rows(rows[:MOST_ROWS], is_cut=True)
    return _Rows(rows, is_cut=False)


def _pages(client: "DynamoDBClient", table: str, only: str | None) -> Iterator[list[dict[str, Any]]]:
    wanted: dict[str, Any] = {"TableName": table, "Limit": _ROWS_A_PAGE}
    if only is not None:
        wanted["ProjectionExpression"] = only
    while True:
        page = client.scan(**wanted)
        yield page["Items"]
        if "LastEvaluatedKey" not in page:
            return
        wanted["ExclusiveStartKey"] = page["LastEvaluatedKey"]
