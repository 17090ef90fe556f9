"""One run of the broadcast: everybody in one final state, each phone once, memory bounded."""

import threading
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sms_engagement_runtime.channel.domain.errors import TransientError
from sms_engagement_runtime.channel.domain.subscriber import subscriber_id
from sms_engagement_runtime.review_collector.domain.customers import Customer
from sms_engagement_runtime.review_collector.domain.outcomes import PersonOutcome, tally
from sms_engagement_runtime.review_collector.domain.runs import (
    Run,
    send_part,
    summarise,
    take_audience,
)
from tests.support.fakes import SUBSCRIBER_KEY, FakeParser
from tests.support.review_fakes import FakeCustomers, FakeRunStore, MemoryBuckets

RUN = Run(run_id="run-1", started_at="2026-11-21T17:00:00.000Z", reason="holiday")


def customer(user_id, phone="+12025550100", *, is_active=True):
    return Customer(user_id=user_id, phone_number=phone, is_active=is_active)


def take(*customers, store=None, per_part=2, run=RUN):
    store = store or FakeRunStore()
    audience = take_audience(
        run,
        customers=FakeCustomers(*customers),
        parser=FakeParser(),
        identify=lambda number: subscriber_id(number, SUBSCRIBER_KEY),
        buckets=MemoryBuckets(),
        store=store,
        recipients_per_part=per_part,
        manifest=lambda item: {"partKey": item.part_key, "resultKey": item.result_key},
    )
    return audience, store


def people_in_parts(store):
    manifest = store.read_json(RUN.manifest_key)
    return [user_id for item in manifest for user_id in store.read_people(item["partKey"])]


def skips(store, audience):
    return {o.user_id: o.reason for o in store.read_outcomes(RUN.result_prefix, audience.result_keys)}


def test_everybody_is_in_a_part_or_skipped_with_the_reason():
    audience, store = take(
        customer("a", "+12025550101"),
        customer("b", "+12025550102"),
        customer("c", "+12025550103"),
        customer("gone", "+12025550104", is_active=False),
        customer("mute", None),
        customer("odd", "not a number"),
    )

    assert sorted(people_in_parts(store)) == ["a", "b", "c"]
    assert skips(store, audience) == {"gone": "INACTIVE", "mute": "NO_PHONE", "odd": "INVALID_PHONE"}
    assert (audience.customers, audience.recipients) == (6, 3)
    assert [len(store.read_people(RUN.part_key(n))) for n in (1, 2)] == [2, 1]


@pytest.mark.parametrize("order", [("a", "b", "c"), ("c", "b", "a"), ("b", "c", "a")])
def test_the_lowest_id_of_a_phone_wins_whatever_the_order_of_the_table(order):
    phones = {"a": "+12025550101", "b": "(202) 555-0101", "c": "2025550101"}

    audience, store = take(*(customer(user_id, phones[user_id]) for user_id in order))

    assert people_in_parts(store) == ["a"]
    assert skips(store, audience) == {"b": "DUPLICATE_PHONE", "c": "DUPLICATE_PHONE"}


def test_an_inactive_customer_does_not_win_a_phone():
    audience, store = take(customer("a", is_active=False), customer("b"))

    assert people_in_parts(store) == ["b"]
    assert skips(store, audience) == {"a": "INACTIVE"}


def test_nobody_to_ask_makes_an_empty_manifest():
    audience, store = take()

    assert store.read_json(RUN.manifest_key) == []
    assert (audience.customers, audience.recipients, audience.result_keys) == (0, 0, [])


def test_a_repeated_snapshot_writes_the_same_objects():
    everybody = [customer(f"u{n:03}", f"+1202555{n:04}") for n in range(50)]
    _, store = take(*everybody)
    before = dict(store.objects)

    take(*reversed(everybody), store=store)

    assert store.objects == before


def test_skipped_people_are_written_as_they_come(monkeypatch):
    monkeypatch.setattr("sms_engagement_runtime.review_collector.domain.runs.SKIPPED_PER_OBJECT", 2)

    audience, store = take(*(customer(f"u{n}", is_active=False) for n in range(5)))

    assert audience.result_keys == [RUN.skipped_key(n) for n in (1, 2, 3)]
    assert len(skips(store, audience)) == 5


@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.integers(0, 12), st.booleans()),
        unique_by=lambda row: row[0],
        max_size=30,
    ),
    st.integers(1, 7),
)
@settings(max_examples=50)
def test_everybody_is_accounted_for_once_and_no_phone_twice(rows, per_part):
    everybody = [customer(f"u{n:02}", f"+1202555{phone:04}", is_active=active) for n, phone, active in rows]

    audience, store = take(*everybody, per_part=per_part)

    asked, skipped = people_in_parts(store), skips(store, audience)
    assert sorted([*asked, *skipped]) == sorted(c.user_id for c in everybody)
    phones = {c.user_id: c.phone_number for c in everybody}
    assert max(Counter(phones[user_id] for user_id in asked).values(), default=0) <= 1
    assert {phones[user_id] for user_id in asked} == {c.phone_number for c in everybody if c.is_active}


class Asked:
    """Answers for each customer, and remembers whom it was asked for."""

    def __init__(self, **answers):
        self.answers = answers
        self.calls = []
        self.lock = threading.Lock()

    def __call__(self, who):
        with self.lock:
            self.calls.append(who.user_id)
            answers = self.answers.get(who.user_id)
            answer = answers.pop(0) if answers else "ACCEPTED"
        if isinstance(answer, Exception):
            raise answer
        state, _, reason = answer.partition(":")
        return PersonOutcome(user_id=who.user_id, state=state, reason=reason or None, parts=1)


class ShyCustomers(FakeCustomers):
    """Customers that cannot be read for the first few times."""

    def __init__(self, *customers, faults):
        super().__init__(*customers)
        self.faults = faults

    def find(self, user_ids):
        if self.faults:
            self.faults -= 1
            raise TransientError("x")
        return super().find(user_ids)


def send(ask, *user_ids, missing=(), may_go_on=lambda: True, workers=4, faults=0, errors=None, pauses=None):
    outcomes = send_part(
        user_ids,
        customers=ShyCustomers(*(customer(u) for u in user_ids if u not in missing), faults=faults),
        ask=ask,
        may_go_on=may_go_on,
        on_error=([] if errors is None else errors).append,
        sleep=([] if pauses is None else pauses).append,
        workers=workers,
    )
    assert len(outcomes) == len(set(user_ids))
    return {o.user_id: (str(o.state), o.reason and str(o.reason)) for o in outcomes}


def test_each_person_comes_out_in_one_state():
    outcomes = send(Asked(b=["SUPPRESSED:OPTED_OUT"], c=["UNCERTAIN:OUTCOME_UNKNOWN"]), "a", "b", "c", "d")

    assert outcomes == {
        "a": ("ACCEPTED", None),
        "b": ("SUPPRESSED", "OPTED_OUT"),
        "c": ("UNCERTAIN", "OUTCOME_UNKNOWN"),
        "d": ("ACCEPTED", None),
    }


def test_a_customer_who_left_since_the_snapshot_is_not_asked():
    ask = Asked()

    assert send(ask, "a", "b", missing=["b"])["b"] == ("SUPPRESSED", "NO_CUSTOMER")
    assert ask.calls == ["a"]


def test_who_is_named_twice_is_asked_once():
    ask = Asked()

    send(ask, "a", "a", "b")

    assert sorted(ask.calls) == ["a", "b"]


def test_a_service_that_hiccups_is_tried_again_after_the_others():
    ask = Asked(a=[TransientError("x"), "ACCEPTED"])

    assert send(ask, "a", "b", workers=1) == {"a": ("ACCEPTED", None), "b": ("ACCEPTED", None)}
    assert ask.calls == ["a", "b", "a"]


def test_a_service_that_stays_away_leaves_the_person_for_the_next_run():
    ask = Asked(a=[TransientError("x")] * 5)

    assert send(ask, "a", "b")["a"] == ("REMAINING", "SERVICE_UNAVAILABLE")
    assert ask.calls.count("a") == 3


def test_customers_that_cannot_be_read_at_first_are_read_again_later_and_later():
    ask, pauses = Asked(), []

    assert send(ask, "a", faults=2, pauses=pauses) == {"a": ("ACCEPTED", None)}
    assert pauses == [1, 3]


def test_a_part_whose_customers_cannot_be_read_asks_nobody():
    ask = Asked()

    with pytest.raises(TransientError):
        send(ask, "a", faults=3)

    assert ask.calls == []


def test_an_error_that_nobody_foresaw_costs_only_its_person_the_turn():
    ask, errors = Asked(b=[ZeroDivisionError("John Doe, +12025550100")]), []

    outcomes = send(ask, "a", "b", "c", workers=1, errors=errors)

    assert outcomes["b"] == ("REMAINING", "UNEXPECTED_ERROR")
    assert outcomes["a"] == outcomes["c"] == ("ACCEPTED", None)
    assert ask.calls == ["a", "b", "c"]
    assert errors == [ZeroDivisionError]


def test_when_time_is_over_the_rest_remains():
    ask, lives = Asked(), iter([True, True])

    outcomes = send(ask, "a", "b", "c", "d", may_go_on=lambda: next(lives, False), workers=1)

    assert outcomes["b"] == ("ACCEPTED", None)
    assert outcomes["c"] == outcomes["d"] == ("REMAINING", "OUT_OF_TIME")
    assert ask.calls == ["a", "b"]


@pytest.mark.parametrize("reason", ["SENDING_DISABLED", "PAUSED"])
def test_when_nothing_can_be_sent_the_rest_is_not_tried(reason):
    ask = Asked(b=[f"DEFERRED:{reason}"])

    outcomes = send(ask, "a", "b", "c", "d", workers=1)

    assert outcomes["c"] == outcomes["d"] == ("REMAINING", reason)
    assert ask.calls == ["a", "b"]


@pytest.mark.parametrize("reason", ["THROTTLED", "CONTACT_CHANGED"])
def test_who_is_only_put_off_stops_nobody_and_is_tried_again_after_the_others(reason):
    ask = Asked(a=[f"DEFERRED:{reason}", "ACCEPTED"])

    assert send(ask, "a", "b", workers=1) == {"a": ("ACCEPTED", None), "b": ("ACCEPTED", None)}
    assert ask.calls == ["a", "b", "a"]


def test_a_carrier_that_throttles_on_leaves_the_person_for_the_next_run():
    ask = Asked(a=["DEFERRED:THROTTLED"] * 5)

    assert send(ask, "a", "b")["a"] == ("DEFERRED", "THROTTLED")
    assert ask.calls.count("a") == 3


@pytest.mark.parametrize("state", ["DEFERRED", "REMAINING"])
def test_a_run_that_leaves_somebody_to_the_next_is_not_complete(state):
    audience, store = take(customer("a", "+12025550101"))
    store.write_outcomes(RUN.result_key(1), [PersonOutcome(user_id="a", state=state)])

    assert audience.recipients == 1
    assert summarise(RUN, store=store, millicents_per_part=881)["complete"] is False


def test_people_are_asked_several_at_a_time():
    meeting = threading.Barrier(3, timeout=10)

    def ask(who):
        meeting.wait()
        return PersonOutcome(user_id=who.user_id, state="ACCEPTED")

    assert len(send(ask, "a", "b", "c", workers=3)) == 3


def test_the_summary_adds_up_to_everybody():
    audience, store = take(
        customer("a", "+12025550101"),
        customer("b", "+12025550102"),
        customer("c", "+12025550103"),
        customer("gone", is_active=False),
    )
    for n in (1, 2):
        people = store.read_people(RUN.part_key(n))
        store.write_outcomes(
            RUN.result_key(n), [PersonOutcome(user_id=u, state="ACCEPTED", parts=1) for u in people]
        )

    summary = summarise(RUN, store=store, millicents_per_part=881)

    assert summary == {
        "runId": "run-1",
        "dryRun": False,
        "recipients": 3,
        "customers": 4,
        "outcomes": {"ACCEPTED": 3, "SUPPRESSED": 1},
        "reasons": {"INACTIVE": 1},
        "parts": 3,
        "estimatedCostUsd": "0.03",
        "complete": True,
        "reason": "holiday",
    }
    assert store.read_json(RUN.summary_key) == summary
    assert sum(summary["outcomes"].values()) == audience.customers


def test_people_of_a_part_that_failed_are_counted_as_remaining():
    _, store = take(*(customer(f"u{n}", f"+120255501{n:02}") for n in range(3)))
    store.write_outcomes(RUN.result_key(2), [PersonOutcome(user_id="u2", state="ACCEPTED", parts=1)])

    summary = summarise(RUN, store=store, millicents_per_part=881)

    assert summary["outcomes"] == {"ACCEPTED": 1, "REMAINING": 2}
    assert summary["reasons"] == {"PART_FAILED": 2}
    assert summary["complete"] is False


def test_a_tally_goes_through_its_people_once():
    total = tally(
        iter(
            [
                PersonOutcome(user_id="a", state="ACCEPTED", parts=2),
                PersonOutcome(user_id="b", state="SUPPRESSED", reason="NO_PHONE"),
                PersonOutcome(user_id="c", state="ACCEPTED", parts=1),
            ]
        )
    )

    assert (total.people, total.parts) == (3, 3)
    assert total.outcomes == {"ACCEPTED": 2, "SUPPRESSED": 1}
    assert total.reasons == {"NO_PHONE": 1}
