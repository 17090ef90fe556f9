"""Single events: what they ask for, what has to wait for its hour, and the reminder that follows."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sms_engagement_runtime.channel.domain.errors import OutcomeUnknownError, SendRefusedError
from sms_engagement_runtime.channel.domain.pacing import NoSlotError
from sms_engagement_runtime.review_collector.domain.errands import (
    AskForReview,
    RecordOccasion,
    RemindOfReview,
    SendNewLink,
    ThankForReview,
    read_errand,
    write_errand,
)
from sms_engagement_runtime.review_collector.domain.requests import GivenText
from tests.support.asking_system import JOHN, request_key
from tests.support.fakes import START
from tests.support.review_errands import Errands

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
REMINDER = f"reminder-{request_key(occasion='order-17')}"


@pytest.fixture
def errands():
    return Errands()


class TestAsking:
    def test_asks_at_once_and_reminds_three_days_later(self, errands):
        assert errands.run().state == "ACCEPTED"

        assert list(errands.later.waits) == [REMINDER]
        event, until = errands.later.waits[REMINDER]
        assert until == START + 3 * DAY
        assert event == {
            "id": REMINDER,
            "detail-type": "ReviewReminderDue",
            "detail": {"userId": "u1", "occasion": "order-17"},
            "since": START.isoformat(),
        }
        assert [outcome.state for outcome in errands.come_back(REMINDER)] == ["ACCEPTED"]
        assert [body.partition(":")[0] for body in errands.bodies] == [
            "Hi John! Please review your recent purchase",
            "Hi John! A reminder to review your recent purchase",
        ]
        assert errands.later.waits == {}

    def test_is_not_reminded_of_where_it_is_answered(self, errands):
        errands.run()
        errands.system.answer("order-17")

        (outcome,) = errands.come_back(REMINDER)

        assert outcome.reason == "ANSWERED"
        assert len(errands.bodies) == 1

    def test_an_event_that_comes_again_waits_for_one_reminder(self, errands):
        errands.run()
        assert errands.run(event_id="event-2").state == "ALREADY_SENT"

        assert list(errands.later.waits) == [REMINDER]

    def test_a_text_of_unknown_outcome_is_reminded_of(self, errands):
        errands.system.sender.answers.append(OutcomeUnknownError("timeout"))

        assert errands.run().state == "UNCERTAIN"
        assert list(errands.later.waits) == [REMINDER]

    @pytest.mark.parametrize("refused_by", ["carrier", "gate"])
    def test_what_is_refused_is_not_reminded_of(self, errands, refused_by):
        if refused_by == "gate":
            errands.system.opt_out()
        else:
            errands.system.sender.answers.append(SendRefusedError("INVALID_PARAMETER"))

        assert errands.run().state in ("SUPPRESSED", "FAILED")
        assert errands.later.waits == {}

    def test_of_two_requests_the_last_one_is_reminded_of(self, errands):
        errands.run()
        errands.system.clock.advance(seconds=2)
        errands.run(AskForReview("u1", "order-18"), event_id="event-2")
        (other,) = set(errands.later.waits) - {REMINDER}

        (first,), (second,) = errands.come_back(REMINDER), errands.come_back(other)

        assert (first.state, first.reason) == ("SUPPRESSED", "ASKED_SINCE")
        assert second.state == "ACCEPTED"
        assert len(errands.bodies) == 3

    @pytest.mark.parametrize("ahead", [timedelta(minutes=6), 30 * DAY])
    def test_what_has_not_happened_yet_is_asked_about_when_it_has(self, errands, ahead):
        errand = AskForReview("u1", "order-17", START + ahead)

        outcome = errands.run(errand)

        assert (outcome.state, outcome.reason, outcome.until) == ("DEFERRED", "NOT_BEGUN", START + ahead)
        assert errands.bodies == []
        assert errands.come_back("event-1")[-1].state == "ACCEPTED"

    def test_a_clock_that_is_a_little_ahead_changes_nothing(self, errands):
        assert errands.run(AskForReview("u1", "order-17", START + timedelta(minutes=4))).state == "ACCEPTED"

    def test_what_is_to_happen_in_a_year_is_refused(self, errands):
        outcome = errands.run(AskForReview("u1", "order-17", START + 400 * DAY))

        assert (outcome.state, outcome.reason) == ("SUPPRESSED", "NOT_BEGUN")
        assert errands.later.waits == {}

    def test_nobody_is_reminded_where_that_is_switched_off(self, errands):
        errands.system.policy = replace(errands.system.policy, reminder_delay=None)

        assert errands.run().state == "ACCEPTED"
        assert errands.later.waits == {}


class TestWaiting:
    def test_a_text_at_night_goes_out_in_the_morning_and_its_reminder_three_days_later(self, errands):
        errands.system.clock.instant = night = START + 14 * HOUR
        morning = datetime(2026, 11, 22, 13, 0, tzinfo=UTC)

        outcome = errands.run()

        assert (outcome.state, outcome.reason, outcome.until) == ("DEFERRED", "QUIET_HOURS", morning)
        ((name, (event, until)),) = errands.later.waits.items()
        assert (name, until) == ("event-1", morning)
        assert event["since"] == night.isoformat()
        assert [outcome.state for outcome in errands.come_back("event-1")] == ["ACCEPTED"]
        assert errands.system.clock.now() == morning
        assert errands.later.waits[REMINDER][1] == morning + 3 * DAY

    def test_an_event_that_comes_again_waits_once(self, errands):
        errands.system.pause.paused = True
        errands.run()
        errands.system.clock.advance(minutes=1)
        errands.run()

        assert [until for _, until in errands.later.waits.values()] == [START + 5 * MINUTE]

    def test_what_comes_back_is_not_put_off_a_second_time(self, errands):
        errands.system.pause.paused = True
        errands.run()
        errands.later.waits.clear()
        errands.system.clock.advance(minutes=5)

        outcome = errands.run(since=START)

        assert outcome.until == errands.system.clock.now() + 5 * MINUTE
        assert errands.later.waits == {}

    @pytest.mark.parametrize(
        ("age", "wait"),
        [
            (5 * MINUTE, 5 * MINUTE),
            (HOUR, 5 * MINUTE),
            (2 * HOUR, 10 * MINUTE),
            (12 * HOUR, HOUR),
            (20 * DAY, HOUR),
        ],
    )
    def test_a_pause_is_looked_at_the_less_often_the_longer_it_lasts(self, errands, age, wait):
        errands.system.pause.paused = True
        errands.system.clock.instant = START + age

        assert errands.run(since=START).until == START + age + wait

    def test_a_pause_of_a_month_ends_in_the_expiry_of_the_text_within_an_executions_history(self, errands):
        errands.system.pause.paused = True
        errands.run()

        outcomes = errands.come_back("event-1")

        assert {outcome.reason for outcome in outcomes[:-1]} == {"PAUSED"}
        assert outcomes[-1].reason == "EXPIRED"
        assert START + 30 * DAY <= errands.system.clock.now() <= START + 30 * DAY + HOUR
        # Ten entries each, of the 25,000 that an execution may have.
        assert len(outcomes) < 1000
        assert errands.bodies == []

    def test_who_finds_the_rate_taken_comes_back_and_not_with_all_the_others(self, errands):
        def no_slot():
            raise NoSlotError("taken")

        untils = []
        for n in range(50):
            errands.system.pacer.on_acquire = no_slot
            outcome = errands.run(event_id=f"event-{n}")
            assert (outcome.state, outcome.reason) == ("DEFERRED", "THROTTLED")
            untils.append(outcome.until)

        assert all(START + 5 * MINUTE <= until < START + 10 * MINUTE for until in untils)
        assert len(set(untils)) == 50
        assert max(untils) - min(untils) > 4 * MINUTE
        assert sorted(errands.later.waits) == sorted(f"event-{n}" for n in range(50))
        assert [outcome.state for outcome in errands.come_back("event-0")] == ["ACCEPTED"]

    def test_who_opted_out_during_the_wait_gets_nothing(self, errands):
        errands.system.pause.paused = True
        errands.run()
        errands.system.pause.paused = False
        errands.system.opt_out()

        assert [outcome.reason for outcome in errands.come_back("event-1")] == ["OPTED_OUT"]
        assert errands.bodies == []

    def test_the_thanks_for_a_review_wait_for_a_day(self, errands):
        errands.system.pause.paused = True
        errands.run(ThankForReview("review-1", "u1"))

        outcomes = errands.come_back("event-1")

        assert outcomes[-1].reason == "EXPIRED"
        assert START + DAY <= errands.system.clock.now() <= START + DAY + HOUR

    def test_a_reminder_that_is_early_or_at_night_waits_for_its_hour(self, errands):
        errands.system.clock.instant = evening = datetime(2026, 11, 22, 1, 0, tzinfo=UTC)
        errands.run()
        # Three days later the customer lives where it is night by then.
        errands.system.customers.rows["u1"] = replace(JOHN, time_zone="Europe/Berlin")

        waited, sent = errands.come_back(REMINDER)

        assert (waited.reason, sent.state) == ("QUIET_HOURS", "ACCEPTED")
        assert errands.system.clock.now() == evening + 3 * DAY + 6 * HOUR


class TestBeingCutOff:
    @pytest.mark.parametrize("was_texted", [True, False])
    @pytest.mark.parametrize("days", [2, 8])
    def test_an_event_that_comes_back_after_days_is_told_from_the_ledger(self, errands, was_texted, days):
        errands.system.ask()
        if not was_texted:
            errands.system.sender.sent.clear()
            errands.system.lose("order-17")
        errands.system.clock.advance(days=days)

        outcome = errands.run(since=START)

        assert outcome.state == ("ALREADY_SENT" if was_texted else "ACCEPTED")
        assert len(errands.bodies) == 1
        assert list(errands.later.waits) == [REMINDER]

    def test_who_waits_since_the_rate_was_taken_is_not_recorded_as_asked(self, errands):
        def no_slot():
            raise NoSlotError("the rate is taken")

        errands.system.pacer.on_acquire = no_slot

        assert errands.run().reason == "THROTTLED"
        assert errands.system.row("order-17").asked_at is None
        assert errands.come_back("event-1")[-1].state == "ACCEPTED"
        assert errands.system.row("order-17").asked_at is not None

    def test_an_event_that_never_comes_back_is_left_to_the_broadcasts(self, errands):
        errands.system.policy = replace(errands.system.policy, reminder_delay=None)
        errands.system.ask()
        errands.system.sender.sent.clear()
        errands.system.lose("order-17")
        errands.system.clock.advance(days=2)

        assert errands.system.ask_due().state == "ACCEPTED"
        assert errands.run(since=START).state == "ALREADY_SENT"
        assert len(errands.bodies) == 1


class TestOtherErrands:
    def test_an_occasion_is_recorded_and_nobody_texted(self, errands):
        outcome = errands.run(RecordOccasion("u1", "order-18", START - DAY))

        assert outcome.state == "RECORDED"
        assert errands.system.row("order-18").occurred_at == START - DAY
        assert errands.later.waits == {}
        assert errands.bodies == []

    def test_a_new_link_is_sent(self, errands):
        errands.run()

        outcome = errands.run(SendNewLink(request_key(occasion="order-17")), "event-2")

        assert outcome.state == "ACCEPTED"
        assert len(errands.bodies) == 2

    def test_a_review_is_thanked_for(self, errands):
        errands.run()

        assert errands.run(ThankForReview("review-1", "u1")).state == "ACCEPTED"
        assert errands.bodies[1] == "Thank you for your review, John!"


ids = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=512)
instants = st.integers(0, 6_000_000_000).map(
    lambda seconds: datetime(2001, 1, 1, tzinfo=UTC) + seconds * SECOND
)
errands_of_any_kind = st.one_of(
    st.builds(
        AskForReview,
        ids,
        ids,
        st.none() | instants,
        st.none(),
        st.none() | st.builds(GivenText, ids, st.sampled_from([None, "fr", "pt-BR"])),
    ),
    st.builds(RecordOccasion, ids, ids, st.none() | instants),
    st.builds(RemindOfReview, ids, ids),
    st.builds(SendNewLink, ids),
    st.builds(ThankForReview, ids, ids),
)


@given(errands_of_any_kind)
def test_an_errand_comes_back_from_its_event(errand):
    event_type, detail = json.loads(json.dumps(write_errand(errand)))

    assert read_errand(event_type, detail) == errand
    assert read_errand(event_type, {**detail, "unknown": [1]}) == errand


@pytest.mark.parametrize(
    ("occurred_at", "instant"),
    [
        ("2026-11-21T17:00:00Z", START),
        ("2026-11-21T12:00:00-05:00", START),
        ("2026-11-21T17:00:00", START),
        ("2026-11-21", START.replace(hour=0)),
        (None, None),
    ],
)
def test_instants_are_read_as_people_write_them(occurred_at, instant):
    detail = {"userId": "u1", "occasion": "order-17", "occurredAt": occurred_at}

    assert read_errand("ReviewRequested", detail) == AskForReview("u1", "order-17", instant)
    assert read_errand("OccasionRecorded", detail) == RecordOccasion("u1", "order-17", instant)


@pytest.mark.parametrize(
    ("event_type", "detail"),
    [
        ("ReviewRequested", {}),
        ("ReviewRequested", {"userId": "u1"}),
        ("ReviewRequested", {"userId": 5, "occasion": "o"}),
        ("ReviewRequested", {"userId": "", "occasion": "o"}),
        ("ReviewRequested", {"userId": "u1", "occasion": "o" * 513}),
        ("ReviewRequested", {"userId": "u1", "occasion": "half \ud83d"}),
        ("ReviewRequested", {"userId": "u1", "occasion": "o", "occurredAt": "yesterday"}),
        ("ReviewRequested", {"userId": "u1", "occasion": "o", "occurredAt": 1795280400}),
        ("OccasionRecorded", {"userId": "u1", "occasion": "o", "occurredAt": "9999-12-31T23:59:59Z"}),
        ("OccasionRecorded", {"occasion": "o"}),
        ("ReviewReminderDue", {"userId": "u1"}),
        ("ReviewRequested", None),
        ("ReviewRequested", "text"),
        ("ReviewLinkRequested", {"requestId": ["x"]}),
        ("ReviewSubmitted", {"reviewId": "r"}),
        ("ReviewSubmitted", {"reviewId": "", "userId": "u1"}),
        ("ReviewSubmitted", {"reviewId": "r", "userId": 1}),
        ("SomethingElse", {"userId": "u1", "occasion": "o"}),
        (None, None),
    ],
)
def test_what_cannot_be_carried_out_is_no_errand(event_type, detail):
    assert read_errand(event_type, detail) is None
