"""``export``, ``erase`` and ``readmit``: what a person may ask for of their data, and what is done then.

An erasure keeps no state of its own. Each step looks for what there is still to do, and what other steps
find their way by goes last: the gate is closed first, and the ledger, which knows of everything else, is
emptied at the end. So a run that ended anywhere is finished by running it again.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Final

import boto3

from sms_engagement_runtime.appointment_follow_up.adapters.workflow import StepFunctionsWorkflow
from sms_engagement_runtime.channel.adapters import clients
from sms_engagement_runtime.channel.adapters.aws_errors import ServiceCallError, service_call
from sms_engagement_runtime.channel.adapters.clock import SystemClock
from sms_engagement_runtime.channel.adapters.end_user_messaging import EndUserMessagingOptOutList
from sms_engagement_runtime.channel.adapters.erased_people import MAX_AGE_SECONDS
from sms_engagement_runtime.channel.adapters.tombstones import Tombstones
from sms_engagement_runtime.channel.domain.errors import ContactChangedError
from sms_engagement_runtime.channel.domain.ledger import CLAIMABLE_STATES
from sms_engagement_runtime.commands.exits import ExitStatus, end, fail
from sms_engagement_runtime.commands.people import KEYS, Found, People, Person, WrongUseError
from sms_engagement_runtime.commands.progress import Progress, say
from sms_engagement_runtime.review_collector.domain.archive import ARCHIVE_PREFIX
from sms_engagement_runtime.sms_analytics_pipeline.adapters.athena import AthenaQueries
from sms_engagement_runtime.sms_analytics_pipeline.adapters.person_archive import (
    Catalogue,
    Inventory,
    PersonArchive,
    Version,
    delete_versions,
)
from sms_engagement_runtime.sms_analytics_pipeline.domain.compaction import (
    ArchivedPerson,
    RecordChangedError,
    Tables,
)

_LONGEST_QUERY_SECONDS: Final = 1_800.0
"""Athena ends a statement after half an hour (*Service quotas*)."""

SETTLE_SECONDS: Final = MAX_AGE_SECONDS + 5
"""How long readers may go on as if nobody had been erased, and a little more."""

# What leads to other rows goes after them; the contact row stays, and its consent records are hashed.
_ORDER: Final = (
    "register",
    "enrolments",
    "responses",
    "subscribers",
    "conversations",
    "reviews",
    "customers",
    "review_requests",
    "contacts",
    "messages",
)
_STAYS: Final = ("contact", "consent#")


def export(options: argparse.Namespace) -> ExitStatus:
    """Write everything about a person to a file, as JSON."""
    try:
        work = _Work(options)
        person, found, archive, reviews = work.inventory()
    except WrongUseError as error:
        return fail(str(error))
    by_kind: dict[str, list[Mapping[str, Any]]] = {kind: [] for kind in KEYS}
    for each in found:
        by_kind[each.kind].append(each.row)
    document = {
        "phoneNumber": person.number.e164,
        "subscriberId": person.subscriber_id,
        "exportedAt": work.now.isoformat(),
        "tables": by_kind,
        "archive": {
            "events": archive.lines if archive else [],
            "quarantine": [line for hit in archive.quarantine for line in hit.lines] if archive else [],
            "notices": [version.key for version in archive.notices] if archive else [],
        },
        "reviewArchive": work.archived_reviews(reviews),
    }
    file: Path = options.to
    try:
        _write_privately(file, json.dumps(document, indent=2, ensure_ascii=False))
    except OSError as error:
        return fail(f"{file} could not be written: {error.strerror}")
    report = {
        "command": "export",
        "subscriberId": person.subscriber_id,
        "phoneNumber": person.number.masked,
        "file": str(file),
        "rows": {kind: len(rows) for kind, rows in by_kind.items()},
        "archive": archive.to_json() if archive else None,
        "review_archive": len(reviews),
        "not_looked_at": work.not_looked_at(),
    }
    return end(report, is_done=not (archive and archive.out_of_reach))


def _write_privately(file: Path, text: str) -> None:
    # A file of that name may be open to others, or lead elsewhere: a new one, which is its owner's alone from
    # the start, takes its place. Half of a surrogate pair, which events may have, stays an escape of JSON.
    with NamedTemporaryFile(
        "w", dir=file.parent, prefix=".", delete=False, encoding="utf-8", errors="backslashreplace"
    ) as content:
        made = Path(content.name)
        content.write(text + "\n")
    try:
        made.replace(file)
    except OSError:
        made.unlink()
        raise


def erase(options: argparse.Namespace) -> ExitStatus:
    """Erase a person; with ``--dry-run``, say what would be erased and what would remain."""
    try:
        work = _Work(options)
        person, found, archive, reviews = work.inventory()
    except WrongUseError as error:
        return fail(str(error))
    report: dict[str, object] = {
        "command": "erase",
        "dry_run": options.dry_run,
        "subscriberId": person.subscriber_id,
        "phoneNumber": person.number.masked,
        "customers": sorted(person.user_ids),
        "customers_with_another_number": sorted(person.others),
        "rows": _counts(found),
        "archive": archive.to_json() if archive else None,
        "review_archive": len({version.key for version in reviews}),
        "not_looked_at": work.not_looked_at(),
        "residue": residue(work.now.date(), work.stream_days()),
    }
    if options.dry_run:
        return end(report, is_done=True)
    if not options.yes and not _is_confirmed(person):
        return fail("nothing was erased; confirm with the last four digits of the number, or give --yes")
    try:
        left = work.erase(person, report)
    except KeyboardInterrupt:
        end(report | {"interrupted": True}, is_done=False)
        return fail("interrupted; nobody texts the person any more, and running it again does the rest")
    except (ServiceCallError, ContactChangedError, RecordChangedError) as error:
        end(report | {"failed": str(error)}, is_done=False)
        return fail(f"not everything was erased ({error}); running it again does the rest")
    report["left"] = left
    out_of_reach = archive.out_of_reach if archive else []
    is_done = not any(left.values()) and not out_of_reach
    end(report, is_done=is_done)
    if not is_done:
        return fail("something is left; see the report, and run it again")
    return ExitStatus.DONE


def readmit(options: argparse.Namespace) -> ExitStatus:
    """Lift the tombstone of a number: whoever has it may text START, and nothing is sent before that."""
    try:
        people = People.of(options)
        person = people.identify(options.phone)
    except WrongUseError as error:
        return fail(str(error))
    is_lifted = Tombstones(people.dynamodb, table=str(people.places.contacts_table)).remove(
        person.subscriber_id
    )
    end(
        {
            "command": "readmit",
            "subscriberId": person.subscriber_id,
            "phoneNumber": person.number.masked,
            "lifted": is_lifted,
        },
        is_done=True,
    )
    if is_lifted:
        say("The number is opted out like any other now: only a START from that phone opens it.")
    else:
        say("Nothing changed: nobody with this number was erased.")
    return ExitStatus.DONE


def residue(today: date, stream_days: int) -> list[Mapping[str, str | None]]:
    """List what no erasure reaches, with the last day on which it is there."""

    def until(days: int) -> str:
        return str(today + timedelta(days=days))

    return [
        {
            "where": "Kinesis stream",
            "what": "events with number and words; no reader keeps them any more",
            "last_day": until(stream_days),
        },
        {
            "where": "point-in-time recovery of the tables",
            "what": "rows as they were; erase again after a restore",
            "last_day": until(35),
        },
        {
            "where": "queues and dead-letter queues",
            "what": "inbound texts and delivery events that were not worked off",
            "last_day": until(14),
        },
        {
            "where": "broadcast buckets, and enrolments of journeys that sent nothing",
            "what": "ids of customers and subscribers in audiences and outcomes, no number and no name",
            "last_day": until(90),
        },
        {
            "where": "Step Functions histories",
            "what": "ids of appointments, no number and no name",
            "last_day": until(90),
        },
        {
            "where": "CloudWatch logs",
            "what": "ids of subscribers and messages, no number, no name and no words",
            "last_day": until(90),
        },
        {
            "where": "opt-out list of AWS End User Messaging",
            "what": "the number: it keeps the promise that no text is sent, also by others of the account",
            "last_day": None,
        },
        {
            "where": "the tombstone",
            "what": "the subscriber id, a keyed hash of the number, keyed hashes of what proved consent, and "
            "marks of the texts they had, which only tell that one of them is not to be sent again",
            "last_day": None,
        },
        {
            "where": "carriers, AWS's billing and support records, e-mails and notices that people were sent",
            "what": "outside this account's reach",
            "last_day": None,
        },
    ]


class _Work:
    """What the commands have in common, for one person."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._endpoint_url: str | None = options.endpoint_url
        self.now: datetime = SystemClock().now()
        self._people = People.of(options)
        self._places = self._people.places
        self._s3 = clients.s3_client(self._endpoint_url)
        self._archive: PersonArchive | None = None

    def inventory(self) -> tuple[Person, list[Found], Inventory | None, list[Version]]:
        """Find everything, and change nothing."""
        people = self._people
        person = people.identify(self._options.phone, self._options.user_id)
        if self._places.customers_table:
            with Progress("looking for customers with this number") as progress:
                customers = people.customers_by_number(person, progress.advance)
            person = replace(person, user_ids=person.user_ids | customers)
        person, found = people.rows(person)
        archive = None
        if self._places.archive_bucket:
            self._archive = self._person_archive(person, self._places.archive_bucket)
            with Progress("reading the archive") as progress:
                archive = self._archive.look(progress.advance)
            known = {each.row["messageId"] for each in found if each.kind == "register"}
            found += people.registered(archive.message_ids - known)
        reviews = self._reviews(found, person) if self._places.review_archive else []
        return person, found, archive, reviews

    def _person_archive(self, person: Person, bucket: str) -> PersonArchive:
        theirs = ArchivedPerson(subscriber_id=person.subscriber_id, phone_number=person.number.e164)
        catalogue = None
        if self._places.athena_workgroup and self._places.athena_database:
            database = self._places.athena_database
            started = time.monotonic()
            catalogue = Catalogue(
                queries=AthenaQueries(
                    boto3.client("athena", config=clients.RETRYING, endpoint_url=self._endpoint_url),
                    workgroup=self._places.athena_workgroup,
                    sleep=time.sleep,
                    seconds_left=lambda: _LONGEST_QUERY_SECONDS - (time.monotonic() - started),
                ),
                tables=Tables(database=database, raw="raw_events", compacted="compacted_events"),
            )
        return PersonArchive(self._s3, bucket=bucket, person=theirs, catalogue=catalogue)

    def _reviews(self, found: Sequence[Found], person: Person) -> list[Version]:
        """Find archived reviews: by the id of their request, and by customer in what they hold."""
        ids = {
            each.row["requestId"]
            for each in found
            if each.kind == "review_requests" and each.row.get("userId") not in person.others
        }
        theirs: list[Version] = []
        bucket = str(self._places.review_archive)
        pages = self._s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=ARCHIVE_PREFIX)
        with service_call("s3:ListObjectVersions"), Progress("reading archived reviews") as progress:
            for page in pages:
                for each in page.get("Versions", []):
                    version = Version(each["Key"], each["VersionId"], each["IsLatest"])
                    name = version.key.rpartition("/")[2].removesuffix(".json")
                    if name in ids or self._review(version).get("userId") in person.user_ids:
                        theirs.append(version)
                    progress.advance()
        return theirs

    def _review(self, version: Version) -> Mapping[str, Any]:
        with service_call("s3:GetObject"):
            content = self._s3.get_object(
                Bucket=str(self._places.review_archive), Key=version.key, VersionId=version.version_id
            )["Body"].read()
        row: Mapping[str, Any] = json.loads(content)
        return row

    def archived_reviews(self, versions: Iterable[Version]) -> list[Mapping[str, Any]]:
        """Return the archived reviews themselves."""
        return [self._review(version) for version in versions if version.is_latest]

    def not_looked_at(self) -> list[str]:
        """Return which places nobody named, so that nothing in them was found."""
        return [f"{kind} table" for kind in KEYS if self._people.table(kind) is None] + [
            name.replace("_", " ")
            for name in ("archive_bucket", "review_archive", "opt_out_list", "appointments_machine")
            if getattr(self._places, name) is None
        ]

    def stream_days(self) -> int:
        """Return how long the stream keeps events; the most that one can, where none was named."""
        if self._places.stream is None:
            return 365
        kinesis = boto3.client("kinesis", config=clients.RETRYING, endpoint_url=self._endpoint_url)
        with service_call("kinesis:DescribeStreamSummary"):
            summary = kinesis.describe_stream_summary(StreamName=self._places.stream)
        hours: int = summary["StreamDescriptionSummary"]["RetentionPeriodHours"]
        return -(-hours // 24)

    def erase(self, person: Person, report: dict[str, object]) -> Mapping[str, int]:
        """Do it, and return how much of each kind is left."""
        tombstones = Tombstones(self._people.dynamodb, table=str(self._places.contacts_table))
        erased_at = tombstones.put(person.subscriber_id, self.now)
        report["erasedAt"] = erased_at.isoformat()
        say("From here on nothing is sent to this person.")
        self._list_number(person)
        # Readers that began before this may still write what they hold.
        time.sleep(self._options.settle_seconds)
        person, found, archive, reviews = self.inventory()
        report["executions_stopped"] = self._stop_waiting(found)
        self._delete_rows([each for each in found if each.kind == "register"])
        if self._archive is not None and archive is not None:
            steps = len(archive.raw) + len(archive.quarantine) + len(archive.compacted_days)
            with Progress("erasing the archive", steps) as progress:
                self._archive.erase(archive, progress.advance)
        delete_versions(self._s3, str(self._places.review_archive), reviews)
        tombstones.mark_sent(person.subscriber_id, _sent_keys(found))
        report["deleted"] = self._delete_rows([each for each in found if each.kind != "register"])
        report["consent_records_hashed"] = tombstones.hash_consents(person.subscriber_id, self._people.key())
        _, found, archive, reviews = self.inventory()
        return {
            **_counts(each for each in found if not _stays(each)),
            "consent_records": len(list(tombstones.consent_records(person.subscriber_id))),
            "archive": 0 if archive is None or archive.is_empty else 1,
            "review_archive": len(reviews),
        }

    def _list_number(self, person: Person) -> None:
        if self._places.opt_out_list is None:
            return
        client = boto3.client(
            "pinpoint-sms-voice-v2", config=clients.RETRYING, endpoint_url=self._endpoint_url
        )
        EndUserMessagingOptOutList(client, list_name=self._places.opt_out_list).put(person.number)

    def _stop_waiting(self, found: Iterable[Found]) -> int:
        conversations = [each.row["appointmentId"] for each in found if each.kind == "conversations"]
        if self._places.appointments_machine is None or not conversations:
            return 0
        workflow = StepFunctionsWorkflow(
            boto3.client("stepfunctions", config=clients.RETRYING, endpoint_url=self._endpoint_url),
            state_machine_arn=self._places.appointments_machine,
        )
        for appointment_id in conversations:
            workflow.stop(appointment_id)
        return len(conversations)

    def _delete_rows(self, found: Sequence[Found]) -> Mapping[str, int]:
        doomed = sorted(
            (each for each in found if not _stays(each)), key=lambda each: _ORDER.index(each.kind)
        )
        deleted: Counter[str] = Counter()
        with Progress("deleting rows", len(doomed)) as progress:
            for each in doomed:
                writes: list[Any] = [
                    {"Delete": {"TableName": table, "Key": key}} for table, key in self._keys(each)
                ]
                with service_call("dynamodb:TransactWriteItems"):
                    self._people.dynamodb.transact_write_items(TransactItems=writes)
                deleted[each.kind] += 1
                progress.advance()
        return dict(deleted)

    def _keys(self, each: Found) -> Iterable[tuple[str, Mapping[str, Any]]]:
        """Give a row, and what is found by nothing else and goes with it."""
        if each.kind == "messages" and each.row.get("campaignId"):
            mark = {
                "subscriberId": {"S": f"campaign#{each.row['campaignId']}"},
                "record": {"S": f"counted#{each.row['subscriberId']}"},
            }
            yield str(self._places.contacts_table), mark
        yield str(self._people.table(each.kind)), each.key


def _stays(each: Found) -> bool:
    return each.kind == "contacts" and str(each.row["record"]).startswith(_STAYS)


def _sent_keys(found: Iterable[Found]) -> Iterable[str]:
    """Give the ledger keys of texts that went out, or may have."""
    return (
        each.row["messageKey"]
        for each in found
        if each.kind == "messages" and each.row["state"] not in CLAIMABLE_STATES
    )


def _counts(found: Iterable[Found]) -> dict[str, int]:
    counts = Counter(each.kind for each in found)
    return {kind: counts[kind] for kind in KEYS}


def _is_confirmed(person: Person) -> bool:
    if not sys.stdin.isatty():
        return False
    print(
        f"Everything about {person.number.masked} is about to be erased, and cannot be brought back. "
        "Type the last four digits of the number: ",
        end="",
        file=sys.stderr,
        flush=True,
    )
    return sys.stdin.readline().strip() == person.number.e164[-4:]
