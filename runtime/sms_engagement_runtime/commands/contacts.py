"""``import-contacts``: contacts with their consent, from a CSV file."""

from __future__ import annotations

import argparse
import codecs
import csv
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO, Final, NamedTuple

from botocore.exceptions import ClientError

from sms_engagement_runtime.channel.adapters.aws_errors import is_failed_condition, service_call
from sms_engagement_runtime.channel.adapters.dynamodb_item import to_item
from sms_engagement_runtime.channel.adapters.instants import to_seconds
from sms_engagement_runtime.channel.adapters.phone_numbers import LibPhoneNumberParser
from sms_engagement_runtime.channel.domain.consent import ConsentState, Contact, Evidence
from sms_engagement_runtime.channel.domain.contact_import import (
    BadLine,
    ImportLine,
    Outcome,
    apply_line,
    columns_of,
    read_line,
)
from sms_engagement_runtime.channel.domain.errors import ContactChangedError, TransientError
from sms_engagement_runtime.channel.domain.opting_out import Recorded
from sms_engagement_runtime.channel.domain.reconcile import fingerprint
from sms_engagement_runtime.commands.channel_data import ChannelData, end_with_report
from sms_engagement_runtime.commands.exits import ExitStatus, fail
from sms_engagement_runtime.commands.progress import Progress, say

MOST_TOLD: Final = 1_000
"""So many bad lines are named; of the others the number is told."""

_LONGEST_LINE: Final = 64 * 1024
_BATCH: Final = 200
_WORKERS: Final = 8
_ATTEMPTS: Final = 5
_CONSENTS: Final = frozenset({Outcome.GRANTED, Outcome.UNCHANGED})
_DELIMITERS: Final = ",;\t|"
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class _Numbered(NamedTuple):
    """A line of the file with its number, counted from one."""

    number: int
    line: ImportLine | BadLine


@dataclass(slots=True)
class _Imported:
    """How far an import came.

    Attributes
    ----------
    next_line
        The first line that is not done.
    """

    lines: int = 0
    next_line: int = 2
    outcomes: Counter[str] = field(default_factory=Counter)
    bad: Counter[str] = field(default_factory=Counter)
    bad_lines: list[dict[str, object]] = field(default_factory=list)
    customers: Counter[str] = field(default_factory=Counter)

    def set_aside(self, number: int, reason: BadLine) -> None:
        self.bad[reason] += 1
        if len(self.bad_lines) < MOST_TOLD:
            self.bad_lines.append({"line": number, "reason": reason})


def import_contacts(options: argparse.Namespace) -> ExitStatus:
    """Add what the file says to the contacts; nothing of it twice."""
    try:
        parser = LibPhoneNumberParser(options.default_country)
    except ValueError as error:
        return fail(str(error))
    data = ChannelData(options)
    imported = _Imported()
    problem = None
    try:
        with _opened(options.file, options.encoding) as text:
            lines = _lines(text, options, parser, data)
            listed = _listed(data)
            _Importer(data, listed, options, imported).run(lines)
    except KeyboardInterrupt:
        problem = "interrupted"
    except TransientError as error:
        problem = str(error)
    except OSError as error:
        return fail(f"the file could not be read: {error.strerror or type(error).__name__}")
    except (UnicodeError, LookupError):
        return fail("the file is not in this encoding; name another with --encoding")
    except (ValueError, csv.Error) as error:
        return fail(str(error))
    if problem is not None:
        problem = f"{problem}; go on with --from-line {imported.next_line}"
    say(_sentence(imported, is_dry_run=options.dry_run))
    report: dict[str, object] = {
        "command": "import-contacts",
        "dry_run": options.dry_run,
        "lines": imported.lines,
        "outcomes": dict(imported.outcomes),
        "bad": dict(imported.bad),
        "bad_lines": imported.bad_lines,
        "customers": dict(imported.customers),
        "next_line": imported.next_line,
    }
    return end_with_report(report, options.report, problem=problem, is_whole=not imported.bad)


def _sentence(imported: _Imported, *, is_dry_run: bool) -> str:
    changed = imported.outcomes[Outcome.GRANTED] + imported.outcomes[Outcome.OPTED_OUT]
    left = imported.outcomes.total() - changed
    return (
        f"{imported.lines:,} lines: {changed:,} contacts {'would be ' if is_dry_run else ''}changed, "
        f"{left:,} left as they are, {imported.bad.total():,} lines not usable."
    )


# The file


def _opened(name: str, encoding: str | None) -> IO[str]:
    """Open a file, in the encoding of its byte order mark, else in UTF-8, unless one is named."""
    path = Path(name)
    with path.open("rb") as content:
        start = content.read(4)
    found = next((known for mark, known in _MARKS if start.startswith(mark)), "utf-8")
    # What is not in the encoding is found line by line.
    return path.open(encoding=encoding or found, errors="surrogateescape", newline="")


def _lines(
    text: IO[str], options: argparse.Namespace, parser: LibPhoneNumberParser, data: ChannelData
) -> Iterator[_Numbered]:
    """Read the header at once, and the lines when they are asked for."""
    source = _Source(text)
    header, delimiter = _header(source)
    columns = columns_of(header)
    reader = csv.reader(source, delimiter=delimiter, strict=False)
    now = data.clock.now()

    def lines() -> Iterator[_Numbered]:
        while True:
            number = source.number + 1
            source.is_too_long = False
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error:
                yield _Numbered(number, BadLine.TOO_LONG)
                continue
            if number < options.from_line:
                continue
            if source.is_too_long:
                yield _Numbered(number, BadLine.TOO_LONG)
            elif any(cell.strip() for cell in row):
                yield _Numbered(number, read(row))

    def read(row: Sequence[str]) -> ImportLine | BadLine:
        if any("\udc80" <= c <= "\udcff" for cell in row for c in cell):
            return BadLine.WRONG_ENCODING
        if any(cell.strip() for cell in row[len(header) :]):
            return BadLine.COLUMNS
        cells = {column: row[place] for column, place in columns.items() if place < len(row)}
        return read_line(cells, parser=parser, scopes=tuple(options.scope), now=now)

    return lines()


class _Source:
    """Lines of a text, none of them longer than it may be."""

    def __init__(self, text: IO[str]) -> None:
        self._text = text
        self.number = 0
        self.is_too_long = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._text.readline(_LONGEST_LINE)
        if not line:
            raise StopIteration
        self.number += 1
        if len(line) < _LONGEST_LINE or line.endswith("\n"):
            return line.replace("\x00", "")
        while line and not line.endswith("\n"):
            line = self._text.readline(_LONGEST_LINE)
        self.is_too_long = True
        return "\n"


def _header(source: _Source) -> tuple[list[str], str]:
    line = next(source, "")
    # What Excel writes and reads in front.
    if line.casefold().startswith("sep=") and len(line.strip()) <= len("sep=") + 1:
        line = next(source, "")
    if not line.strip():
        raise ValueError("the file has no header")
    delimiter = max(_DELIMITERS, key=line.count)
    return next(csv.reader([line], delimiter=delimiter)), delimiter


# The service's list


def _listed(data: ChannelData) -> Sequence[array[int]]:
    """Read the whole list: whoever is on it gets no consent. Eight bytes a number."""
    portions = []
    cursor = None
    with Progress("numbers on the opt-out list") as progress:
        while True:
            page = data.opted_out_numbers.page(cursor)
            some = sorted(fingerprint(data.subscriber_id_of(entry.number)) for entry in page.numbers)
            portions.append(array("Q", some))
            progress.advance(len(page.numbers))
            cursor = page.following
            if cursor is None:
                # One search a line, instead of one a page.
                return [array("Q", sorted(each for portion in portions for each in portion))]


def _holds(portions: Sequence[array[int]], wanted: int) -> bool:
    return any(
        (place := bisect_left(portion, wanted)) < len(portion) and portion[place] == wanted
        for portion in portions
    )


# The contacts


class _Importer:
    """Gives lines to the contacts, some hundreds at a time; those of one person one after the other."""

    def __init__(
        self,
        data: ChannelData,
        listed: Sequence[array[int]],
        options: argparse.Namespace,
        imported: _Imported,
    ) -> None:
        self._data = data
        self._listed = listed
        self._options = options
        self._imported = imported
        self._said: set[int] = set()

    def run(self, lines: Iterator[_Numbered]) -> None:
        with Progress("importing lines") as progress, ThreadPoolExecutor(_WORKERS) as workers:
            while batch := list(islice(lines, _BATCH)):
                self._import(batch, workers)
                self._imported.next_line = batch[-1].number + 1
                progress.advance(len(batch))

    def _import(self, batch: Sequence[_Numbered], workers: ThreadPoolExecutor) -> None:
        people: dict[str, list[ImportLine]] = {}
        outcomes: Counter[str] = Counter()
        for _, line in batch:
            if isinstance(line, BadLine):
                continue
            said = fingerprint(line.evidence.message_id)
            if said in self._said:
                outcomes[Outcome.DUPLICATE] += 1
                continue
            self._said.add(said)
            people.setdefault(self._data.subscriber_id_of(line.phone_number), []).append(line)
        contacts = self._data.rows.find(people)
        work = (
            (lines, contacts.get(person) or Contact(subscriber_id=person)) for person, lines in people.items()
        )
        for outcome, customer in workers.map(lambda one: self._import_person(*one), work):
            outcomes.update(outcome)
            self._imported.customers.update(customer)
        # Once the batch is done: where it fails, all of it comes again, and is counted once.
        self._imported.lines += len(batch)
        self._imported.outcomes.update(outcomes)
        for number, line in batch:
            if isinstance(line, BadLine):
                self._imported.set_aside(number, line)

    def _import_person(
        self, lines: Sequence[ImportLine], contact: Contact
    ) -> tuple[list[Outcome], list[str]]:
        outcomes, customers = [], []
        for line in lines:
            outcome, contact = self._import_line(line, contact)
            outcomes.append(outcome)
            is_consent = line.state is ConsentState.ACTIVE
            if self._options.customers_table and is_consent and outcome in _CONSENTS:
                customers.append(self._add_customer(line, contact))
        return outcomes, customers

    def _import_line(self, line: ImportLine, contact: Contact) -> tuple[Outcome, Contact]:
        is_listed = _holds(self._listed, fingerprint(contact.subscriber_id))
        is_opt_out = line.state is ConsentState.OPTED_OUT
        done = Outcome.OPTED_OUT if is_opt_out else Outcome.GRANTED
        for attempt in range(1, _ATTEMPTS + 1):
            change = apply_line(contact, line, is_listed=is_listed)
            if isinstance(change, Outcome):
                return change, contact
            if self._options.dry_run:
                return done, change.contact
            if is_opt_out:
                return self._opt_out(line, contact)
            try:
                saved = self._data.contacts.save(
                    change.contact, expected_version=contact.version, records=change.records
                )
            except ContactChangedError:
                if attempt == _ATTEMPTS:
                    raise
                contact = self._data.contacts.get(contact.subscriber_id)
                continue
            return done, saved
        raise AssertionError("the last attempt returns or raises")

    def _opt_out(self, line: ImportLine, contact: Contact) -> tuple[Outcome, Contact]:
        def evidence_for(stored: Contact) -> Evidence | None:
            return None if apply_line(stored, line, is_listed=False) is Outcome.OVERTAKEN else line.evidence

        recorded = self._data.recorder.record(contact.subscriber_id, line.phone_number, evidence_for)
        outcome = {
            Recorded.OPTED_OUT: Outcome.OPTED_OUT,
            Recorded.ALREADY_OPTED_OUT: Outcome.UNCHANGED,
            Recorded.OVERTAKEN: Outcome.OVERTAKEN,
            Recorded.ERASED: Outcome.ERASED,
        }[recorded]
        return outcome, self._data.contacts.get(contact.subscriber_id)

    def _add_customer(self, line: ImportLine, contact: Contact) -> str:
        if self._options.dry_run:
            return "would be added, or there"
        with service_call("dynamodb:PutItem"):
            try:
                self._data.dynamodb.put_item(
                    TableName=self._options.customers_table,
                    Item=to_item(_customer_row(line, contact)),
                    ConditionExpression="attribute_not_exists(userId)",
                )
            except ClientError as error:
                if is_failed_condition(error):
                    return "there"
                raise
        return "added"


def _customer_row(line: ImportLine, contact: Contact) -> Mapping[str, str | int | None]:
    return {
        # Without an id of their own they are known by their number, as a keyed hash.
        "userId": line.user_id or contact.subscriber_id,
        "phoneNumber": line.phone_number.e164,
        "name": line.name,
        "locale": line.locale,
        "timeZone": line.time_zone,
        "status": "active",
        "createdAt": to_seconds(line.evidence.at),
        "source": line.evidence.source,
    }
