"""The soak in memory: whatever goes wrong, its books balance; and they do not where a rule is broken."""

from dataclasses import fields
from datetime import timedelta

import pytest

from benchmarks.soak_faults import Faults
from benchmarks.soak_in_memory import Simulation
from benchmarks.soak_people import people
from sms_engagement_runtime.appointment_follow_up.domain.conversation import Conversation
from sms_engagement_runtime.channel.domain import inbound, sending
from sms_engagement_runtime.channel.domain import ledger as rules
from sms_engagement_runtime.channel.domain.frequency import FrequencyCap
from sms_engagement_runtime.channel.domain.inbound import InboundService
from sms_engagement_runtime.channel.domain.quiet_hours import RecipientHours
from sms_engagement_runtime.channel.domain.sending import SendService
from sms_engagement_runtime.sms_analytics_pipeline.domain.responses import Kept, ResponseKeeper
from tests.support.analytics_fakes import FakeRegister
from tests.support.appointment_fakes import FakeWorkflow

PEOPLE = 100
KINDS = tuple(field.name for field in fields(Faults))


def simulate(seed: int, *, number: int = PEOPLE) -> tuple[Simulation, dict[str, tuple[str, ...]]]:
    simulation = Simulation(people(number, seed=seed), seed=seed)
    lines = simulation.run()
    return simulation, {line.name: line.findings for line in lines if not line.balances}


def everything(simulation: Simulation) -> tuple[object, ...]:
    books = simulation.books()
    return books.sent, books.rows, books.heard, books.stored, books.people, simulation.world.luck.done


@pytest.mark.parametrize("seed", range(3))
def test_the_books_balance_whatever_goes_wrong(seed):
    simulation, findings = simulate(seed)

    assert findings == {}
    assert len(simulation.channel.carrier.texts) > PEOPLE


def test_the_same_seed_is_the_same_run():
    one, _ = simulate(5, number=40)
    same, _ = simulate(5, number=40)
    other, _ = simulate(6, number=40)

    assert everything(one) == everything(same)
    assert everything(one) != everything(other)


def test_every_fault_happens():
    simulation, findings = simulate(7, number=300)

    assert findings == {}
    assert [kind for kind in KINDS if simulation.world.luck.done[kind] == 0] == []


# A soak that cannot fail is worth nothing: each rule is broken once.


def broken(seed: int = 1, *, number: int = PEOPLE) -> set[str]:
    _, findings = simulate(seed, number=number)
    return set(findings)


def test_a_gate_that_knows_no_night_is_found(monkeypatch):
    monkeypatch.setattr(RecipientHours, "is_open", lambda hours, at: True)
    monkeypatch.setattr(RecipientHours, "next_open", lambda hours, at: at)
    monkeypatch.setattr(RecipientHours, "open_until", lambda hours, at: at + timedelta(days=1))

    assert "no promotional text in quiet hours" in broken()


def test_a_claim_that_is_always_given_is_found(monkeypatch):
    monkeypatch.setattr(rules, "may_claim", lambda row: True)
    monkeypatch.setattr(sending, "may_claim", lambda row: True)

    assert "no text twice" in broken()


def test_a_stop_that_is_not_recorded_is_found(monkeypatch):
    monkeypatch.setattr(inbound, "opt_out", lambda contact, evidence: None)

    assert {"no text after STOP"} <= broken()


def test_an_answer_that_is_dropped_is_found(monkeypatch):
    keep = ResponseKeeper.keep

    def drop(keeper, answer, subscriber):
        return (
            (Kept.DUPLICATE, subscriber) if answer.response_text == "NO" else keep(keeper, answer, subscriber)
        )

    monkeypatch.setattr(ResponseKeeper, "keep", drop)

    assert {
        "every reply is stored once, and done with",
        "each subscriber's row agrees with the phone",
    } <= broken()


def test_a_router_that_forgets_a_word_is_found(monkeypatch):
    handle = InboundService.handle
    monkeypatch.setattr(
        InboundService, "handle", lambda service, text: text.body != "HELP" and handle(service, text)
    )

    assert "every reply is stored once, and done with" in broken()


def test_a_text_that_waits_for_nothing_is_found(monkeypatch):
    monkeypatch.setattr(SendService, "drop", lambda service, intent: None)

    assert "every intent is in one final state" in broken(number=200)


def test_a_cap_that_does_not_count_is_found(monkeypatch):
    monkeypatch.setattr(FrequencyCap, "remember", lambda cap, recent, key, now: recent)

    assert "at most 3 promotional texts to a phone in 24 h" in broken()


def test_a_text_about_an_appointment_that_is_over_is_found(monkeypatch):
    monkeypatch.setattr(Conversation, "may_send", lambda row, purpose: True)
    monkeypatch.setattr(FakeWorkflow, "stop", lambda workflow, appointment_id: None)

    assert "none about what is cancelled, moved, answered or over" in broken(number=200)


def test_an_event_that_is_counted_twice_is_found(monkeypatch):
    monkeypatch.setattr(FakeRegister, "find", lambda register, ids: {})
    monkeypatch.setattr(FakeRegister, "write", lambda register, rows, subscriber, now: True)

    assert "the sums of carrier, counts, archive and Athena agree" in broken(number=60)
