import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sms_engagement_runtime.sms_analytics_pipeline.domain.events import CanonicalEvent
from sms_engagement_runtime.sms_analytics_pipeline.domain.lifecycle import (
    PENDING_FOR,
    Happening,
    SubscriptionStatus,
    fold,
)
from sms_engagement_runtime.sms_analytics_pipeline.domain.subscribers import (
    MOST_OPEN,
    Fact,
    Subscriber,
    effective_status,
    facts_of,
    record,
)

NEW, PENDING, ACTIVE, OPTED_OUT, BOUNCED = SubscriptionStatus
H = Happening
DAY = 24 * 3_600_000
NUMBER = "+12025550101"
# Apart by days, and by as little as nothing, so that questions expire and instants coincide.
INSTANTS = st.integers(0, 30).map(lambda n: (n // 2) * 10 * DAY + n % 2)
WORDS = [H.ASKED_TO_CONFIRM, H.CONFIRMED, H.STARTED, H.OPTED_OUT]
REACH = [H.FAILED, H.FAILED_FOR_GOOD, H.DELIVERED, H.RESPONDED]


def histories(happenings):
    names = [f"m{number}" for number in range(6)]
    facts = st.builds(
        lambda happening, at, name: Fact(happening=happening, at=at, id=name),
        st.sampled_from(happenings),
        INSTANTS,
        st.sampled_from(names),
    )
    return st.lists(facts, max_size=20)


# What people say and what reaches them, each by itself too: in a long mixture rare turns are rarer still.
FACTS = st.one_of(histories(WORDS), histories(REACH), histories(list(Happening)))
GIVEN = st.one_of(
    st.none(),
    st.builds(
        lambda status, created, updated, opted_in, opted_out: Subscriber(
            subscriber_id="v1:a",
            subscription_status=status,
            created_at=created,
            updated_at=updated,
            opt_in_timestamp=opted_in,
            opt_out_timestamp=opted_out,
        ),
        st.sampled_from(SubscriptionStatus),
        *[st.none() | INSTANTS] * 4,
    ),
)


def recorded(facts, row=None):
    return record(row, facts, subscriber_id="v1:a", phone_number=NUMBER)


def fact(happening, at, name="m1"):
    return Fact(happening=happening, at=at, id=name)


@settings(max_examples=400)
@given(FACTS, GIVEN, st.randoms(use_true_random=False))
def test_any_order_any_repetition_and_any_portions_give_the_same_row(facts, row, chance):
    expected = recorded(facts, row)
    shuffled = [*facts, *chance.choices(facts, k=len(facts) // 2)] if facts else []
    chance.shuffle(shuffled)
    portioned = row
    while shuffled:
        size = chance.randint(1, len(shuffled))
        portioned = recorded(shuffled[:size], portioned)
        shuffled = shuffled[size:]

    assert recorded([], portioned) == expected


@settings(max_examples=800)
@given(FACTS)
def test_what_a_row_keeps_tells_the_same_as_everything_that_happened(facts):
    row = recorded(facts)
    # Of a message that failed twice the later time counts.
    strikes = {}
    for f in facts:
        if f.happening is H.FAILED:
            strikes[f.id] = max(f.at, strikes.get(f.id, 0))
    entered = [f.at for f in facts if f.happening is H.ENTERED]
    others = [(f.at, f.happening) for f in facts if f.happening not in {H.FAILED, H.ENTERED}]
    history = others + [(at, H.FAILED) for at in strikes.values()] + [(at, H.ENTERED) for at in entered]
    everything = fold(history, until=row.updated_at or 0)

    assert row.subscription_status == everything.status
    assert row.opt_in_timestamp == everything.opted_in_at
    for later in (DAY, 40 * DAY):
        now = (row.updated_at or 0) + later
        assert effective_status(row, now) == fold(history, until=now).status


@given(FACTS, GIVEN)
def test_nothing_but_start_leaves_an_opt_out(facts, row):
    last_opt_out = max((f.at for f in facts if f.happening is H.OPTED_OUT), default=None)
    last_start = max((f.at for f in facts if f.happening is H.STARTED), default=-1)
    result = recorded(facts, row)

    if last_opt_out is not None and last_start <= last_opt_out:
        assert result.subscription_status == OPTED_OUT
        assert result.opt_out_timestamp is not None


@given(FACTS, st.integers(0, 200).map(lambda n: n * DAY))
def test_who_was_written_as_opted_out_stays_so_without_start(facts, at):
    written = Subscriber(subscriber_id="v1:a", subscription_status=OPTED_OUT, updated_at=at)
    without_start = [f for f in facts if f.happening is not H.STARTED]

    assert recorded(without_start, written).subscription_status == OPTED_OUT


def test_a_row_tells_when_it_began_and_what_came_last():
    row = recorded([fact(H.DELIVERED, 500), fact(H.RESPONDED, 900), fact(H.TEXTED, 300)])

    assert (row.created_at, row.updated_at, row.last_response_at) == (300, 900, 900)
    assert row.phone_number == NUMBER


def test_counters_grow_and_facts_do_not_count():
    row = record(None, [fact(H.TEXTED, 1)], subscriber_id="v1:a", phone_number=NUMBER, messages_sent=1)
    row = record(row, [fact(H.TEXTED, 1)], subscriber_id="v1:a", phone_number=NUMBER)
    row = record(row, [fact(H.RESPONDED, 2)], subscriber_id="v1:a", phone_number=None, responses=1)

    assert (row.total_messages_sent, row.total_responses, row.phone_number) == (1, 1, NUMBER)


def test_a_text_that_failed_twice_is_one_strike():
    twice = [fact(H.FAILED, 1, "m1"), fact(H.FAILED, 2, "m1"), fact(H.FAILED, 3, "m2")]

    assert recorded(twice).subscription_status == NEW
    assert recorded([*twice, fact(H.FAILED, 4, "m3")]).subscription_status == BOUNCED


def test_a_yes_to_an_appointment_long_after_the_opt_in_changes_nothing():
    row = recorded([fact(H.ASKED_TO_CONFIRM, 0), fact(H.CONFIRMED, DAY)])

    row = recorded([fact(H.CONFIRMED, day * DAY) for day in range(50, 100)], row)

    assert row.subscription_status == ACTIVE
    assert row.opt_in_timestamp == DAY
    assert len(row.facts.confirmed) == 1


def test_a_question_that_comes_to_be_known_late_finds_the_yes_that_answered_it():
    row = recorded([fact(H.CONFIRMED, 5), fact(H.ASKED_TO_CONFIRM, 10), fact(H.CONFIRMED, 11)])
    assert row.opt_in_timestamp == 11

    assert recorded([fact(H.ASKED_TO_CONFIRM, 4)], row).opt_in_timestamp == 5


def test_a_yes_between_two_opt_outs_was_no_opt_in():
    said = [fact(H.OPTED_OUT, 1), fact(H.ASKED_TO_CONFIRM, 2), fact(H.CONFIRMED, 3), fact(H.OPTED_OUT, 4)]

    row = recorded(said)

    assert (row.subscription_status, row.opt_in_timestamp, row.opt_out_timestamp) == (OPTED_OUT, None, 4)


def test_the_latest_strikes_count():
    early = [fact(H.FAILED, number, f"m{number}") for number in range(5)]

    row = recorded([*early, fact(H.DELIVERED, 10), fact(H.FAILED, 11, "m11"), fact(H.FAILED, 12, "m12")])

    assert row.subscription_status == NEW
    assert recorded([fact(H.FAILED, 13, "m13")], row).subscription_status == BOUNCED


def test_being_asked_again_leaves_who_confirmed_active():
    row = recorded([fact(H.ASKED_TO_CONFIRM, 0), fact(H.CONFIRMED, DAY), fact(H.ASKED_TO_CONFIRM, 90 * DAY)])

    assert row.subscription_status == ACTIVE


def test_who_is_asked_time_and_again_stays_active():
    row = recorded([fact(H.ASKED_TO_CONFIRM, 0), fact(H.CONFIRMED, DAY)])

    for month in range(2 * MOST_OPEN):
        row = recorded([fact(H.ASKED_TO_CONFIRM, month * 40 * DAY)], row)

    assert (row.subscription_status, row.opt_in_timestamp) == (ACTIVE, DAY)
    assert row.facts.asked == (0,)


def test_a_row_does_not_grow_without_bound():
    chance = random.Random(1)
    row = None
    for n in range(2000):
        happening = chance.choice([H.CONFIRMED, H.FAILED, H.TEXTED, H.DELIVERED])
        row = recorded([fact(happening, n * DAY, f"m{n}")], row)

    assert len(row.facts.confirmed) == MOST_OPEN
    assert len(list(row.facts)) < 50


def test_a_question_expires_for_whoever_reads_the_row():
    row = recorded([fact(H.ASKED_TO_CONFIRM, 0)])

    assert row.subscription_status == PENDING
    assert effective_status(row, PENDING_FOR - 1) == PENDING
    assert effective_status(row, PENDING_FOR) == NEW


# Rows written by hand


def test_a_row_written_by_hand_keeps_its_status_until_something_happens():
    written = Subscriber(
        subscriber_id="v1:a",
        phone_number=NUMBER,
        subscription_status=ACTIVE,
        created_at=10 * DAY,
        opt_in_timestamp=10 * DAY,
        total_messages_sent=7,
        attributes={"segment": "vip"},
    )

    row = recorded([fact(H.DELIVERED, 20 * DAY)], written)

    assert row.subscription_status == ACTIVE
    assert (row.opt_in_timestamp, row.created_at) == (10 * DAY, 10 * DAY)
    assert row.attributes == {"segment": "vip"}
    assert row.total_messages_sent == 7
    assert recorded([fact(H.OPTED_OUT, 21 * DAY)], row).subscription_status == OPTED_OUT


def test_being_written_down_as_active_is_no_opt_in():
    written = Subscriber(subscriber_id="v1:a", subscription_status=ACTIVE, created_at=5)

    row = recorded([fact(H.TEXTED, 9)], written)

    assert (row.subscription_status, row.opt_in_timestamp) == (ACTIVE, None)


def test_a_stop_that_comes_late_counts_against_a_row_written_as_active():
    written = Subscriber(subscriber_id="v1:a", subscription_status=ACTIVE, created_at=10 * DAY)

    assert recorded([fact(H.OPTED_OUT, 9 * DAY)], written).subscription_status == OPTED_OUT


@pytest.mark.parametrize("status", SubscriptionStatus)
def test_a_row_without_instants_has_its_status(status):
    row = recorded([fact(H.TEXTED, 1)], Subscriber(subscriber_id="v1:a", subscription_status=status))

    assert row.subscription_status == status


def test_who_was_written_as_bounced_comes_back_as_what_they_were():
    written = Subscriber(
        subscriber_id="v1:a", subscription_status=BOUNCED, opt_in_timestamp=DAY, updated_at=5 * DAY
    )

    assert recorded([fact(H.TEXTED, 6 * DAY)], written).subscription_status == BOUNCED
    assert recorded([fact(H.RESPONDED, 6 * DAY)], written).subscription_status == ACTIVE
    unasked = replace(written, opt_in_timestamp=None)
    assert recorded([fact(H.RESPONDED, 6 * DAY)], unasked).subscription_status == NEW


# Events


def event(event_type, at=1000, **fields):
    return CanonicalEvent(
        event_type=event_type,
        event_id=fields.pop("event_id", "e"),
        event_timestamp=at,
        arrival_timestamp=at,
        subscriber_id="v1:a",
        phone_number=NUMBER,
        message_id=fields.pop("message_id", "m"),
        **fields,
    )


@pytest.mark.parametrize(
    ("told", "happened"),
    [
        (event("_SMS.BUFFERED", record_status="PENDING"), [H.TEXTED]),
        (event("_SMS.SUCCESS", record_status="DELIVERED"), [H.TEXTED, H.DELIVERED]),
        (event("_SMS.FAILURE", record_status="INVALID"), [H.TEXTED, H.FAILED_FOR_GOOD]),
        (event("_SMS.FAILURE", record_status="UNREACHABLE"), [H.TEXTED, H.FAILED]),
        (event("_SMS.FAILURE", record_status="CARRIER_UNREACHABLE"), [H.TEXTED, H.FAILED]),
        (event("_SMS.FAILURE", record_status="UNKNOWN"), [H.TEXTED, H.FAILED]),
        (event("_SMS.FAILURE", record_status="OPTED_OUT"), [H.TEXTED, H.OPTED_OUT]),
        *[
            (event("_SMS.FAILURE", record_status=status), [H.TEXTED])
            for status in (
                "INVALID_MESSAGE",
                "BLOCKED",
                "CARRIER_BLOCKED",
                "SPAM",
                "TTL_EXPIRED",
                "PROTECT_BLOCKED",
                "MAX_PRICE_EXCEEDED",
                "SOMETHING_NEW",
                None,
            )
        ],
        (event("_SMS.OPTOUT"), [H.OPTED_OUT]),
        (event("_SMS.RECEIVED", response_text="Great!"), [H.RESPONDED]),
        (event("_SMS.RECEIVED", response_text=None), [H.RESPONDED]),
        (event("_SMS.RECEIVED", response_text=" yes! "), [H.RESPONDED, H.CONFIRMED]),
        (event("_SMS.RECEIVED", response_text="ＹＥＳ"), [H.RESPONDED, H.CONFIRMED]),
        (event("_SMS.RECEIVED", response_text="start"), [H.RESPONDED, H.STARTED]),
        (event("_SMS.RECEIVED", response_text="Stop."), [H.RESPONDED, H.OPTED_OUT]),
        (event("_SMS.RECEIVED", response_text="wrong number"), [H.RESPONDED, H.OPTED_OUT]),
        # Where the service has opted them out by its first word, an event of its own says so.
        (event("_SMS.RECEIVED", response_text="End of month", keyword="END"), [H.RESPONDED]),
        (event("_SMS.NEWS"), []),
    ],
)
def test_what_an_event_says_of_its_subscriber(told, happened):
    assert [fact.happening for fact in facts_of(told)] == happened


@pytest.mark.parametrize(("failed_at", "delivered_at"), [(2000, 1000), (1000, 2000)])
def test_a_message_that_ends_twice_was_delivered_whichever_end_came_first(failed_at, delivered_at):
    failure = event("_SMS.FAILURE", failed_at, record_status="INVALID")
    success = event("_SMS.SUCCESS", delivered_at, record_status="DELIVERED")
    success_second = replace(success, counted_as="_SMS.FAILURE", counted_at=failed_at)
    failure_second = replace(failure, counted_as="_SMS.SUCCESS", counted_at=delivered_at)

    rows = [
        recorded([*facts_of(first), *facts_of(second)])
        for first, second in ((failure, success_second), (success, failure_second))
    ]

    assert rows[0] == rows[1]
    assert rows[0].subscription_status == NEW
