"""The figures of the dashboard, from counts by hour, campaign, journey and country. All of it is pure."""

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from sms_engagement_runtime.sms_analytics_pipeline.domain.counting import (
    MILLISECONDS_PER_HOUR,
    Counts,
    Group,
)
from sms_engagement_runtime.sms_analytics_pipeline.domain.events import MILLICENTS_PER_USD
from sms_engagement_runtime.sms_analytics_pipeline.domain.metrics import total

#: From how many texts on the page shows a rate: a demo has some. The alarms of the cloud ask for more.
MINIMUM_VOLUME: Final = 5
_LARGEST_MINIMUM: Final = 1_000_000

#: Campaigns and countries of a table; the others are in its last row.
MOST_ROWS: Final = 30

#: Lengths of a slot of time, in hours: what a clock and a calendar can be divided into.
_SLOTS: Final = (1, 2, 3, 6, 12, 24, 48, 24 * 7, 24 * 14, 24 * 28)
_FEWEST_SLOTS: Final = 6

_UNKNOWN: Final = "not known"
_NO_CAMPAIGN: Final = "no campaign"
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")

type Groups = Mapping[Group, Counts]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Something per hundred texts.

    Attributes
    ----------
    key
        ``delivery``, ``response`` or ``opt-out``.
    percent
        None below the minimum volume.
    words
        The rate, or why there is none.
    limit
        What the alarm asks for, in per cent; None where there is no alarm.
    """

    key: str
    name: str
    percent: float | None
    words: str
    limit: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """Counts of some hours. `begins` is aware UTC."""

    begins: datetime
    ends: datetime
    counts: Counts


def rates(counts: Counts, *, minimum: int = MINIMUM_VOLUME) -> tuple[Rate, Rate, Rate]:
    """Return the rates as the metrics have them: deliveries per text that ended, the others per delivery.

    Parameters
    ----------
    minimum
        Texts below which a rate says nothing.
    """
    ended, delivered = counts.delivered + counts.failed, counts.delivered
    too_few = f"fewer than {minimum:,} texts"

    def rate(key: str, name: str, part: int, whole: int, limit: float | None) -> Rate:
        if whole < minimum or whole == 0:
            return Rate(key=key, name=name, percent=None, words=too_few, limit=limit)
        percent = 100 * part / whole
        return Rate(key=key, name=name, percent=percent, words=f"{percent:.1f} %", limit=limit)

    return (
        rate("delivery", "Delivered", counts.delivered, ended, 95.0),
        rate("response", "Answered", counts.responses, delivered, None),
        rate("opt-out", "Opted out", counts.opt_outs, delivered, 5.0),
    )


def read_minimum(text: str | None) -> int:
    """Return the minimum volume that somebody asked for; the usual one for whatever is none."""
    if text is None or not text.isascii() or not text.isdigit():
        return MINIMUM_VOLUME
    return min(max(int(text[:9]), 1), _LARGEST_MINIMUM)


def dollars(millicents: float) -> str:
    """Return an amount of money: two digits after the point, or as many as a text's price needs."""
    usd = millicents / MILLICENTS_PER_USD
    if usd == 0 or abs(usd) >= 100:
        return f"${usd:,.2f}"
    return f"${usd:,.4f}" if abs(usd) >= 0.01 else f"${usd:.5f}"


def per_text(counts: Counts) -> str:
    """Return what a text cost that ended."""
    ended = counts.delivered + counts.failed
    return dollars(counts.cost_millicents / ended) if ended > 0 else "–"


def per_answer(counts: Counts) -> str:
    """Return what an answer cost."""
    return dollars(counts.cost_millicents / counts.responses) if counts.responses > 0 else "–"


def instant(hour: int) -> datetime:
    """Return when an hour since 1970 begins."""
    return datetime.fromtimestamp(hour * MILLISECONDS_PER_HOUR / 1000, UTC)


def over_time(groups: Groups, *, until: datetime, most: int) -> list[Slot]:
    """Return counts in slots of equal length, from the first count to the last or to `until`.

    Parameters
    ----------
    until
        Virtual time.
    most
        Slots at the most; their length is the shortest that fits.
    """
    by_hour: dict[int, Counts] = {}
    for group, counts in groups.items():
        by_hour.setdefault(group.hour, Counts()).add(counts)
    if not by_hour:
        return []
    now = int(until.timestamp() * 1000) // MILLISECONDS_PER_HOUR
    first, last = min(by_hour), max(*by_hour, now)
    hours = next((one for one in _SLOTS if last // one - first // one + 1 <= most), _SLOTS[-1])
    begin, end = first // hours, max(last // hours, first // hours + min(_FEWEST_SLOTS, most) - 1)
    # What is older than the slots that fit isn't lost: the totals have it.
    begin = max(begin, end - most + 1)
    slots = []
    for number in range(begin, end + 1):
        inside = range(number * hours, (number + 1) * hours)
        slots.append(
            Slot(
                begins=instant(inside.start),
                ends=instant(inside.stop),
                counts=total(by_hour[hour] for hour in inside if hour in by_hour),
            )
        )
    return slots


def by(groups: Groups, key: str) -> list[tuple[str, Counts]]:
    """Return the counts by ``campaign_id`` or ``country_code``, those with most texts first."""
    sums: dict[str, Counts] = {}
    missing = _UNKNOWN if key == "country_code" else _NO_CAMPAIGN
    for group, counts in groups.items():
        sums.setdefault(getattr(group, key) or missing, Counts()).add(counts)
    ordered = sorted(sums.items(), key=lambda one: (-(one[1].delivered + one[1].failed), one[0]))
    if len(ordered) <= MOST_ROWS:
        return ordered
    rest = ordered[MOST_ROWS - 1 :]
    return [*ordered[: MOST_ROWS - 1], (f"{len(rest):,} others", total(counts for _, counts in rest))]


def journeys_of(groups: Groups) -> dict[str, str]:
    """Return which journey each campaign belongs to."""
    return {group.campaign_id: group.journey_id for group in groups if group.campaign_id and group.journey_id}


def row(name: str, counts: Counts, *, minimum: int) -> list[str]:
    """Return a table's row: name, delivered, failed, answers, opt-outs, delivery rate, cost."""
    delivery, _, _ = rates(counts, minimum=minimum)
    return [
        name,
        *(f"{one:,}" for one in (counts.delivered, counts.failed, counts.responses, counts.opt_outs)),
        delivery.words,
        dollars(counts.cost_millicents),
    ]


def to_csv(groups: Groups) -> str:
    """Return the counts as CSV (RFC 4180), an hour of a campaign in a country a line."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(
        ("hour", "campaign", "journey", "country", "delivered", "failed", "answers", "opt_outs", "cost_usd")
    )
    for group, counts in sorted(groups.items(), key=lambda one: tuple(str(part or "") for part in one[0])):
        writer.writerow(
            (
                instant(group.hour).isoformat(),
                *(_plain(part) for part in group[1:]),
                counts.delivered,
                counts.failed,
                counts.responses,
                counts.opt_outs,
                f"{counts.cost_millicents / MILLICENTS_PER_USD:.5f}",
            )
        )
    return out.getvalue()


def _plain(text: Any) -> str:
    """Return a name that no spreadsheet takes for a formula (OWASP, *CSV injection*)."""
    name = str(text or "")
    return f"'{name}" if name.startswith(_FORMULA) else name


# --- the same numbers elsewhere


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """Totals by another way.

    Attributes
    ----------
    totals
        By their names in ``Counts``; what that way did not give is absent.
    at
        When it was asked: virtual time, aware.
    problem
        Why it gave none.
    """

    totals: Mapping[str, int] = field(default_factory=dict)
    at: datetime | None = None
    problem: str | None = None


#: Total → what it is called.
_TOTALS: Final = (
    ("delivered", "Delivered"),
    ("failed", "Failed"),
    ("responses", "Answers"),
    ("opt_outs", "Opt-outs"),
    ("cost_millicents", "Cost"),
)


def compare(counts: Counts, metrics: Elsewhere, athena: Elsewhere) -> list[dict[str, Any]]:
    """Return the totals side by side.

    Returns
    -------
    list of dict
        ``{"name", "counts", "metrics", "athena", "compared"}``; texts, None for a number that is not there.
        ``compared`` is ``equal``, ``behind`` where only Athena has less, since the archive comes later,
        ``different``, or ``alone`` where there is nothing to compare with.
    """
    rows = []
    for key, name in _TOTALS:
        values = (asdict(counts)[key], metrics.totals.get(key), athena.totals.get(key))
        shown = [_shown(key, value) for value in values]
        rows.append(
            {
                "name": name,
                "counts": shown[0],
                "metrics": shown[1],
                "athena": shown[2],
                "compared": _compared(*values),
            }
        )
    return rows


def _compared(counts: int, metrics: int | None, athena: int | None) -> str:
    if metrics is None and athena is None:
        return "alone"
    if metrics is not None and metrics != counts:
        return "different"
    if athena is None or athena == counts:
        return "equal"
    return "behind" if athena < counts else "different"


_EVENTS: Final = frozenset({"delivered", "failed", "responses", "opt_outs"})


def events_of(counts: Counts) -> int:
    """Return how many events counts are made of: ends of texts, answers, opt-outs."""
    return counts.delivered + counts.failed + counts.responses + counts.opt_outs


def not_archived(counts: Counts, athena: Elsewhere) -> int | None:
    """Return how many events Athena did not see; None where it did not tell."""
    if not athena.totals.keys() >= _EVENTS:
        return None
    return max(0, events_of(counts) - sum(athena.totals[key] for key in _EVENTS))


def _shown(key: str, value: int | None) -> str | None:
    if value is None:
        return None
    return f"${value / MILLICENTS_PER_USD:,.5f}" if key == "cost_millicents" else f"{value:,}"


#: Total → what a column of a saved query is called that holds it, and what one of its units is in ours.
_COLUMNS: Final[Mapping[str, Mapping[str, int]]] = {
    "delivered": {"delivered": 1, "messages_delivered": 1},
    "failed": {"failed": 1, "messages_failed": 1},
    "responses": {"responses": 1, "answers": 1, "responses_received": 1},
    "opt_outs": {"opt_outs": 1, "optouts": 1},
    "cost_millicents": {
        "cost_usd": MILLICENTS_PER_USD,
        "total_cost_usd": MILLICENTS_PER_USD,
        "cost_millicents": 1,
    },
}


_OF_ONE: Final = "subscriber_id"


def totals_of(columns: Sequence[str], rows: Iterable[Sequence[str | None]]) -> dict[str, int]:
    """Return the totals that a result holds: the sums of those of its columns that are known by name.

    What is told of single subscribers is no total of all.
    """
    if _OF_ONE in columns:
        return {}
    found: dict[str, tuple[int, int]] = {}
    for key, names in _COLUMNS.items():
        for position, column in enumerate(columns):
            if column.lower() in names:
                found.setdefault(key, (position, names[column.lower()]))
    sums = dict.fromkeys(found, 0.0)
    for one in rows:
        for key, (position, unit) in found.items():
            sums[key] += float(one[position] or 0) * unit
    return {key: round(value) for key, value in sums.items()}


def missing_totals(known: Iterable[str], sql: str) -> bool:
    """Tell whether a query seems to give a total that is not known yet, by the names of its columns."""
    named = {word.lower() for word in re.findall(r"(?i)\bAS\s+(\w+)", sql)}
    have = set(known)
    return any(key not in have and named & names.keys() for key, names in _COLUMNS.items())
