"""Answers, opt-outs and texts that failed: from the words on a phone to the row, the host and the bus."""

import re
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from sms_engagement_runtime.appointment_follow_up.domain import bus_events
from sms_engagement_runtime.appointment_follow_up.domain.conversation import Status
from sms_engagement_runtime.appointment_follow_up.domain.phone_events import (
    OptedOut,
    ReplyReceived,
    TextFailed,
    read_event,
)
from sms_engagement_runtime.appointment_follow_up.domain.purposes import Purpose
from sms_engagement_runtime.appointment_follow_up.domain.reply_kinds import ReplyKind
from sms_engagement_runtime.channel.domain.consent import ConsentState, Scope
from sms_engagement_runtime.channel.domain.errors import SendRefusedError
from sms_engagement_runtime.channel.domain.reasons import Reason
from tests.support.appointment_fakes import (
    PHONE,
    STARTS_AT,
    System,
    booked,
    id_of,
    moved_away,
    subscriber,
)
from tests.support.fakes import START, Crash, CrashPlan

OTHER_PHONE = "+12025550147"
NEW_YORK = ZoneInfo("America/New_York")
REMINDER = "reminder-1440"


@pytest.fixture
def system():
    return System()


@pytest.fixture
def booked_system(system):
    system.book("A")
    return system


# What an answer does


@pytest.mark.parametrize("words", ["1", "YES", "y", "C", " Yes! ", "ok", "sí", "ja gerne", "👍"])
def test_a_confirmation_is_recorded_and_told_and_nobody_is_bothered(booked_system, words):
    system = booked_system

    (answered,) = system.write(words)

    assert (answered.action, answered.reason) == ("REPLIED", ReplyKind.CONFIRM)
    assert (system.row().status, system.row().reply.kind) == (Status.RESPONDED, ReplyKind.CONFIRM)
    assert [detail["answer"] for detail in system.told(bus_events.REPLIED)] == ["CONFIRM"]
    assert len(system.told(bus_events.CONFIRMED)) == 1
    assert system.host.notices == []
    assert len(system.sender.bodies) == 1


@pytest.mark.parametrize("words", ["R", "r please", "Can we do another time?"])
def test_who_wants_another_time_gets_the_link_and_the_host_knows(booked_system, words):
    system = booked_system

    system.write(words)

    assert "https://calendly.com/reschedulings/1a2b" in system.sender.bodies[-1]
    ((subject, message),) = system.host.notices
    assert subject == "An invitee wants another time"
    assert words in message
    assert "They were sent the link" in message
    assert system.row().status is Status.RESPONDED
    assert system.told(bus_events.CONFIRMED) == []


def test_where_there_is_no_link_the_host_gets_in_touch(system):
    system.book("A", reschedule_url=None)

    system.write("R")

    assert system.purposes[-1] == Purpose.CALL_BACK
    assert "http" not in system.sender.bodies[-1]
    assert "there is no link" in system.host.notices[0][1]


def test_a_link_that_fits_into_no_text_is_none(system):
    system.book("A", reschedule_url="https://calendly.com/reschedulings/" + "x" * 200)

    system.write("R")

    assert system.purposes[-1] == Purpose.CALL_BACK
    assert "no link that fits" in system.host.notices[0][1]


@pytest.mark.parametrize("words", ["Can I bring my dog?", "Is there parking", "no", "1 but late"])
def test_everything_else_is_for_the_host_who_learns_whom_and_what_about(booked_system, words):
    system = booked_system

    (answered,) = system.write(words)

    assert answered.reason == ReplyKind.OTHER
    ((subject, message),) = system.host.notices
    assert subject == "An invitee wrote"
    for part in (words, PHONE, "Ada Lovelace", "Intro call", "2026-11-24 19:00 UTC", "Inbound message: "):
        assert part in message
    assert system.row().status is Status.RESPONDED
    assert len(system.sender.bodies) == 1
    system.run_all()
    assert Purpose.FOLLOW_UP not in system.purposes


def test_words_stay_with_the_host_and_appear_on_no_bus(booked_system):
    booked_system.write("my secret")

    assert "my secret" not in str(booked_system.bus.events)
    assert PHONE not in str(booked_system.bus.events)


def test_a_later_answer_counts(booked_system):
    system = booked_system
    system.write("1")
    system.skip(days=2, hours=3)
    assert system.purposes[-1] == REMINDER

    system.write("R")

    assert system.row().reply.kind is ReplyKind.RESCHEDULE
    assert [detail["answer"] for detail in system.told(bus_events.REPLIED)] == ["CONFIRM", "RESCHEDULE"]


def open_purposes(system):
    return [one.purpose for one in system.contacts.prompts.values() if one.answered_by is None]


def test_an_answer_closes_what_else_was_asked_about_the_appointment(booked_system):
    system = booked_system
    system.skip(hours=1)
    assert open_purposes(system) == [Purpose.CONFIRMATION, Purpose.FOLLOW_UP]

    system.write("1")

    assert open_purposes(system) == ["conversation/inbound-1"]


def test_what_else_they_write_about_it_reaches_the_host(booked_system):
    system = booked_system
    for words in ("1", "see you there, is there parking?", "and a lift?"):
        system.write(words)

    assert [re.search("“(.*)”", message)[1] for _, message in system.host.notices] == [
        "see you there, is there parking?",
        "and a lift?",
    ]
    assert system.attention.notices == []


def test_it_still_does_where_the_answer_came_twice(booked_system):
    system = booked_system
    system.clock.advance(seconds=5)
    event = system.reply_to("A", "1")
    for _ in range(2):
        system.answers().handle(event)

    system.write("is there parking?")

    assert len(system.host.notices) == 1
    assert system.attention.notices == []


def test_what_was_asked_after_the_answer_stays_open(booked_system):
    system = booked_system
    early = system.reply_to("A", "1")
    system.skip(hours=1)

    system.answers().handle(early)

    assert open_purposes(system) == [Purpose.FOLLOW_UP, "conversation/inbound-x"]


@pytest.mark.parametrize("words", ["1", "R", "when?"])
def test_an_answer_that_comes_again_is_as_once(booked_system, words):
    system = booked_system
    event = system.reply_to("A", words)

    for _ in range(3):
        system.answers().handle(event)

    assert len(system.host.notices) == (words != "1")
    assert len(system.told(bus_events.REPLIED)) == 1
    assert len(system.sender.bodies) == 1 + (words == "R")


@pytest.mark.parametrize("end", ["cancel", "no-show"])
def test_an_answer_about_what_is_over_is_for_the_host(booked_system, end):
    system = booked_system
    system.cancel("A") if end == "cancel" else system.mark_no_show("A")
    status = system.row().status
    system.run_due()

    system.write("1")

    assert system.row().status is status
    assert system.told(bus_events.CONFIRMED) == []
    assert [subject for subject, _ in system.host.notices] == ["Answer about an appointment that is over"]


def test_who_did_not_come_and_writes_is_heard_for_some_days(booked_system):
    system = booked_system
    system.run_until(STARTS_AT + timedelta(minutes=40))
    system.mark_no_show("A")
    system.run_due()

    system.write("Sorry, I was ill")
    system.skip(days=1)
    system.write("Could I still come in?")

    assert len(system.host.notices) == 2
    assert system.attention.notices == []


def test_who_wants_another_time_for_what_is_over_gets_no_link_by_us(booked_system):
    system = booked_system
    system.cancel("A")
    system.run_due()

    system.write("R")

    assert Purpose.RESCHEDULE not in system.purposes
    assert "the link" not in system.host.notices[0][1]


# Answers that have to wait


def test_a_link_that_cannot_be_sent_now_is_sent_later_without_what_was_written(booked_system):
    system = booked_system
    system.pause.paused = True
    event = system.reply_to("A", "R, since my aunt is ill")
    event = replace(event, body="another time please, my aunt is ill")
    waits = system.answers().handle(event)
    assert waits.until > system.clock.now()
    assert waits.said == "R"

    system.pause.paused = False
    system.skip(minutes=10)
    done = system.answers().handle(replace(event, body=waits.said))

    assert done.until is None
    assert system.purposes[-1] == Purpose.RESCHEDULE
    assert len(system.host.notices) == 1
    assert "my aunt is ill" in system.host.notices[0][1]


def test_a_late_link_does_not_come_at_night(booked_system):
    system = booked_system
    system.run_until(datetime(2026, 11, 21, 20, 50, tzinfo=NEW_YORK).astimezone(UTC))
    system.pause.paused = True
    event = system.reply_to("A", "R")
    system.answers().handle(event)
    system.pause.paused = False
    system.skip(minutes=30)

    waits = system.answers().handle(event)

    assert waits.reason == Reason.QUIET_HOURS
    assert waits.until == datetime(2026, 11, 22, 8, 0, tzinfo=NEW_YORK).astimezone(UTC)


# Which of several


@pytest.fixture
def two_bookings(system):
    system.book("A")
    system.clock.advance(minutes=2)
    system.book("B", starts_at=STARTS_AT + timedelta(days=1), invitee_name="Charles Babbage")
    return system


@pytest.mark.parametrize(
    ("choice", "chosen", "other"), [("1", "A", "B"), ("2", "B", "A"), ("second", "B", "A")]
)
def test_which_of_two_is_asked_once_and_the_number_decides(two_bookings, choice, chosen, other):
    system = two_bookings
    (asked,) = system.write("yes")
    assert asked.action == "ASKED_WHICH"
    assert re.search(r"1: Tue, Nov 24, 2:00 PM\s+2: Wed, Nov 25, 2:00 PM", system.sender.bodies[-1])
    assert {system.row(name).status for name in "AB"} == {Status.CONFIRMED_SENT}

    system.write(choice)

    assert system.row(chosen).reply.kind is ReplyKind.CONFIRM
    assert system.row(other).reply is None
    assert system.purposes.count(Purpose.WHICH) == 1
    assert [detail["appointmentId"] for detail in system.told(bus_events.CONFIRMED)] == [id_of(chosen)]
    system.run_all()
    assert (Purpose.FOLLOW_UP, id_of(chosen)) not in system.texts
    assert (Purpose.FOLLOW_UP, id_of(other)) in system.texts


def test_who_wants_another_time_for_one_of_two_gets_the_link_of_that_one(system):
    system.book("A", reschedule_url="https://calendly.com/reschedulings/of-a")
    system.clock.advance(minutes=2)
    system.book("B", starts_at=STARTS_AT + timedelta(days=1), reschedule_url="https://calendly.com/r/of-b")
    system.write("R")

    system.write("2")

    assert "of-b" in system.sender.bodies[-1]
    assert system.row("B").reply.kind is ReplyKind.RESCHEDULE
    assert system.row("A").reply is None


@pytest.mark.parametrize("words", ["both", "7", "hm?"])
def test_who_does_not_choose_is_read_by_the_host_and_not_asked_again(two_bookings, words):
    system = two_bookings
    system.write("1")

    system.write(words)

    assert system.purposes.count(Purpose.WHICH) == 1
    ((_, message),) = system.host.notices
    assert words in message
    assert message.count("Intro call") == 2
    assert {system.row(name).reply.kind for name in "AB"} == {ReplyKind.OTHER}


def test_an_answer_to_a_certain_text_is_about_that_one(two_bookings):
    system = two_bookings

    system.write("1", to="message-1")

    assert system.row("A").status is Status.RESPONDED
    assert system.row("B").status is Status.CONFIRMED_SENT
    assert Purpose.WHICH not in system.purposes


def test_what_is_over_is_no_choice(two_bookings):
    system = two_bookings
    system.cancel("A")

    system.write("1")

    assert Purpose.WHICH not in system.purposes
    assert system.row("B").status is Status.RESPONDED


def test_words_behind_a_cancellation_are_about_that_and_decide_about_no_other(two_bookings):
    system = two_bookings
    system.clock.advance(minutes=1)
    system.cancel("A")
    system.run_due()
    assert system.purposes[-1] == Purpose.CANCELLED

    system.write("ok")

    assert system.row("B").reply is None
    assert [subject for subject, _ in system.host.notices] == ["Answer about an appointment that is over"]


def test_what_is_confirmed_already_is_not_asked_about(two_bookings):
    system = two_bookings
    system.write("1", to="message-1")

    system.write("1")

    assert Purpose.WHICH not in system.purposes
    assert {system.row(name).status for name in "AB"} == {Status.RESPONDED}


def test_at_the_same_hour_a_number_would_tell_nothing_apart_and_the_host_reads_it(system):
    """Two people with one phone book the same class."""
    system.book("A", invitee_name="Ada Lovelace")
    system.clock.advance(minutes=1)
    system.book("B", invitee_name="Charles Babbage")

    system.write("1")

    assert Purpose.WHICH not in system.purposes
    assert system.host.notices[0][1].count("Intro call") == 2


def test_free_words_are_about_all_that_is_open_and_ask_nothing(two_bookings):
    system = two_bookings

    system.write("Is there parking?")

    assert Purpose.WHICH not in system.purposes
    assert {system.row(name).status for name in "AB"} == {Status.RESPONDED}
    assert len(system.host.notices) == 1


def test_three_are_asked_about_at_the_most_and_in_their_order_of_time(system):
    for days in (3, 1, 2, 4):
        system.book(f"{9 - days}", starts_at=STARTS_AT + timedelta(days=days))
        system.clock.advance(minutes=1)

    system.write("1")

    # The latest that was booked, since it is what they were asked about last.
    choices = re.findall(r"\d: (\w+), Nov (\d+)", system.sender.bodies[-1])
    assert choices == [("Wed", "25"), ("Thu", "26"), ("Sat", "28")]
    system.write("3")
    assert system.row("5").status is Status.RESPONDED


def test_which_is_asked_when_sending_goes_on(two_bookings):
    system = two_bookings
    system.pause.paused = True
    event = system.reply_to("B", "yes please", alternatives=["A"])
    waits = system.answers().handle(event)
    assert (waits.action, waits.said) == ("ASKED_WHICH", "1")

    system.pause.paused = False
    system.clock.instant = waits.until
    system.answers().handle(replace(event, body=waits.said))
    system.write("2")

    assert system.row("B").status is Status.RESPONDED


@pytest.mark.parametrize("arrange", ["too late", "refused", "opted out"])
def test_an_answer_that_nobody_can_ask_about_is_read_by_the_host(two_bookings, arrange):
    system = two_bookings
    event = system.reply_to("B", "1", alternatives=["A"])
    if arrange == "too late":
        system.clock.instant = STARTS_AT + timedelta(minutes=1)
    elif arrange == "refused":
        system.sender.answers.append(SendRefusedError("INVALID_PHONE_NUMBER"))
    else:
        system.contacts.put(replace(system.contacts.get(subscriber()), **_opted_out()))

    for _ in range(2):
        system.answers().handle(event)

    assert len(system.host.notices) == 1
    assert system.host.notices[0][1].count("Intro call") == 2


def _opted_out():
    return {"consents": dict.fromkeys(Scope, ConsentState.OPTED_OUT)}


def test_two_phones_never_mix(system):
    system.book("A")
    system.book("B", phone=OTHER_PHONE)

    system.write("1", phone=OTHER_PHONE)
    system.write("STOP", phone=PHONE)

    assert (system.row("A").status, system.row("B").status) == (Status.OPTED_OUT, Status.RESPONDED)
    system.run_all()
    assert [text for text in system.texts if text[1] == id_of("A")] == [(Purpose.CONFIRMATION, id_of("A"))]


# Moved appointments


@pytest.fixture
def moved_twice(system):
    system.book("A")
    for old, new, days in (("A", "B", 1), ("B", "C", 2)):
        system.skip(minutes=5)
        system.move(old, new, starts_at=STARTS_AT + timedelta(days=days))
        system.run_due()
    return system


def test_an_answer_to_an_old_text_is_about_where_it_was_moved_to(moved_twice):
    system = moved_twice

    system.write("1", to="message-1")

    assert system.row("C").status is Status.RESPONDED
    assert [system.row(name).status for name in "AB"] == [Status.RESCHEDULED, Status.RESCHEDULED]
    assert Purpose.WHICH not in system.purposes
    assert system.host.notices == []


def test_texts_of_one_appointment_that_was_moved_are_one_question(moved_twice):
    system = moved_twice

    system.write("R")

    assert Purpose.WHICH not in system.purposes
    assert system.row("C").reply.kind is ReplyKind.RESCHEDULE


def test_an_answer_that_was_written_before_the_move_was_told_is_about_the_old_time(booked_system):
    system = booked_system
    early = system.reply_to("A", "1")
    system.clock.advance(minutes=1)
    system.move("A", "B", starts_at=STARTS_AT + timedelta(days=1))
    system.run_due()

    answered = system.answers().handle(early)

    assert answered.appointment_ids == (id_of("A"),)
    assert system.row("B").status is Status.CONFIRMED_SENT
    assert len(system.host.notices) == 1


def test_who_has_answered_before_they_were_told_is_told_all_the_same(booked_system):
    system = booked_system
    system.take(moved_away("A", "B", half="created"), booked("B", replaces="A"), booked("D"))
    for name in "BD":
        system.reply(name, "1", inbound_id=f"inbound-{name}")

    system.run_all()

    assert {system.row(name).status for name in "BD"} == {Status.RESPONDED}
    assert {(Purpose.MOVED, id_of("B")), (Purpose.CONFIRMATION, id_of("D"))} < set(system.texts)
    assert Purpose.FOLLOW_UP not in system.purposes


def test_a_ring_of_moves_ends(booked_system):
    system = booked_system
    system.take(moved_away("A", "B"), booked("B"), moved_away("B", "A"))

    assert system.reply("A", "1").action == "REPLIED"


def test_one_link_of_a_chain_that_nobody_was_told_of_is_passed_over(booked_system):
    system = booked_system
    system.clock.advance(minutes=1)
    system.take(
        moved_away("A", "B", half="created"),
        booked("B", replaces="A"),
        moved_away("B", "C", half="created"),
        booked("C", replaces="B", starts_at=STARTS_AT + timedelta(days=2)),
    )
    system.run_due()
    assert system.purposes == [Purpose.CONFIRMATION, Purpose.MOVED]

    system.write("1", to="message-1")

    assert system.row("C").status is Status.RESPONDED


# Opt-outs


def test_cancel_opts_out_and_the_host_hears_that_it_may_be_the_appointment_that_was_meant(booked_system):
    system = booked_system

    (answered,) = system.write("CANCEL")

    assert (answered.action, answered.reason) == ("OPTED_OUT", Reason.OPTED_OUT)
    assert system.row().status is Status.OPTED_OUT
    assert "still stands" in system.sender.bodies[-1]
    ((subject, message),) = system.host.notices
    assert subject == "CANCEL by text"
    assert "The appointment itself stands; ask whether they meant to cancel it" in message
    assert id_of("A") in system.workflow.executions
    system.run_all()
    assert system.purposes == [Purpose.CONFIRMATION]


def test_stop_ends_the_texts_about_all_appointments_and_the_host_knows_them(two_bookings):
    system = two_bookings

    system.write("STOP")
    system.run_all()

    assert {system.row(name).status for name in "AB"} == {Status.OPTED_OUT}
    assert system.purposes == [Purpose.CONFIRMATION] * 2
    ((subject, message),) = system.host.notices
    assert subject == "An invitee opted out"
    assert message.count("Intro call") == 2


def test_a_wrong_number_says_that_the_invitee_was_not_reached(booked_system):
    system = booked_system

    system.write("wrong number")

    assert (system.row().status, system.row().reason) == (Status.OPTED_OUT, Reason.WRONG_NUMBER)
    assert "The number belongs to somebody else" in system.host.notices[0][1]


def test_an_opt_out_about_nothing_that_is_ahead_is_no_matter_for_a_host(booked_system):
    system = booked_system
    system.run_all()

    system.write("STOP")

    assert system.host.notices == []


def test_a_cancelled_appointment_is_not_said_to_stand(booked_system):
    system = booked_system
    system.cancel("A")

    system.write("STOP")

    assert system.row().status is Status.CANCELED
    assert system.host.notices == []


def test_an_opt_out_that_is_told_again_is_as_once(booked_system):
    system = booked_system
    system.write("STOP")
    kind, detail = next(told for told in system.router_bus.events if told[0] == "OptedOut")

    for _ in range(3):
        system.answers().handle(read_event(kind, detail))

    assert len(system.host.notices) == 1
    assert system.row().version == 3


def test_an_opt_out_that_is_told_late_ends_nothing_that_was_booked_after_it(booked_system):
    system = booked_system
    system.write("STOP")
    stop = next(detail for kind, detail in system.router_bus.events if kind == "OptedOut")
    system.write("START")
    system.book("B", starts_at=STARTS_AT + timedelta(days=1))

    system.answers().handle(read_event("OptedOut", stop))

    assert (system.row("A").status, system.row("B").status) == (Status.OPTED_OUT, Status.CONFIRMED_SENT)


def test_who_books_again_after_an_opt_out_gets_no_text(booked_system):
    system = booked_system
    system.write("STOP")

    system.book("B")

    assert system.row("B").status is Status.OPTED_OUT
    assert (Purpose.CONFIRMATION, id_of("B")) not in system.texts


# Texts that failed


def test_a_text_that_failed_ends_what_waits(booked_system):
    assert booked_system.text_failed("A").appointment_ids == (id_of("A"),)
    assert (booked_system.row().status, booked_system.row().reason) == (Status.FAILED, "BLOCKED")


@pytest.mark.parametrize(
    "purpose", [Purpose.CANCELLED, Purpose.NO_SHOW, Purpose.RESCHEDULE, Purpose.CALL_BACK, Purpose.WHICH]
)
def test_a_notice_or_an_answer_that_failed_changes_nothing(booked_system, purpose):
    before = booked_system.row()
    about = "A" if purpose in (Purpose.CANCELLED, Purpose.NO_SHOW) else "an inbound message"

    assert booked_system.text_failed(about, purpose).action == "IGNORED"
    assert booked_system.row() == before
    assert len(booked_system.conversations.rows) == 1


def test_who_has_answered_was_reached_whatever_a_late_failure_says(booked_system):
    booked_system.write("1")

    booked_system.text_failed("A", REMINDER)

    assert booked_system.row().status is Status.RESPONDED


def test_an_answer_about_nothing_that_we_know_is_ignored(system):
    assert system.reply("A", "1").reason == "NO_APPOINTMENT"
    assert system.reply_to("A", "1").purpose == Purpose.CONFIRMATION
    which = replace(system.reply_to("A", "1"), purpose=Purpose.WHICH, occasion=f"CONFIRM|{id_of('A')}")
    assert system.answers().handle(which).reason == "NO_APPOINTMENT"
    assert system.answers().handle(replace(which, body="?")).reason == "NO_APPOINTMENT"
    assert system.conversations.rows == {}


# What the bus brings


REPLY = {
    "inboundMessageId": "i",
    "subscriberId": "v1:x",
    "construct": "appointments",
    "purpose": "confirmation",
    "occasion": "o",
    "alternatives": [{"purpose": "reminder-1440", "occasion": "p"}],
    "body": "1",
    "receivedAt": 1_795_280_400_000,
}
OPT_OUT = {
    "inboundMessageId": "i",
    "subscriberId": "v1:x",
    "body": "STOP",
    "isCancel": False,
    "isWrongNumber": False,
    "answeredPrompt": {"construct": "appointments", "occasion": "o"},
    "receivedAt": 1_795_280_400_000,
}
FAILED = {"construct": "appointments", "purpose": "confirmation", "occasion": "o", "reason": "BLOCKED"}


def test_events_of_the_channel_are_read():
    assert read_event("ReplyReceived", REPLY) == ReplyReceived(
        inbound_id="i",
        subscriber_id="v1:x",
        purpose="confirmation",
        occasion="o",
        body="1",
        received_at=START,
        alternatives=("p",),
    )
    assert read_event("OptedOut", OPT_OUT) == OptedOut(
        inbound_id="i",
        subscriber_id="v1:x",
        body="STOP",
        is_cancel=False,
        is_wrong_number=False,
        received_at=START,
        answered="o",
    )
    assert read_event("TextFailed", FAILED) == TextFailed(
        purpose="confirmation", occasion="o", reason="BLOCKED"
    )


def test_an_opt_out_that_answered_another_question_is_read_as_such():
    other = {"construct": "reviews", "occasion": "o"}

    assert read_event("OptedOut", {**OPT_OUT, "answeredPrompt": other}).answered is None
    assert read_event("OptedOut", {**OPT_OUT, "answeredPrompt": None}).answered is None


@pytest.mark.parametrize(
    ("event_type", "detail"),
    [
        ("ReplyReceived", {**REPLY, "construct": "reviews"}),
        ("TextFailed", {**FAILED, "construct": "reviews"}),
        ("SomethingElse", REPLY),
        (None, REPLY),
        (7, REPLY),
        *(("ReplyReceived", detail) for detail in (None, [], "x", 7, {})),
        *(
            ("ReplyReceived", {name: value for name, value in REPLY.items() if name != missing})
            for missing in ("inboundMessageId", "subscriberId", "purpose", "occasion", "receivedAt")
        ),
        ("ReplyReceived", {**REPLY, "receivedAt": "now"}),
        ("ReplyReceived", {**REPLY, "receivedAt": 10**20}),
        ("ReplyReceived", {**REPLY, "receivedAt": float("nan")}),
        ("ReplyReceived", {**REPLY, "alternatives": [7]}),
        ("ReplyReceived", {**REPLY, "alternatives": None}),
        ("ReplyReceived", {**REPLY, "body": {"a": 1}}),
        ("ReplyReceived", {**REPLY, "occasion": ""}),
        ("OptedOut", {}),
        ("OptedOut", {**OPT_OUT, "answeredPrompt": "o"}),
        ("OptedOut", {**OPT_OUT, "body": 7}),
        ("TextFailed", {**FAILED, "reason": None}),
    ],
)
def test_what_is_malformed_or_for_others_is_none_of_ours(event_type, detail):
    assert read_event(event_type, detail) is None


# Cut off


def _one(system):
    system.book("A")


def _two(system):
    system.book("A")
    system.clock.advance(minutes=2)
    system.book("B", starts_at=STARTS_AT + timedelta(days=1))


EVENTS = {
    "confirmation": (_one, lambda s: s.reply_to("A", "1")),
    "another time": (_one, lambda s: s.reply_to("A", "R")),
    "free words": (_two, lambda s: s.reply_to("A", "parking?", alternatives=["B"])),
    "one of two": (_two, lambda s: s.reply_to("B", "1", alternatives=["A"])),
    "opt-out": (
        _two,
        lambda s: OptedOut(
            inbound_id="i",
            subscriber_id=subscriber(),
            body="STOP",
            is_cancel=False,
            is_wrong_number=False,
            received_at=s.clock.now(),
            answered=id_of("A"),
        ),
    ),
    "failed": (_one, lambda s: TextFailed(purpose="confirmation", occasion=id_of("A"), reason="BLOCKED")),
}


@pytest.mark.parametrize(("arrange", "make"), EVENTS.values(), ids=EVENTS)
def test_an_event_that_is_cut_off_anywhere_and_comes_again_ends_the_same(arrange, make):
    def played(crash_at=None):
        system, plan = System(), CrashPlan(crash_at=crash_at)
        arrange(system)
        event = make(system)
        with suppress(Crash):
            system.answers(plan.wrap).handle(event)
        if crash_at is not None:
            # Lambda calls again after a minute (asynchronous invocation), by when a lost call is certain.
            system.clock.advance(seconds=61)
            system.answers().handle(event)
        return system, plan

    whole, plan = played()
    assert plan.instants >= 4
    for instant in range(1, plan.instants + 1):
        system, _ = played(instant)
        for name in ("A", "B"):
            row, expected = (one.conversations.rows.get(id_of(name)) for one in (system, whole))
            assert (row is None) == (expected is None)
            if row is not None:
                assert (row.status, row.reply, row.reason) == (
                    expected.status,
                    expected.reply,
                    expected.reason,
                ), instant
        assert len(system.texts) == len(set(system.texts)), instant
        assert len(set(whole.texts) - set(system.texts)) <= 1, instant
        # A host is told at least once, and twice only where it was cut off between word and mark.
        assert set(system.host.notices) == set(whole.host.notices), instant
        assert {key[3:] for key in system.contacts.prompts} == {key[3:] for key in whole.contacts.prompts}
        for kind, _ in whole.bus.events:
            assert {one["eventId"] for one in system.told(kind)} == {
                one["eventId"] for one in whole.told(kind)
            }, instant


# An answer that comes again when things have changed meanwhile


def _say_again(system, answer):
    """The bus delivers an answer a second time."""
    told = [detail for kind, detail in system.router_bus.events if kind == "ReplyReceived"]
    return system.answers().handle(read_event("ReplyReceived", told[answer]))


def test_an_answer_that_comes_again_behind_the_choice_decides_about_no_other(two_bookings):
    system = two_bookings
    system.write("yes")
    system.write("1")
    before = {name: system.row(name) for name in "AB"}

    _say_again(system, 0)

    assert {name: system.row(name) for name in "AB"} == before
    assert system.purposes.count(Purpose.WHICH) == 1
    assert len(system.told(bus_events.CONFIRMED)) == 1


def test_an_answer_that_comes_again_asks_nothing_that_it_answered(two_bookings):
    system = two_bookings
    system.write("1", to="message-1")
    system.write("1")
    assert {system.row(name).status for name in "AB"} == {Status.RESPONDED}

    answered = _say_again(system, 1)

    assert answered.appointment_ids == (id_of("B"),)
    assert Purpose.WHICH not in system.purposes
    assert system.host.notices == []


def test_of_three_the_choice_of_one_makes_no_other_list_of_the_same_numbers(two_bookings):
    system = two_bookings
    system.clock.advance(minutes=2)
    system.book("C", starts_at=STARTS_AT + timedelta(days=2))
    system.write("yes")
    system.write("1")
    open_before = open_purposes(system)

    _say_again(system, 0)

    assert open_purposes(system) == open_before
    assert [system.row(name).reply is None for name in "ABC"] == [False, True, True]


def test_an_answer_that_went_to_the_host_goes_there_once(system):
    system.book("A")
    system.clock.advance(minutes=1)
    system.book("B")
    system.write("1")

    _say_again(system, 0)

    assert len(system.host.notices) == 1
    assert system.told(bus_events.CONFIRMED) == []
    assert {detail["answer"] for detail in system.told(bus_events.REPLIED)} == {"OTHER"}


def test_who_was_asked_which_is_not_sent_a_link_as_well_when_one_of_them_ends(two_bookings):
    system = two_bookings
    event = system.reply_to("B", "R", alternatives=["A"])
    assert system.answers().handle(event).action == "ASKED_WHICH"
    system.cancel("A")
    system.run_due()
    texts = list(system.sender.bodies)

    assert system.answers().handle(event).action == "ASKED_WHICH"

    assert system.sender.bodies == texts


@pytest.mark.parametrize("body", ["R", "1"])
def test_an_answer_that_another_attempt_is_at_is_waited_for(two_bookings, body):
    """The process ended behind the call: what was sent is not known for a minute."""
    system = two_bookings
    system.clock.advance(minutes=1)
    event = system.reply_to("B", body, alternatives=["A"] if body == "1" else [])
    with pytest.raises(Crash):
        _crash_behind_the_call(system).handle(event)
    sent = list(system.sender.bodies)

    waits = system.answers().handle(event)
    assert waits.until == system.clock.now() + timedelta(seconds=61)
    system.clock.instant = waits.until
    done = system.answers().handle(replace(event, body=waits.said))

    assert done.until is None
    assert system.sender.bodies == sent
    assert not [words for _, words in system.host.notices if "No answer could be sent" in words]
    if body == "1":
        system.write("2")
        assert system.row("B").reply.kind is ReplyKind.CONFIRM


def test_no_link_for_another_time_is_claimed_over_a_cancellation(two_bookings):
    system = two_bookings
    event = system.reply_to("B", "R")
    system.pacer.on_acquire = lambda: system.cancel("B")

    system.answers().handle(event)

    assert Purpose.RESCHEDULE not in system.purposes
    assert Purpose.CALL_BACK not in system.purposes


def _crash_behind_the_call(system):
    send = system.sender.send

    def ends(message):
        send(message)
        system.sender.send = send
        raise Crash

    system.sender.send = ends
    return system.answers()
