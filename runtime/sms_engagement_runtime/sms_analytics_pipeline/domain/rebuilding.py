"""What the archive says of people and counts: rows made anew, and what the counts are short of.

Everything is a fold that does not depend on order, over events that are taken once each, so that the rows are
those which the pipeline wrote:

*Responses*: the row is a function of its event.

*Subscribers*: what the archive says is joined to the row that is there. Facts join as they do in the pipeline
(``subscribers.record``); counters are the larger of two. So a rebuild adds what is missing, takes nothing
back, may be repeated, and does no harm to a row that is being written by others. What the archive does not
know stays: attributes, a status that was given by hand.

*Counts*: an item of the table is what one batch counted of a day, and nobody knows any more which batches
there were. So no item is made anew. What the table says of the hours of some days is compared with what the
archive says of them, and what the batches' items lack, or have too much, is an item of its own: in an empty
table everything.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from itertools import groupby
from string import Template
from typing import Final

from sms_engagement_runtime.sms_analytics_pipeline.domain.archive import MILLISECONDS_PER_DAY, day_of
from sms_engagement_runtime.sms_analytics_pipeline.domain.compaction import (
    CLOSED_AFTER,
    COLUMNS,
    ArchivedPerson,
)
from sms_engagement_runtime.sms_analytics_pipeline.domain.counting import Counts, Group
from sms_engagement_runtime.sms_analytics_pipeline.domain.events import CanonicalEvent, EventType
from sms_engagement_runtime.sms_analytics_pipeline.domain.lifecycle import Happening
from sms_engagement_runtime.sms_analytics_pipeline.domain.responses import response_key
from sms_engagement_runtime.sms_analytics_pipeline.domain.subscribers import (
    Fact,
    Subscriber,
    facts_of,
    record,
)

HOURS_PER_DAY: Final = 24

COUNTS_REACH: Final = CLOSED_AFTER
"""How many days apart two events may be that tell of the end of one message: the later one takes back what
the other one had counted."""

LONGEST_EVENT_ID: Final = 250
LONGEST_KEY_TEXT: Final = 512
"""What the response handler takes; it sets aside what is longer (``adapters.answer_batches``)."""

_SENT: Final = frozenset({EventType.SUCCESS, EventType.FAILURE, EventType.BUFFERED})


@dataclass(frozen=True, slots=True)
class Days:
    """Days of UTC, both included."""

    first: date
    last: date

    def __contains__(self, day: date) -> bool:
        return self.first <= day <= self.last

    def __iter__(self) -> Iterator[date]:
        """Every day."""
        day = self.first
        while day <= self.last:
            yield day
            day += timedelta(days=1)

    def have(self, event_timestamp: int) -> bool:
        """Whether an event is of one of them. Epoch milliseconds."""
        return day_of(event_timestamp // MILLISECONDS_PER_DAY) in self

    def wider(self, by: timedelta) -> "Days":
        """Return these and so many before and after them."""
        return Days(self.first - by, self.last + by)


@dataclass(slots=True)
class History:
    """What the archive says of one person.

    Attributes
    ----------
    messages
        Ids of the texts that they were sent.
    answers
        Their answers, by the key of the row.
    """

    subscriber_id: str
    phone_number: str | None = None
    facts: list[Fact] = field(default_factory=list)
    messages: set[str] = field(default_factory=set)
    answers: dict[str, CanonicalEvent] = field(default_factory=dict)

    def take(self, event: CanonicalEvent) -> None:
        """Add one event, or one notice."""
        if event.event_type in Happening.__members__:
            happening = Happening(event.event_type)
            self.facts.append(Fact(happening=happening, at=event.event_timestamp, id=event.event_id))
            return
        if event.event_type == EventType.RECEIVED:
            if not is_kept_answer(event):
                return
            self.answers[response_key(event.event_timestamp, event.event_id)] = event
        elif event.event_type in _SENT and event.message_id is not None:
            self.messages.add(event.message_id)
        self.phone_number = self.phone_number or event.phone_number
        self.facts += facts_of(event)


def distinct(events: Iterable[CanonicalEvent]) -> Iterator[CanonicalEvent]:
    """Take each event once. An event's id belongs to one person."""
    seen: set[tuple[str, str]] = set()
    for event in events:
        key = (event.subscriber_id, event.event_id)
        if key not in seen:
            seen.add(key)
            yield event


def histories(events: Iterable[CanonicalEvent], days: Days) -> dict[str, History]:
    """Put what happened on some days together by person."""
    people: dict[str, History] = {}
    for event in events:
        if days.have(event.event_timestamp):
            person = people.get(event.subscriber_id)
            if person is None:
                person = people[event.subscriber_id] = History(event.subscriber_id)
            person.take(event)
    return {name: person for name, person in people.items() if person.facts or person.messages}


def is_kept_answer(event: CanonicalEvent) -> bool:
    """Whether the response handler keeps this answer, or sets it aside as none that a table can hold."""
    short = (event.phone_number, event.message_id, event.campaign_id, event.journey_id, event.keyword)
    return (
        0 < len(event.event_id) <= LONGEST_EVENT_ID
        and 0 < len(event.subscriber_id) <= LONGEST_KEY_TEXT
        and all(text is None or len(text) <= LONGEST_KEY_TEXT for text in short)
    )


def rebuilt(row: Subscriber | None, person: History) -> Subscriber:
    """Return the row of a person with what the archive says of them.

    Parameters
    ----------
    row
        As it is stored; None where there is none. Its version is kept.
    """
    becomes = record(row, person.facts, subscriber_id=person.subscriber_id, phone_number=person.phone_number)
    return replace(
        becomes,
        total_messages_sent=max(becomes.total_messages_sent, len(person.messages)),
        total_responses=max(becomes.total_responses, len(person.answers)),
    )


def hours_of(days: Days) -> range:
    """Return the hours of days, in hours since 1970."""
    first = (days.first - date(1970, 1, 1)).days * HOURS_PER_DAY
    return range(first, ((days.last - date(1970, 1, 1)).days + 1) * HOURS_PER_DAY)


def missing_counts(archived: Mapping[Group, Counts], counted: Mapping[Group, Counts]) -> dict[Group, Counts]:
    """Return what has to be added to what is counted so that it is what the archive says."""
    groups: dict[Group, Counts] = {}
    for counts_of, sign in ((archived, 1), (counted, -1)):
        for group, counts in counts_of.items():
            groups.setdefault(group, Counts()).add(counts, sign)
    return {group: counts for group, counts in groups.items() if counts}


def by_day(groups: Mapping[Group, Counts]) -> dict[date, dict[Group, Counts]]:
    """Put groups under the days of their hours, the earliest first."""

    def day(entry: tuple[Group, Counts]) -> int:
        return entry[0].hour // HOURS_PER_DAY

    ordered = sorted(groups.items(), key=day)
    return {day_of(number): dict(entries) for number, entries in groupby(ordered, key=day)}


_EXPORT: Final = Template(
    """\
UNLOAD (
    SELECT ${columns}
    FROM "${database}"."${table}"
    WHERE year = ${year} AND month = ${month} AND day IN (${days})
)
TO '${destination}'
WITH (format = 'JSON', compression = 'GZIP')"""
)


def export_statement(days: Iterable[date], *, database: str, table: str, destination: str) -> str:
    """Return the statement that writes compacted days of one month as gzip JSON lines below an empty prefix.

    Parameters
    ----------
    destination
        ``s3://bucket/prefix/``.

    Raises
    ------
    ValueError
        The days are of several months.
    """
    wanted = sorted(set(days))
    ((year, month),) = {(day.year, day.month) for day in wanted}
    # Lines leave the version out where it is 1.
    columns = ", ".join(
        f"coalesce({name}, 1) AS {name}" if name == "schema_version" else name for name, _ in COLUMNS
    )
    return _EXPORT.substitute(
        columns=columns,
        database=database,
        table=table,
        year=year,
        month=month,
        days=", ".join(str(day.day) for day in wanted),
        destination=destination,
    )


_EXPORT_PERSON: Final = Template(
    """\
UNLOAD (
    SELECT ${columns}
    FROM "${database}"."${table}"
    WHERE year BETWEEN ${first} AND ${last} AND ${person}
)
TO '${destination}'
WITH (format = 'JSON', compression = 'GZIP')"""
)


def person_statement(
    person: ArchivedPerson, days: Days, *, database: str, table: str, destination: str
) -> str:
    """Return the statement that writes the compacted events of one person as gzip JSON lines.

    Parameters
    ----------
    days
        Of the archive; whole years are looked at.
    destination
        ``s3://bucket/prefix/``.
    """
    columns = ", ".join(
        f"coalesce({name}, 1) AS {name}" if name == "schema_version" else name for name, _ in COLUMNS
    )
    return _EXPORT_PERSON.substitute(
        columns=columns,
        database=database,
        table=table,
        first=days.first.year,
        last=days.last.year,
        person=person.condition,
        destination=destination,
    )
