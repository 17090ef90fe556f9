"""Asking a customer: once an occasion, one message part, with a link that opens from the first second."""

import re
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sms_engagement_runtime.channel.domain.broadcast.outcomes import PersonOutcome
from sms_engagement_runtime.channel.domain.encoding import measure
from sms_engagement_runtime.channel.domain.errors import (
    OutcomeUnknownError,
    SendingDisabledError,
    SendRefusedError,
    TransientError,
)
from sms_engagement_runtime.channel.domain.introduction import introduced, plain
from sms_engagement_runtime.channel.domain.ledger import MessageState, may_claim
from sms_engagement_runtime.channel.domain.named_texts import PersonalText
from sms_engagement_runtime.channel.domain.pacing import NoSlotError
from sms_engagement_runtime.channel.domain.phone_number import NumberKind, ParsedNumber, PhoneNumber
from sms_engagement_runtime.review_collector.domain.customers import Customer
from sms_engagement_runtime.review_collector.domain.occasions import OccasionPolicy
from sms_engagement_runtime.review_collector.domain.request_texts import (
    STANDARD_REMINDERS,
    STANDARD_TEXTS,
    RequestTexts,
)
from sms_engagement_runtime.review_collector.domain.requests import (
    id_to_reference,
    reference_to_id,
    request_id,
)
from sms_engagement_runtime.review_collector.domain.tokens import Verified, verify
from tests.support.asking_system import BASE_URL, JOHN, LINK_LIFETIME, PHONE, System, request_key
from tests.support.fakes import (
    SUBSCRIBER_KEY,
    Crash,
    CrashPlan,
)
from tests.support.review_fakes import LINK_KEYS, FakeCustomers

DAY = timedelta(days=1)
WEEK = LINK_LIFETIME


def token_in(body):
    return body.rpartition("/r/")[2].partition(" ")[0]


@pytest.fixture
def system():
    return System()


def test_the_text_is_as_fixed_in_one_part_with_a_link_that_opens(system):
    outcome = system.ask_due()

    (body,) = system.sender.bodies
    assert body == (
        f"Hi John! Please review your recent purchase: {BASE_URL}/r/{token_in(body)} Reply STOP to opt out"
    )
    assert measure(body).parts == 1
    link = verify(token_in(body), keys=LINK_KEYS.by_id, now=system.clock.now(), max_lifetime=WEEK)
    assert link == Verified(id_to_reference(request_key()), system.clock.now() + WEEK)
    assert outcome == PersonOutcome(user_id="u1", state="ACCEPTED", message_id="message-1", parts=1)


@pytest.mark.parametrize(
    ("name", "greeting"),
    [
        ("Łukasz Nowak", "Hi Lukasz!"),
        ("Zoë Kravitz", "Hi Zoe!"),
        ("José García", "Hi José!"),
        ("O’Brien", "Hi O'Brien!"),
        ("Dr. Mary-Jane Watson", "Hi Mary-Jane!"),
        ("李小龍", "Hi!"),
        ("محمد علي", "Hi!"),
        ("Ольга", "Hi!"),
        ("😀", "Hi!"),
        ("John😀", "Hi John!"),
        ("<script>alert(1)</script>", "Hi!"),
        ("http://evil.example", "Hi!"),
        ("{{link}}", "Hi!"),
        ("A" * 200, "Hi!"),
        ("", "Hi!"),
        (None, "Hi!"),
    ],
)
def test_every_name_makes_one_part(system, name, greeting):
    system.ask_due(Customer(user_id="u1", phone_number=PHONE.e164, name=name, is_active=True))

    (body,) = system.sender.bodies
    assert re.match(r"Hi[^!]*!", body)[0] == greeting
    assert body.count("http") == 1
    assert measure(body).parts == 1


def test_a_long_api_address_still_fits_one_part():
    url = "https://abcdefghij.execute-api.ap-southeast-2.amazonaws.com"
    text = RequestTexts().render(locale=None, first_name="Bartholomew", link=f"{url}/r/{'x' * 40}")

    assert measure(text.body).parts == 1


def test_a_name_gives_way_to_the_opt_out_of_a_first_text(system):
    # 45 characters of text, 64 of link, 22 of opt-out: 29 are left for "Hi" with a name.
    long_name = "Wolfeschlegelsteinhausenbergerdorff"
    customer = Customer(user_id="u1", phone_number=PHONE.e164, name=long_name, is_active=True)

    system.ask_due(customer)
    system.clock.advance(days=3)
    system.ask_due(customer, run_id="thursday")

    first, second = system.sender.bodies
    assert first.startswith("Hi! Please review")
    assert first.endswith(" Reply STOP to opt out")
    assert second.startswith(f"Hi {long_name}! A reminder")


def test_the_row_is_there_before_the_text(system):
    seen = []
    system.sender.answers.append(lambda: seen.append(system.row()))

    system.ask_due()

    (row,) = seen
    assert (row.user_id, row.occasion, row.name, row.first_name) == ("u1", "registration", "John Doe", "John")
    assert row.asked_at == row.recorded_at == system.clock.now()
    assert row.run_id == "monday"


def test_a_new_person_costs_one_query_one_write_and_the_text():
    system, calls = System(), []

    class Counting:
        def __init__(self, port):
            self.port = port

        def __getattr__(self, name):
            calls.append(name)
            return getattr(self.port, name)

    system.requests, system.ledger = Counting(system.requests), Counting(system.ledger)
    system.ask_due()

    assert calls == ["of_customer", "reserve", "claim", "accept"]


class TestAskingWhatIsDue:
    def test_the_same_run_counts_what_it_sent_before_it_was_cut_off(self, system):
        system.ask_due()

        again = system.ask_due()

        assert again == PersonOutcome(user_id="u1", state="ACCEPTED", message_id="message-1", parts=1)
        assert len(system.sender.sent) == 1
        # Finding that out costs no rate slot: a part that is repeated is over in no time.
        assert len(system.pacer.acquired) == 1

    def test_another_run_finds_it_asked(self, system):
        system.ask_due()

        assert system.ask_due(run_id="also-monday") == PersonOutcome(
            user_id="u1", state="ALREADY_SENT", reason="ALREADY_ASKED"
        )
        system.clock.advance(days=2)
        assert system.ask_due(run_id="wednesday") == PersonOutcome(
            user_id="u1", state="SUPPRESSED", reason="NO_OCCASION"
        )
        assert len(system.sender.sent) == 1

    def test_a_run_asks_whom_the_one_before_it_did_not_get_to(self, system):
        system.ask_due()
        system.sender.sent.clear()
        system.lose()
        system.clock.advance(days=1)

        outcome = system.ask_due(run_id="tuesday")

        assert outcome.state == "ACCEPTED"
        assert system.row().asked_at == system.clock.now()
        assert system.row().run_id == "tuesday"

    def test_a_recorded_occasion_is_asked_about_with_what_is_known_of_the_customer(self, system):
        system.record(occurred_at=system.clock.now() - 2 * DAY)
        system.clock.advance(days=1)

        assert system.ask_due().state == "ACCEPTED"
        row = system.row("order-17")
        assert (row.name, row.first_name, row.asked_at) == ("John Doe", "John", system.clock.now())
        assert row.recorded_at == system.clock.now() - DAY
        assert row.occurred_at == system.clock.now() - 3 * DAY

    def test_between_two_occasions_lies_the_cooldown(self, system):
        system.ask_due()
        system.answer()
        system.clock.advance(days=60)
        system.record()

        assert system.ask_due().reason == "COOLDOWN"
        system.clock.advance(days=29)
        assert system.ask_due().reason == "COOLDOWN"
        system.clock.advance(days=1, seconds=-1)
        assert system.ask_due().reason == "COOLDOWN"
        system.clock.advance(seconds=1)
        # Sixty days are longer than an occasion lives.
        assert system.ask_due().reason == "OCCASION_EXPIRED"
        system.record("order-18")
        assert system.ask_due().state == "ACCEPTED"

    def test_the_registration_is_no_occasion_for_who_was_asked_about_a_purchase(self, system):
        system.ask("order-17")

        assert system.ask_due() == PersonOutcome(user_id="u1", state="SUPPRESSED", reason="NO_OCCASION")
        assert system.ask_due(dry_run=True).reason == "NO_OCCASION"

    def test_who_was_asked_and_opted_out_since_is_left_out_for_the_opt_out(self, system):
        system.ask_due()
        system.opt_out()

        assert system.ask_due(run_id="tuesday") == PersonOutcome(
            user_id="u1", state="SUPPRESSED", reason="OPTED_OUT"
        )
        assert len(system.pacer.acquired) == 1

    def test_the_same_phone_under_another_id_is_the_same_person(self, system):
        system.ask_due()

        outcome = system.ask_due(
            Customer(user_id="u2", phone_number="2025550123", is_active=True), run_id="x"
        )

        assert outcome == PersonOutcome(user_id="u2", state="ALREADY_SENT", reason="ALREADY_ASKED")
        assert len(system.sender.sent) == 1

    def test_a_new_number_is_not_asked_about_the_same_again(self, system):
        system.ask_due()
        moved = replace(JOHN, phone_number="+12025550199")

        assert system.ask_due(moved, run_id="tuesday").state == "ALREADY_SENT"
        assert len(system.sender.sent) == 1

    def test_an_index_that_lags_behind_asks_nobody_twice(self, system):
        system.ask_due()
        system.requests.unseen.add(request_key())

        assert system.ask_due(run_id="also-monday").state == "ALREADY_SENT"
        assert len(system.sender.sent) == 1
        system.answer()
        assert system.ask_due(run_id="also-monday").state == "ALREADY_SENT"

    @pytest.mark.parametrize(
        ("customer", "reason"),
        [
            (Customer(user_id="u1", phone_number=PHONE.e164), "INACTIVE"),
            (Customer(user_id="u1", is_active=True), "NO_PHONE"),
            (Customer(user_id="u1", phone_number="  ", is_active=True), "NO_PHONE"),
            (Customer(user_id="u1", phone_number="call me", is_active=True), "INVALID_PHONE"),
            (Customer(user_id="u1", phone_number="+1202", is_active=True), "INVALID_PHONE"),
            (Customer(user_id="u1", phone_number="+4915112345678", is_active=True), "COUNTRY_NOT_ALLOWED"),
        ],
    )
    def test_who_cannot_be_asked_is_skipped_with_the_reason(self, system, customer, reason):
        outcome = system.ask_due(customer)

        assert (outcome.state, outcome.reason) == ("SUPPRESSED", reason)
        assert system.sender.calls == 0

    def test_a_landline_is_skipped(self, system, monkeypatch):
        landline = ParsedNumber(number=PHONE, country="US", kind=NumberKind.LANDLINE)
        monkeypatch.setattr(system.parser, "parse", lambda raw: landline)

        assert system.ask_due().reason == "LANDLINE"
        assert system.requests.rows == {}

    def test_who_opted_out_is_not_asked_and_not_recorded_as_asked(self, system):
        system.opt_out()

        outcome = system.ask_due()

        assert (outcome.state, outcome.reason) == ("SUPPRESSED", "OPTED_OUT")
        assert system.sender.calls == 0
        assert system.row().asked_at is None

    def test_an_opt_out_during_the_wait_for_the_slot_is_seen(self, system):
        system.pacer.on_acquire = system.opt_out

        assert system.ask_due().reason == "OPTED_OUT"
        assert system.sender.calls == 0

    def test_at_night_by_the_customers_own_clock_the_text_waits_for_the_morning(self, system):
        # Noon in New York is two in the morning in Tokyo.
        outcome = system.ask_due(replace(JOHN, time_zone="Asia/Tokyo"))

        morning = datetime(2026, 11, 21, 23, 0, tzinfo=UTC)
        assert outcome == PersonOutcome(user_id="u1", state="DEFERRED", reason="QUIET_HOURS", until=morning)
        assert system.row().asked_at is None

    def test_who_was_refused_once_is_asked_when_nothing_speaks_against_it_any_more(self, system):
        system.pause.paused = True
        assert (system.ask_due().state, system.ask_due().reason) == ("DEFERRED", "PAUSED")
        system.pause.paused = False
        system.clock.advance(hours=1)

        assert system.ask_due().state == "ACCEPTED"
        assert system.row().asked_at == system.clock.now()

    @pytest.mark.parametrize(
        ("answer", "state", "reason", "is_asked"),
        [
            (OutcomeUnknownError("InternalServerException"), "UNCERTAIN", "OUTCOME_UNKNOWN", True),
            (SendRefusedError("INVALID_PARAMETER"), "FAILED", "INVALID_PARAMETER", True),
            (
                SendingDisabledError("MONTHLY_SPEND_LIMIT_REACHED_FOR_TEXT"),
                "DEFERRED",
                "SENDING_DISABLED",
                False,
            ),
        ],
    )
    def test_what_the_carrier_answers_is_the_outcome_and_nothing_is_sent_again(
        self, system, answer, state, reason, is_asked
    ):
        system.sender.answers.append(answer)

        outcome = system.ask_due()

        assert (outcome.state, outcome.reason) == (state, reason)
        assert (system.row().asked_at is not None) is is_asked
        system.clock.advance(minutes=5)
        again = system.ask_due()
        assert system.sender.calls == (2 if state == "DEFERRED" else 1)
        assert again.state == ("ACCEPTED" if state == "DEFERRED" else state)

    def test_a_dry_run_says_who_and_leaves_no_trace(self, system):
        outcome = system.ask_due(dry_run=True)

        assert outcome == PersonOutcome(user_id="u1", state="WOULD_SEND", parts=1)
        assert system.requests.rows == {}
        assert system.ledger.rows == {}
        assert system.sender.calls == 0
        assert system.pacer.acquired == []

    def test_a_dry_run_says_who_not(self, system):
        system.opt_out()
        assert system.ask_due(dry_run=True).reason == "OPTED_OUT"

        other = System()
        other.ask_due()
        assert other.ask_due(dry_run=True, run_id="a look").reason == "ALREADY_ASKED"
        other.clock.advance(days=3)
        assert other.ask_due(dry_run=True, run_id="a look").state == "WOULD_SEND"
        assert other.row().reminded_at is None


class TestReminding:
    def test_goes_out_once_after_three_days(self, system):
        system.ask_due()
        system.clock.advance(days=3, seconds=-1)
        assert system.ask_due(run_id="thursday").reason == "NO_OCCASION"
        system.clock.advance(seconds=1)

        outcome = system.ask_due(run_id="thursday")

        assert (outcome.state, outcome.parts) == ("ACCEPTED", 1)
        reminder = system.sender.bodies[1]
        assert re.fullmatch(
            rf"Hi John! A reminder to review your recent purchase: {BASE_URL}/r/\S{{40}}", reminder
        )
        link = verify(token_in(reminder), keys=LINK_KEYS.by_id, now=system.clock.now(), max_lifetime=WEEK)
        assert link == Verified(id_to_reference(request_key()), system.clock.now() + WEEK)
        assert system.row().reminded_at == system.clock.now()
        system.clock.advance(days=1)
        assert system.ask_due(run_id="friday").reason == "NO_OCCASION"
        assert len(system.sender.sent) == 2

    def test_stops_when_the_review_is_there(self, system):
        system.ask_due()
        system.answer()
        system.clock.advance(days=3)

        assert system.ask_due(run_id="thursday").reason == "NO_OCCASION"
        assert system.ask_due(run_id="thursday", follow_up=True).reason == "ANSWERED"
        assert system.asker().remind_by_id("u1", "registration").reason == "ANSWERED"
        assert len(system.sender.sent) == 1

    def test_an_answer_during_the_wait_for_the_slot_is_seen(self, system):
        system.ask_due()
        system.clock.advance(days=3)
        system.pacer.on_acquire = system.answer

        outcome = system.ask_due(run_id="thursday")

        assert (outcome.state, outcome.reason) == ("SUPPRESSED", "ANSWERED")
        assert len(system.sender.sent) == 1
        assert system.row().reminded_at is None

    def test_passes_the_gate(self, system):
        system.ask_due()
        system.opt_out()
        system.clock.advance(days=3)

        assert system.ask_due(run_id="thursday").reason == "OPTED_OUT"
        assert system.row().reminded_at is None

    def test_follows_a_run_and_waits_for_its_hour(self, system):
        system.ask_due()
        asked_at = system.clock.now()

        early = system.ask_due(run_id="follow-up", follow_up=True)

        assert early == PersonOutcome(
            user_id="u1", state="DEFERRED", reason="REMINDER_NOT_DUE", until=asked_at + 3 * DAY
        )
        system.clock.advance(days=3)
        assert system.ask_due(run_id="follow-up", follow_up=True).state == "ACCEPTED"
        # The part is sent again: what the run sent counts as sent by it.
        assert system.ask_due(run_id="follow-up", follow_up=True).state == "ACCEPTED"
        assert system.ask_due(run_id="other", follow_up=True).reason == "ALREADY_REMINDED"
        assert len(system.sender.sent) == 2

    def test_that_was_cut_off_before_its_mark_is_marked_and_not_sent_again(self, system):
        system.ask_due()
        system.clock.advance(days=3)
        system.ask_due(run_id="follow-up", follow_up=True)
        system.requests.rows[request_key()] = replace(system.row(), reminded_at=None)

        assert system.ask_due(run_id="follow-up", follow_up=True).state == "ACCEPTED"
        assert len(system.sender.sent) == 2
        assert system.row().reminded_at == system.clock.now()

    def test_of_a_text_that_never_went_out_is_the_text_itself(self, system):
        system.ask_due()
        system.sender.sent.clear()
        system.lose()
        system.clock.advance(days=3)

        assert system.ask_due(run_id="thursday").state == "ACCEPTED"
        assert "Please review your recent purchase" in system.sender.bodies[0]
        assert system.row().asked_at == system.clock.now()

    def test_is_not_sent_after_a_text_that_was_not_delivered(self, system):
        system.sender.answers.append(SendRefusedError("INVALID_PARAMETER"))
        system.ask_due()
        system.clock.advance(days=3)

        outcome = system.ask_due(run_id="thursday")

        assert (outcome.state, outcome.reason) == ("SUPPRESSED", "NOT_DELIVERED")

    def test_speaks_the_language_of_the_customer(self, system):
        german = replace(JOHN, locale="de-AT")
        system.ask_due(german)
        system.clock.advance(days=3)
        system.ask_due(german, run_id="thursday")

        asked, reminded = system.sender.bodies
        assert asked.startswith("Hallo John! Bitte bewerten Sie Ihren Einkauf: ")
        assert asked.endswith(" Antworten Sie STOP zum Abmelden")
        assert reminded.startswith("Hallo John! Zur Erinnerung: Wie war Ihr Einkauf? ")

    def test_of_a_single_request_is_asked_for_by_id(self, system):
        system.ask()
        asker = system.asker()

        assert asker.remind_by_id("u1", "order-17").until == system.clock.now() + 3 * DAY
        system.clock.advance(days=3)
        assert asker.remind_by_id("u1", "order-17").state == "ACCEPTED"
        assert asker.remind_by_id("u1", "order-17").reason == "ALREADY_REMINDED"
        assert asker.remind_by_id("u1", "order-18").reason == "NO_REQUEST"
        assert asker.remind_by_id("nobody", "order-17").reason == "NO_CUSTOMER"
        assert len(system.sender.sent) == 2

    def test_that_waits_for_the_morning_is_useful_for_a_week(self, system):
        tokyo = replace(JOHN, time_zone="Asia/Tokyo")
        system.clock.advance(hours=8)
        system.ask_due(tokyo)
        system.clock.advance(days=10, seconds=-1)
        system.clock.advance(hours=-8)

        outcome = system.ask_due(tokyo, run_id="late")

        assert outcome.reason == "QUIET_HOURS"
        system.clock.advance(hours=8)
        assert system.ask_due(tokyo, run_id="late").state == "ACCEPTED"


class TestAskingAtOnce:
    def test_needs_no_cooldown_since_somebody_named_the_occasion(self, system):
        system.ask_due()

        assert system.ask("order-17").state == "ACCEPTED"
        assert system.ask("order-18").state == "ACCEPTED"
        assert system.ask("nobody's", user_id="nobody").reason == "NO_CUSTOMER"

    def test_asks_once_about_an_occasion(self, system):
        system.ask()
        system.clock.advance(days=100)

        assert system.ask() == PersonOutcome(user_id="u1", state="ALREADY_SENT", reason="ALREADY_ASKED")
        assert len(system.sender.sent) == 1

    @pytest.mark.parametrize("past", ["occurred_at", "requested_at"])
    def test_is_of_use_as_long_as_the_occasion_lives(self, system, past):
        thirty_days_ago = system.clock.now() - 30 * DAY

        outcome = system.ask(**{past: thirty_days_ago})

        assert (outcome.state, outcome.reason) == ("SUPPRESSED", "EXPIRED")
        assert system.ask(**{past: thirty_days_ago + timedelta(seconds=1)}).state == "ACCEPTED"

    def test_completes_what_was_recorded(self, system):
        occurred_at = system.clock.now() - DAY
        system.record(occurred_at=occurred_at)

        assert system.ask().state == "ACCEPTED"
        assert system.row("order-17").occurred_at == occurred_at
        assert system.row("order-17").run_id is None

    def test_that_was_cut_off_before_its_text_is_done_by_the_next_delivery_of_the_event(self, system):
        system.ask()
        system.sender.sent.clear()
        system.lose("order-17")
        system.clock.advance(minutes=1)

        assert system.ask().state == "ACCEPTED"
        assert system.row("order-17").asked_at == system.clock.now()

    def test_nobody_is_asked_about_what_they_answered(self, system):
        system.record()
        system.answer("order-17")

        assert system.ask().reason == "ANSWERED"


class TestRecording:
    def test_is_done_once_and_asks_nobody(self, system):
        assert system.record() == PersonOutcome(user_id="u1", state="RECORDED")
        system.clock.advance(days=1)
        assert system.record() == PersonOutcome(user_id="u1", state="RECORDED", reason="ALREADY_RECORDED")
        assert system.row("order-17").recorded_at == system.clock.now() - DAY
        assert system.sender.calls == 0

    def test_of_what_is_too_long_ago_is_of_no_use(self, system):
        assert system.record(occurred_at=system.clock.now() - 30 * DAY).reason == "EXPIRED"
        assert system.requests.rows == {}


def cut_off_at_every_instant(arrange, act):
    """Run ``act`` to its end once, and count the instants at which it could be cut off."""
    system, plan = System(), CrashPlan()
    arrange(system)
    act(system.asker(plan.wrap))
    return range(1, plan.instants + 1)


def ask_john(asker):
    return asker.ask_due(JOHN, run_id="monday")


def days_after_asking(system):
    system.ask_due()
    system.clock.advance(days=3)


def remind_john(asker):
    return asker.ask_due(JOHN, run_id="thursday")


@pytest.mark.parametrize("instant", cut_off_at_every_instant(lambda system: None, ask_john))
@pytest.mark.parametrize("next_run", ["monday", "tuesday"])
def test_cut_off_anywhere_nobody_gets_a_second_text_and_nobody_is_lost(system, instant, next_run):
    with pytest.raises(Crash):
        ask_john(system.asker(CrashPlan(crash_at=instant).wrap))
    system.clock.advance(minutes=5)

    outcome = system.ask_due(run_id=next_run)
    system.clock.advance(minutes=5)
    system.ask_due(run_id="later")

    assert len(system.sender.sent) <= 1
    # Unsent only where the claim was taken: then nobody can tell, and it is reported.
    assert len(system.sender.sent) == 1 or outcome.state == "UNCERTAIN"
    if system.sender.sent:
        assert request_key() in system.requests.rows


@pytest.mark.parametrize("by", ["broadcast", "event"])
def test_a_reminder_that_waited_for_its_hour_is_closed_once_the_review_is_there(system, by):
    def remind():
        if by == "event":
            return system.asker().remind_by_id("u1", "registration")
        return system.ask_due(run_id="thursday", follow_up=True)

    system.ask_due()
    # Ten in the evening, three days later.
    system.clock.advance(days=3, hours=10)
    assert remind().state == "DEFERRED"
    system.answer()
    system.clock.advance(hours=12)

    outcome = remind()

    assert (outcome.state, outcome.reason) == ("SUPPRESSED", "ANSWERED")
    (row,) = (row for row in system.ledger.rows.values() if row.purpose == "review-reminder")
    assert (row.state, row.reason) == (MessageState.SUPPRESSED, "NO_LONGER_TRUE")


@pytest.mark.parametrize("instant", cut_off_at_every_instant(days_after_asking, remind_john))
def test_a_reminder_that_is_cut_off_anywhere_comes_once(system, instant):
    days_after_asking(system)
    with pytest.raises(Crash):
        remind_john(system.asker(CrashPlan(crash_at=instant).wrap))
    system.clock.advance(minutes=5)

    outcome = system.ask_due(run_id="thursday")
    system.clock.advance(days=1)
    system.ask_due(run_id="friday")

    assert len(system.sender.sent) <= 2
    assert len(system.sender.sent) == 2 or outcome.state == "UNCERTAIN"


def test_an_attempt_that_is_refused_does_not_unask_whom_another_one_asked(system):
    def other_attempt():
        assert system.ask().state == "ACCEPTED"
        system.pause.paused = True

    system.pacer.on_acquire = other_attempt

    assert system.ask().state == "ALREADY_SENT"
    assert system.row("order-17").asked_at is not None
    # So the cooldown holds.
    system.pause.paused = False
    system.clock.advance(days=1)
    system.record("order-18")
    assert system.ask_due(run_id="tuesday").reason == "COOLDOWN"
    assert len(system.sender.sent) == 1


class FaultPlan(CrashPlan):
    """A service does not answer at one instant: before its effect, or after it."""

    def reach(self):
        self.instants += 1
        if self.instants == self.crash_at:
            raise TransientError(f"instant {self.instants}")


ASKING_INSTANTS = cut_off_at_every_instant(lambda system: None, ask_john)
WITHOUT_REMINDERS = OccasionPolicy(reminder_delay=None)
POLICIES = pytest.mark.parametrize(
    "policy", [OccasionPolicy(), WITHOUT_REMINDERS], ids=["reminders", "no reminders"]
)
# The first one is a long weekend, the second one a pause that nearly outlasts the run.
COMES_BACK = pytest.mark.parametrize("hours", [45, 192], ids=["after 45 hours", "after 8 days"])


def ledger_row(system):
    return next(iter(system.ledger.rows.values()), None)


def asked_texts(system):
    return [body for body in system.sender.bodies if "Please review your recent purchase" in body]


@pytest.mark.parametrize("instant", ASKING_INSTANTS)
@POLICIES
@COMES_BACK
def test_a_run_that_comes_back_after_days_knows_whom_it_texted_and_texts_the_others(
    system, instant, policy, hours
):
    system.policy = policy
    with pytest.raises(Crash):
        ask_john(system.asker(CrashPlan(crash_at=instant).wrap))
    texted = len(system.sender.sent)
    system.clock.advance(hours=hours)

    outcome = system.ask_due()

    row = ledger_row(system)
    if row.state is MessageState.CLAIMED:
        assert outcome.state == "UNCERTAIN"
        assert len(system.sender.sent) == texted
    else:
        assert (outcome.state, outcome.message_id) == ("ACCEPTED", row.message_id)
        assert len(system.sender.sent) == 1
    assert system.row().asked_at is not None
    assert system.ask_due() == outcome


@pytest.mark.parametrize("instant", ASKING_INSTANTS)
@POLICIES
@COMES_BACK
def test_whom_a_run_lost_days_ago_the_next_runs_ask_once(system, instant, policy, hours):
    system.policy = policy
    with pytest.raises(Crash):
        ask_john(system.asker(CrashPlan(crash_at=instant).wrap))
    system.clock.advance(hours=hours)

    for day in range(3):
        system.ask_due(run_id=f"day {day}")
        system.clock.advance(hours=24)

    if ledger_row(system).state is not MessageState.CLAIMED:
        assert len(asked_texts(system)) == 1
    assert len(asked_texts(system)) <= 1


@pytest.mark.parametrize("instant", ASKING_INSTANTS)
@POLICIES
def test_a_service_that_does_not_answer_leaves_nobody_asked_who_was_not_texted(system, instant, policy):
    system.policy = policy
    with pytest.raises(TransientError):
        ask_john(system.asker(FaultPlan(crash_at=instant).wrap))

    row = system.requests.rows.get(request_key())
    if may_claim(ledger_row(system)):
        # Where it was the writing of the row, nobody knows that it is there: it is settled.
        is_of_the_write = instant in (3, 4)
        assert is_of_the_write or row is None or row.asked_at is None
    else:
        assert row.asked_at == system.clock.now()
    system.clock.advance(hours=192)
    system.ask_due(run_id="next week")
    assert len(asked_texts(system)) == 1 or ledger_row(system).state is MessageState.CLAIMED


class TestServiceDoesNotAnswer:
    @staticmethod
    def no_slot():
        raise NoSlotError("the rate is taken")

    def test_a_person_without_a_slot_is_not_recorded_as_asked(self, system):
        system.pacer.on_acquire = self.no_slot

        with pytest.raises(NoSlotError):
            system.ask_due()

        assert system.row().asked_at is None
        assert system.ask_due(run_id="also-monday").state == "ACCEPTED"

    def test_nor_is_one_who_is_asked_by_an_event(self, system):
        system.policy = WITHOUT_REMINDERS
        system.pacer.on_acquire = self.no_slot

        with pytest.raises(NoSlotError):
            system.ask()

        assert system.row("order-17").asked_at is None
        system.clock.advance(days=8)
        assert system.ask_due(run_id="a broadcast").state == "ACCEPTED"
        assert system.ask().state == "ALREADY_SENT"
        assert len(system.sender.sent) == 1

    def test_the_first_error_is_the_one_that_is_raised(self, system, monkeypatch):
        def unavailable(request_id, at):
            raise TransientError("dynamodb")

        system.pacer.on_acquire = self.no_slot
        monkeypatch.setattr(system.requests, "withdraw", unavailable)

        with pytest.raises(NoSlotError):
            system.ask_due()

        system.clock.advance(days=8)
        assert system.ask_due().state == "ACCEPTED"

    def test_who_was_texted_by_another_attempt_meanwhile_stays_asked(self, system):
        def other_attempt():
            assert system.ask_due().state == "ACCEPTED"
            self.no_slot()

        system.pacer.on_acquire = other_attempt

        with pytest.raises(NoSlotError):
            system.ask_due()

        assert system.row().asked_at is not None

    @pytest.mark.parametrize("later", [timedelta(0), timedelta(minutes=14)])
    @pytest.mark.parametrize("refused", [True, False])
    def test_who_another_attempt_may_be_about_to_text_stays_asked(self, system, later, refused):
        """One attempt waits for its slot, another one fails or is refused, and then the first one texts."""

        def other_attempt():
            system.clock.advance(seconds=later.total_seconds())
            if refused:
                system.pause.paused = True
                assert system.ask_due().state == "DEFERRED"
                system.pause.paused = False
            else:
                system.pacer.on_acquire = self.no_slot
                with pytest.raises(NoSlotError):
                    system.ask_due()

        system.pacer.on_acquire = other_attempt

        assert system.ask_due().state == "ACCEPTED"
        assert system.row().asked_at is not None
        # So the cooldown holds.
        system.clock.advance(days=1)
        system.record("order-18")
        assert system.ask_due(run_id="tuesday").reason == "ALREADY_ASKED"
        assert len(system.sender.sent) == 1

    def test_an_attempt_takes_back_its_own_word_and_not_that_of_another_one_in_the_same_second(self, system):
        """The first attempt fails; the second one, of the same second, has passed the gate meanwhile."""
        later_attempts = []

        def second_attempt():
            system.pacer.on_acquire = lambda: later_attempts.append(system.row().asked_at) or self.no_slot()
            with pytest.raises(NoSlotError):
                system.ask_due()
            self.no_slot()

        system.pacer.on_acquire = second_attempt
        with pytest.raises(NoSlotError):
            system.ask_due()

        assert system.row().asked_at == later_attempts[0]

    def test_whom_a_dead_attempt_left_is_taken_back_once_it_is_surely_dead(self, system):
        system.ask_due()
        system.lose()
        system.clock.advance(minutes=21)
        system.pause.paused = True

        assert system.ask_due().state == "DEFERRED"
        assert system.row().asked_at is None


class TestComingBack:
    def test_a_run_that_texted_counts_it_also_where_the_person_answered_or_was_asked_since(self, system):
        system.ask_due()
        system.answer()
        system.clock.advance(days=2)
        assert system.ask("order-17").state == "ACCEPTED"
        system.clock.advance(days=1)

        assert system.ask_due() == PersonOutcome(
            user_id="u1", state="ACCEPTED", message_id="message-1", parts=1
        )
        assert len(system.sender.sent) == 2

    def test_a_run_texts_nobody_whom_somebody_else_asked_since(self, system):
        system.ask_due()
        system.sender.sent.clear()
        system.lose()
        system.clock.advance(days=1)
        assert system.ask("order-17").state == "ACCEPTED"
        system.clock.advance(days=1)

        outcome = system.ask_due()

        assert (outcome.state, len(system.sender.sent)) == ("SUPPRESSED", 1)
        assert system.row().asked_at is None

    def test_a_run_knows_whom_it_texted_where_another_one_wrote_over_its_row(self, system):
        def other_run():
            # It writes over the row of the first one, whose claim goes before its own.
            system.pacer.on_acquire = lambda: system.ledger.rows.update(claimed)
            assert system.ask_due(run_id="also-monday").state == "ALREADY_SENT"
            system.ledger.rows.clear()

        first = System()
        first.ask_due()
        claimed = dict(first.ledger.rows)
        system.pacer.on_acquire = other_run
        first_outcome = system.ask_due()
        assert system.row().run_id == "also-monday"
        system.clock.advance(days=2)

        assert system.ask_due() == first_outcome
        assert system.ask_due(run_id="also-monday").state == "ALREADY_SENT"
        assert len(system.sender.sent) == 1

    def test_a_run_does_not_remind_whom_it_asked_itself(self, system):
        system.ask_due()
        system.clock.advance(days=4)

        assert system.ask_due().message_id == "message-1"
        assert len(system.sender.sent) == 1

    def test_a_follow_up_that_texts_whom_the_run_lost_knows_it_afterwards(self, system):
        system.ask_due()
        system.sender.sent.clear()
        system.lose()
        system.clock.advance(days=3)
        first = system.ask_due(run_id="follow-up", follow_up=True)
        system.clock.advance(days=1)

        assert first.state == "ACCEPTED"
        assert system.ask_due(run_id="follow-up", follow_up=True) == first
        assert len(system.sender.sent) == 1

    @pytest.mark.parametrize("is_marked", [True, False])
    @pytest.mark.parametrize("days", [2, 8])
    def test_a_run_knows_whom_it_reminded_days_ago(self, system, is_marked, days):
        system.ask_due()
        system.clock.advance(days=3)
        first = system.ask_due(run_id="follow-up", follow_up=True)
        if not is_marked:
            system.requests.rows[request_key()] = replace(system.row(), reminded_at=None)
        system.clock.advance(days=days)

        again = system.ask_due(run_id="follow-up", follow_up=True)

        assert (again.state, again.message_id) == ("ACCEPTED", first.message_id)
        assert len(system.sender.sent) == 2

    def test_what_is_over_when_the_run_comes_back_is_not_asked_about(self, system):
        system.record(occurred_at=system.clock.now() - 27 * DAY)
        system.ask_due()
        system.sender.sent.clear()
        system.lose("order-17")
        system.clock.advance(days=3)

        outcome = system.ask_due()

        assert (outcome.state, outcome.reason) == ("SUPPRESSED", "EXPIRED")
        assert system.sender.bodies == []
        assert system.row("order-17").asked_at is None

    @pytest.mark.parametrize(
        ("answer", "reason"),
        [
            (SendRefusedError("INVALID_PARAMETER"), "NOT_DELIVERED"),
            (OutcomeUnknownError("InternalServerException"), "ALREADY_ASKED"),
        ],
    )
    def test_what_became_of_a_text_counts_in_its_own_run_only(self, system, answer, reason):
        system.policy = WITHOUT_REMINDERS
        system.sender.answers.append(answer)
        first = system.ask_due()
        system.clock.advance(days=4)

        assert system.ask_due(run_id="friday") == PersonOutcome(
            user_id="u1", state="SUPPRESSED", reason=reason
        )
        assert system.ask_due().state == first.state
        assert system.sender.calls == 1


attempts = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "event"]),
        st.sampled_from([CrashPlan, FaultPlan]),
        st.integers(min_value=1, max_value=20),
        st.sampled_from([timedelta(0), timedelta(minutes=5), timedelta(days=1), timedelta(days=2), 4 * DAY]),
    ),
    max_size=5,
)


@given(attempts, st.booleans())
def test_whatever_fails_and_whoever_comes_back_when_the_person_is_asked_once(attempts, remind):
    system = System()
    system.policy = replace(system.policy, reminder_delay=3 * DAY if remind else None)
    system.record()

    def attempt(name, asker):
        if name == "event":
            return asker.ask_by_id("u1", "order-17")
        return asker.ask_due(JOHN, run_id=name)

    for name, plan, instant, pause in attempts:
        with suppress(Crash, TransientError):
            attempt(name, system.asker(plan(crash_at=instant).wrap))
        system.clock.advance(seconds=pause.total_seconds())
    text = None
    for day in range(5):
        outcomes = {name: attempt(name, system.asker()) for name in ("a", f"day {day}", "b")}
        text = next((row for row in system.ledger.rows.values() if row.purpose == "review-request"), None)
        if text and text.state is MessageState.ACCEPTED and text.campaign_id in outcomes:
            assert outcomes[text.campaign_id].state == "ACCEPTED"
        system.clock.advance(days=1)

    assert text is not None
    requests = [message for message in system.sender.sent if message.key == text.key]
    assert len(requests) == 1 or (text.state is MessageState.CLAIMED and not requests)
    assert len(system.sender.sent) <= 2 if remind else len(system.sender.sent) == len(requests)
    assert system.row("order-17").asked_at is not None


class TestNewLink:
    def test_goes_out_once_with_a_new_expiry(self, system):
        system.ask_due()
        system.clock.advance(days=30)

        outcome = system.asker().send_new_link(request_key())

        assert outcome.state == "ACCEPTED"
        link = verify(
            token_in(system.sender.bodies[1]),
            keys=LINK_KEYS.by_id,
            now=system.clock.now(),
            max_lifetime=WEEK,
        )
        assert link == Verified(id_to_reference(request_key()), system.clock.now() + WEEK)
        assert system.asker().send_new_link(request_key()).reason == "ALREADY_ASKED"
        assert len(system.sender.sent) == 2

    def test_is_what_the_person_waits_for_at_any_hour(self, system):
        system.ask_due()
        system.clock.advance(days=30, hours=12)

        assert system.asker().send_new_link(request_key()).state == "ACCEPTED"
        assert system.sender.sent[1].message_class == "TRANSACTIONAL"

    def test_that_had_to_wait_does_not_come_at_night(self, system):
        system.ask_due()
        requested_at = system.clock.now()
        system.clock.advance(days=2, hours=15)

        outcome = system.asker().send_new_link(request_key(), requested_at=requested_at)

        assert (outcome.state, outcome.reason) == ("DEFERRED", "QUIET_HOURS")
        assert outcome.until == requested_at + timedelta(days=2, hours=20)
        assert len(system.sender.sent) == 1

    def test_that_waited_for_longer_than_a_link_lives_is_not_sent(self, system):
        system.ask_due()
        waited = system.clock.now() - WEEK

        assert system.asker().send_new_link(request_key(), requested_at=waited).reason == "EXPIRED"

    def test_goes_to_the_number_that_the_customer_has_now(self, system):
        system.ask_due()
        system.customers.rows["u1"] = Customer(user_id="u1", phone_number="+12025550199", is_active=True)

        system.asker().send_new_link(request_key())

        assert system.sender.sent[1].destination == PhoneNumber("+12025550199")

    def test_passes_the_gate(self, system):
        system.ask_due()
        system.opt_out()

        assert system.asker().send_new_link(request_key()).reason == "OPTED_OUT"

    def test_is_not_sent_where_there_is_nothing_to_review(self, system):
        assert system.asker().send_new_link(request_key()).reason == "NO_REQUEST"
        system.ask_due()
        system.answer()
        assert system.asker().send_new_link(request_key()).reason == "ANSWERED"

    @pytest.mark.parametrize(
        ("customers", "reason"),
        [([], "NO_CUSTOMER"), ([Customer(user_id="u1", phone_number=PHONE.e164)], "INACTIVE")],
    )
    def test_is_not_sent_to_who_has_left(self, system, customers, reason):
        system.ask_due()
        system.customers = FakeCustomers(*customers)

        assert system.asker().send_new_link(request_key()).reason == reason


class TestRequestTexts:
    def test_the_language_follows_the_customer(self):
        texts = RequestTexts({"en": "Hi {{name}}! {{link}}", "fr": "Bonjour {{name}} ! {{link}}"})

        def render(locale, first_name=None):
            return texts.render(locale=locale, first_name=first_name, link="L")

        assert render("fr-CA", "Zoë") == PersonalText("Bonjour Zoe ! L", "fr", "Bonjour ! L")
        assert render("fr") == PersonalText("Bonjour ! L", "fr")
        assert render("de") == PersonalText("Hi! L", "en")

    @pytest.mark.parametrize("texts", [STANDARD_TEXTS, STANDARD_REMINDERS], ids=["requests", "reminders"])
    def test_every_language_takes_one_part_with_a_name_and_the_longest_link(self, texts):
        assert set(texts) == {"en", "es", "fr", "de", "pt"}
        for locale in texts:
            text = RequestTexts(texts).render(locale=locale, first_name="Bartholome", link="x" * 102)

            assert "Bartholome" in text.body
            assert "Bartholome" not in text.without_name
            assert measure(text.body).parts == 1
            assert measure(text.body).encoding == "GSM"

    @pytest.mark.parametrize("texts", [STANDARD_TEXTS, STANDARD_REMINDERS], ids=["requests", "reminders"])
    def test_every_language_has_room_for_the_opt_out_on_a_short_domain(self, texts):
        for locale in texts:
            text = RequestTexts(texts).render(
                locale=locale, first_name="John", link=f"{BASE_URL}/r/{'x' * 40}"
            )

            first = introduced(
                plain(text.body), shorter_body=text.without_name, sender_name=None, locale=locale
            )
            assert first is not None
            assert "STOP" in first.body
            assert first.measured.parts == 1

    @pytest.mark.parametrize(
        ("texts", "message"),
        [
            ({"en": "Hi {{name}}!"}, "must contain {{link}}"),
            ({"en": "{{link}} {{phone}}"}, "phone"),
            ({"en": "{{link}} {{Name}}"}, "braces"),
            ({"fr": "{{link}}"}, "default locale"),
        ],
    )
    def test_what_cannot_be_rendered_is_refused_at_once(self, texts, message):
        with pytest.raises(ValueError, match=message):
            RequestTexts(texts)


class TestRequestIds:
    def test_no_two_pairs_share_an_id(self):
        pairs = [("u1", "a"), ("u1a", ""), ("u", "1a"), ("", "u1a"), ("u1", "b"), ("u2", "a")]

        assert len({request_id(user, occasion, SUBSCRIBER_KEY) for user, occasion in pairs}) == len(pairs)

    def test_an_id_depends_on_the_key(self):
        assert request_id("u1", "a", b"k" * 16) != request_id("u1", "a", b"l" * 16)

    @pytest.mark.parametrize("user", ["u1", "Ünïcödé 😀", "a|b#c/d", "x" * 1000])
    def test_any_customer_id_is_allowed(self, user):
        reference = request_id(user, "registration", SUBSCRIBER_KEY)

        assert len(reference) == 12
        assert id_to_reference(reference_to_id(reference)) == reference

    @pytest.mark.parametrize("identifier", ["", "short", "a" * 15 + "!", "A" * 20, "AAAAAAAAAAAAAAA="])
    def test_another_text_is_no_id(self, identifier):
        with pytest.raises(ValueError, match=r"review request|padding|data characters|decoded"):
            id_to_reference(identifier)
