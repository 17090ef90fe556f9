"""What every repository of conversations promises: the fake of the tests and the one on DynamoDB alike."""

from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError

from sms_engagement_runtime.appointment_follow_up.adapters.dynamodb_conversations import DynamoConversations
from sms_engagement_runtime.appointment_follow_up.domain.bookings import (
    Booking,
    NoShowMarked,
    Party,
    PhoneCandidate,
    PhoneSource,
    Provider,
    appointment_id,
)
from sms_engagement_runtime.appointment_follow_up.domain.changing import ConversationChangedError, change
from sms_engagement_runtime.appointment_follow_up.domain.conversation import (
    Conversation,
    Recipient,
    Reply,
    Status,
    mark_no_show,
    unknown,
)
from sms_engagement_runtime.appointment_follow_up.domain.reply_kinds import ReplyKind
from sms_engagement_runtime.channel.adapters.aws_errors import ServiceCallError, ServiceRefusedError
from sms_engagement_runtime.channel.adapters.busy_rows import RowBusyError
from sms_engagement_runtime.channel.adapters.dynamodb_messages import DynamoLedger
from sms_engagement_runtime.channel.domain.consent import Contact, Scope
from sms_engagement_runtime.channel.domain.gate import ConsentRule, MessageClass
from sms_engagement_runtime.channel.domain.ledger import Claimed, ContactChanged, Intent
from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber
from sms_engagement_runtime.channel.domain.subscriber import subscriber_id
from tests.support.appointment_fakes import FakeConversations, JournalLedger
from tests.support.appointment_tables import CONVERSATIONS, appointment_tables
from tests.support.dynamodb_tables import CONTACTS, MESSAGES
from tests.support.fakes import SUBSCRIBER_KEY, FakeContacts

NOW = datetime(2026, 11, 21, 17, 0, 0, 123_000, tzinfo=UTC)
STARTS_AT = datetime(2026, 12, 1, 18, 0, tzinfo=UTC)
NUMBER = PhoneNumber("+12025550123")
PERSON = subscriber_id(NUMBER, SUBSCRIBER_KEY)
EXTERNAL_ID = "https://api.calendly.com/scheduled_events/E/invitees/A"
ID = appointment_id(Provider.CALENDLY, EXTERNAL_ID)
RETENTION = timedelta(days=90)

BOOKING = Booking(
    provider=Provider.CALENDLY,
    external_id=EXTERNAL_ID,
    booked_at=datetime(2026, 11, 21, 16, 59, 58, tzinfo=UTC),
    starts_at=STARTS_AT,
    ends_at=STARTS_AT + timedelta(minutes=30),
    event_name="Intro call – 15 min 😀",
    invitee_name="Zoë O'Brien 👩‍👩‍👧",
    host_name="John Smith",
    time_zone="America/New_York",
    locale="pt-BR",
    reschedule_url="https://calendly.com/reschedulings/A",
    cancel_url="https://calendly.com/cancellations/A",
    replaces="https://api.calendly.com/scheduled_events/E/invitees/B",
    by_invitee=False,
)
FULL = Conversation(
    appointment_id=ID,
    created_at=NOW,
    updated_at=NOW + timedelta(seconds=1),
    status=Status.NO_SHOW,
    before_no_show=Status.RESPONDED,
    reason="CARRIER_UNREACHABLE",
    booking=BOOKING,
    # As precisely as providers tell: the order of their events depends on it.
    booking_at=NOW.replace(microsecond=327_602),
    recipient=Recipient(number=NUMBER, country="US", subscriber_id=PERSON),
    no_show_at=NOW.replace(microsecond=999_999),
    moved_to=appointment_id(Provider.CALENDLY, "C"),
    cancelled_by=Party.INVITEE,
    cancelled_at=NOW.replace(microsecond=1),
    told_at=NOW + timedelta(minutes=1),
    followed_up_at=NOW + timedelta(minutes=31),
    reply=Reply(at=NOW + timedelta(minutes=40), kind=ReplyKind.RESCHEDULE),
    seen=frozenset({"key-1", "key-2", "key-3"}),
)
BARE = unknown(ID, NOW)
BOOKED = replace(BARE, booking=BOOKING, recipient=FULL.recipient)


@dataclass
class Stores:
    conversations: Any
    ledger: Any


@pytest.fixture
def dynamodb():
    with appointment_tables() as client:
        yield client


def on_dynamodb(client, **options):
    return DynamoConversations(
        client, table=CONVERSATIONS, retention=RETENTION, sleep=lambda _: None, **options
    )


@pytest.fixture(params=["fake", "dynamodb"])
def stores(request):
    if request.param == "fake":
        conversations = FakeConversations()
        ledger = JournalLedger(FakeContacts(), [])
        ledger.holds = conversations.holds
        return Stores(conversations, ledger)
    client = request.getfixturevalue("dynamodb")
    ledger = DynamoLedger(
        client,
        messages_table=MESSAGES,
        contacts_table=CONTACTS,
        subscriber_id_of=lambda number: subscriber_id(number, SUBSCRIBER_KEY),
        sleep=lambda _: None,
    )
    return Stores(on_dynamodb(client), ledger)


@pytest.fixture
def conversations(stores):
    return stores.conversations


class TestRows:
    def test_nobody_is_known_at_first(self, conversations):
        assert conversations.get(ID) is None
        assert list(conversations.of_subscriber(PERSON, since=NOW)) == []

    def test_a_conversation_is_read_as_it_was_saved(self, conversations):
        assert {field.name for field in fields(FULL) if getattr(FULL, field.name) is None} == set()
        assert {field.name for field in fields(BOOKING) if getattr(BOOKING, field.name) == field.default} == {
            # One of the candidates was chosen, and the rest is not kept.
            "phones"
        }

        saved = conversations.save(FULL)

        assert saved == replace(FULL, version=1)
        assert conversations.get(ID) == saved

    def test_what_is_absent_is_read_as_absent(self, conversations):
        saved = conversations.save(BARE)

        assert conversations.get(ID) == saved == replace(BARE, version=1)

    def test_a_booking_may_lack_all_that_providers_leave_out(self, conversations):
        lean = Booking(
            provider=Provider.CALCOM,
            external_id="uid",
            booked_at=NOW.replace(microsecond=0),
            starts_at=STARTS_AT,
            ends_at=STARTS_AT,
            event_name="x",
        )
        nowhere = Recipient(number=PhoneNumber("+881612345678"), country=None, subscriber_id=PERSON)

        saved = conversations.save(replace(BARE, booking=lean, recipient=nowhere))

        assert conversations.get(ID) == saved

    def test_the_candidates_for_a_number_are_not_kept(self, conversations):
        phones = (PhoneCandidate("(202) 555-0123", PhoneSource.QUESTION),)

        conversations.save(replace(BOOKED, booking=replace(BOOKING, phones=phones)))

        assert conversations.get(ID).booking == BOOKING

    @pytest.mark.parametrize("status", Status)
    def test_every_state_is_kept(self, conversations, status):
        before = Status.OPTED_OUT if status is Status.NO_SHOW else None

        conversations.save(replace(BOOKED, status=status, before_no_show=before))

        read = conversations.get(ID)
        assert (read.status, read.before_no_show) == (status, before)

    @pytest.mark.parametrize("kind", ReplyKind)
    def test_every_kind_of_answer_is_kept(self, conversations, kind):
        conversations.save(replace(BOOKED, reply=Reply(at=NOW, kind=kind)))

        assert conversations.get(ID).reply == Reply(at=NOW, kind=kind)

    def test_what_was_taken_back_is_gone(self, conversations):
        saved = conversations.save(FULL)

        conversations.save(replace(saved, recipient=None, booking=None, reply=None, seen=frozenset()))

        read = conversations.get(ID)
        assert (read.recipient, read.booking, read.reply, read.seen) == (None, None, None, frozenset())
        assert list(conversations.of_subscriber(PERSON, since=NOW)) == []


class TestVersions:
    def test_each_save_counts_one(self, conversations):
        first = conversations.save(BARE)
        second = conversations.save(replace(first, status=Status.CANCELED))

        assert (first.version, second.version) == (1, 2)
        assert conversations.get(ID).version == 2

    def test_of_two_new_rows_the_first_stays(self, conversations):
        first = conversations.save(BOOKED)

        with pytest.raises(ConversationChangedError):
            conversations.save(replace(BARE, status=Status.CANCELED))

        assert conversations.get(ID) == first

    def test_what_changed_since_it_was_read_is_not_overwritten(self, conversations):
        read = conversations.save(BOOKED)
        newer = conversations.save(replace(read, status=Status.CONFIRMED_SENT))

        with pytest.raises(ConversationChangedError):
            conversations.save(replace(read, status=Status.CANCELED))

        assert conversations.get(ID) == newer

    def test_a_row_that_is_gone_is_not_written_as_if_it_were_there(self, conversations):
        with pytest.raises(ConversationChangedError):
            conversations.save(replace(BOOKED, version=3))

        assert conversations.get(ID) is None

    def test_a_repeated_word_of_the_host_changes_nothing(self, conversations):
        # With all six digits of the provider's second, of which a row must not lose any.
        marked = NoShowMarked(
            key="k", at=NOW.replace(microsecond=327_602), provider=Provider.CALENDLY, external_id=EXTERNAL_ID
        )
        conversations.save(BOOKED)

        for _ in range(3):
            change(conversations, ID, lambda row: mark_no_show(row, marked), now=NOW)

        assert conversations.get(ID).version == 2

    def test_of_two_words_within_a_millisecond_the_later_one_counts(self, conversations):
        conversations.save(BOOKED)
        at = NOW.replace(microsecond=327_602)
        words = [
            NoShowMarked(key="mark", at=at, provider=Provider.CALENDLY, external_id=EXTERNAL_ID),
            NoShowMarked(
                key="undone",
                at=at - timedelta(microseconds=100),
                provider=Provider.CALENDLY,
                external_id=EXTERNAL_ID,
                is_undone=True,
            ),
        ]

        for word in words:
            change(conversations, ID, lambda row, word=word: mark_no_show(row, word), now=NOW)

        assert conversations.get(ID).status is Status.NO_SHOW


class TestOfASubscriber:
    def test_appointments_that_begin_from_an_instant_on(self, conversations):
        for number in range(4):
            booking = replace(BOOKING, external_id=str(number), starts_at=STARTS_AT + timedelta(days=number))
            conversations.save(replace(BOOKED, appointment_id=f"appointment-{number}", booking=booking))
        other = Recipient(number=PhoneNumber("+12025550124"), country="US", subscriber_id="v1:other")
        conversations.save(replace(BOOKED, appointment_id="other", recipient=other))

        found = conversations.of_subscriber(PERSON, since=STARTS_AT + timedelta(days=1))

        assert {one.appointment_id for one in found} == {f"appointment-{number}" for number in (1, 2, 3)}
        assert all(one.booking.starts_at >= STARTS_AT + timedelta(days=1) for one in found)

    def test_whoever_has_no_phone_is_not_among_them(self, conversations):
        conversations.save(replace(BOOKED, recipient=None))

        assert list(conversations.of_subscriber(PERSON, since=NOW)) == []


class TestGuard:
    """A text is claimed in one transaction with the look at the row."""

    INTENT = Intent(
        construct="appointments",
        purpose="confirmation",
        occasion=ID,
        scope=Scope.APPOINTMENTS,
        message_class=MessageClass.TRANSACTIONAL,
        consent_rule=ConsentRule.IMPLIED,
        recipient=NUMBER,
        subscriber_id=PERSON,
        country="US",
        body="Hi",
    )

    def claim(self, stores, guard):
        return stores.ledger.claim(
            self.INTENT,
            key=self.INTENT.key,
            contact=Contact(subscriber_id=PERSON),
            becomes=None,
            parts=1,
            now=NOW,
            guard=guard,
        )

    def test_a_text_is_claimed_while_the_row_is_as_it_was_read(self, stores):
        read = stores.conversations.save(BOOKED)

        assert self.claim(stores, stores.conversations.guard(read)) == Claimed()
        # The look at the row does not change it.
        assert stores.conversations.get(ID) == read

    def test_no_text_is_claimed_once_the_row_has_changed(self, stores):
        read = stores.conversations.save(BOOKED)
        stores.conversations.save(replace(read, status=Status.CANCELED))

        assert self.claim(stores, stores.conversations.guard(read)) == ContactChanged()
        assert stores.ledger.get(self.INTENT.key) is None

    def test_no_text_is_claimed_about_a_row_that_is_not_there(self, stores):
        guard = stores.conversations.guard(replace(BOOKED, version=1))

        assert self.claim(stores, guard) == ContactChanged()


class Faulty:
    """A DynamoDB client whose next calls fail, before or after they were done."""

    def __init__(self, client, *errors):
        self._client = client
        self.errors = list(errors)
        self.calls = []

    def __getattr__(self, name):
        def call(**arguments):
            self.calls.append(name)
            if self.errors:
                raise self.errors.pop(0)
            return getattr(self._client, name)(**arguments)

        return call


def refusal(code):
    # The text of an answer may quote the request.
    return ClientError({"Error": {"Code": code, "Message": "+12025550123"}}, "PutItem")


CONFLICT = refusal("TransactionConflictException")


class TestOnDynamoDB:
    def test_a_row_is_kept_for_ninety_days_after_the_end(self, dynamodb):
        def expires_at():
            row = dynamodb.get_item(TableName=CONVERSATIONS, Key={"appointmentId": {"S": ID}})["Item"]
            return datetime.fromtimestamp(int(row["expiresAt"]["N"]), UTC)

        conversations = on_dynamodb(dynamodb)

        saved = conversations.save(BOOKED)
        assert expires_at() == BOOKING.ends_at + timedelta(days=90)
        # Whatever is recorded later than that, is kept as long from then on.
        late = BOOKING.ends_at + timedelta(days=20)
        conversations.save(replace(saved, updated_at=late))
        assert expires_at() == late + timedelta(days=90)

    def test_a_cancellation_before_its_booking_is_kept_as_long(self, dynamodb):
        on_dynamodb(dynamodb).save(BARE)

        row = dynamodb.get_item(TableName=CONVERSATIONS, Key={"appointmentId": {"S": ID}})["Item"]
        assert int(row["expiresAt"]["N"]) == int((NOW + timedelta(days=90)).timestamp())

    def test_a_write_that_meets_a_claim_is_tried_again(self, dynamodb):
        pauses = []
        client = Faulty(dynamodb, CONFLICT, CONFLICT)
        conversations = DynamoConversations(
            client, table=CONVERSATIONS, retention=RETENTION, sleep=pauses.append
        )

        saved = conversations.save(BOOKED)

        assert conversations.get(ID) == saved
        assert client.calls == ["put_item"] * 3 + ["get_item"]
        assert pauses == sorted(pauses)
        assert len(pauses) == 2

    def test_a_row_that_stays_busy_is_a_fault_that_passes(self, dynamodb):
        client = Faulty(dynamodb, *[CONFLICT] * 50)

        with pytest.raises(RowBusyError, match="dynamodb:PutItem: TransactionConflictException"):
            on_dynamodb(client).save(BOOKED)

        assert 2 < len(client.calls) < 20

    @pytest.mark.parametrize(
        "call",
        [
            lambda conversations: conversations.get(ID),
            lambda conversations: conversations.save(BOOKED),
        ],
        ids=["get", "save"],
    )
    @pytest.mark.parametrize(
        ("error", "kind"),
        [
            (refusal("ThrottlingException"), ServiceCallError),
            (refusal("ProvisionedThroughputExceededException"), ServiceCallError),
            (refusal("InternalServerError"), ServiceCallError),
            (ConnectTimeoutError(endpoint_url="https://dynamodb"), ServiceCallError),
            (refusal("AccessDeniedException"), ServiceRefusedError),
        ],
    )
    def test_faults_of_the_service_are_transient_and_quote_nothing(self, dynamodb, call, error, kind):
        with pytest.raises(kind) as raised:
            call(on_dynamodb(Faulty(dynamodb, error)))

        assert "555" not in str(raised.value)

    def test_a_search_that_fails_is_transient(self, dynamodb):
        class Unpaginated:
            def get_paginator(self, _):
                raise refusal("ThrottlingException")

        with pytest.raises(ServiceCallError, match="dynamodb:Query: ThrottlingException"):
            on_dynamodb(Unpaginated()).of_subscriber(PERSON, since=NOW)

    def test_the_row_has_the_attributes_that_others_read(self, dynamodb):
        on_dynamodb(dynamodb).save(FULL)

        row = dynamodb.get_item(TableName=CONVERSATIONS, Key={"appointmentId": {"S": ID}})["Item"]
        assert row["version"] == {"N": "1"}
        assert row["startsAt"] == {"N": str(int(STARTS_AT.timestamp()))}
        assert row["subscriberId"] == {"S": PERSON}
        assert row["replaces"] == {"S": appointment_id(Provider.CALENDLY, BOOKING.replaces)}
        assert row["schemaVersion"] == {"N": "1"}
        assert "555-0123" not in str(row)
