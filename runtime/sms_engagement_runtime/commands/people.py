"""One person across all systems: where their rows lie, and how they are found.

Everything is found by key or by index. Customers are the exception: their table may be another system's, and
has no index by phone number. Those who were ever asked for a review are found by their requests; for the
others there are ``--user-id``, and a scan, which only export and erasure make.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from itertools import batched
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import boto3

from sms_engagement_runtime.channel.adapters import clients
from sms_engagement_runtime.channel.adapters.aws_errors import service_call
from sms_engagement_runtime.channel.adapters.batch_get import MOST_KEYS, read_batch
from sms_engagement_runtime.channel.adapters.person_rows import PersonRows, query
from sms_engagement_runtime.channel.adapters.phone_numbers import LibPhoneNumberParser
from sms_engagement_runtime.channel.adapters.plain_rows import plain_row
from sms_engagement_runtime.channel.adapters.secrets import SecretCache
from sms_engagement_runtime.channel.domain.errors import InvalidPhoneNumberError, PermanentError
from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber
from sms_engagement_runtime.channel.domain.subscriber import subscriber_id

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

type Row = dict[str, Any]

KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "contacts": ("subscriberId", "record"),
    "messages": ("messageKey",),
    "conversations": ("appointmentId",),
    "review_requests": ("requestId",),
    "reviews": ("reviewId",),
    "customers": ("userId",),
    "enrolments": ("enrolment_id",),
    "responses": ("subscriber_id", "response_key"),
    "subscribers": ("subscriber_id",),
    "register": ("messageId",),
}
"""Tables by kind, with the attributes of their keys."""

_CONVERSATIONS_INDEX: Final = "subscriberId-startsAt-index"
_REQUESTS_OF_PERSON: Final = "subscriberId-recordedAt-index"
_REQUESTS_OF_CUSTOMER: Final = "userId-recordedAt-index"
_REVIEWS_OF_CUSTOMER: Final = "userId-timestamp-index"
_CUSTOMER_COLUMNS: Final = {"#userId": "userId", "#phone": "phoneNumber"}


class WrongUseError(PermanentError):
    """The command cannot begin with what it was given; the message says what to give."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Names of tables, buckets and the rest, None for what there is not.

    Each field is an option of the commands, and has a default in the outputs of the stacks (`OUTPUTS`).
    """

    contacts_table: str | None = None
    messages_table: str | None = None
    subscriber_key_secret: str | None = None
    opt_out_list: str | None = None
    conversations_table: str | None = None
    appointments_machine: str | None = None
    customers_table: str | None = None
    reviews_table: str | None = None
    review_requests_table: str | None = None
    review_archive: str | None = None
    enrolments_table: str | None = None
    responses_table: str | None = None
    subscribers_table: str | None = None
    register_table: str | None = None
    archive_bucket: str | None = None
    athena_workgroup: str | None = None
    athena_database: str | None = None
    stream: str | None = None


OUTPUTS: Final[Mapping[str, str]] = {
    "contacts_table": "ContactsTableName",
    "messages_table": "MessagesTableName",
    "subscriber_key_secret": "SubscriberKeySecretArn",
    "opt_out_list": "OptOutListName",
    "conversations_table": "ConversationsTableName",
    "appointments_machine": "AppointmentFollowUpArn",
    "customers_table": "CustomersTableName",
    "reviews_table": "ReviewsTableName",
    "review_requests_table": "ReviewRequestsTableName",
    "review_archive": "ReviewArchiveName",
    "enrolments_table": "EnrolmentsTableName",
    "responses_table": "ResponsesTableName",
    "subscribers_table": "SubscribersTableName",
    "register_table": "RegisterTableName",
    "archive_bucket": "ArchiveBucketName",
    "athena_workgroup": "AthenaWorkgroupName",
    "athena_database": "AthenaDatabaseName",
    "stream": "StreamName",
}
"""Places by the output of the stacks that has each."""


def places_of(options: argparse.Namespace) -> Places:
    """Return the places that were given, by name or by the stacks' outputs.

    Raises
    ------
    WrongUseError
        The file cannot be read, or nobody said where the channel's tables and key are.
    """
    known = _outputs(options.outputs) if options.outputs else {}
    places = Places(
        **{
            field.name: getattr(options, field.name, None) or known.get(OUTPUTS[field.name])
            for field in fields(Places)
        }
    )
    missing = [
        f"--{name.replace('_', '-')}"
        for name in ("contacts_table", "messages_table", "subscriber_key_secret")
        if getattr(places, name) is None
    ]
    if missing:
        msg = f"give --outputs FILE, or {', '.join(missing)}"
        raise WrongUseError(msg)
    return places


def _outputs(file: Path) -> dict[str, str]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        stacks = content.get("stacks", content)
        return {
            name: value
            for outputs in stacks.values()
            if isinstance(outputs, dict)
            for name, value in outputs.items()
            if isinstance(value, str)
        }
    except (OSError, ValueError, AttributeError) as error:
        msg = f"{file} is no JSON with the outputs of stacks: {type(error).__name__}"
        raise WrongUseError(msg) from error


@dataclass(frozen=True, slots=True)
class Found:
    """A row of a person.

    Attributes
    ----------
    kind
        Of `KEYS`.
    """

    kind: str
    row: Row

    @property
    def key(self) -> dict[str, Any]:
        """Return the row's primary key in wire format."""
        return {name: {"S": self.row[name]} for name in KEYS[self.kind]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Whom a command is about.

    Attributes
    ----------
    user_ids
        Customers that they are.
    others
        Customers who were asked at the number and have another one now: it changed hands, or they changed
        theirs. What these wrote is told to, and erased for, nobody but themselves.
    """

    number: PhoneNumber
    subscriber_id: str
    user_ids: frozenset[str] = frozenset()
    others: frozenset[str] = frozenset()

    def is_meant_by(self, text: str) -> bool:
        """Whether a text has the person's number or subscriber id in it."""
        return self.number.e164[1:] in text or self.subscriber_id in text


class People:
    """Finds people and their rows.

    Parameters
    ----------
    endpoint_url
        Of the services, where that is not AWS itself.
    """

    def __init__(
        self,
        places: Places,
        *,
        endpoint_url: str | None = None,
        default_country: str = "US",
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.places = places
        self.dynamodb: DynamoDBClient = clients.dynamodb_client(endpoint_url)
        self._endpoint_url = endpoint_url
        self._parser = LibPhoneNumberParser(default_country)
        self._sleep = sleep

    @classmethod
    def of(cls, options: argparse.Namespace) -> Self:
        """Make it for a command with the options of all commands about a person.

        Raises
        ------
        WrongUseError
            As `places_of`.
        """
        return cls(
            places_of(options), endpoint_url=options.endpoint_url, default_country=options.default_country
        )

    def key(self) -> bytes:
        """Return the key of the subscriber ids."""
        secrets = boto3.client("secretsmanager", config=clients.RETRYING, endpoint_url=self._endpoint_url)
        return SecretCache(secrets, str(self.places.subscriber_key_secret)).key()

    def identify(self, raw: str, user_ids: Iterable[str] = ()) -> Person:
        """Return the person with a number.

        Raises
        ------
        WrongUseError
            It is no number.
        """
        try:
            number = self.parsed(raw)
        except InvalidPhoneNumberError as error:
            msg = f"that is no phone number ({error.reason}); write it with + and the country's code"
            raise WrongUseError(msg) from error
        return Person(
            number=number, subscriber_id=subscriber_id(number, self.key()), user_ids=frozenset(user_ids)
        )

    def parsed(self, raw: str) -> PhoneNumber:
        """Read a number as the channel's router reads it, which keeps one that the numbering plan has not."""
        try:
            return self._parser.parse(raw).number
        except InvalidPhoneNumberError:
            try:
                return PhoneNumber(raw.strip())
            except ValueError:
                pass
            raise

    def table(self, kind: str) -> str | None:
        """Return the name of a table."""
        name: str | None = getattr(self.places, f"{kind}_table")
        return name

    def customers_by_number(self, person: Person, progress: Callable[[int], None]) -> frozenset[str]:
        """Read the whole customers table for a number, in whatever notation it is kept."""
        found: set[str] = set()
        pages = self.dynamodb.get_paginator("scan").paginate(
            TableName=str(self.places.customers_table),
            ProjectionExpression=", ".join(_CUSTOMER_COLUMNS),
            ExpressionAttributeNames=_CUSTOMER_COLUMNS,
        )
        with service_call("dynamodb:Scan"):
            for page in pages:
                for item in page["Items"]:
                    row = plain_row(item)
                    if self._is_number_of(row.get("phoneNumber"), person):
                        found.add(str(row["userId"]))
                progress(len(page["Items"]))
        return frozenset(found)

    def _is_number_of(self, raw: object, person: Person) -> bool:
        try:
            return isinstance(raw, str) and self.parsed(raw) == person.number
        except InvalidPhoneNumberError:
            return False

    def _is_of_another(self, raw: object, person: Person) -> bool:
        """Whether a customer's number is one, and not the person's."""
        try:
            return isinstance(raw, str) and self.parsed(raw) != person.number
        except InvalidPhoneNumberError:
            return False

    def _customers(self, user_ids: Iterable[str]) -> Iterator[Found]:
        return self._get("customers", ({"userId": {"S": user_id}} for user_id in sorted(user_ids)))

    def rows(self, person: Person) -> tuple[Person, list[Found]]:
        """Find everything of a person in the tables, and the customers that they are."""
        channel = PersonRows(
            self.dynamodb,
            contacts_table=str(self.places.contacts_table),
            messages_table=str(self.places.messages_table),
        ).of(person.subscriber_id, most_texts=None)
        found = [Found("contacts", dict(row)) for row in channel.contacts]
        found += [Found("messages", dict(row)) for row in channel.messages]
        found += self._of_systems(person, found)
        requests = list(self._requests(person))
        asked = {each.row["userId"] for each in requests if "userId" in each.row} - person.user_ids
        others = {
            row.row["userId"]
            for row in self._customers(asked)
            if self._is_of_another(row.row.get("phoneNumber"), person)
        }
        person = replace(person, user_ids=person.user_ids | (asked - others), others=frozenset(others))
        for user_id in sorted(person.user_ids):
            requests += self._query("review_requests", "userId", user_id, index=_REQUESTS_OF_CUSTOMER)
            found += self._query("reviews", "userId", user_id, index=_REVIEWS_OF_CUSTOMER)
        found += {each.row["requestId"]: each for each in requests}.values()
        found += self._customers(person.user_ids)
        message_ids = {
            each.row.get("messageId") or each.row.get("message_id")
            for each in found
            if each.kind in ("messages", "responses")
        }
        found += self.registered(str(message_id) for message_id in message_ids - {None})
        return person, found

    def _of_systems(self, person: Person, found: Iterable[Found]) -> Iterator[Found]:
        own = person.subscriber_id
        yield from self._query("conversations", "subscriberId", own, index=_CONVERSATIONS_INDEX)
        yield from self._query("responses", "subscriber_id", own)
        yield from self._get("subscribers", [{"subscriber_id": {"S": own}}])
        keys = {
            key
            for each in found
            if each.kind == "messages" and each.row.get("journeyId") and each.row.get("campaignId")
            for key in enrolments_behind(each.row["journeyId"], each.row["campaignId"], own)
        }
        yield from self._get("enrolments", ({"enrolment_id": {"S": key}} for key in sorted(keys)))

    def _requests(self, person: Person) -> Iterator[Found]:
        if self.table("review_requests") is None:
            return
        items = self._query(
            "review_requests", "subscriberId", person.subscriber_id, index=_REQUESTS_OF_PERSON
        )
        yield from self._get("review_requests", [each.key for each in items])

    def registered(self, message_ids: Iterable[str]) -> Iterator[Found]:
        """Find what analytics remembers of messages."""
        return self._get("register", ({"messageId": {"S": each}} for each in sorted(set(message_ids))))

    def _query(self, kind: str, name: str, value: str, *, index: str | None = None) -> Iterator[Found]:
        table = self.table(kind)
        if table is not None:
            options: dict[str, Any] = {"IndexName": index} if index else {"ConsistentRead": True}
            for item in query(self.dynamodb, table, name, value, **options):
                yield Found(kind, plain_row(item))

    def _get(self, kind: str, keys: Iterable[dict[str, Any]]) -> Iterator[Found]:
        table = self.table(kind)
        if table is None:
            return
        for some in batched(keys, MOST_KEYS, strict=False):
            for item in read_batch(self.dynamodb, table, some, sleep=self._sleep, ConsistentRead=True):
                yield Found(kind, plain_row(item))


def enrolments_behind(journey: str, campaign: str, subscriber_id: str) -> Iterator[str]:
    """Give the keys of enrolments that a text of a journey may belong to: one of them is right.

    The ledger has the moment of the run that sent the text: ``<run>_<journey>…``, with ``<campaign>-`` in
    front where the run has one; and run and campaign may have hyphens of their own.
    """
    run, found, _ = campaign.rpartition(f"_{journey}")
    parts = run.split("-") if found else []
    for start in range(len(parts)):
        yield f"{journey}/{'-'.join(parts[start:])}#{subscriber_id}"
