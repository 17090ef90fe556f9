"""Compaction: a day's many gzip objects become a few Parquet files, each event in them once.

A day is compacted when nothing of it can come any more, and again where something came all the same. Four
things lie below the archive's bucket for a day, all under ``year=/month=/day=/``:

==================  ==========================================================================================
``events/``         what the stream's consumer wrote, and nothing here changes
``compacting/``     where a query writes the day's files: it wants a prefix with nothing below it
``compacted/``      the files, copied to where the tables look
``compactions/``    the day's record, ``day.json``: which files are the day's, and what they were made of
==================  ==========================================================================================

Saved queries read ``events/`` and ``compacted/`` together and take each event once. So at every moment of a
compaction, and after a crash at any of them, they see each event once as long as one of the two has it; and
nothing is given up before the record that names its successor is written:

1. the query writes the day, from raw and compacted objects alike, to a prefix of this attempt;
2. its files are copied; from here on the day lies there twice, or thrice;
3. the record is written, on condition that it is still what it was when this began. Another attempt that
   began then cannot come this far any more;
4. the files that lay there before, and are in no record, are deleted;
5. the raw objects are tagged, which lets the bucket's lifecycle rule delete them when they are old;
6. the record is written again, as done.

An attempt that ends anywhere is taken up by the next: before step 3 all of it is done again under another
name, after it the steps from 4 on.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import StrEnum
from string import Template
from typing import Final, Protocol

from sms_engagement_runtime.sms_analytics_pipeline.domain.archive import partition

COMPACTED_PREFIX: Final = "compacted/"
STAGING_PREFIX: Final = "compacting/"
RECORD_PREFIX: Final = "compactions/"

COMPACTED_TAG: Final = ("compacted", "yes")
"""Of raw objects whose events lie in a compacted file. Without it none expires."""

CLOSED_AFTER: Final = timedelta(days=4)
"""Carriers tell of a text up to 72 hours late (AWS, *Event types*); then the day itself, and the archive's
window of five minutes, are over for good."""

FIRST_YEAR: Final = 2015
LAST_YEAR: Final = 2045
"""Years that the tables have: each day is projected before those not asked for are left out. Objects of
other years, of a clock that was wrong, are kept, and seen by no query."""

COLUMNS: Final[Sequence[tuple[str, str]]] = (
    ("event_id", "string"),
    ("event_type", "string"),
    ("event_timestamp", "bigint"),
    ("subscriber_id", "string"),
    ("phone_number", "string"),
    ("message_id", "string"),
    ("campaign_id", "string"),
    ("journey_id", "string"),
    ("record_status", "string"),
    ("message_type", "string"),
    ("country_code", "string"),
    ("price_millicents", "bigint"),
    ("response_text", "string"),
    ("archived_at", "bigint"),
    ("arrival_timestamp", "bigint"),
    ("parts", "bigint"),
    ("keyword", "string"),
    ("origination", "string"),
    ("counted_as", "string"),
    ("counted_at", "bigint"),
    ("counted_price_millicents", "bigint"),
    ("schema_version", "bigint"),
)
"""Columns of a compacted file, in order, with their types in the catalogue. A raw line has one more,
``event_id_ending``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """Where the two kinds of objects are found by SQL."""

    database: str
    raw: str
    compacted: str


_UNLOAD: Final = Template(
    """\
UNLOAD (
    SELECT ${columns}
    FROM (
        SELECT
            ${columns},
            row_number() OVER (
                PARTITION BY event_id ORDER BY archived_at, event_timestamp, arrival_timestamp
            ) AS nth
        FROM (
            SELECT
                coalesce(
                    event_id,
                    message_id || coalesce(
                        event_id_ending,
                        CASE event_type
                            WHEN '_SMS.RECEIVED' THEN ''
                            WHEN '_SMS.OPTOUT' THEN '/optout'
                            ELSE '/' || substr(event_type, 6) || '/' || coalesce(record_status, '')
                        END
                    )
                ) AS event_id,
                ${others}
            FROM ${raw}
            WHERE year = ${year} AND month = ${month} AND day = ${day}
            UNION ALL
            SELECT event_id, ${others}
            FROM ${compacted}
            WHERE year = ${year} AND month = ${month} AND day = ${day}
        ) AS copies
    ) AS numbered
    WHERE nth = 1${but}
)
TO '${destination}'
WITH (format = 'PARQUET', compression = 'ZSTD')"""
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedPerson:
    """Whose events are looked for: those with the subscriber id, or with the number (E.164)."""

    subscriber_id: str
    phone_number: str

    @property
    def condition(self) -> str:
        """The condition in SQL that an event is theirs."""
        return (
            f"(subscriber_id = {_quoted(self.subscriber_id)} "
            f"OR coalesce(phone_number, '') = {_quoted(self.phone_number)})"
        )


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def unload_statement(
    tables: Tables, day: date, *, destination: str, without: ArchivedPerson | None = None
) -> str:
    """Return the statement that writes a day's events, each once, as Parquet below an empty prefix.

    Parameters
    ----------
    destination
        ``s3://bucket/prefix/``.
    without
        Whose events are left out, for good.
    """
    return _UNLOAD.substitute(
        but="" if without is None else f" AND NOT {without.condition}",
        columns=", ".join(name for name, _ in COLUMNS),
        others=", ".join(name for name, _ in COLUMNS if name != "event_id"),
        raw=f'"{tables.database}"."{tables.raw}"',
        compacted=f'"{tables.database}"."{tables.compacted}"',
        year=day.year,
        month=day.month,
        day=day.day,
        destination=destination,
    )


@dataclass(frozen=True, slots=True, order=True)
class RawObject:
    """One version of a raw object."""

    key: str
    version_id: str


@dataclass(frozen=True, slots=True)
class CompactedFile:
    """A compacted file.

    Attributes
    ----------
    is_readable
        False in a storage class that has to be asked for an object hours before. A query passes it over
        without a word, so such a file stays whatever is written beside it.
    """

    key: str
    is_readable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class DayRecord:
    """What is known of a day's compaction.

    Attributes
    ----------
    files
        Keys of the day's compacted files.
    raw
        What they were made of, by now at the latest.
    is_done
        Whether steps 4 and 5 were done after it.
    """

    files: frozenset[str]
    raw: frozenset[RawObject]
    is_done: bool


class Outcome(StrEnum):
    """What became of a day."""

    NOTHING_NEW = "NOTHING_NEW"
    COMPACTED = "COMPACTED"
    FINISHED = "FINISHED"
    """An earlier attempt had come as far as the record; what was left of it was done."""


class RecordChangedError(Exception):
    """The day's record is not what it was: another attempt was faster."""


class NothingWrittenError(Exception):
    """The query came to its end and wrote no file, though there are raw objects."""


class CompactionStore(Protocol):
    """The archive's bucket, as compaction needs it."""

    def raw_objects(self, day: date) -> Collection[RawObject]:
        """Return the day's raw objects in their current versions."""
        ...

    def compacted_files(self, day: date) -> Collection[CompactedFile]:
        """Return what lies among the day's compacted files."""
        ...

    def record(self, day: date) -> tuple[DayRecord | None, str | None]:
        """Return the day's record and its version, for `put_record`; None and None where there is none."""
        ...

    def put_record(self, day: date, record: DayRecord, *, over: str | None) -> str:
        """Write the day's record over the version that was read; return the new version.

        Raises
        ------
        RecordChangedError
            It is another version by now.
        """
        ...

    def take_over(self, day: date, staging: str, attempt: str) -> Collection[str]:
        """Copy the files below a prefix to where the tables look; return their keys there."""
        ...

    def delete_files(self, keys: Collection[str]) -> None:
        """Delete compacted files."""
        ...

    def clear(self, staging: str) -> None:
        """Delete what lies below a prefix of `STAGING_PREFIX`."""
        ...

    def tag(self, objects: Iterable[RawObject]) -> None:
        """Tag these versions of raw objects as compacted. Versions that are gone are passed over."""
        ...


type Unload = Callable[[date, str], None]
"""Write a day's events to a prefix of the bucket, and return when it is done."""


def is_closed(day: date, today: date) -> bool:
    """Whether a day is to be compacted: nothing of it is expected any more, and the tables have it."""
    return FIRST_YEAR <= day.year <= LAST_YEAR and day + CLOSED_AFTER <= today


def staging_prefix(day: date, attempt: str) -> str:
    """Return where an attempt writes a day's files."""
    return f"{STAGING_PREFIX}{partition(day)}{attempt}/"


def compact(day: date, *, attempt: str, store: CompactionStore, unload: Unload) -> Outcome:
    """Compact a day, or finish what an earlier attempt began.

    Parameters
    ----------
    attempt
        A name that no other attempt has.

    Raises
    ------
    RecordChangedError
        Another attempt was faster. What this one wrote is cleared away by the day's next compaction.
    NothingWrittenError
        The query found no event. Nothing was given up.
    """
    raw = frozenset(store.raw_objects(day))
    record, version = store.record(day)
    if record is not None and raw <= record.raw:
        if record.is_done:
            return Outcome.NOTHING_NEW
        _finish(day, record, version, store)
        return Outcome.FINISHED
    if not raw:
        return Outcome.NOTHING_NEW
    staging = staging_prefix(day, attempt)
    unload(day, staging)
    copied = store.take_over(day, staging, attempt)
    if not copied:
        msg = f"no events of {day} were written, though it has {len(raw)} raw objects"
        raise NothingWrittenError(msg)
    unreadable = {file.key for file in store.compacted_files(day) if not file.is_readable}
    # Raw objects that came while the query ran may be in its files or not: they are compacted next time.
    record = DayRecord(files=frozenset(copied) | unreadable, raw=raw, is_done=False)
    _finish(day, record, version, store)
    store.clear(staging)
    return Outcome.COMPACTED


def rewrite(day: date, *, attempt: str, store: CompactionStore, unload: Unload) -> None:
    """Write the files of a compacted day anew, as `unload` writes them, whatever was compacted before.

    The steps are those of `compact`, so that a reader sees each event at every moment, and a crash leaves
    what the next attempt, or the day's next compaction, finishes. An empty outcome is none here: the day may
    have had nobody's events but those that are left out.

    Raises
    ------
    RecordChangedError
        A compaction was faster. Nothing was given up; try again.
    """
    raw = frozenset(store.raw_objects(day))
    _, version = store.record(day)
    staging = staging_prefix(day, attempt)
    unload(day, staging)
    copied = store.take_over(day, staging, attempt)
    unreadable = {file.key for file in store.compacted_files(day) if not file.is_readable}
    record = DayRecord(files=frozenset(copied) | unreadable, raw=raw, is_done=False)
    _finish(day, record, version, store)
    store.clear(staging)


def _finish(day: date, record: DayRecord, version: str | None, store: CompactionStore) -> None:
    # Listed first, deleted after the record is written: whoever copies files after that listing has read the
    # record after that writing, and whoever read it before can no longer write theirs.
    others = {file.key for file in store.compacted_files(day)} - record.files
    version = store.put_record(day, record, over=version)
    store.delete_files(others)
    store.tag(sorted(record.raw))
    store.put_record(day, replace(record, is_done=True), over=version)
