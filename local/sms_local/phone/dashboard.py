"""The dashboard: the same numbers from the counts, the metrics and Athena, described for the page."""

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from threading import Lock
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from sms_engagement_runtime.channel.domain.errors import EngagementError
from sms_engagement_runtime.sms_analytics_pipeline.domain.counting import Counts
from sms_engagement_runtime.sms_analytics_pipeline.domain.metrics import total
from sms_local.phone import charts
from sms_local.phone.athena import AthenaQueries, QueryResult
from sms_local.phone.counted import LOOKS_BACK, CountsReader, MetricsReader, People, PeopleReader
from sms_local.phone.figures import (
    Elsewhere,
    Groups,
    Slot,
    by,
    compare,
    dollars,
    events_of,
    journeys_of,
    missing_totals,
    not_archived,
    over_time,
    per_answer,
    per_text,
    rates,
    row,
    to_csv,
    totals_of,
)
from sms_local.phone.words import counted

#: How old the numbers may be. All windows share them.
FRESH_SECONDS: Final = 1.5
#: However long it takes to gather them, so much of the time nothing is asked.
_REST: Final = 3.0

#: Rows of an answer of Athena that are shown.
_MOST_ANSWERED: Final = 100

_NUMBER: Final = re.compile(r"\+[1-9]\d{2,10}(\d{4})\b")

_FAILURES: Final = (BotoCoreError, ClientError, EngagementError)

_SENTIMENTS: Final = (
    ("positive", "Positive", "delivered"),
    ("neutral", "Neutral", "neutral"),
    ("negative", "Negative", "failed"),
)
_STATUSES: Final = (
    ("NEW", "New", "neutral"),
    ("PENDING", "Pending", "opted-out"),
    ("ACTIVE", "Active", "delivered"),
    ("OPTED_OUT", "Opted out", "failed"),
    ("BOUNCED", "Bounced", "failed"),
)
_RATE_KINDS: Final = {"delivery": "delivered", "response": "answered", "opt-out": "opted-out"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """What was gathered last."""

    groups: Groups = field(default_factory=dict)
    people: People = field(default_factory=People)
    metrics: Elsewhere = field(default_factory=Elsewhere)
    at: datetime | None = None


class Dashboard:
    """Gathers the numbers for all windows together; may be used from several threads.

    Parameters
    ----------
    now
        Virtual time, aware.
    metrics, queries
        None where there are none.
    """

    def __init__(
        self,
        counts: CountsReader,
        people: PeopleReader,
        *,
        now: Callable[[], datetime],
        metrics: MetricsReader | None = None,
        queries: AthenaQueries | None = None,
    ) -> None:
        self._counts = counts
        self._people = people
        self._now = now
        self._metrics = metrics
        self._queries = queries
        self._lock = Lock()
        self._asking = Lock()
        self._next_look = 0.0
        self._numbers = Numbers()
        self._athena = Elsewhere()

    def look(self) -> Numbers:
        """Return numbers that are fresh enough.

        Raises
        ------
        BotoCoreError, ClientError, EngagementError
            The cloud did not answer.
        """
        with self._lock:
            began = time.monotonic()
            if began >= self._next_look:
                self._numbers = self._gather()
                took = time.monotonic() - began
                self._next_look = time.monotonic() + max(FRESH_SECONDS, _REST * took)
            return self._numbers

    def hurry(self) -> None:
        """Look again at the next opportunity."""
        self._next_look = 0.0

    def _gather(self) -> Numbers:
        now = self._now()
        return Numbers(
            groups=self._counts.read(now),
            people=self._people.read(now),
            metrics=self._read_metrics(now),
            at=now,
        )

    def _read_metrics(self, now: datetime) -> Elsewhere:
        if self._metrics is None:
            return Elsewhere(problem="no metrics here")
        try:
            return Elsewhere(totals=asdict(self._metrics.read(now)), at=now)
        except _FAILURES as error:
            # The counts are shown all the same.
            return Elsewhere(problem=f"CloudWatch does not answer ({type(error).__name__})")

    def forget(self) -> None:
        """Take what is there now as gone: the cloud was emptied."""
        with self._lock:
            self._counts.forget()
            if self._metrics is not None:
                self._metrics.forget(self._now())
            self._numbers, self._athena = Numbers(), Elsewhere()
            self._next_look = 0.0

    def ask(self, query_id: str) -> dict[str, Any]:
        """Ask Athena a saved query, and whatever else it takes to know all totals; return its answer.

        Returns
        -------
        dict
            ``{"name", "columns", "rows", "more", "scannedBytes", "at"}``.

        Raises
        ------
        LookupError
            There is no such query.
        BotoCoreError, ClientError, EngagementError
            Athena did not answer.
        """
        # One at a time: each starts a few, and the workgroup of a laptop runs them one after another.
        with self._asking:
            saved = self._queries.saved() if self._queries is not None else ()
            chosen = next((one for one in saved if one.id == query_id), None)
            if self._queries is None or chosen is None:
                msg = "There is no saved query of that id."
                raise LookupError(msg)
            at = self._now()
            answer = self._queries.ask(chosen)
            totals = _totals(answer)
            for query in saved:
                if query != chosen and missing_totals(totals, query.sql):
                    totals = _totals(self._queries.ask(query)) | totals
            self._athena = Elsewhere(totals=totals, at=at)
        return {
            "name": chosen.name,
            "columns": list(answer.columns),
            "rows": [[masked(cell) for cell in one] for one in answer.rows[:_MOST_ANSWERED]],
            "more": max(0, len(answer.rows) - _MOST_ANSWERED),
            "scannedBytes": answer.scanned_bytes,
            "at": at.isoformat(),
        }

    def queries(self) -> list[dict[str, str]]:
        """Return the saved queries: ``{"id", "name", "description"}``; none where Athena does not answer."""
        if self._queries is None:
            return []
        try:
            saved = self._queries.saved()
        except _FAILURES:
            return []
        return [{"id": one.id, "name": one.name, "description": one.description} for one in saved]

    def to_csv(self) -> str:
        """Return the counts as CSV."""
        return to_csv(self.look().groups)

    def describe(self, *, width: int, half: int, minimum: int) -> dict[str, Any]:
        """Return everything that the page shows.

        Parameters
        ----------
        width, half
            Of the wide chart and of the others, in pixels.
        minimum
            Texts from which on a rate is shown.

        Returns
        -------
        dict
            ``{"at", "isEmpty", "looksBackDays", "figures": [{"key", "name", "words", "note"}], "charts":
            {name: chart}, "legend", "campaigns", "countries": rows of texts, "same": {"rows", "times",
            "notArchived", "problem"}, "queries"}``.
        """
        numbers = self.look()
        at = numbers.at or self._now()
        sums = total(numbers.groups.values())
        groups = numbers.groups
        slots = over_time(groups, until=at, most=charts.slots_for(width))
        days = over_time(groups, until=at, most=charts.slots_for(half))
        journeys = journeys_of(groups)
        return {
            "at": at.isoformat(),
            "isEmpty": not groups,
            "looksBackDays": LOOKS_BACK.days,
            "figures": _figures(sums, minimum),
            "charts": {
                "texts": _texts_chart(slots, width),
                "cost": _cost_chart(days, half),
                "rates": _rates_chart(sums, half, minimum),
                "sentiment": _people_chart("Answers", numbers.people.sentiments, _SENTIMENTS, half),
                "statuses": _people_chart("Subscribers", numbers.people.statuses, _STATUSES, half),
            },
            "isCut": numbers.people.is_cut,
            "campaigns": [
                _with_journey(row(name, counts, minimum=minimum), journeys.get(name, ""))
                for name, counts in by(groups, "campaign_id")
            ],
            "countries": [row(name, counts, minimum=minimum) for name, counts in by(groups, "country_code")],
            "same": self._same(sums, numbers, at),
            "queries": self.queries(),
        }

    def _same(self, sums: Counts, numbers: Numbers, at: datetime) -> dict[str, Any]:
        metrics, athena = numbers.metrics, self._athena
        times = {"counts": at, "metrics": metrics.at, "athena": athena.at}
        missing = not_archived(sums, athena)
        return {
            "rows": compare(sums, metrics, athena),
            "times": {name: when.isoformat() if when else None for name, when in times.items()},
            "notArchived": missing,
            "archive": _archive_words(missing, events_of(sums)),
            "problem": metrics.problem,
        }


def masked(cell: str | None) -> str | None:
    """Return a cell without phone numbers: people write theirs into answers, too."""
    return None if cell is None else _NUMBER.sub(lambda number: f"+•••{number[1]}", cell)


def to_json(described: Mapping[str, Any]) -> str:
    """Return what `Dashboard.describe` returned as JSON."""
    return json.dumps(described, ensure_ascii=False)


def _with_journey(cells: list[str], journey: str) -> list[str]:
    name, *rest = cells
    return [name, journey, *rest]


def _totals(answer: QueryResult) -> dict[str, int]:
    # Of an answer that goes on, the sums would be wrong.
    return {} if answer.is_cut else totals_of(answer.columns, answer.rows)


def _archive_words(missing: int | None, events: int) -> str:
    if missing is None:
        return "Athena has not been asked yet." if events else ""
    if missing == 0:
        return "Every event is in the archive."
    return (
        f"Not in the archive yet: {counted(missing, 'event', 'events')}. It is written every five minutes: "
        "skip five minutes and ask again."
    )


def _figures(sums: Counts, minimum: int) -> list[dict[str, str]]:
    ended = sums.delivered + sums.failed

    def figure(key: str, name: str, words: str, note: str = "") -> dict[str, str]:
        return {"key": key, "name": name, "words": words, "note": note}

    shares = {rate.key: rate for rate in rates(sums, minimum=minimum)}

    def share(key: str, of: str) -> str:
        rate = shares[key]
        return rate.words if rate.percent is None else f"{rate.words} of {of}"

    return [
        figure("delivered", "Delivered", f"{sums.delivered:,}", share("delivery", "those that ended")),
        figure("failed", "Failed", f"{sums.failed:,}", f"of {counted(ended, 'text', 'texts')} that ended"),
        figure("answered", "Answered", f"{sums.responses:,}", share("response", "those delivered")),
        figure("opted-out", "Opted out", f"{sums.opt_outs:,}", share("opt-out", "those delivered")),
        figure("cost", "Cost", dollars(sums.cost_millicents), "without the carriers’ fees"),
        figure("per-text", "Per text", per_text(sums)),
        figure("per-answer", "Per answer", per_answer(sums)),
    ]


def _when(slot: Slot) -> str:
    length = slot.ends - slot.begins
    if length.total_seconds() <= 3600:
        return f"{slot.begins:%a %d %b %H:%M}"
    return f"{slot.begins:%a %d %b %H:%M} to {slot.ends:%a %d %b %H:%M}"


def _texts_chart(slots: Sequence[Slot], width: int) -> charts.Chart:
    columns = []
    for slot in slots:
        counts, when = slot.counts, _when(slot)
        columns.append(
            charts.Column(
                begins=slot.begins,
                values=[
                    ("delivered", counts.delivered, f"{when}: {counts.delivered:,} delivered"),
                    ("failed", counts.failed, f"{when}: {counts.failed:,} failed"),
                    ("answered", counts.responses, f"{when}: {counts.responses:,} answered"),
                    ("opted-out", counts.opt_outs, f"{when}: {counts.opt_outs:,} opted out"),
                ],
            )
        )
    sums = total(slot.counts for slot in slots)
    summary = (
        f"Over time: {sums.delivered:,} delivered, {sums.failed:,} failed, {sums.responses:,} answered, "
        f"{sums.opt_outs:,} opted out"
    )
    return charts.columns(columns, width=width, unit="", summary=summary)


def _cost_chart(slots: Sequence[Slot], width: int) -> charts.Chart:
    columns = [
        charts.Column(
            begins=slot.begins,
            values=[
                (
                    "cost",
                    slot.counts.cost_millicents / 100_000,
                    f"{_when(slot)}: {dollars(slot.counts.cost_millicents)}",
                )
            ],
        )
        for slot in slots
    ]
    sums = total(slot.counts for slot in slots)
    return charts.columns(
        columns, width=width, unit="$", summary=f"Cost over time: {dollars(sums.cost_millicents)} in all"
    )


def _rates_chart(sums: Counts, width: int, minimum: int) -> charts.Chart:
    found = rates(sums, minimum=minimum)
    rows = [
        charts.Row(
            name=rate.name,
            value=rate.percent,
            words=rate.words,
            kind=_RATE_KINDS[rate.key],
            mark=rate.limit,
        )
        for rate in found
    ]
    summary = "Rates: " + ", ".join(f"{rate.name.lower()} {rate.words}" for rate in found)
    return charts.rows(rows, width=width, most=100.0, summary=summary)


def _people_chart(
    what: str, found: Mapping[str, int], kinds: Sequence[tuple[str, str, str]], width: int
) -> charts.Chart:
    rows = [
        charts.Row(name=name, value=found.get(key, 0), words=f"{found.get(key, 0):,}", kind=kind)
        for key, name, kind in kinds
    ]
    summary = f"{what}: " + ", ".join(f"{one.words} {one.name.lower()}" for one in rows)
    return charts.rows(rows, width=width, summary=summary)
