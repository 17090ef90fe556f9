from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sms_engagement_runtime.channel.domain.consent import Scope
from sms_engagement_runtime.channel.domain.gate import Answers, ConsentRule, MessageClass
from sms_engagement_runtime.channel.domain.ledger import (
    FINAL_STATES,
    DeliveryEvent,
    Intent,
    LedgerRow,
    MessageState,
    accept,
    classify_event,
    fail,
    fold,
    fold_result,
    intent_key,
    may_claim,
    open_row,
    release,
)
from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber

NOW = datetime(2026, 11, 21, 17, tzinfo=UTC)
LATER = NOW + timedelta(seconds=5)
INTENT = Intent(
    construct="reviews",
    purpose="review-request",
    occasion="order-1",
    scope=Scope.REVIEWS,
    message_class=MessageClass.PROMOTIONAL,
    consent_rule=ConsentRule.IMPLIED,
    recipient=PhoneNumber("+12065550123"),
    subscriber_id="v1:a",
    country="US",
    body="Hi John!",
)
CLAIMED = open_row(INTENT, state=MessageState.CLAIMED, reason=None, parts=1, now=NOW)
EVENT_TYPES = [
    "TEXT_QUEUED",
    "TEXT_PENDING",
    "TEXT_SENT",
    "TEXT_SUCCESSFUL",
    "TEXT_DELIVERED",
    "TEXT_INVALID",
    "TEXT_INVALID_MESSAGE",
    "TEXT_UNREACHABLE",
    "TEXT_CARRIER_UNREACHABLE",
    "TEXT_BLOCKED",
    "TEXT_CARRIER_BLOCKED",
    "TEXT_SPAM",
    "TEXT_UNKNOWN",
    "TEXT_TTL_EXPIRED",
    "TEXT_PROTECT_BLOCKED",
    "TEXT_OF_NEXT_YEAR",
]


def _event(
    event_type: str, *, is_final: bool = True, price: int | None = 581, seconds: float = 1
) -> DeliveryEvent:
    return DeliveryEvent(
        message_id="message-1",
        key=INTENT.key,
        event_type=event_type,
        status=event_type[5:],
        is_final=is_final,
        at=NOW + timedelta(seconds=seconds),
        destination=INTENT.recipient,
        parts=1,
        price_millicents=price,
    )


def _folded(row: LedgerRow, *events: DeliveryEvent) -> LedgerRow:
    for event in events:
        row = fold(row, event) or row
    return row


# Keys


def test_the_key_is_the_hash_of_its_four_parts():
    """Vector: SHA-256 of ["reviews","v1:a","review-request","order-1"], by openssl."""
    assert INTENT.key == "a9YAlipI6bkHU93HumhMwi4-1NGXETRcKWRRFIY0EZA"
    assert intent_key("reviews", "v1:a", "review-request", "order-1") == INTENT.key


PART = st.text("ab|,\"'[]\\ é", max_size=6)


@given(st.tuples(PART, PART, PART, PART), st.tuples(PART, PART, PART, PART))
def test_different_texts_have_different_keys(one, other):
    assert (intent_key(*one) == intent_key(*other)) is (one == other)
    assert len(intent_key(*one)) == 43


@pytest.mark.parametrize(
    "fields",
    [
        {"message_class": MessageClass.REPLY},
        {"message_class": MessageClass.REPLY, "answers": Answers.HELP},
        {"answers": Answers.HELP},
        {"consent_rule": ConsentRule.NONE},
    ],
)
def test_only_replies_go_without_consent_and_say_what_they_answer(fields):
    with pytest.raises(ValueError, match="a REPLY, and nothing else"):
        replace(INTENT, **fields)


def test_every_other_text_has_a_scope():
    with pytest.raises(ValueError, match="has a scope"):
        replace(INTENT, scope=None)


# States


def test_an_old_claim_reads_as_uncertain():
    assert CLAIMED.derived_state(NOW + timedelta(seconds=60)) is MessageState.CLAIMED
    assert CLAIMED.derived_state(NOW + timedelta(seconds=61)) is MessageState.UNCERTAIN


@pytest.mark.parametrize("state", set(MessageState) - {MessageState.CLAIMED, MessageState.UNCERTAIN})
def test_no_other_state_becomes_uncertain(state):
    assert replace(CLAIMED, state=state).derived_state(NOW + timedelta(days=4)) is state


@pytest.mark.parametrize(
    ("state", "claimable"),
    [
        (None, True),
        (MessageState.SUPPRESSED, True),
        (MessageState.DEFERRED, True),
        (MessageState.CLAIMED, False),
        (MessageState.ACCEPTED, False),
        (MessageState.DELIVERED, False),
        (MessageState.FAILED, False),
        (MessageState.EXPIRED, False),
    ],
)
def test_only_what_was_not_sent_may_be_claimed(state, claimable):
    assert may_claim(None if state is None else replace(CLAIMED, state=state)) is claimable


def test_accepting_records_the_message_id():
    row = accept(CLAIMED, "message-1", LATER)

    assert row == replace(
        CLAIMED, state=MessageState.ACCEPTED, rank=20, message_id="message-1", updated_at=LATER
    )


def test_accepting_after_an_event_adds_nothing_but_a_missing_message_id():
    delivered = replace(CLAIMED, state=MessageState.DELIVERED, rank=90)

    assert accept(delivered, "message-1", LATER) == replace(
        delivered, message_id="message-1", updated_at=LATER
    )
    assert accept(replace(delivered, message_id="message-1"), "message-1", LATER) is None


def test_releasing_gives_a_claim_back_and_nothing_else():
    row = release(CLAIMED, "THROTTLED", LATER)

    assert row is not None
    assert (row.state, row.reason, may_claim(row)) == (MessageState.DEFERRED, "THROTTLED", True)
    for state in set(MessageState) - {MessageState.CLAIMED}:
        assert release(replace(CLAIMED, state=state), "THROTTLED", LATER) is None


def test_failing_records_the_reason_unless_an_event_knows_better():
    row = fail(CLAIMED, "DESTINATION_COUNTRY_BLOCKED", LATER)

    assert row is not None
    assert (row.state, row.reason) == (MessageState.FAILED, "DESTINATION_COUNTRY_BLOCKED")
    assert fail(row, "OTHER", LATER) is None
    assert fail(_folded(CLAIMED, _event("TEXT_DELIVERED")), "OTHER", LATER) is None


# Events


@pytest.mark.parametrize(
    ("event_type", "is_final", "state"),
    [
        ("TEXT_QUEUED", False, MessageState.ACCEPTED),
        ("TEXT_PENDING", False, MessageState.ACCEPTED),
        ("TEXT_SUCCESSFUL", False, MessageState.ACCEPTED),
        ("TEXT_SUCCESSFUL", True, MessageState.DELIVERED),
        ("TEXT_DELIVERED", True, MessageState.DELIVERED),
        ("TEXT_DELIVERED", False, MessageState.DELIVERED),
        ("TEXT_INVALID", True, MessageState.FAILED),
        ("TEXT_CARRIER_BLOCKED", True, MessageState.FAILED),
        ("TEXT_UNREACHABLE", True, MessageState.FAILED),
        ("TEXT_UNREACHABLE", False, MessageState.ACCEPTED),
        ("TEXT_UNKNOWN", True, MessageState.FAILED),
        ("TEXT_PROTECT_BLOCKED", True, MessageState.FAILED),
        ("TEXT_TTL_EXPIRED", True, MessageState.EXPIRED),
        ("TEXT_OF_NEXT_YEAR", True, MessageState.ACCEPTED),
    ],
)
def test_each_event_stands_for_a_state(event_type, is_final, state):
    assert classify_event(event_type, is_final=is_final)[0] is state


def test_final_event_types_never_share_a_rank():
    ranks = [classify_event(t, is_final=True) for t in EVENT_TYPES]
    final = [rank for state, rank in ranks if state in FINAL_STATES]

    assert len(final) == len(set(final)) == 12


def test_an_event_before_the_answer_of_the_call_counts():
    row = _folded(CLAIMED, _event("TEXT_DELIVERED"))

    assert (row.state, row.message_id, row.price_millicents) == (MessageState.DELIVERED, "message-1", 581)
    assert accept(row, "message-1", LATER) is None


def test_an_event_heals_an_uncertain_row():
    row = _folded(CLAIMED, _event("TEXT_QUEUED", is_final=False, seconds=300))

    assert row.derived_state(NOW + timedelta(hours=1)) is MessageState.ACCEPTED


def test_a_failure_says_why():
    assert _folded(CLAIMED, _event("TEXT_CARRIER_BLOCKED")).reason == "CARRIER_BLOCKED"


def test_a_receipt_of_the_handset_outweighs_a_failure_and_clears_its_reason():
    row = _folded(CLAIMED, _event("TEXT_CARRIER_UNREACHABLE"), _event("TEXT_DELIVERED"))

    assert (row.state, row.reason) == (MessageState.DELIVERED, None)


def test_a_late_event_changes_nothing():
    delivered = _folded(CLAIMED, _event("TEXT_DELIVERED"))

    assert fold(delivered, _event("TEXT_QUEUED", is_final=False, seconds=0)) is None
    assert fold(delivered, _event("TEXT_DELIVERED", seconds=2)) is None


def test_the_estimate_of_an_event_that_is_not_final_is_no_price():
    assert _folded(CLAIMED, _event("TEXT_QUEUED", is_final=False, price=9582)).price_millicents is None


def test_an_event_of_another_message_is_not_folded():
    row = replace(CLAIMED, message_id="message-2")

    assert fold(row, _event("TEXT_DELIVERED")) is None


def test_evidence_of_a_text_that_we_took_for_unsent_is_believed():
    deferred = open_row(INTENT, state=MessageState.DEFERRED, reason="THROTTLED", parts=1, now=NOW)

    row = _folded(deferred, _event("TEXT_DELIVERED"))

    assert (row.state, row.reason, may_claim(row)) == (MessageState.DELIVERED, None, False)


EVENTS = st.builds(
    _event,
    st.sampled_from(EVENT_TYPES),
    is_final=st.booleans(),
    price=st.sampled_from([None, 0, 581, 883]),
    seconds=st.integers(0, 259_200),
)


@given(st.data(), st.lists(EVENTS, min_size=1, max_size=6), st.sampled_from([None, "before", "between"]))
def test_the_same_events_in_any_order_and_number_leave_the_same_row(data, events, accepted):
    ordered = CLAIMED if accepted is None else accept(CLAIMED, "message-1", NOW)
    assert ordered is not None
    ordered = _folded(ordered, *events)
    repeated = events + data.draw(st.lists(st.sampled_from(events), max_size=4))
    shuffled = data.draw(st.permutations(repeated))

    row = CLAIMED
    position = data.draw(st.integers(0, len(shuffled))) if accepted == "between" else 0
    became_final = price = 0
    for index in range(len(shuffled) + 1):
        if accepted is not None and index == position:
            row = accept(row, "message-1", NOW) or row
        if index == len(shuffled):
            break
        result = fold_result(row, fold(row, shuffled[index]))
        assert result.row is not None
        assert result.row.rank >= row.rank
        assert result.changed is (result.row != row)
        row = result.row
        became_final += result.became_final
        price += result.price_added_millicents

    moment = {"updated_at": NOW}
    assert replace(row, **moment) == replace(ordered, **moment)
    assert became_final == (row.state in FINAL_STATES)
    assert price == (row.price_millicents or 0)
    assert price in (0, 581, 883)


@given(st.lists(EVENTS, max_size=6))
def test_what_was_ever_sent_is_never_claimable_again(events):
    row = _folded(CLAIMED, *events)

    assert not may_claim(row)
    if events:
        assert release(row, "THROTTLED", LATER) is None
