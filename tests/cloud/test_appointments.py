"""Appointments from the booking to the review, driven by signed webhooks and texts from phones alone.

Two days of one host are lived through once, by a dozen and a half of invitees at a time (`two_days`); the
tests tell what became of each. Those after them need no clock.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from sms_engagement_runtime.appointment_follow_up.domain.bookings import Party, Provider, appointment_id
from sms_engagement_runtime.channel.adapters.dynamodb_contacts import DynamoContacts
from sms_engagement_runtime.channel.domain.consent import ConsentState, Scope
from sms_engagement_runtime.channel.domain.prompts import ANY_ORIGINATION, Prompt
from sms_local.booking_site import Appointment
from sms_local.testing import Cloud, Mailbox
from tests.support.appointment_drive import (
    BusListener,
    Said,
    calcom,
    executions_of,
    host_mailbox,
    listening,
    new_uid,
    notices,
    purposes_to,
    said,
    said_to,
    settle,
    settle_until_said,
    status_of,
)
from tests.support.bus_schemas import hold_to_schema
from tests.support.cloud_drive import (
    consents_of,
    inbound,
    link_in,
    new_phone,
    replace_customers,
    subscriber_of,
)

pytestmark = pytest.mark.cloud

NEW_YORK, YANGON = ZoneInfo("America/New_York"), ZoneInfo("Asia/Yangon")

#: Wednesday, one in the afternoon in New York; it is booked on Monday at noon.
WHEN = datetime(2027, 2, 3, 18, 0, tzinfo=UTC)
WAIT = timedelta(seconds=1800)
LATE = timedelta(minutes=5)
"""How much later than it is due a text may be: time goes on while a slow machine works."""

#: Language to the invitee's zone, what the confirmation says, and an answer that confirms.
LANGUAGES = {
    "en": ("America/New_York", "Hi Noa, your Tasting is on Wed, Feb 3, 1:00 PM. ", "Yes please"),
    "es": ("Europe/Madrid", "Hola, Noa: tu Tasting es el mié 3 feb, 19:00. ", "Sí"),
    "fr": ("Europe/Paris", "Bonjour Noa, votre Tasting : mer. 3 févr. à 19:00. ", "Oui, merci"),
    "de": ("Europe/Berlin", "Hallo Noa, gebucht: Tasting, Mi., 3. Feb., 19:00. ", "Ja"),
    "pt": ("America/Sao_Paulo", "Oi, Noa! Agendado: Tasting, qua, 3 fev, 15:00. ", "Sim"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoDays:
    """What happened.

    Attributes
    ----------
    booked
        By what the invitee did; where the appointment was moved, the one that ended.
    said
        By phone, everything that the carrier accepted.
    rows
        Of the conversations, by the appointment's id, at the end.
    executions
        Of each appointment, name and status; the new one of a move is "<who>, to".
    inputs
        Of all executions, by their names.
    still_running
        Executions of appointments that are over, a moment after the webhook.
    bus, told_host
        What was published about each, by detail type, and what the host read.
    """

    booked: Mapping[str, Appointment]
    moved: Mapping[str, Appointment]
    calcom: Mapping[str, str]
    phones: Mapping[str, str]
    said: Mapping[str, Sequence[Said]]
    rows: Mapping[str, Mapping[str, Any]]
    executions: Mapping[str, Mapping[str, str]]
    inputs: Mapping[str, Any]
    still_running: Mapping[str, Mapping[str, str]]
    bus: Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]]
    told_host: Mapping[str, Sequence[Mapping[str, Any]]]

    def to(self, who: str) -> Sequence[Said]:
        return self.said.get(self.phones[who], [])

    def purposes(self, who: str) -> list[str]:
        return [text.purpose for text in self.to(who)]

    def row(self, who: str) -> Mapping[str, Any]:
        return self.rows[self.booked[who].appointment_id]


@pytest.fixture(scope="module")
def own_cloud(running_cloud: Cloud) -> Iterator[Cloud]:
    """A cloud on its first day without customers, which is emptied again: conversations wait for days."""
    running_cloud.reset()
    replace_customers(running_cloud, [])
    yield running_cloud
    running_cloud.reset()


@pytest.fixture(scope="module")
def bus(own_cloud: Cloud) -> Iterator[BusListener]:
    with listening(own_cloud) as listener:
        yield listener


@pytest.fixture(scope="module")
def host(own_cloud: Cloud) -> Mailbox:
    return host_mailbox(own_cloud)


@pytest.fixture(scope="module")
def two_days(own_cloud: Cloud, bus: BusListener, host: Mailbox) -> TwoDays:
    cloud = own_cloud
    phones = {
        who: new_phone()
        for who in (
            *("silent", "answers", "wants another time", "asks", "cancels by text", "stops"),
            *("cancelled by the host", "cancels", "moves", "moves, new one told first"),
            *("absent", "only late", "comes soon", "comes tomorrow", "sleeps", "comes at dawn"),
            *("at calcom", *LANGUAGES),
        )
    }
    starts = {
        "comes soon": cloud.now() + timedelta(minutes=80),
        "comes tomorrow": cloud.now() + timedelta(hours=24, minutes=20),
        "sleeps": datetime(2027, 2, 3, 10, 0, tzinfo=UTC),
        "comes at dawn": datetime(2027, 2, 3, 7, 30, tzinfo=NEW_YORK),
    }
    booked = {}
    # One after the other: each of many executions at once would take a function of its own to begin with.
    for who, phone in phones.items():
        if who not in LANGUAGES and who != "at calcom":
            zone = YANGON if who == "sleeps" else NEW_YORK
            booked[who] = cloud.book(phone=phone, starts_at=starts.get(who, WHEN), time_zone=zone.key)
            settle(cloud)
    uids = {who: new_uid() for who in ("at calcom", *LANGUAGES)}
    calcom(cloud, "BOOKING_CREATED", uid=uids["at calcom"], phone=phones["at calcom"], starts_at=WHEN)
    for locale, (home, *_) in LANGUAGES.items():
        calcom(
            cloud,
            "BOOKING_CREATED",
            uid=uids[locale],
            phone=phones[locale],
            starts_at=WHEN,
            locale=locale,
            time_zone=home,
            name="Noa Silva",
            event_name="Tasting",
        )
        settle(cloud)

    for who, words in {
        "answers": "1",
        "wants another time": "R",
        "asks": "Can I bring my dog?",
        "cancels by text": "CANCEL",
        "stops": "STOP",
        **{locale: words for locale, (_, _, words) in LANGUAGES.items()},
    }.items():
        cloud.text_from(phones[who], words)
        settle(cloud)
    cloud.cancel(booked["cancelled by the host"])
    cloud.cancel(booked["cancels"], by=Party.INVITEE)
    later = WHEN + timedelta(hours=2)
    moved = {
        "moves": cloud.move(booked["moves"], starts_at=later),
        "moves, new one told first": cloud.move(
            booked["moves, new one told first"], starts_at=later, is_new_one_told_first=True
        ),
    }
    new_calcom = new_uid()
    calcom(
        cloud,
        "BOOKING_RESCHEDULED",
        uid=new_calcom,
        phone=phones["at calcom"],
        starts_at=later,
        replaces=uids["at calcom"],
    )
    settle(cloud)
    ended = ("cancelled by the host", "cancels", "moves", "moves, new one told first")
    still_running = {
        who: {
            name: status for name, status in executions_of(cloud, booked[who]).items() if status == "RUNNING"
        }
        for who in ended
    }

    cloud.go_to(later - timedelta(hours=23, minutes=50))
    calcom(cloud, "BOOKING_CANCELLED", uid=new_calcom, phone=phones["at calcom"], starts_at=later)
    cloud.go_to(WHEN + timedelta(minutes=40))
    for who in ("absent", "only late"):
        cloud.no_show(booked[who])
    settle(cloud)
    cloud.no_show(booked["only late"], is_undone=True)
    cloud.go_to(later + timedelta(minutes=30) + timedelta(hours=2, minutes=5))

    ids = {
        **{who: one.appointment_id for who, one in booked.items()},
        **{f"{who}, to": one.appointment_id for who, one in moved.items()},
        **{who: appointment_id(Provider.CALCOM, uid) for who, uid in uids.items()},
        "at calcom, to": appointment_id(Provider.CALCOM, new_calcom),
    }
    return TwoDays(
        booked=booked,
        moved=moved,
        calcom={"old": ids["at calcom"], "new": ids["at calcom, to"]},
        phones=phones,
        said=said(cloud),
        rows={row["appointmentId"]: row for row in cloud.rows("conversations")},
        executions={who: executions_of(cloud, one) for who, one in ids.items()},
        inputs=_inputs(cloud),
        still_running=still_running,
        bus={who: bus.details_of(one) for who, one in ids.items()},
        told_host=_told_about(host, phones),
    )


def _told_about(host: Mailbox, phones: Mapping[str, str]) -> dict[str, list[dict[str, Any]]]:
    """Return what the host was told of each."""
    told = notices(host)
    return {who: [each for each in told if phone in each["Message"]] for who, phone in phones.items()}


def _inputs(cloud: Cloud) -> dict[str, Any]:
    """Return the inputs of all executions by their names."""
    machine = cloud.outputs["state_machines"]["appointment_follow_up"]
    pages = cloud.stepfunctions.get_paginator("list_executions").paginate(stateMachineArn=machine)
    arns = [one["executionArn"] for page in pages for one in page["executions"]]
    return {
        arn.rpartition(":")[2]: json.loads(cloud.stepfunctions.describe_execution(executionArn=arn)["input"])
        for arn in arns
    }


# --- who is told what, and when


def test_a_booking_is_confirmed_at_once_and_followed_up_once_after_30_minutes(two_days: TwoDays) -> None:
    confirmed, followed_up, reminded, asked = two_days.to("silent")

    assert [confirmed.purpose, followed_up.purpose] == ["confirmation", "follow-up"]
    assert [reminded.purpose, asked.purpose] == ["reminder-1440", "review-request"]
    assert confirmed.at - two_days.booked["silent"].booked_at < LATE
    assert WAIT <= followed_up.at - confirmed.at < WAIT + LATE
    assert timedelta(0) <= reminded.at - (WHEN - timedelta(hours=24)) < LATE
    ends_at = WHEN + timedelta(minutes=30)
    assert timedelta(hours=2) <= asked.at - ends_at < timedelta(hours=2) + LATE
    assert confirmed.body.startswith("Hi Sam, your Coffee tasting is on Wed, Feb 3, 1:00 PM. Reply 1 to ")
    assert two_days.row("silent")["status"] == "FOLLOWED_UP"


def test_who_answers_is_not_followed_up_but_reminded(two_days: TwoDays) -> None:
    assert two_days.purposes("answers") == ["confirmation", "reminder-1440", "review-request"]
    row = two_days.row("answers")
    assert (row["status"], row["answer"]) == ("RESPONDED", "CONFIRM")
    assert two_days.told_host["answers"] == []


@pytest.mark.parametrize("locale", LANGUAGES)
def test_the_text_is_in_the_invitee_s_language_and_zone_and_so_is_the_answer(
    two_days: TwoDays, locale: str
) -> None:
    _, words, _ = LANGUAGES[locale]

    confirmed, *others = two_days.to(locale)

    assert confirmed.body.startswith(words)
    assert confirmed.parts == 1
    # The answer in that language counted: nobody is followed up.
    assert "follow-up" not in [text.purpose for text in others]
    assert [each["answer"] for each in two_days.bus[locale]["AppointmentReplied"]] == ["CONFIRM"]


def test_r_gets_the_link_to_choose_another_time(two_days: TwoDays) -> None:
    who = "wants another time"

    link = link_in({"body": two_days.to(who)[1].body})

    assert two_days.purposes(who)[:3] == ["confirmation", "reschedule", "reminder-1440"]
    assert link == f"https://calendly.com/reschedulings/{two_days.booked[who].code}"
    [notice] = two_days.told_host[who]
    assert notice["Subject"] == "An invitee wants another time"


def test_free_text_reaches_the_host_and_ends_the_asking(two_days: TwoDays) -> None:
    [notice] = two_days.told_host["asks"]

    assert notice["Subject"] == "An invitee wrote"
    assert f"{two_days.phones['asks']} (Sam Reed) wrote “Can I bring my dog?”" in notice["Message"]
    assert two_days.booked["asks"].external_id in notice["Message"]
    assert two_days.purposes("asks") == ["confirmation", "reminder-1440", "review-request"]


def test_a_bare_cancel_opts_out_says_that_the_appointment_stands_and_tells_the_host(
    two_days: TwoDays,
) -> None:
    _, answer = two_days.to("cancels by text")

    assert answer.body == (
        "You have been unsubscribed. Your appointment still stands. Reply START to subscribe again."
    )
    [notice] = two_days.told_host["cancels by text"]
    assert notice["Subject"] == "CANCEL by text"
    assert "ask whether they meant to cancel it" in notice["Message"]
    row = two_days.row("cancels by text")
    assert (row["status"], row["reason"]) == ("OPTED_OUT", "OPTED_OUT")


def test_after_stop_there_is_its_confirmation_and_nothing_else(two_days: TwoDays) -> None:
    _, answer = two_days.to("stops")

    assert two_days.purposes("stops") == ["confirmation", "keyword-reply"]
    assert answer.body == "You have been unsubscribed. Reply START to subscribe again."
    assert two_days.row("stops")["status"] == "OPTED_OUT"
    [notice] = two_days.told_host["stops"]
    assert notice["Subject"] == "An invitee opted out"


@pytest.mark.parametrize("who", ["cancelled by the host", "cancels"])
def test_a_cancellation_is_told_once_and_nothing_comes_after_it(two_days: TwoDays, who: str) -> None:
    assert two_days.purposes(who) == ["confirmation", "cancelled"]
    assert two_days.to(who)[1].body.startswith(
        "Hi Sam, your Coffee tasting on Wed, Feb 3, 1:00 PM will not take place."
    )
    row = two_days.row(who)
    assert (row["status"], row["cancelledBy"]) == ("CANCELED", "invitee" if who == "cancels" else "host")


@pytest.mark.parametrize("who", ["moves", "moves, new one told first"])
def test_a_move_is_told_by_one_text_whatever_is_told_first(two_days: TwoDays, who: str) -> None:
    old, new = two_days.booked[who], two_days.moved[who]

    assert two_days.purposes(who) == ["confirmation", "moved", "follow-up", "reminder-1440", "review-request"]
    assert two_days.to(who)[1].body.startswith(
        "Hi Sam, your Coffee tasting is now on Wed, Feb 3, 3:00 PM. Reply 1 to "
    )
    assert two_days.rows[old.appointment_id]["status"] == "RESCHEDULED"
    assert two_days.rows[old.appointment_id]["movedTo"] == new.appointment_id
    assert two_days.rows[new.appointment_id]["status"] == "FOLLOWED_UP"


@pytest.mark.parametrize("who", ["cancelled by the host", "cancels", "moves", "moves, new one told first"])
def test_what_is_over_leaves_no_execution_that_can_still_send(two_days: TwoDays, who: str) -> None:
    assert two_days.still_running[who] == {}
    statuses = two_days.executions[who]
    assert statuses[""] == "ABORTED"
    # A machine of its own told of the cancellation, and has ended.
    assert {name: status for name, status in statuses.items() if name} == (
        {} if "moves" in who else {"-cancelled": "SUCCEEDED"}
    )


def test_every_execution_has_ended_and_none_has_failed(two_days: TwoDays) -> None:
    statuses = {
        (who, name): status
        for who, executions in two_days.executions.items()
        for name, status in executions.items()
    }

    assert {where: status for where, status in statuses.items() if status == "FAILED"} == {}
    assert set(statuses.values()) == {"SUCCEEDED", "ABORTED"}


def test_cal_com_s_thread_is_the_same(two_days: TwoDays) -> None:
    assert two_days.purposes("at calcom") == [
        "confirmation",
        "moved",
        "follow-up",
        "reminder-1440",
        "cancelled",
    ]
    assert two_days.rows[two_days.calcom["old"]]["status"] == "RESCHEDULED"
    assert two_days.rows[two_days.calcom["new"]]["status"] == "CANCELED"
    assert two_days.executions["at calcom"] == {"": "ABORTED"}
    assert two_days.executions["at calcom, to"] == {"": "ABORTED", "-cancelled": "SUCCEEDED"}


def test_who_did_not_come_is_told_so_once_and_not_asked_for_a_review(two_days: TwoDays) -> None:
    *_, last = two_days.to("absent")

    assert two_days.purposes("absent") == ["confirmation", "follow-up", "reminder-1440", "no-show"]
    assert last.body.startswith("Hi Sam, we missed you at your Coffee tasting, Wed, Feb 3, 1:00 PM.")
    assert two_days.row("absent")["status"] == "NO_SHOW"


def test_a_no_show_that_is_taken_back_leaves_everything_as_it_was(two_days: TwoDays) -> None:
    assert two_days.purposes("only late") == [
        *("confirmation", "follow-up", "reminder-1440", "no-show"),
        "review-request",
    ]
    assert two_days.row("only late")["status"] == "FOLLOWED_UP"


def test_nobody_is_followed_up_shortly_before_the_start(two_days: TwoDays) -> None:
    assert two_days.purposes("comes soon") == ["confirmation", "review-request"]
    assert two_days.row("comes soon")["status"] == "CONFIRMED_SENT"


def test_a_reminder_that_would_come_right_after_another_text_is_left_out(two_days: TwoDays) -> None:
    assert two_days.purposes("comes tomorrow") == ["confirmation", "follow-up", "review-request"]


def test_a_booking_at_night_is_confirmed_at_once_and_followed_up_in_the_morning(two_days: TwoDays) -> None:
    confirmed, followed_up, *_ = two_days.to("sleeps")

    assert confirmed.at - two_days.booked["sleeps"].booked_at < LATE
    assert confirmed.at.astimezone(YANGON).hour == 23
    assert followed_up.purpose == "follow-up"
    morning = datetime(2027, 2, 2, 8, 0, tzinfo=YANGON)
    assert morning <= followed_up.at < morning + LATE
    # And so with all that came later.
    assert two_days.purposes("sleeps")[2:] == ["reminder-1440", "review-request"]


def test_a_reminder_that_is_due_before_eight_comes_at_eight(two_days: TwoDays) -> None:
    _, _, reminded, _ = two_days.to("comes at dawn")

    assert reminded.purpose == "reminder-1440"
    morning = datetime(2027, 2, 2, 8, 0, tzinfo=NEW_YORK)
    assert morning <= reminded.at < morning + LATE


def test_no_text_is_said_twice_and_each_is_one_part(two_days: TwoDays) -> None:
    for who, phone in two_days.phones.items():
        bodies = [text.body for text in two_days.said[phone]]
        assert len(set(bodies)) == len(bodies), who
        assert {text.parts for text in two_days.said[phone]} == {1}, who


def test_no_text_suggests_a_word_that_opts_out_but_the_introduction(two_days: TwoDays) -> None:
    for texts in two_days.said.values():
        first, *others = [text.body for text in texts]
        words, _, introduction = first.partition("Demo Store: ")
        assert "STOP" in introduction
        for body in [words, *others]:
            assert not re.search(r"\b(?:CANCEL|END|STOP|QUIT)\b", body), body


# --- what others are told, and what is stored


def test_every_event_on_the_bus_is_as_its_schema_says(two_days: TwoDays) -> None:
    kinds = set()
    for by_kind in two_days.bus.values():
        for kind, details in by_kind.items():
            kinds.add(kind)
            for detail in details:
                hold_to_schema(kind, detail)
                written = json.dumps(detail, ensure_ascii=False)
                assert "Sam Reed" not in written
                assert not any(phone in written for phone in two_days.phones.values())

    assert kinds == {
        *("AppointmentBooked", "AppointmentConfirmationSent", "AppointmentFollowUpSent"),
        *("AppointmentReplied", "AppointmentConfirmed", "AppointmentMoved", "AppointmentCancelled"),
        *("AppointmentNoShow", "AppointmentFinished"),
    }


@pytest.mark.parametrize(
    ("who", "kinds"),
    [
        ("silent", ["Booked", "ConfirmationSent", "FollowUpSent", "Finished"]),
        ("answers", ["Booked", "ConfirmationSent", "Replied", "Confirmed", "Finished"]),
        ("wants another time", ["Booked", "ConfirmationSent", "Replied", "Finished"]),
        ("cancels", ["Booked", "ConfirmationSent", "Cancelled"]),
        ("moves", ["Booked", "ConfirmationSent"]),
        ("moves, to", ["Booked", "Moved", "ConfirmationSent", "FollowUpSent", "Finished"]),
        ("absent", ["Booked", "ConfirmationSent", "FollowUpSent", "NoShow"]),
        ("only late", ["Booked", "ConfirmationSent", "FollowUpSent", "NoShow", "Finished"]),
    ],
)
def test_a_crm_is_told_of_each_step_once(two_days: TwoDays, who: str, kinds: Sequence[str]) -> None:
    told = {kind: len(details) for kind, details in two_days.bus[who].items()}

    assert told == {f"Appointment{kind}": 1 for kind in kinds}


def test_the_input_of_an_execution_holds_ids_only(two_days: TwoDays) -> None:
    for name, given in two_days.inputs.items():
        assert set(given) <= {"step", "appointmentId", "notice"}
        assert name.startswith(given["appointmentId"])
        assert re.fullmatch(r"[A-Za-z0-9_-]{27}", given["appointmentId"])


def test_a_row_is_kept_for_90_days_after_its_appointment(two_days: TwoDays) -> None:
    for row in two_days.rows.values():
        kept_until = datetime.fromtimestamp(int(row["expiresAt"]), UTC)
        over_at = max(int(row["endsAt"]), int(row["updatedAt"]) // 1000)
        assert kept_until == datetime.fromtimestamp(over_at, UTC) + timedelta(days=90)


def test_the_link_to_the_review_opens_and_a_review_can_be_given(own_cloud: Cloud, two_days: TwoDays) -> None:
    asked = two_days.to("silent")[-1]
    link = link_in({"body": asked.body})

    page = own_cloud.door.get(link, headers={"accept": "text/html"})
    answer = {"token": link.rpartition("/")[2], "rating": "5", "reviewText": "A fine hour."}
    posted = own_cloud.door.post("/submit-review", json=answer)

    assert asked.body.startswith("Hi Sam, how was your Coffee tasting? Tell us: http")
    assert page.status_code == 200
    assert posted.status_code == 201
    [review] = [row for row in own_cloud.rows("reviews") if row["reviewText"] == "A fine hour."]
    assert review["rating"] == 5


# --- answers that may mean several things


def test_yes_to_one_of_two_appointments_is_asked_about_once_and_the_choice_confirms_it(
    own_cloud: Cloud, bus: BusListener, host: Mailbox
) -> None:
    cloud, phone = own_cloud, new_phone()
    first, second = (cloud.book(phone=phone, starts_at=cloud.now() + timedelta(days=days)) for days in (3, 5))
    settle_until_said(cloud, phone, ["confirmation", "confirmation"])

    # A phone says which text it answers as a rule; here it was one that the channel does not know.
    inbound(cloud, from_=phone, body="YES", previous_message_id="of-another-channel")
    settle_until_said(cloud, phone, ["confirmation", "confirmation", "which"])
    asked = said_to(cloud, phone)[-1]
    while_asked = (status_of(cloud, first), status_of(cloud, second))
    inbound(cloud, from_=phone, body="2")
    settle(cloud)

    assert asked.purpose == "which"
    assert asked.body.startswith("Which one do you mean? Reply with its number.")
    assert re.search(r"1: .*\n2: ", asked.body)
    assert while_asked == ("CONFIRMED_SENT", "CONFIRMED_SENT")
    assert (status_of(cloud, first), status_of(cloud, second)) == ("CONFIRMED_SENT", "RESPONDED")
    assert purposes_to(cloud, phone) == ["confirmation", "confirmation", "which"]
    assert len(bus.details_of(second)["AppointmentConfirmed"]) == 1
    assert "AppointmentReplied" not in bus.details_of(first)
    assert not any(phone in notice["Message"] for notice in notices(host))
    # Of the two one is left, so that nobody has to ask.
    inbound(cloud, from_=phone, body="yes", previous_message_id="of-another-channel")
    settle(cloud)
    assert status_of(cloud, first) == "RESPONDED"
    assert purposes_to(cloud, phone) == ["confirmation", "confirmation", "which"]


def test_two_people_of_one_phone_do_not_mix(own_cloud: Cloud) -> None:
    cloud, phone = own_cloud, new_phone()
    mother = cloud.book(phone=phone, name="Ada Reed")
    settle(cloud)
    child = cloud.book(phone=phone, name="Ben Reed", event_name="Judo")
    settle(cloud)

    # A phone that quotes what it answers leaves no doubt, so that nobody is asked.
    to_mother = said_to(cloud, phone)[0]
    inbound(cloud, from_=phone, body="1", previous_message_id=to_mother.message_id)
    cloud.cancel(child)
    settle(cloud)

    texts = [(text.purpose, text.body.split(",")[0]) for text in said_to(cloud, phone)]
    assert texts == [("confirmation", "Hi Ada"), ("confirmation", "Hi Ben"), ("cancelled", "Hi Ben")]
    assert status_of(cloud, mother) == "RESPONDED"
    assert status_of(cloud, child) == "CANCELED"


def open_prompt(cloud: Cloud, phone: str, *, construct: str, occasion: str) -> None:
    """Let another construct of the channel ask this phone something, as it is written down."""
    now = cloud.now()
    DynamoContacts(cloud.dynamodb, table=cloud.outputs["tables"]["contacts"]).open(
        Prompt(
            subscriber_id=subscriber_of(cloud, phone),
            origination=ANY_ORIGINATION,
            construct=construct,
            purpose="rating",
            occasion=occasion,
            message_id=None,
            asked_at=now,
            expires_at=now + timedelta(days=1),
        )
    )


def let_confirm(cloud: Cloud, phone: str) -> None:
    """Let a subscription of this phone wait for its YES."""
    contacts = DynamoContacts(cloud.dynamodb, table=cloud.outputs["tables"]["contacts"])
    contact = contacts.get(subscriber_of(cloud, phone))
    pending = {Scope.REVIEWS: ConsentState.PENDING}
    contacts.save(replace(contact, consents=pending), expected_version=contact.version, records=())


def test_an_answer_is_for_whoever_asked_last(own_cloud: Cloud, bus: BusListener) -> None:
    cloud, phone, subscriber = own_cloud, new_phone(), new_phone()
    for each in (phone, subscriber):
        let_confirm(cloud, each)
    appointment = cloud.book(phone=phone)
    settle(cloud)
    open_prompt(cloud, phone, construct="reviews", occasion="order-17")

    # Which text it answers is not known, so that the last question counts.
    inbound(cloud, from_=phone, body="1", previous_message_id="of-another-channel")
    settle(cloud)
    after_the_first = status_of(cloud, appointment)
    inbound(cloud, from_=phone, body="1")
    settle(cloud)
    inbound(cloud, from_=subscriber, body="YES")

    answered = {
        each: [
            event["detail"]["construct"]
            for event in bus.events()
            if event["detail-type"] == "ReplyReceived"
            and event["detail"]["subscriberId"] == subscriber_of(cloud, each)
        ]
        for each in (phone, subscriber)
    }
    assert answered == {phone: ["reviews", "appointments"], subscriber: []}
    assert (after_the_first, status_of(cloud, appointment)) == ("CONFIRMED_SENT", "RESPONDED")
    assert purposes_to(cloud, phone) == ["confirmation"]
    # The same words confirm a subscription only where nothing else was asked.
    assert (consents_of(cloud, phone), consents_of(cloud, subscriber)) == ({"PENDING"}, {"ACTIVE"})
    assert purposes_to(cloud, subscriber) == ["keyword-reply"]


# --- all over again, and a new day


def test_all_webhooks_once_more_and_backwards_change_nothing(own_cloud: Cloud, two_days: TwoDays) -> None:
    cloud = own_cloud
    told = cloud.booking_site.told
    before = (said(cloud), states_of(cloud), len(_inputs(cloud)))

    for body in reversed(told):
        cloud.booking_site.deliver(body)
    settle(cloud)

    assert len(told) > len(two_days.booked)
    assert (said(cloud), states_of(cloud), len(_inputs(cloud))) == before


def states_of(cloud: Cloud) -> dict[str, str]:
    """Return the state of every conversation."""
    return {row["appointmentId"]: row["status"] for row in cloud.rows("conversations")}


def test_a_reset_ends_what_waits_and_forgets_what_was_booked(own_cloud: Cloud) -> None:
    cloud, phone = own_cloud, new_phone()
    appointment = cloud.book(phone=phone)
    settle(cloud)
    before = executions_of(cloud, appointment)

    cloud.reset()
    replace_customers(cloud, [])
    after = executions_of(cloud, appointment)
    cloud.advance(timedelta(hours=1))

    assert before == {"": "RUNNING"}
    assert set(after.values()) <= {"ABORTED"}
    assert cloud.rows("conversations") == []
    assert cloud.booking_site.appointments == ()
    assert cloud.texts(phone) == []
