"""The steps of an appointment: each text once, at its hour, to who is to get it, and what comes after it."""

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from sms_engagement_runtime.appointment_follow_up.domain import bus_events
from sms_engagement_runtime.appointment_follow_up.domain.bookings import Party
from sms_engagement_runtime.appointment_follow_up.domain.conversation import Status
from sms_engagement_runtime.appointment_follow_up.domain.follow_up import MissingConversationError, Next
from sms_engagement_runtime.appointment_follow_up.domain.policy import FollowUpPolicy
from sms_engagement_runtime.appointment_follow_up.domain.purposes import Purpose
from sms_engagement_runtime.appointment_follow_up.domain.texts import AppointmentTexts
from sms_engagement_runtime.channel.domain.budget import SpendLimits
from sms_engagement_runtime.channel.domain.campaign_counts import Counts
from sms_engagement_runtime.channel.domain.consent import erase
from sms_engagement_runtime.channel.domain.errors import (
    OutcomeUnknownError,
    SendingDisabledError,
    SendRefusedError,
    TransientError,
)
from sms_engagement_runtime.channel.domain.ledger import DeliveryEvent, MessageState
from sms_engagement_runtime.channel.domain.outcome_state import OutcomeState
from sms_engagement_runtime.channel.domain.pacing import NoSlotError
from sms_engagement_runtime.channel.domain.quiet_hours import Place
from sms_engagement_runtime.channel.domain.reasons import Reason
from sms_engagement_runtime.channel.domain.variants import campaign_id
from tests.support.appointment_fakes import (
    PHONE,
    STARTS_AT,
    System,
    booked,
    cancelled,
    id_of,
    moved_away,
    no_show,
    subscriber,
)
from tests.support.fakes import START, Crash, CrashPlan, FakeBudget

NEW_YORK = ZoneInfo("America/New_York")
REMINDER = "reminder-1440"


@pytest.fixture
def system():
    return System()


def local(*when):
    return datetime(*when, tzinfo=NEW_YORK).astimezone(UTC)


def in_new_york(instant):
    return f"{instant.astimezone(NEW_YORK):%d %H:%M}"


def kinds(system):
    """Types of all events, each once, in the order in which they came first."""
    return list(dict.fromkeys(kind for kind, _ in (*system.bus.events, *system.channel_bus.events)))


# The whole way


def test_who_never_answers_is_told_asked_and_reminded_each_once(system):
    system.book("A")
    times = {}
    while running := system.running():
        system.clock.instant = max(system.clock.instant, running[0].due_at)
        before = len(system.texts)
        system.run_due()
        times |= dict.fromkeys(system.purposes[before:], system.clock.now())

    assert system.purposes == [Purpose.CONFIRMATION, Purpose.FOLLOW_UP, REMINDER]
    assert times == {
        Purpose.FOLLOW_UP: START + timedelta(minutes=30),
        REMINDER: STARTS_AT - timedelta(hours=24),
    }
    assert system.row().status is Status.FOLLOWED_UP
    assert kinds(system) == [
        bus_events.BOOKED,
        bus_events.CONFIRMATION_SENT,
        bus_events.FOLLOW_UP_SENT,
        bus_events.FINISHED,
        bus_events.REVIEW_REQUESTED,
    ]


def test_who_answers_is_not_asked_again(system):
    system.book("A")
    system.write("1")

    system.run_all()

    assert system.purposes == [Purpose.CONFIRMATION, REMINDER]
    assert system.row().status is Status.RESPONDED
    assert "Reply 1" not in system.sender.bodies[-1]


def test_who_confirms_late_is_reminded_without_being_asked(system):
    system.book("A")
    system.skip(hours=3)
    system.write("yes")

    system.run_all()

    assert system.purposes == [Purpose.CONFIRMATION, Purpose.FOLLOW_UP, REMINDER]
    assert [detail["answer"] for detail in system.told(bus_events.REPLIED)] == ["CONFIRM"]


def test_the_texts_say_the_invitees_time_in_their_language(system):
    system.book("A", time_zone="Europe/Madrid", locale="es")

    assert "tu Intro call es el mar 24 nov, 20:00" in system.sender.bodies[0]


def test_a_zone_that_does_not_exist_gives_way_to_the_hosts_which_is_named(system):
    # Where the zone does not exist, the channel finds that of the number.
    system.places.place_of = lambda number, country, time_zone: Place(("America/New_York",))
    system.book("A", time_zone="Mars/Olympus_Mons")

    assert "Tue, Nov 24, 2:00 PM EST" in system.sender.bodies[0]
    system.run_all()
    assert system.purposes == [Purpose.CONFIRMATION, Purpose.FOLLOW_UP, REMINDER]


# Hours


def test_a_confirmation_goes_out_at_once_at_any_hour(system):
    system.clock.instant = local(2026, 11, 21, 23, 55)

    system.book("A")

    assert system.purposes == [Purpose.CONFIRMATION]


def test_a_confirmation_that_is_late_waits_for_the_morning(system):
    system.clock.instant = local(2026, 11, 21, 23, 55)
    system.take(booked("A", booked_at=system.clock.now() - timedelta(minutes=6)))
    system.run_due()
    assert system.texts == []

    system.skip(hours=8)
    assert system.texts == []

    system.skip(minutes=10)
    assert system.purposes == [Purpose.CONFIRMATION]
    # The bus is told once, however often it is tried.
    assert [kind for kind, _ in system.bus.events].count(bus_events.BOOKED) == 1


def test_what_somebody_else_did_at_night_wakes_nobody(system):
    """A host agrees to a request, or moves an appointment, whenever it suits them."""
    system.clock.instant = local(2026, 11, 21, 23, 55)

    system.book("A", by_invitee=False)
    assert system.texts == []

    system.skip(hours=8, minutes=6)
    assert system.purposes == [Purpose.CONFIRMATION]


def test_what_somebody_else_did_by_day_is_told_at_once(system):
    system.book("A", by_invitee=False)

    assert system.purposes == [Purpose.CONFIRMATION]


def test_a_providers_clock_that_is_ahead_makes_no_evening_of_the_night(system):
    system.clock.instant = local(2026, 11, 21, 22, 0)
    system.pause.paused = True
    system.book("A", booked_at=system.clock.now() + timedelta(hours=6))
    system.skip(hours=2)

    system.pause.paused = False
    system.skip(hours=4)

    assert system.texts == []


def test_a_follow_up_at_half_past_eleven_at_night_waits_for_the_morning(system):
    system.clock.instant = local(2026, 11, 21, 23, 0)
    system.book("A")

    system.skip(hours=8, minutes=59)
    assert system.purposes == [Purpose.CONFIRMATION]

    system.skip(minutes=2)
    assert system.purposes == [Purpose.CONFIRMATION, Purpose.FOLLOW_UP]
    assert in_new_york(system.row().followed_up_at) == "22 08:00"


def test_an_answer_at_night_keeps_the_follow_up_of_the_morning_away(system):
    system.clock.instant = local(2026, 11, 21, 23, 0)
    system.book("A")
    system.skip(hours=2)
    system.write("1")

    system.run_all()

    assert Purpose.FOLLOW_UP not in system.purposes


@pytest.mark.parametrize(
    "ends",
    [
        lambda system: system.cancel("A"),
        lambda system: system.move("A", "B", starts_at=STARTS_AT + timedelta(days=1)),
        lambda system: system.write("1"),
    ],
    ids=["cancelled", "moved", "answered"],
)
def test_a_text_that_waited_for_its_hour_is_closed_where_its_reason_is_gone(system, ends):
    """The execution that waits is stopped, so nobody would come back to the row and say how it ended."""
    system.clock.instant = local(2026, 11, 21, 23, 0)
    system.book("A")
    system.skip(hours=1)
    assert system.ledger_row(Purpose.FOLLOW_UP).state is MessageState.DEFERRED

    ends(system)
    system.run_all()

    row = system.ledger_row(Purpose.FOLLOW_UP)
    assert (row.state, row.reason) == (MessageState.SUPPRESSED, Reason.NO_LONGER_TRUE)
    assert MessageState.DEFERRED not in {one.state for one in system.ledger.rows.values()}


def test_a_reminder_that_waited_for_its_hour_is_closed_with_its_appointment(system):
    system.book("A", starts_at=local(2026, 11, 24, 6, 0))
    system.run_until(local(2026, 11, 23, 6, 30))
    assert system.ledger_row(REMINDER).state is MessageState.DEFERRED

    system.cancel("A")
    system.run_all()

    assert system.ledger_row(REMINDER).state is MessageState.SUPPRESSED


def test_the_reminder_of_an_early_appointment_waits_for_the_morning(system):
    """Due at 06:00 the day before, sent at 08:00; the machine comes back to the same reminder."""
    system.book("A", starts_at=local(2026, 11, 24, 6, 0))
    system.run_until(local(2026, 11, 23, 7, 59))
    assert REMINDER not in system.purposes

    system.run_until(local(2026, 11, 23, 8, 1))

    assert REMINDER in system.purposes
    system.run_all()
    assert system.purposes.count(REMINDER) == 1
    assert system.told(bus_events.FINISHED)


def test_a_follow_up_that_could_only_go_out_too_near_to_the_start_does_not(system):
    """Booked at 22:00 for 08:30: the morning begins half an hour before, and an answer takes longer."""
    system.clock.instant = local(2026, 11, 21, 22, 0)
    system.book("A", starts_at=local(2026, 11, 22, 8, 30))

    system.run_all()

    assert system.purposes == [Purpose.CONFIRMATION]
    assert system.row().status is Status.CONFIRMED_SENT
    assert system.told(bus_events.FINISHED)


@pytest.mark.parametrize(
    ("minutes_ahead", "purposes"),
    [
        (25, [Purpose.CONFIRMATION]),
        (90, [Purpose.CONFIRMATION]),
        (91, [Purpose.CONFIRMATION, Purpose.FOLLOW_UP]),
        # A reminder within half an hour of another text reminds nobody of anything.
        (24 * 60 + 60, [Purpose.CONFIRMATION, Purpose.FOLLOW_UP]),
        (24 * 60 + 61, [Purpose.CONFIRMATION, Purpose.FOLLOW_UP, REMINDER]),
    ],
)
def test_near_the_start_nobody_is_followed_up_or_reminded(system, minutes_ahead, purposes):
    system.book("A", starts_at=START + timedelta(minutes=minutes_ahead))

    system.run_all()

    assert system.purposes == purposes
    assert system.told(bus_events.FINISHED)


def test_every_reminder_of_the_list_comes_at_its_time():
    leads = (timedelta(hours=48), timedelta(hours=24), timedelta(hours=2))
    system = System(policy=FollowUpPolicy(reminders=leads))
    system.book("A")

    system.run_all()

    assert system.purposes[2:] == ["reminder-2880", "reminder-1440", "reminder-120"]


def test_without_reminders_the_end_comes_next():
    system = System(policy=FollowUpPolicy(reminders=()))
    system.book("A")

    system.run_all()

    assert system.purposes == [Purpose.CONFIRMATION, Purpose.FOLLOW_UP]
    assert system.told(bus_events.FINISHED)


# What speaks against a text


def test_while_sending_is_paused_everything_waits_and_then_goes_out_once(system):
    system.pause.paused = True
    system.book("A")
    system.skip(hours=1)
    assert system.texts == []

    system.pause.paused = False
    system.skip(minutes=10)

    assert system.purposes == [Purpose.CONFIRMATION]
    assert system.row().status is Status.CONFIRMED_SENT


@pytest.mark.parametrize("days", [1, 40])
def test_a_pause_that_lasts_is_not_looked_at_for_ever(days):
    """An execution may have 25,000 events, and each look makes about ten (Step Functions, quotas)."""
    system = System()
    system.pause.paused = True
    system.take(booked("A", starts_at=START + timedelta(days=days)))
    looks = 0
    while system.running():
        looks += 1
        system.run(system.running()[0])
        system.clock.instant = max(
            (one.due_at for one in system.running()),
            default=system.clock.now(),
        )

    assert looks < 2000
    assert (system.row().status, system.row().reason) == (Status.FAILED, Reason.EXPIRED)


def test_a_reminder_that_was_kept_by_a_pause_goes_out_when_it_ends(system):
    system.book("A")
    system.skip(hours=1)
    system.pause.paused = True
    system.run_until(STARTS_AT - timedelta(hours=23))
    system.pause.paused = False

    system.run_all()

    assert system.purposes == [Purpose.CONFIRMATION, Purpose.FOLLOW_UP, REMINDER]
    assert system.told(bus_events.FINISHED)


def test_a_reminder_that_is_too_late_is_no_failure(system):
    system.book("A")
    system.skip(hours=1)
    system.pause.paused = True
    system.run_until(STARTS_AT)
    system.pause.paused = False

    system.run_all()

    assert REMINDER not in system.purposes
    assert system.row().status is Status.FOLLOWED_UP
    assert system.told(bus_events.FINISHED)


@pytest.mark.parametrize(
    ("arrange", "status", "reason"),
    [
        (lambda s: setattr(s, "countries", frozenset({"GB"})), Status.FAILED, Reason.COUNTRY_NOT_ALLOWED),
        (
            lambda s: s.sender.answers.append(SendRefusedError("INVALID_PHONE_NUMBER")),
            Status.FAILED,
            "INVALID_PHONE_NUMBER",
        ),
        (
            lambda s: s.sender.answers.append(SendRefusedError("DESTINATION_PHONE_NUMBER_OPTED_OUT")),
            Status.OPTED_OUT,
            Reason.OPTED_OUT,
        ),
        (lambda s: s.write("STOP"), Status.OPTED_OUT, Reason.OPTED_OUT),
    ],
    ids=["country", "carrier", "on the service's list", "opted out before"],
)
def test_who_cannot_be_texted_ends_in_one_state_with_its_reason(system, arrange, status, reason):
    arrange(system)

    system.book("A")
    system.run_all()

    assert (system.row().status, system.row().reason) == (status, reason)
    assert system.texts == []
    assert [kind for kind, _ in system.bus.events] == [bus_events.BOOKED]


def test_an_erased_person_who_books_again_gets_no_text_and_leaves_neither_number_nor_name(system):
    system.contacts.put(erase(system.contacts.get(subscriber()), START))

    system.book("A")
    system.run_all()

    row = system.row()
    assert (row.status, row.reason) == (Status.FAILED, Reason.ERASED)
    assert row.recipient is None
    assert row.booking.invitee_name is None
    assert (row.booking.reschedule_url, row.booking.cancel_url) == (None, None)
    assert system.texts == []


def test_a_country_that_is_not_allowed_is_texted_nothing_of_the_end_either(system):
    system.countries = frozenset({"GB"})
    system.book("A")
    system.cancel("A")

    system.run_all()

    assert system.texts == []
    assert system.told(bus_events.CANCELLED)


def test_what_people_wait_for_passes_a_budget_that_is_used_up(system):
    system.budget = FakeBudget(SpendLimits(per_day=1))

    system.book("A")

    assert system.purposes == [Purpose.CONFIRMATION]
    assert system.budget.settled


@pytest.mark.parametrize("error", [SendingDisabledError("SMS_SENDING_DISABLED"), NoSlotError("no slot")])
def test_what_cannot_be_sent_now_is_sent_later(system, error):
    if isinstance(error, NoSlotError):

        def no_slot():
            raise error

        system.pacer.on_acquire = no_slot
    else:
        system.sender.answers.append(error)

    system.book("A")
    assert system.texts == []

    system.skip(minutes=6)
    assert system.purposes == [Purpose.CONFIRMATION]


def test_a_text_whose_fate_is_unknown_is_never_sent_again_and_what_follows_follows(system):
    system.sender.answers.append(OutcomeUnknownError("ReadTimeout"))

    system.book("A")

    assert system.row().status is Status.CONFIRMED_SENT
    system.run_all()
    assert system.purposes == [Purpose.FOLLOW_UP, REMINDER]
    assert system.sender.calls == 3


def test_an_attempt_that_another_one_holds_is_waited_for(system):
    """The function was cut off behind its claim: whoever comes next waits until that is certain."""
    system.sender.answers.append(lambda: (_ for _ in ()).throw(Crash("in the call")))
    system.take(booked("A"))
    with suppress(Crash):
        system.run_due()

    step = system.run(system.due()[0])
    assert (step.next, step.state) == (Next.AGAIN, OutcomeState.IN_FLIGHT)

    system.skip(seconds=62)
    assert system.row().status is Status.CONFIRMED_SENT
    assert system.sender.calls == 1


def test_a_text_that_fails_at_the_carrier_ends_the_rest(system):
    system.book("A")
    system.text_failed("A")

    system.run_all()

    assert system.purposes == [Purpose.CONFIRMATION]
    assert (system.row().status, system.row().reason) == (Status.FAILED, "BLOCKED")


# The end


@pytest.mark.parametrize("by", [Party.INVITEE, Party.HOST, None])
def test_who_was_told_of_it_is_told_that_it_is_cancelled(system, by):
    system.book("A")
    system.skip(hours=1)
    system.cancel("A", by=by)

    system.run_all()

    assert system.purposes == [Purpose.CONFIRMATION, Purpose.FOLLOW_UP, Purpose.CANCELLED]
    assert [detail["by"] for detail in system.told(bus_events.CANCELLED)] == [by and by.value]
    assert not system.told(bus_events.FINISHED)


def test_who_was_never_told_of_it_hears_nothing_of_its_end(system):
    system.take(booked("A"), cancelled("A"))

    system.run_all()

    assert system.texts == []
    assert system.told(bus_events.CANCELLED)


@pytest.mark.parametrize(
    ("event_type", "is_told"),
    [("TEXT_BLOCKED", False), ("TEXT_TTL_EXPIRED", False), ("TEXT_UNKNOWN", True), ("TEXT_DELIVERED", True)],
)
def test_who_did_not_get_the_text_hears_nothing_of_its_end(system, event_type, is_told):
    system.book("A")
    row = system.ledger_row(Purpose.CONFIRMATION)
    system.ledger.record_event(
        DeliveryEvent(
            message_id=row.message_id,
            event_type=event_type,
            status=event_type.removeprefix("TEXT_"),
            is_final=True,
            at=system.clock.now(),
            key=row.key,
            destination=None,
        ),
        system.clock.now(),
    )
    system.cancel("A")

    system.run_all()

    assert (Purpose.CANCELLED in system.purposes) is is_told


def test_a_refused_confirmation_told_nobody(system):
    system.sender.answers.append(SendRefusedError("INVALID_PHONE_NUMBER"))
    system.book("A")
    system.cancel("A")

    system.run_all()

    assert system.ledger_row(Purpose.CONFIRMATION).state is MessageState.FAILED
    assert system.texts == []


@pytest.mark.parametrize(("by", "hour"), [(Party.INVITEE, "22 02:00"), (Party.HOST, "22 08:00")])
def test_a_host_who_cancels_at_night_wakes_nobody_and_an_invitee_is_answered(system, by, hour):
    system.book("A")
    system.run_until(local(2026, 11, 22, 2, 0))
    system.cancel("A", by=by)
    system.run_due()

    system.skip(hours=10)

    row = system.ledger_row(Purpose.CANCELLED)
    assert in_new_york(row.claimed_at) == hour


def test_a_cancellation_that_we_hear_of_behind_the_start_is_no_text(system):
    system.book("A")
    system.run_until(STARTS_AT + timedelta(minutes=1))
    system.cancel("A")

    system.run_all()

    assert Purpose.CANCELLED not in system.purposes
    assert system.told(bus_events.CANCELLED)


def test_who_did_not_come_is_told_once_and_asked_for_no_review(system):
    system.book("A")
    system.run_until(STARTS_AT + timedelta(minutes=40))
    system.mark_no_show("A")
    system.run_due()
    system.mark_no_show("A", is_undone=True)
    system.clock.advance(seconds=5)
    system.mark_no_show("A")

    system.run_all()

    assert system.purposes.count(Purpose.NO_SHOW) == 1
    # Each mark is news to a CRM.
    assert len(system.told(bus_events.NO_SHOW)) == 2
    assert not system.told(bus_events.FINISHED)
    assert not system.told(bus_events.REVIEW_REQUESTED)


def test_a_no_show_that_is_taken_back_before_anybody_was_told_is_none(system):
    system.book("A")
    system.run_until(STARTS_AT + timedelta(minutes=40))
    system.take(no_show("A", at=system.clock.now()))
    system.take(no_show("A", at=system.clock.now() + timedelta(seconds=1), is_undone=True))

    system.run_all()

    assert Purpose.NO_SHOW not in system.purposes
    assert system.told(bus_events.FINISHED)
    assert system.told(bus_events.REVIEW_REQUESTED)


def test_a_mark_by_mistake_that_is_taken_back_loses_nobody(system):
    """Set before the first text, and before a reminder: each time the rest goes on when it is undone."""
    system.take(booked("A"))
    system.mark_no_show("A")
    system.skip(minutes=30)
    assert system.texts == []
    system.mark_no_show("A", is_undone=True)
    system.skip(hours=2)
    assert system.purposes == [Purpose.CONFIRMATION, Purpose.FOLLOW_UP]

    system.run_until(STARTS_AT - timedelta(hours=25))
    system.mark_no_show("A")
    system.skip(hours=2)
    system.mark_no_show("A", is_undone=True)
    system.run_all()

    assert system.row().status is Status.FOLLOWED_UP
    assert system.told(bus_events.FINISHED)


def test_a_mark_that_stands_ends_the_machine_without_a_word(system):
    system.take(booked("A"))
    system.mark_no_show("A")

    system.run_all()

    assert system.texts == []
    assert system.row().status is Status.NO_SHOW


def test_a_no_show_at_night_is_told_in_the_morning_and_after_a_day_no_more(system):
    for hours, is_told in ((14, True), (25, False)):
        system = System()
        system.book("A", starts_at=local(2026, 11, 23, 20, 0))
        system.run_until(local(2026, 11, 23, 22, 0))
        system.mark_no_show("A")
        system.pause.paused = True
        system.run_due()
        system.skip(hours=hours)
        system.pause.paused = False
        system.run_all()
        assert (Purpose.NO_SHOW in system.purposes) is is_told


def test_afterwards_a_review_is_asked_for_in_the_words_of_the_appointment(system):
    system.book("A", time_zone="America/Chicago")
    system.run_until(STARTS_AT + timedelta(minutes=30, hours=2, seconds=-1))
    assert not system.told(bus_events.REVIEW_REQUESTED)

    system.run_all()

    (detail,) = system.told(bus_events.REVIEW_REQUESTED)
    assert detail["occasion"] == f"appointment-{id_of('A')}"
    assert detail["occurredAt"] == (STARTS_AT + timedelta(minutes=30)).isoformat()
    assert detail["customer"] == {
        "phoneNumber": PHONE,
        "name": "Ada Lovelace",
        "locale": "en",
        "timeZone": "America/Chicago",
    }
    assert "{{link}}" in detail["text"]
    assert "Intro call" in detail["text"]
    assert "Ada" not in detail["text"]
    (finished,) = system.told(bus_events.FINISHED)
    assert PHONE not in str(finished)


def test_a_customer_of_reviews_is_the_phone_and_not_the_appointment(system):
    for name in ("A", "B"):
        system.book(name)
    system.run_all()

    details = system.told(bus_events.REVIEW_REQUESTED)

    assert len(details) == 2
    assert len({detail["userId"] for detail in details}) == 1


def test_without_a_feedback_delay_nobody_is_asked_and_the_bus_is_told_at_the_end():
    system = System(policy=FollowUpPolicy(feedback_delay=None))
    system.book("A")
    system.run_until(STARTS_AT + timedelta(minutes=30))

    assert system.told(bus_events.FINISHED)
    assert not system.told(bus_events.REVIEW_REQUESTED)
    assert not system.running()


@pytest.mark.parametrize(
    "arrange",
    [
        lambda s: s.take(cancelled("A")),
        lambda s: s.take(moved_away("A", "B")),
        lambda s: s.write("STOP"),
        lambda s: s.text_failed("A"),
        lambda s: s.mark_no_show("A"),
    ],
    ids=["cancelled", "moved", "opted out", "failed", "no-show"],
)
def test_what_is_over_is_not_finished(system, arrange):
    system.book("A")
    arrange(system)
    # Even where nobody stopped the machine.
    service = system.follow_up()
    system.clock.instant = STARTS_AT + timedelta(days=1)

    assert service.finish(id_of("A")).next is Next.OVER
    # A no-show may still be taken back.
    goes_on = Next.END if system.row().status is Status.NO_SHOW else Next.OVER
    assert service.remind(id_of("A"), timedelta(hours=24)).next is goes_on
    assert service.follow_up(id_of("A")).next is goes_on
    assert not system.told(bus_events.FINISHED)
    assert set(system.purposes) <= {Purpose.CONFIRMATION}


# Moves


def test_a_move_gives_one_text_and_ends_what_waits_for_the_old_time(system):
    system.book("A")
    system.skip(minutes=5)
    system.move("A", "B", starts_at=STARTS_AT + timedelta(days=1))

    system.run_all()

    assert system.texts == [
        (Purpose.CONFIRMATION, id_of("A")),
        (Purpose.MOVED, id_of("B")),
        (Purpose.FOLLOW_UP, id_of("B")),
        (REMINDER, id_of("B")),
    ]
    assert "now on Wed, Nov 25, 2:00 PM" in system.sender.bodies[1]
    (moved,) = system.told(bus_events.MOVED)
    assert (moved["appointmentId"], moved["movedFrom"]) == (id_of("B"), id_of("A"))


def test_the_provider_tells_of_another_time_and_the_text_that_is_under_way_says_it(system):
    """Cal.com may move an appointment under its own id, in the instant in which the text is claimed."""
    system.take(booked("A"))
    later = STARTS_AT + timedelta(days=1)

    def provider_speaks():
        at = system.clock.now() + timedelta(seconds=1)
        event = replace(booked("A", starts_at=later), key="rescheduled", at=at)
        system.take(event)

    system.pacer.on_acquire = provider_speaks
    system.run_due()

    assert len(system.sender.bodies) == 1
    assert "Wed, Nov 25, 2:00 PM" in system.sender.bodies[0]
    assert system.row().booking.starts_at == later


def test_steps_of_an_appointment_that_was_put_off_under_its_id_wait_for_the_new_time(system):
    system.book("A")
    system.skip(hours=1)
    later = STARTS_AT + timedelta(days=1)
    system.take(replace(booked("A", starts_at=later), key="rescheduled", at=START + timedelta(hours=1)))

    system.run_until(later - timedelta(hours=24, seconds=1))
    assert REMINDER not in system.purposes

    system.run_until(later - timedelta(hours=24))
    assert REMINDER in system.purposes
    assert "Wed, Nov 25" in system.sender.bodies[-1]
    system.run_until(later + timedelta(hours=2, minutes=29))
    assert not system.told(bus_events.FINISHED)
    system.run_all()
    assert system.told(bus_events.FINISHED)


def test_an_appointment_that_was_put_off_while_its_end_is_waited_for_ends_later(system):
    system.book("A")
    system.run_until(STARTS_AT - timedelta(hours=1))
    (waiting,) = system.running()
    assert waiting.step == "finish"
    later = STARTS_AT + timedelta(hours=6)
    system.take(replace(booked("A", starts_at=later), key="rescheduled", at=system.clock.now()))

    system.run_until(later)
    assert not system.told(bus_events.FINISHED)

    system.run_all()
    (finished,) = system.told(bus_events.FINISHED)
    assert finished["startsAt"] == later.isoformat()


# Variants and holdouts


def test_who_is_held_out_from_a_text_gets_all_others(system):
    system.speaker = replace(system.speaker, holdout_percents={Purpose.FOLLOW_UP: 100})
    system.book("A")

    system.run_all()

    assert system.purposes == [Purpose.CONFIRMATION, REMINDER]
    # Who gets it is part of the experiment, and counted as such.
    assert {message.campaign_id for message in system.sender.sent} == {None}


def test_who_is_in_an_experiment_is_counted_under_its_variant(system):
    system.speaker = replace(system.speaker, holdout_percents={Purpose.REMINDER: 1})
    system.book("A")

    system.run_all()

    campaigns = [message.campaign_id for message in system.sender.sent]
    assert campaigns == [None, None, campaign_id("appointments", "reminder", 0)]


def test_a_variant_that_people_leave_over_is_given_up_for_the_other(system):
    texts = AppointmentTexts({"confirmation": {"en": ["One {{event}}, {{time}}", "Two {{event}}, {{time}}"]}})
    system.speaker = replace(system.speaker, texts=texts)
    system.book("A")
    first = system.sender.sent[0]
    assigned = first.campaign_id[-1]
    assert first.body.startswith({"a": "One", "b": "Two"}[assigned])

    system.counts.counts[first.campaign_id] = Counts(delivered=200, failed=0, opted_out=50)
    system.book("B")

    second = next(message for message in system.sender.sent if message.body[:3] != first.body[:3])
    assert second.campaign_id == campaign_id("appointments", "confirmation", {"a": 1, "b": 0}[assigned])


# Repeated, cut off, throttled


def test_a_step_that_is_played_again_sends_nothing_again(system):
    system.book("A")
    service = system.follow_up()

    steps = [service.confirm(id_of("A")) for _ in range(3)]

    assert {step.state for step in steps} == {OutcomeState.ALREADY_SENT}
    assert {step.next for step in steps} == {Next.ANSWER}
    assert system.sender.calls == 1
    assert len(system.told(bus_events.CONFIRMATION_SENT)) == 1


def test_a_table_that_does_not_answer_is_asked_again(system, monkeypatch):
    system.take(booked("A"))
    reads = system.conversations.get

    def throttled(appointment_id):
        monkeypatch.setattr(system.conversations, "get", reads)
        raise TransientError("throttled")

    monkeypatch.setattr(system.conversations, "get", throttled)
    with pytest.raises(TransientError):
        system.run_due()

    system.run_due()
    assert system.purposes == [Purpose.CONFIRMATION]


def test_a_row_that_was_deleted_by_hand_is_an_error(system):
    with pytest.raises(MissingConversationError):
        system.follow_up().confirm(id_of("A"))


def _due_confirmation(system):
    system.take(booked("A", replaces="Z"))


def _due_follow_up(system):
    system.book("A")
    system.clock.advance(minutes=30)


def _due_reminder(system):
    system.book("A")
    system.run_until(STARTS_AT - timedelta(hours=24, seconds=1))
    system.clock.advance(seconds=1)


def _due_finish(system):
    system.book("A")
    system.run_until(STARTS_AT + timedelta(hours=2))
    system.clock.advance(minutes=30)


def _due_cancelled(system):
    system.book("A")
    system.cancel("A")


def _due_no_show(system):
    system.book("A")
    system.run_until(STARTS_AT + timedelta(minutes=40))
    system.mark_no_show("A")


CUT_OFF = {
    "confirm": _due_confirmation,
    "follow-up": _due_follow_up,
    "remind": _due_reminder,
    "finish": _due_finish,
    "cancelled": _due_cancelled,
    "no-show": _due_no_show,
}


@pytest.mark.parametrize("due", CUT_OFF.values(), ids=CUT_OFF)
def test_a_step_that_is_cut_off_anywhere_ends_the_same_and_sends_once(due):
    whole, plan = System(), CrashPlan()
    due(whole)
    whole.run(whole.due()[-1], plan.wrap)
    whole.run_all()
    assert plan.instants > 4

    for instant in range(1, plan.instants + 1):
        system = System()
        due(system)
        execution = system.due()[-1]
        with suppress(Crash):
            system.run(execution, CrashPlan(crash_at=instant).wrap)
        system.run_all()

        assert system.row().status is whole.row().status, instant
        texts = system.texts
        assert len(texts) == len(set(texts)), instant
        # One that was cut off between its claim and the call is not sent: nobody knows that it was not.
        assert len(set(whole.texts) - set(texts)) <= 1, instant
        assert set(texts) <= set(whole.texts), instant
        for kind in kinds(whole):
            assert {d.get("eventId") for d in system.told(kind)} == {
                d.get("eventId") for d in whole.told(kind)
            }, (instant, kind)
        open_ones = [key[2:] for key in system.contacts.prompts]
        assert sorted(open_ones) == sorted(key[2:] for key in whole.contacts.prompts), instant


def test_a_question_is_open_until_the_end_of_the_appointment_and_says_of_cancel_that_it_stands(system):
    system.book("A")
    (prompt,) = system.contacts.prompts.values()

    assert prompt.subscriber_id == subscriber()
    assert (prompt.purpose, prompt.occasion) == (Purpose.CONFIRMATION, id_of("A"))
    assert prompt.expires_at == STARTS_AT + timedelta(minutes=30)
    assert prompt.message_id == "message-1"
    assert "still stands" in prompt.opt_out_reply
