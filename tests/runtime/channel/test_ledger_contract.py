"""What every message ledger promises: the fake of the tests and the one on DynamoDB alike."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest

from sms_engagement_runtime.channel.adapters.dynamodb_contacts import DynamoContacts
from sms_engagement_runtime.channel.adapters.dynamodb_messages import DynamoLedger
from sms_engagement_runtime.channel.domain.consent import Contact, Evidence, Scope, opt_out
from sms_engagement_runtime.channel.domain.errors import TransientError
from sms_engagement_runtime.channel.domain.gate import ConsentRule, MessageClass
from sms_engagement_runtime.channel.domain.ledger import (
    Claimed,
    ContactChanged,
    DeliveryEvent,
    Guard,
    Held,
    Intent,
    MessageState,
)
from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber
from sms_engagement_runtime.channel.domain.subscriber import subscriber_id
from tests.support.dynamodb_tables import CONTACTS, MESSAGES, channel_tables
from tests.support.fakes import SUBSCRIBER_KEY, FakeContacts, FakeLedger

NOW = datetime(2026, 11, 21, 17, 0, 0, 123_000, tzinfo=UTC)
LATER = NOW + timedelta(seconds=5)
NUMBER = PhoneNumber("+12065550123")
PERSON = subscriber_id(NUMBER, SUBSCRIBER_KEY)
NOBODY = Contact(subscriber_id=PERSON)
EVIDENCE = Evidence(source="inbound-message", words="STOP", message_id="in-1", at=NOW)


@dataclass
class Stores:
    contacts: Any
    ledger: Any
    client: Any = None
    change: Any = None


@pytest.fixture(params=["fake", "dynamodb"])
def stores(request):
    if request.param == "fake":
        contacts = FakeContacts()
        yield Stores(contacts, FakeLedger(contacts))
        return
    with channel_tables() as client:
        yield on_dynamodb(client)


def on_dynamodb(client):
    ledger = DynamoLedger(
        client,
        messages_table=MESSAGES,
        contacts_table=CONTACTS,
        subscriber_id_of=lambda number: subscriber_id(number, SUBSCRIBER_KEY),
        sleep=lambda _: None,
    )
    return Stores(DynamoContacts(client, table=CONTACTS), ledger, client)


def intent(**fields):
    return replace(
        Intent(
            construct="reviews",
            purpose="review-request",
            occasion="o-1",
            scope=Scope.REVIEWS,
            message_class=MessageClass.PROMOTIONAL,
            consent_rule=ConsentRule.IMPLIED,
            recipient=NUMBER,
            subscriber_id=PERSON,
            country="US",
            body="Hi",
        ),
        **fields,
    )


KEY = intent().key


def event(event_type="TEXT_DELIVERED", **fields):
    return replace(
        DeliveryEvent(
            message_id="m-1",
            key=KEY,
            event_type=event_type,
            status=event_type.removeprefix("TEXT_"),
            is_final=event_type not in {"TEXT_QUEUED", "TEXT_PENDING"},
            at=LATER,
            destination=NUMBER,
            country="US",
            parts=1,
            price_millicents=581,
        ),
        **fields,
    )


def claim(stores, contact=NOBODY, becomes=None, now=NOW, guard=None, **fields):
    text = intent(**fields)
    return stores.ledger.claim(
        text, key=text.key, contact=contact, becomes=becomes, parts=1, now=now, guard=guard
    )


class TestClaim:
    def test_the_first_claim_is_ours(self, stores):
        assert claim(stores) == Claimed()

        row = stores.ledger.get(KEY)
        assert (row.state, row.claimed_at, row.parts) == (MessageState.CLAIMED, NOW, 1)
        assert (row.construct, row.subscriber_id, row.purpose, row.occasion) == (
            "reviews",
            PERSON,
            "review-request",
            "o-1",
        )

    def test_the_second_claim_is_told_who_holds_the_row(self, stores):
        claim(stores)

        assert claim(stores, now=LATER) == Held(stores.ledger.get(KEY))
        assert stores.ledger.get(KEY).claimed_at == NOW

    def test_another_occasion_is_another_row(self, stores):
        claim(stores)

        assert claim(stores, occasion="o-2") == Claimed()

    @pytest.mark.parametrize("final", ["TEXT_DELIVERED", "TEXT_INVALID", "TEXT_TTL_EXPIRED"])
    def test_a_text_that_ended_is_never_claimed_again(self, stores, final):
        claim(stores)
        stores.ledger.accept(KEY, "m-1", NOW)
        stores.ledger.record_event(event(final), LATER)

        assert isinstance(claim(stores), Held)

    def test_what_was_suppressed_or_deferred_may_be_claimed(self, stores):
        stores.ledger.suppress(intent(), KEY, "PAUSED", 1, NOW)
        stores.ledger.defer(intent(occasion="o-2"), intent(occasion="o-2").key, "PAUSED", LATER, NOW)

        assert claim(stores, now=LATER) == Claimed()
        assert claim(stores, now=LATER, occasion="o-2") == Claimed()
        row = stores.ledger.get(KEY)
        assert (row.state, row.reason, row.claimed_at) == (MessageState.CLAIMED, None, LATER)

    def test_the_row_names_the_campaign_that_claimed_it(self, stores):
        stores.ledger.defer(intent(campaign_id="monday", journey_id="j-1"), KEY, "PAUSED", None, NOW)

        claim(stores, campaign_id="tuesday", journey_id="j-2")
        stores.ledger.accept(KEY, "m-1", LATER)

        row = stores.ledger.get(KEY)
        assert (row.campaign_id, row.journey_id) == ("tuesday", "j-2")

    def test_a_contact_that_appeared_since_the_gate_read_it_stops_the_claim(self, stores):
        stores.contacts.save(NOBODY, expected_version=0, records=[])

        assert claim(stores, contact=NOBODY) == ContactChanged()
        assert stores.ledger.get(KEY) is None

    def test_a_contact_that_changed_since_the_gate_read_it_stops_the_claim(self, stores):
        read = stores.contacts.save(NOBODY, expected_version=0, records=[])
        stores.contacts.save(read, expected_version=1, records=[])

        assert claim(stores, contact=read) == ContactChanged()
        assert stores.ledger.get(KEY) is None

    def test_a_contact_as_it_was_read_lets_the_claim_pass(self, stores):
        read = stores.contacts.save(NOBODY, expected_version=0, records=[])

        assert claim(stores, contact=read) == Claimed()

    def test_a_held_row_says_more_than_a_changed_contact(self, stores):
        claim(stores)
        stores.contacts.save(NOBODY, expected_version=0, records=[])

        assert isinstance(claim(stores, contact=NOBODY), Held)


def texted(contact, *keys, now=NOW):
    """The contact as it is after texts with these keys."""
    return replace(contact, recent_texts={**contact.recent_texts, **dict.fromkeys(keys, now)})


def introduced(contact, key, now=NOW):
    return replace(contact, introduced_at=now, introduced_by=key)


class TestWhatAClaimLeavesWithTheContact:
    def test_the_contact_becomes_what_the_claim_says(self, stores):
        becomes = introduced(texted(NOBODY, KEY), KEY)

        assert claim(stores, becomes=becomes) == Claimed()

        # Nobody has said anything: the version stays.
        assert stores.contacts.get(PERSON) == becomes

    def test_a_claim_without_it_leaves_no_contact(self, stores):
        claim(stores)

        assert stores.contacts.get(PERSON) == NOBODY

    def test_what_a_person_said_stays(self, stores):
        change = opt_out(NOBODY, EVIDENCE, scopes=[Scope.MARKETING])
        read = stores.contacts.save(change.contact, expected_version=0, records=change.records)

        claim(stores, contact=read, becomes=texted(read, KEY))

        assert stores.contacts.get(PERSON) == texted(read, KEY)

    def test_what_a_claim_left_stays_when_a_person_says_something(self, stores):
        claim(stores, becomes=introduced(texted(NOBODY, KEY), KEY))
        change = opt_out(NOBODY, EVIDENCE)

        stores.contacts.save(change.contact, expected_version=0, records=change.records)

        stored = stores.contacts.get(PERSON)
        assert (stored.version, stored.is_opted_out) == (1, True)
        assert (stored.recent_texts, stored.introduced_by) == ({KEY: NOW}, KEY)

    def test_of_two_texts_on_the_same_contact_only_one_is_claimed(self, stores):
        assert claim(stores, becomes=texted(NOBODY, KEY)) == Claimed()

        second = claim(stores, becomes=texted(NOBODY, "other"), occasion="o-2")

        assert second == ContactChanged()
        assert stores.ledger.get(intent(occasion="o-2").key) is None
        assert stores.contacts.get(PERSON).recent_texts == {KEY: NOW}

    def test_who_reads_again_may_claim(self, stores):
        claim(stores, becomes=texted(NOBODY, KEY))
        read = stores.contacts.get(PERSON)

        assert claim(stores, contact=read, becomes=texted(read, "other"), occasion="o-2") == Claimed()

        assert stores.contacts.get(PERSON).recent_texts == {KEY: NOW, "other": NOW}

    def test_of_two_introductions_only_one_is_claimed(self, stores):
        claim(stores, becomes=introduced(NOBODY, KEY))

        assert claim(stores, becomes=introduced(NOBODY, "other"), occasion="o-2") == ContactChanged()

    def test_a_text_that_leaves_nothing_does_not_mind_texts_that_do(self, stores):
        claim(stores, becomes=texted(NOBODY, KEY))

        assert claim(stores, occasion="o-2") == Claimed()

    def test_an_opt_out_in_between_stops_the_claim_and_its_traces(self, stores):
        change = opt_out(NOBODY, EVIDENCE)
        stores.contacts.save(change.contact, expected_version=0, records=change.records)

        assert claim(stores, becomes=texted(NOBODY, KEY)) == ContactChanged()

        assert stores.contacts.get(PERSON).recent_texts == {}

    def test_a_held_row_leaves_the_contact_alone(self, stores):
        claim(stores)

        assert isinstance(claim(stores, becomes=texted(NOBODY, KEY)), Held)

        assert stores.contacts.get(PERSON) == NOBODY

    def test_a_second_attempt_at_the_same_text_takes_the_place_of_the_first(self, stores):
        claim(stores, becomes=introduced(texted(NOBODY, KEY), KEY))
        stores.ledger.release(KEY, "THROTTLED", NOW)
        read = stores.contacts.get(PERSON)
        becomes = introduced(texted(read, KEY, now=LATER), KEY, now=LATER)

        assert claim(stores, contact=read, becomes=becomes, now=LATER) == Claimed()

        assert stores.contacts.get(PERSON) == becomes

    def test_a_second_attempt_in_the_same_moment_sees_who_came_between(self, stores):
        claim(stores, becomes=texted(NOBODY, KEY))
        stores.ledger.release(KEY, "THROTTLED", NOW)
        read = stores.contacts.get(PERSON)
        claim(stores, contact=read, becomes=texted(read, "other"), occasion="o-2")

        assert claim(stores, contact=read, becomes=texted(read, KEY)) == ContactChanged()

    def test_a_text_that_was_not_sent_is_forgotten(self, stores):
        claim(stores, becomes=introduced(texted(NOBODY, "other", KEY), KEY))

        for _ in range(2):
            stores.contacts.forget_text(PERSON, KEY)

        assert stores.contacts.get(PERSON) == texted(NOBODY, "other")

    def test_forgetting_leaves_the_introduction_by_another_text(self, stores):
        claim(stores, becomes=introduced(texted(NOBODY, KEY), "other"))

        stores.contacts.forget_text(PERSON, KEY)

        assert stores.contacts.get(PERSON) == introduced(NOBODY, "other")

    def test_after_the_only_text_was_forgotten_the_next_may_be_claimed(self, stores):
        claim(stores, becomes=texted(NOBODY, KEY))
        stores.contacts.forget_text(PERSON, KEY)
        read = stores.contacts.get(PERSON)

        assert claim(stores, contact=read, becomes=texted(read, "other"), occasion="o-2") == Claimed()

    def test_forgetting_what_was_never_there_leaves_no_contact(self, stores):
        stores.contacts.forget_text(PERSON, KEY)

        assert stores.contacts.get(PERSON) == NOBODY


APPOINTMENTS = "appointments"
GUARD = Guard(table=APPOINTMENTS, key=("appointmentId", "a-1"), version=3)


class TestGuard:
    @pytest.fixture
    def guarded(self, stores):
        """The stores, and a way to give the row of an appointment a version; None takes it away."""
        versions: dict[tuple[str, str], int] = {}
        if stores.client is None:
            stores.ledger.holds = lambda guard: versions.get(guard.key) == guard.version
        else:
            create_appointments(stores.client)

        def change(appointment: str, version: int | None) -> None:
            if stores.client is not None:
                put_appointment(stores.client, appointment, version)
            elif version is None:
                versions.pop(("appointmentId", appointment), None)
            else:
                versions["appointmentId", appointment] = version

        change("a-1", 3)
        change("a-2", 4)
        return replace(stores, change=change)

    def test_a_row_that_stands_still_lets_the_claim_pass(self, guarded):
        assert claim(guarded, guard=GUARD) == Claimed()
        assert guarded.ledger.get(KEY).state is MessageState.CLAIMED

    @pytest.mark.parametrize("version", [2, 4, None])
    def test_a_row_that_changed_or_is_gone_stops_the_claim_and_nothing_is_written(self, guarded, version):
        guarded.change("a-1", version)

        assert claim(guarded, becomes=introduced(texted(NOBODY, KEY), KEY), guard=GUARD) == ContactChanged()

        assert guarded.ledger.get(KEY) is None
        assert guarded.contacts.get(PERSON) == NOBODY

    def test_another_row_is_none_of_its_business(self, guarded):
        guarded.change("a-2", 5)

        assert claim(guarded, guard=GUARD) == Claimed()

    def test_the_claim_leaves_the_row_as_it_is(self, guarded):
        claim(guarded, guard=GUARD)

        assert claim(guarded, guard=GUARD, occasion="o-2") == Claimed()

    def test_after_another_look_the_text_may_be_claimed(self, guarded):
        guarded.change("a-1", 4)
        assert claim(guarded, guard=GUARD) == ContactChanged()

        assert claim(guarded, guard=replace(GUARD, version=4)) == Claimed()

    def test_the_contact_is_still_looked_at(self, guarded):
        guarded.contacts.save(NOBODY, expected_version=0, records=[])

        assert claim(guarded, guard=GUARD) == ContactChanged()
        assert guarded.ledger.get(KEY) is None

    @pytest.mark.parametrize("is_contact_changed", [False, True])
    def test_a_held_row_says_more_than_a_changed_guard(self, guarded, is_contact_changed):
        claim(guarded, guard=GUARD)
        guarded.change("a-1", 4)
        if is_contact_changed:
            guarded.contacts.save(NOBODY, expected_version=0, records=[])

        assert claim(guarded, guard=GUARD) == Held(guarded.ledger.get(KEY))

    def test_a_released_claim_is_guarded_anew(self, guarded):
        claim(guarded, guard=GUARD)
        guarded.ledger.release(KEY, "THROTTLED", LATER)
        guarded.change("a-1", 4)

        assert claim(guarded, guard=GUARD) == ContactChanged()
        assert guarded.ledger.get(KEY).state is MessageState.DEFERRED


def create_appointments(client):
    client.create_table(
        TableName=APPOINTMENTS,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "appointmentId", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "appointmentId", "AttributeType": "S"}],
    )


def put_appointment(client, appointment, version):
    key = {"appointmentId": {"S": appointment}}
    if version is None:
        client.delete_item(TableName=APPOINTMENTS, Key=key)
    else:
        client.put_item(TableName=APPOINTMENTS, Item={**key, "version": {"N": str(version)}})


class TestAnswers:
    def test_an_accepted_text_has_its_message_id(self, stores):
        claim(stores)

        stores.ledger.accept(KEY, "m-1", LATER)

        row = stores.ledger.get(KEY)
        assert (row.state, row.message_id, row.updated_at) == (MessageState.ACCEPTED, "m-1", LATER)

    def test_a_released_claim_may_be_claimed_again(self, stores):
        claim(stores)

        stores.ledger.release(KEY, "THROTTLED", LATER)

        row = stores.ledger.get(KEY)
        assert (row.state, row.reason) == (MessageState.DEFERRED, "THROTTLED")
        assert claim(stores, now=LATER) == Claimed()

    def test_a_refused_text_is_over(self, stores):
        claim(stores)

        stores.ledger.fail(KEY, "DESTINATION_PHONE_NUMBER_OPTED_OUT", LATER)

        row = stores.ledger.get(KEY)
        assert (row.state, row.reason) == (MessageState.FAILED, "DESTINATION_PHONE_NUMBER_OPTED_OUT")
        assert isinstance(claim(stores), Held)

    def test_an_answer_after_a_crash_and_restart_is_recorded(self, stores):
        claim(stores)
        restarted = stores if stores.client is None else on_dynamodb(stores.client)

        restarted.ledger.accept(KEY, "m-1", LATER)

        assert stores.ledger.get(KEY).state is MessageState.ACCEPTED


class TestGateDecisions:
    def test_a_suppressed_text_keeps_its_reason_and_parts(self, stores):
        assert stores.ledger.suppress(intent(), KEY, "OPTED_OUT", 2, NOW) is None

        row = stores.ledger.get(KEY)
        assert (row.state, row.reason, row.parts) == (MessageState.SUPPRESSED, "OPTED_OUT", 2)

    def test_the_last_decision_of_the_gate_stands(self, stores):
        assert stores.ledger.suppress(intent(), KEY, "OPTED_OUT", 1, NOW) is None
        assert stores.ledger.defer(intent(), KEY, "PAUSED", None, LATER) is None

        row = stores.ledger.get(KEY)
        assert (row.state, row.reason, row.updated_at) == (MessageState.DEFERRED, "PAUSED", LATER)

    @pytest.mark.parametrize("state", ["claimed", "accepted", "delivered", "failed"])
    def test_a_decision_never_touches_a_text_that_may_have_gone_out(self, stores, state):
        claim(stores)
        if state == "failed":
            stores.ledger.fail(KEY, "INVALID_PARAMETER", NOW)
        if state in {"accepted", "delivered"}:
            stores.ledger.accept(KEY, "m-1", NOW)
        if state == "delivered":
            stores.ledger.record_event(event(), NOW)
        before = stores.ledger.get(KEY)

        assert stores.ledger.suppress(intent(), KEY, "OPTED_OUT", 1, LATER) == Held(before)
        assert stores.ledger.defer(intent(), KEY, "PAUSED", None, LATER) == Held(before)

        assert stores.ledger.get(KEY) == before


class TestDeliveryEvents:
    def test_an_event_ends_the_text_and_brings_its_price(self, stores):
        claim(stores)
        stores.ledger.accept(KEY, "m-1", NOW)

        result = stores.ledger.record_event(event(), LATER)

        assert (result.changed, result.became_final, result.price_added_millicents) == (True, True, 581)
        row = stores.ledger.get(KEY)
        assert result.row == row
        assert (row.state, row.price_millicents) == (MessageState.DELIVERED, 581)

    def test_an_event_twice_counts_once(self, stores):
        claim(stores)
        stores.ledger.record_event(event(), LATER)

        result = stores.ledger.record_event(event(), LATER)

        assert (result.changed, result.became_final, result.price_added_millicents) == (False, False, 0)

    def test_an_event_before_the_answer_of_the_call_heals_and_is_not_undone_by_it(self, stores):
        claim(stores)
        stores.ledger.record_event(event(), LATER)

        stores.ledger.accept(KEY, "m-1", LATER)

        row = stores.ledger.get(KEY)
        assert (row.state, row.message_id) == (MessageState.DELIVERED, "m-1")

    def test_an_event_that_only_a_call_without_answer_explains_heals_the_claim(self, stores):
        claim(stores)

        stores.ledger.record_event(event("TEXT_PENDING"), LATER)

        row = stores.ledger.get(KEY)
        assert (row.state, row.message_id) == (MessageState.ACCEPTED, "m-1")

    def test_an_event_of_a_text_that_we_do_not_know_leaves_no_row(self, stores):
        result = stores.ledger.record_event(event(key="unknown", destination=None), LATER)

        assert (result.row, result.changed) == (None, False)
        assert stores.ledger.get("unknown") is None

    def test_an_event_without_key_is_found_by_destination_and_message_id(self, stores):
        claim(stores)
        stores.ledger.accept(KEY, "m-1", NOW)

        result = stores.ledger.record_event(event(key=None), LATER)

        assert result.became_final
        assert stores.ledger.get(KEY).state is MessageState.DELIVERED

    def test_an_event_of_another_message_changes_nothing(self, stores):
        claim(stores)
        stores.ledger.accept(KEY, "m-1", NOW)

        assert not stores.ledger.record_event(event(message_id="m-2"), LATER).changed
        assert not stores.ledger.record_event(event(key=None, message_id="m-2"), LATER).changed

    def test_any_order_of_the_same_events_leaves_the_same_row(self, stores):
        steps = {
            "answer": lambda key: stores.ledger.accept(key, "m-1", LATER),
            "queued": lambda key: stores.ledger.record_event(event("TEXT_QUEUED", key=key), LATER),
            "successful": lambda key: stores.ledger.record_event(event("TEXT_SUCCESSFUL", key=key), LATER),
            "delivered": lambda key: stores.ledger.record_event(event("TEXT_DELIVERED", key=key), LATER),
        }
        rows = set()

        for number, order in enumerate(permutations(steps)):
            occasion = f"o-{number}"
            claim(stores, occasion=occasion)
            key = intent(occasion=occasion).key
            for step in (*order, *order):
                steps[step](key)
            rows.add(replace(stores.ledger.get(key), key="", occasion=""))

        assert len(rows) == 1


class TestRecent:
    def test_the_rows_of_a_person_newest_first(self, stores):
        for minute in range(3):
            claim(stores, occasion=f"o-{minute}", now=NOW + timedelta(minutes=minute))
        claim(stores, contact=Contact(subscriber_id="v1:other"), subscriber_id="v1:other")

        assert [row.occasion for row in stores.ledger.recent(PERSON, 2)] == ["o-2", "o-1"]


class Interrupting:
    """A client that lets somebody else write just before one of its own writes."""

    def __init__(self, client, method, action):
        self._client = client
        self._method = method
        self._action = action

    def __getattr__(self, name):
        call = getattr(self._client, name)
        if name != self._method or self._action is None:
            return call

        def interrupted(**request):
            action, self._action = self._action, None
            action()
            return call(**request)

        return interrupted


class TestOnDynamoDB:
    @pytest.fixture
    def stores(self):
        with channel_tables() as client:
            yield on_dynamodb(client)

    def interrupted(self, stores, method, action):
        return on_dynamodb(Interrupting(stores.client, method, action))

    def test_an_event_that_arrives_while_the_answer_is_written_is_not_lost(self, stores):
        racing = self.interrupted(stores, "put_item", lambda: stores.ledger.record_event(event(), LATER))
        claim(racing)

        racing.ledger.accept(KEY, "m-1", LATER)

        row = stores.ledger.get(KEY)
        assert (row.state, row.price_millicents, row.message_id) == (MessageState.DELIVERED, 581, "m-1")

    def test_an_answer_that_arrives_while_an_event_is_written_is_not_lost(self, stores):
        claim(stores)
        racing = self.interrupted(stores, "put_item", lambda: stores.ledger.accept(KEY, "m-1", LATER))

        result = racing.ledger.record_event(event("TEXT_QUEUED"), LATER)

        assert stores.ledger.get(KEY).state is MessageState.ACCEPTED
        assert result.row == stores.ledger.get(KEY)

    def test_a_stop_that_arrives_while_the_claim_is_made_wins(self, stores):
        racing = self.interrupted(
            stores,
            "transact_write_items",
            lambda: stores.contacts.save(NOBODY, expected_version=0, records=[]),
        )

        assert claim(racing, contact=NOBODY) == ContactChanged()

    def test_a_cancellation_that_arrives_while_the_claim_is_made_wins(self, stores):
        create_appointments(stores.client)
        put_appointment(stores.client, "a-1", 3)
        racing = self.interrupted(
            stores, "transact_write_items", lambda: put_appointment(stores.client, "a-1", 4)
        )

        assert claim(racing, guard=GUARD) == ContactChanged()
        assert stores.ledger.get(KEY) is None

    def test_of_two_claims_at_the_same_moment_one_wins(self, stores):
        won = []
        racing = self.interrupted(stores, "transact_write_items", lambda: won.append(claim(stores)))

        lost = claim(racing)

        assert won == [Claimed()]
        assert isinstance(lost, Held)

    def test_a_transaction_in_the_way_is_waited_for(self, stores):
        busy = Cancelling(stores.client, times=3)

        assert claim(on_dynamodb(busy)) == Claimed()

    @pytest.mark.parametrize(
        "code", ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"]
    )
    def test_a_write_of_the_guard_in_the_way_is_waited_for(self, stores, code):
        create_appointments(stores.client)
        put_appointment(stores.client, "a-1", 3)
        busy = Cancelling(stores.client, times=3, codes=("None", "None", code))

        assert claim(on_dynamodb(busy), guard=GUARD) == Claimed()

    @pytest.mark.parametrize(
        "codes",
        [
            ("None", "None", "ConditionalCheckFailed"),
            ("TransactionConflict", "None", "ConditionalCheckFailed"),
            ("None", "TransactionConflict", "ConditionalCheckFailed"),
            ("ConditionalCheckFailed", "None", "TransactionConflict"),
        ],
    )
    def test_what_has_changed_says_more_than_what_is_in_the_way(self, stores, codes):
        assert claim(on_dynamodb(Cancelling(stores.client, times=1, codes=codes))) == ContactChanged()

    def test_a_cancelled_transaction_that_nobody_foresaw_is_no_answer(self, stores):
        odd = Cancelling(stores.client, times=1, codes=("None", "None", "ValidationError"))

        with pytest.raises(TransientError, match="TransactionCanceledException"):
            claim(on_dynamodb(odd))

    def test_a_text_without_guard_has_two_items_in_its_transaction_and_one_with_it_three(self, stores):
        create_appointments(stores.client)
        put_appointment(stores.client, "a-1", 3)
        requests = []
        noting = on_dynamodb(Noting(stores.client, requests))

        claim(noting)
        claim(noting, guard=GUARD, occasion="o-2")

        assert [len(request["TransactItems"]) for request in requests] == [2, 3]

    def test_a_transaction_that_stays_in_the_way_is_a_transient_error(self, stores):
        busy = Cancelling(stores.client, times=100)

        with pytest.raises(TransientError, match="TransactionConflict"):
            claim(on_dynamodb(busy))

        assert stores.ledger.get(KEY) is None

    def test_recording_the_answer_of_ones_own_claim_needs_no_read(self, stores):
        calls = []
        counted = on_dynamodb(Counting(stores.client, calls))
        claim(counted)
        calls.clear()

        counted.ledger.accept(KEY, "m-1", LATER)

        assert calls == ["put_item"]

    def test_a_row_holds_neither_number_nor_body_and_lives_for_five_years(self, stores):
        claim(stores)

        item = stores.client.get_item(TableName=MESSAGES, Key={"messageKey": {"S": KEY}})["Item"]

        assert NUMBER.e164 not in str(item)
        assert int(item["expiresAt"]["N"]) > (NOW + timedelta(days=5 * 365)).timestamp()
        assert item["schemaVersion"] == {"N": "1"}
        assert item["claimedAt"] == {"N": "1795280400123"}

    def test_the_instant_until_which_a_text_waits_is_kept(self, stores):
        stores.ledger.defer(intent(), KEY, "PAUSED", LATER, NOW)

        item = stores.client.get_item(TableName=MESSAGES, Key={"messageKey": {"S": KEY}})["Item"]
        assert item["deferredUntil"] == {"N": "1795280405123"}


class Counting:
    """A client that notes what is called."""

    def __init__(self, client, calls):
        self._client = client
        self._calls = calls

    def __getattr__(self, name):
        self._calls.append(name)
        return getattr(self._client, name)


class Noting:
    """A client that notes its transactions."""

    def __init__(self, client, requests):
        self._client = client
        self._requests = requests

    def __getattr__(self, name):
        return getattr(self._client, name)

    def transact_write_items(self, **request):
        self._requests.append(request)
        return self._client.transact_write_items(**request)


class Cancelling:
    """A client whose transactions meet others for a number of times."""

    def __init__(self, client, *, times, codes=("TransactionConflict", "None")):
        self._client = client
        self._times = times
        self._codes = codes

    def __getattr__(self, name):
        return getattr(self._client, name)

    def transact_write_items(self, **request):
        if self._times:
            self._times -= 1
            raise self._client.exceptions.TransactionCanceledException(
                {
                    "Error": {"Code": "TransactionCanceledException", "Message": "cancelled"},
                    "CancellationReasons": [{"Code": code} for code in self._codes],
                },
                "TransactWriteItems",
            )
        return self._client.transact_write_items(**request)
