"""Appointments on the phone page: booking them, the conversation about each, and what the account tells."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import sms_engagement
from sms_engagement_runtime.appointment_follow_up.adapters import calendly
from sms_engagement_runtime.appointment_follow_up.adapters.dynamodb_conversations import DynamoConversations
from sms_engagement_runtime.appointment_follow_up.domain import conversation as rules
from sms_engagement_runtime.appointment_follow_up.domain.bookings import (
    Booked,
    BookingEvent,
    Cancelled,
    MovedAway,
    NoShowMarked,
)
from sms_engagement_runtime.appointment_follow_up.domain.bookings_reading import ReadingOptions
from sms_engagement_runtime.appointment_follow_up.domain.conversation import (
    Conversation,
    Event,
    Recipient,
    Reply,
    Status,
)
from sms_engagement_runtime.appointment_follow_up.domain.intake import BookingReason
from sms_engagement_runtime.appointment_follow_up.domain.reply_kinds import ReplyKind
from sms_engagement_runtime.appointment_follow_up.domain.speaking import Speaker
from sms_engagement_runtime.appointment_follow_up.domain.texts import AppointmentTexts
from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber
from sms_local.people import PEOPLE, SITUATIONS, put_person
from sms_local.phone import appointment_account
from sms_local.phone.appointments import ANSWERS, STATES, read_conversation, zone_of
from sms_local.phone.words import REASONS
from tests.support.fakes import FakeCampaignCounts
from tests.support.phone_page import BUCKET, FOLLOW_UP, LATER, START, PageTest, at
from tests.support.review_tables import CUSTOMERS, aws_client, review_tables

CONVERSATIONS = "conversations"
FOLLOW_UP_ASL = Path(sms_engagement.__file__).parent / "appointment_follow_up" / "follow_up.asl.json"
JOHN, ZOE, LEILANI = "customer-001", "customer-003", "customer-009"
JOHNS_PHONE = "+14045550101"
WISH = {"userId": JOHN, "eventName": "Coffee tasting", "days": 2, "hour": 15}


class Product:
    """Takes webhooks as the deployed product does, as far as rows go; a test does the rest."""

    def __init__(self, dynamodb: Any) -> None:
        self.answers: list[int] = []
        self.now = START
        self._rows = DynamoConversations(dynamodb, table=CONVERSATIONS, retention=timedelta(days=90))

    def __call__(self, body: bytes, _headers: Mapping[str, str]) -> int:
        if self.answers:
            return self.answers.pop(0)
        events = calendly.read(body, ReadingOptions(received_at=START))
        assert not isinstance(events, (str, bytes)), events
        for event in events:  # type: ignore[union-attr]
            self.change(event.appointment_id, lambda row, event=event: self._record(row, event))
        return 202

    def row(self, appointment_id: str) -> Conversation:
        row = self._rows.get(appointment_id)
        assert row is not None
        return row

    def change(self, appointment_id: str, transition: Callable[[Conversation], Conversation]) -> None:
        row = self._rows.get(appointment_id) or rules.unknown(appointment_id, self.now)
        self._rows.save(replace(transition(row), updated_at=self.now))

    def _record(self, row: Conversation, event: BookingEvent) -> Conversation:
        match event:
            case Booked():
                raw = event.booking.phones[0].raw
                number = PhoneNumber("+" + "".join(filter(str.isdecimal, raw)))
                return rules.book(
                    row, event, Recipient(number=number, country="US", subscriber_id=f"v1:{number.e164}")
                )
            case Cancelled():
                return rules.cancel(row, event)
            case MovedAway():
                return rules.move_away(row, event)
            case NoShowMarked():
                return rules.mark_no_show(row, event)


@pytest.fixture
def dynamodb() -> Iterator[Any]:
    with review_tables() as client:
        aws_client("s3").create_bucket(Bucket=BUCKET)
        client.create_table(
            TableName=CONVERSATIONS,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "appointmentId", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "appointmentId", "AttributeType": "S"}],
        )
        for person in PEOPLE:
            put_person(client, CUSTOMERS, person)
        yield client


@pytest.fixture
def product(dynamodb: Any) -> Product:
    return Product(dynamodb)


@pytest.fixture
def page(dynamodb: Any, product: Product) -> PageTest:
    return PageTest(dynamodb, webhook=product, conversations=CONVERSATIONS)


def book(page: PageTest, **further: Any) -> str:
    answer = page.post("/api/appointments", WISH | further)
    assert answer.status_code == 201, answer.text
    appointment_id: str = answer.json()["id"]
    return appointment_id


def listed(page: PageTest) -> list[dict[str, Any]]:
    shown: list[dict[str, Any]] = page.state()["appointments"]["list"]
    return shown


def shown(page: PageTest, appointment_id: str) -> dict[str, Any]:
    [found] = [one for one in listed(page) if one["id"] == appointment_id]
    return found


def allowed(one: Mapping[str, Any]) -> set[str]:
    return {name for name in ("canCancel", "canMove", "canMark", "canUnmark") if one[name]}


def sentences(page: PageTest) -> list[str]:
    return [
        "".join(
            word if isinstance(word, str) else f"{datetime.fromisoformat(word['at']):%d %H:%M}"
            for word in one["words"]
        )
        for one in page.state()["account"]["steps"]
    ]


def tell(event: Event, moment: datetime) -> Callable[[Conversation], Conversation]:
    return lambda row: rules.tell(row, event, moment)


def reply(kind: ReplyKind, moment: datetime) -> Callable[[Conversation], Conversation]:
    return lambda row: rules.answer(row, Reply(at=moment, kind=kind))


# --- booking


def test_whom_something_can_be_booked_for_are_those_with_a_phone(page: PageTest) -> None:
    before = page.state()["appointments"]
    page.post("/api/customers", {"userId": LEILANI})
    after = page.state()["appointments"]

    assert before["canBook"] is True
    assert before["people"][0] == {
        "userId": JOHN,
        "name": "John Doe",
        "town": "Atlanta",
        "timeZone": "America/New_York",
    }
    assert len(before["people"]) == 6
    assert [one["userId"] for one in after["people"][6:]] == [LEILANI]


def test_what_was_booked_is_listed_in_the_zone_of_the_person(page: PageTest) -> None:
    booked = book(page, userId=ZOE)

    [one] = listed(page)
    assert one.pop("link").startswith("https://calendly.com/reschedulings/")
    assert one == {
        "id": booked,
        "name": "Zoë Fontaine",
        "phone": "+14155550103",
        "eventName": "Coffee tasting",
        "when": "Mon 23 Nov, 15:00",
        "where": "San Francisco",
        "words": "Is about to be told",
        "code": "PENDING",
        "state": "open",
        "why": "",
        "answer": "",
        "canCancel": True,
        "canMove": True,
        "canMark": False,
        "canUnmark": False,
    }


@pytest.mark.parametrize(
    ("wish", "sentence"),
    [
        ({"userId": "nobody"}, "Choose somebody with a phone."),
        ({"userId": "customer-007"}, "Choose somebody with a phone."),
        ({"userId": [JOHN]}, "Choose somebody with a phone."),
        ({"eventName": "  "}, "Say what is booked, in 200 characters at the most."),
        ({"eventName": "x" * 201}, "Say what is booked, in 200 characters at the most."),
        ({"eventName": None}, "Say what is booked, in 200 characters at the most."),
        ({"days": -1}, "Say in how many days, 60 at the most, and at which hour."),
        ({"days": 61}, "Say in how many days, 60 at the most, and at which hour."),
        ({"days": True}, "Say in how many days, 60 at the most, and at which hour."),
        ({"hour": 24}, "Say in how many days, 60 at the most, and at which hour."),
        ({"hour": "15"}, "Say in how many days, 60 at the most, and at which hour."),
    ],
)
def test_what_cannot_be_booked_is_refused_in_a_sentence(
    page: PageTest, wish: Mapping[str, Any], sentence: str
) -> None:
    answer = page.post("/api/appointments", WISH | wish)

    assert (answer.status_code, answer.json()["problem"]) == (400, sentence)
    assert listed(page) == []


def test_an_hour_that_is_over_where_the_person_is_is_refused(page: PageTest) -> None:
    # Noon in Atlanta, nine in the morning in San Francisco.
    late = page.post("/api/appointments", WISH | {"days": 0, "hour": 12})
    early = page.post("/api/appointments", WISH | {"userId": ZOE, "days": 0, "hour": 12})

    assert late.status_code == 409
    assert late.json()["problem"] == "That hour is over there already: choose a later one."
    assert early.status_code == 201


def test_a_webhook_that_is_refused_is_said_so_and_nothing_is_listed(page: PageTest, product: Product) -> None:
    product.answers = [401]

    answer = page.post("/api/appointments", WISH)

    assert answer.status_code == 502
    assert answer.json()["problem"] == "The webhook answered 401, and not with success."
    assert listed(page) == []


def test_without_appointments_everything_is_refused_and_said_so(dynamodb: Any) -> None:
    page = PageTest(dynamodb)

    assert page.state()["appointments"]["canBook"] is False
    for path, body in (
        ("", WISH),
        ("/cancel", {"id": "a"}),
        ("/move", {"id": "a"}),
        ("/no-show", {"id": "a"}),
    ):
        answer = page.post(f"/api/appointments{path}", body)
        assert answer.status_code == 404
        assert answer.json()["problem"] == "No appointment follow-up is deployed."


def test_a_carrier_that_does_not_tell_the_time_is_said_so(page: PageTest) -> None:
    page.carrier.is_down = True

    answer = page.post("/api/appointments", WISH)

    assert answer.status_code == 502
    assert answer.json()["problem"] == "The carrier simulator does not answer (ConnectError)."


# --- cancel, move, no-show


def test_a_cancelled_appointment_can_only_be_looked_at(page: PageTest) -> None:
    booked = book(page)

    assert page.post("/api/appointments/cancel", {"id": booked, "by": "invitee"}).status_code == 200

    one = shown(page, booked)
    assert (one["words"], one["code"], one["state"]) == ("Cancelled", "CANCELED", "over")
    assert allowed(one) == set()


def test_a_moved_appointment_is_another_one_at_the_same_hour_a_day_later(
    page: PageTest, product: Product
) -> None:
    old = book(page)
    product.now = at(60)

    new = page.post("/api/appointments/move", {"id": old}).json()["id"]

    assert [one["id"] for one in listed(page)] == [new, old]
    moved, gone = listed(page)
    assert (moved["when"], moved["code"]) == ("Tue 24 Nov, 15:00", "PENDING")
    assert allowed(moved) == {"canCancel", "canMove"}
    assert (gone["words"], gone["code"]) == ("Moved to Tue 24 Nov, 15:00", "RESCHEDULED")
    assert allowed(gone) == set()


def test_the_hour_stays_when_the_clocks_change_in_between(page: PageTest) -> None:
    page.carrier.now = datetime(2027, 3, 11, 17, tzinfo=UTC)
    page.state()
    booked = book(page)

    moved = page.post("/api/appointments/move", {"id": booked}).json()["id"]

    assert shown(page, booked)["when"] == "Sat 13 Mar, 15:00"
    assert shown(page, moved)["when"] == "Sun 14 Mar, 15:00"


def test_a_no_show_can_be_marked_once_it_has_begun_and_taken_back(page: PageTest) -> None:
    booked = book(page)
    before = allowed(shown(page, booked))
    page.carrier.now = datetime(2026, 11, 23, 20, 1, tzinfo=UTC)
    begun = allowed(shown(page, booked))

    page.post("/api/appointments/no-show", {"id": booked})
    marked = shown(page, booked)
    page.carrier.now += timedelta(seconds=1)
    page.state()
    page.post("/api/appointments/no-show", {"id": booked, "undone": True})
    undone = shown(page, booked)

    assert before == {"canCancel", "canMove"}
    assert begun == {"canMark"}
    assert (marked["words"], marked["code"], allowed(marked)) == ("Did not come", "NO_SHOW", {"canUnmark"})
    assert (undone["code"], allowed(undone)) == ("PENDING", {"canMark"})


@pytest.mark.parametrize("path", ["cancel", "move", "no-show"])
def test_nothing_happens_to_what_nobody_booked(page: PageTest, path: str) -> None:
    answer = page.post(f"/api/appointments/{path}", {"id": "a1"})

    assert answer.status_code == 409
    assert answer.json()["problem"] == "The booking site knows no such appointment."


@pytest.mark.parametrize(
    ("path", "body"), [("cancel", {"by": "nobody"}), ("cancel", {"by": None}), ("no-show", {"undone": "yes"})]
)
def test_what_is_unclear_is_refused(page: PageTest, path: str, body: Mapping[str, Any]) -> None:
    booked = book(page)

    assert page.post(f"/api/appointments/{path}", {"id": booked, **body}).status_code == 400
    assert shown(page, booked)["code"] == "PENDING"


# --- the conversation in words


def test_every_state_every_answer_and_every_reason_has_words() -> None:
    assert set(STATES) == {*map(str, Status)}
    assert set(ANSWERS) == {*map(str, ReplyKind)}
    assert {*map(str, BookingReason)} <= set(REASONS)


@pytest.mark.parametrize(
    ("transitions", "words", "code", "state"),
    [
        ([tell(Event.CONFIRMATION_SENT, at(5))], "Waits for an answer", "CONFIRMED_SENT", "open"),
        (
            [tell(Event.CONFIRMATION_SENT, at(5)), tell(Event.FOLLOW_UP_SENT, at(minutes=30))],
            "Asked once more, waits for an answer",
            "FOLLOWED_UP",
            "open",
        ),
        ([reply(ReplyKind.CONFIRM, at(9))], "Said yes", "RESPONDED", "good"),
        ([reply(ReplyKind.RESCHEDULE, at(9))], "Wants another time", "RESPONDED", "good"),
        (
            [reply(ReplyKind.OTHER, at(9))],
            "Wrote something else, which the host reads",
            "RESPONDED",
            "good",
        ),
    ],
)
def test_the_conversation_is_told_in_plain_words(
    page: PageTest,
    product: Product,
    transitions: Sequence[Callable[[Conversation], Conversation]],
    words: str,
    code: str,
    state: str,
) -> None:
    booked = book(page)

    for transition in transitions:
        product.change(booked, transition)

    one = shown(page, booked)
    assert (one["words"], one["code"], one["state"], one["why"]) == (words, code, state, "")


@pytest.mark.parametrize(
    ("event", "reason", "words", "code", "why"),
    [
        (Event.SKIPPED, "LANDLINE", "Cannot be told by text", "FAILED", "the number is a landline"),
        (
            Event.SKIPPED,
            "START_IN_PAST",
            "Cannot be told by text",
            "FAILED",
            "it had begun when we heard of it",
        ),
        (Event.TEXT_FAILED, "INVALID", "Cannot be told by text", "FAILED", "the number is not valid"),
        (Event.TEXT_FAILED, "ODD_CODE", "Cannot be told by text", "FAILED", "ODD_CODE"),
        (
            Event.OPTED_OUT,
            "OPTED_OUT",
            "Gets no more texts; the appointment stands",
            "OPTED_OUT",
            "answered STOP",
        ),
    ],
)
def test_why_nobody_is_texted_is_told(
    page: PageTest, product: Product, event: Event, reason: str, words: str, code: str, why: str
) -> None:
    booked = book(page)

    product.change(booked, lambda row: rules.fail(row, event, reason))

    one = shown(page, booked)
    assert (one["words"], one["code"], one["state"], one["why"]) == (words, code, "bad", why)
    assert allowed(one) == {"canCancel", "canMove"}


def test_an_answer_is_told_also_where_something_else_came_after_it(page: PageTest, product: Product) -> None:
    booked = book(page)
    product.change(booked, reply(ReplyKind.CONFIRM, at(9)))

    page.post("/api/appointments/cancel", {"id": booked})

    one = shown(page, booked)
    assert (one["words"], one["answer"]) == ("Cancelled", "Said yes")


def test_the_answer_is_told_beside_what_is_past(page: PageTest, product: Product) -> None:
    booked = book(page)
    product.change(booked, reply(ReplyKind.CONFIRM, at(9)))

    page.carrier.now = at(days=3)

    one = shown(page, booked)
    assert (one["words"], one["state"], one["answer"]) == ("Took place", "good", "Said yes")


def test_what_is_past_took_place_unless_it_was_cancelled(page: PageTest, product: Product) -> None:
    kept, gone = book(page), book(page)
    product.change(kept, tell(Event.CONFIRMATION_SENT, at(5)))
    page.post("/api/appointments/cancel", {"id": gone})

    page.carrier.now = at(days=3)

    assert shown(page, kept)["words"] == "Took place"
    assert shown(page, gone)["words"] == "Cancelled"


def test_a_row_without_a_booking_is_listed_and_cannot_be_touched(page: PageTest, product: Product) -> None:
    # A cancellation that came before the booking.
    external_id = "https://api.calendly.com/scheduled_events/X/invitees/X"
    cancelled = Cancelled(key="k", at=at(0), provider=calendly.Provider.CALENDLY, external_id=external_id)
    product.change(cancelled.appointment_id, lambda row: rules.cancel(row, cancelled))

    [one] = listed(page)
    assert (one["name"], one["when"], one["code"]) == ("Somebody", "at an unknown time", "CANCELED")
    assert allowed(one) == set()


@pytest.mark.parametrize("row", [{}, {"appointmentId": "a1"}, {"appointmentId": "a1", "status": "PENDING"}])
def test_a_row_that_is_no_conversation_is_passed_over(row: Mapping[str, Any]) -> None:
    assert read_conversation(row) is None


@pytest.mark.parametrize("zone", [None, "", "Mars/Olympus", "../etc/passwd", "America"])
def test_a_zone_that_does_not_exist_is_utc(zone: str | None) -> None:
    assert zone_of(zone).key == "UTC"


# --- opened anew, and a reset


def test_a_page_that_was_opened_anew_lists_what_the_table_has_and_can_cancel_it(
    page: PageTest, product: Product, dynamodb: Any
) -> None:
    booked = book(page)
    opened = PageTest(dynamodb, webhook=product, conversations=CONVERSATIONS)

    before = shown(opened, booked)
    answer = opened.post("/api/appointments/cancel", {"id": booked})

    assert (before["name"], before["when"]) == ("John Doe", "Mon 23 Nov, 15:00")
    assert answer.status_code == 200
    assert shown(opened, booked)["code"] == "CANCELED"


def test_a_reset_leaves_no_appointment_behind(page: PageTest) -> None:
    booked = book(page)
    page.dynamodb.delete_item(TableName=CONVERSATIONS, Key={"appointmentId": {"S": booked}})

    assert page.post("/api/forget", {}).status_code == 200

    assert listed(page) == []
    assert sentences(page) == []


# --- the account


def test_states_that_the_account_speaks_of_are_in_the_definition() -> None:
    definition = FOLLOW_UP_ASL.read_text()

    told = {
        appointment_account.ANSWER_WAIT,
        appointment_account.REMINDER_WAIT,
        appointment_account.END_WAIT,
        appointment_account.FOLLOW_UP,
        appointment_account.FINISH,
        *appointment_account.TEXT_WAITS,
    }
    assert {name for name in told if f'"{name}": {{' not in definition} == set()


def begin(page: PageTest, appointment_id: str) -> str:
    given = {"step": "confirm", "appointmentId": appointment_id}
    return page.stepfunctions.begin(appointment_id, given, begins=at(1), machine=FOLLOW_UP)


def outcome(next_step: str, until: datetime | None = None) -> dict[str, Any]:
    return {"outcome": {"next": next_step, "until": until and until.isoformat()}}


def test_the_account_tells_of_an_appointment_from_its_webhook_to_its_end(
    page: PageTest, product: Product
) -> None:
    booked = book(page)
    arn, steps = begin(page, booked), page.stepfunctions
    steps.leave(arn, "Task", "Confirm", outcome("ANSWER"), leaves=at(2))
    product.change(booked, tell(Event.CONFIRMATION_SENT, at(2)))
    steps.enter(arn, "Wait", "Wait for an answer", outcome("ANSWER"), enters=at(2))
    product.change(booked, tell(Event.FOLLOW_UP_SENT, at(minutes=30)))
    steps.leave(arn, "Task", "Follow up", outcome("REMINDER"), leaves=at(minutes=30, seconds=3))
    due = at(days=1, hours=3)
    steps.enter(arn, "Wait", "Wait for the reminder", outcome("REMINDER", due), enters=at(minutes=31))
    end = at(days=2, hours=5, minutes=30)
    steps.enter(arn, "Wait", "Wait for the end", outcome("END", end), enters=due)
    steps.enter(arn, "Task", "Finish", outcome("END", end), enters=end)
    steps.end(arn, outcome("OVER"), ends=end)

    assert sentences(page) == [
        "Webhook of Calendly: John Doe booked Coffee tasting for 23 20:00",
        "John Doe has until 21 17:30 to answer",
        "John Doe is asked once more",
        "A reminder to John Doe is due at 22 20:00",
        "Nothing to do until 23 22:30: then it is over",
        "Over: it is past",
    ]
    told = page.state()["account"]
    assert {one["chapter"] for one in told["steps"]} == {booked}
    assert told["titles"][booked] == ["John Doe, ", {"at": at(days=2, hours=3).isoformat()}]


def test_who_answered_gets_no_second_text_and_the_account_says_why(page: PageTest, product: Product) -> None:
    booked = book(page)
    arn = begin(page, booked)
    product.change(booked, reply(ReplyKind.CONFIRM, at(60)))
    page.stepfunctions.leave(arn, "Task", "Follow up", outcome("REMINDER"), leaves=at(minutes=30))

    assert sentences(page)[1:] == [
        "Taken as an answer of John Doe: said yes",
        "No second text: John Doe answered",
    ]


def test_a_text_that_is_held_is_told_once_however_often_it_is_looked_at(page: PageTest) -> None:
    booked = book(page)
    arn = begin(page, booked)
    for minutes in (0, 5, 10):
        until = at(minutes=minutes + 5)
        page.stepfunctions.enter(
            arn, "Wait", "Wait to confirm", outcome("AGAIN", until), enters=at(minutes=minutes, seconds=3)
        )
        page.stepfunctions.enter(arn, "Task", "Confirm", outcome("AGAIN", until), enters=until)
    page.stepfunctions.enter(arn, "Wait", "Wait for an answer", outcome("ANSWER"), enters=at(minutes=16))

    assert sentences(page)[1:] == [
        "The text to John Doe waits until 21 17:05",
        "John Doe has until 21 17:46 to answer",
    ]


@pytest.mark.parametrize(
    ("path", "deed", "end"),
    [
        (
            "cancel",
            "Webhook of Calendly: John Doe’s Coffee tasting is cancelled",
            "Over: nothing more is sent, since it was cancelled",
        ),
        (
            "move",
            "Two webhooks of Calendly: John Doe’s Coffee tasting moves to 24 20:00",
            "Over: nothing more is sent about the former time",
        ),
    ],
)
def test_what_was_stopped_says_why(page: PageTest, path: str, deed: str, end: str) -> None:
    booked = book(page)
    arn = begin(page, booked)
    page.post(f"/api/appointments/{path}", {"id": booked})
    page.stepfunctions.fail(arn, "", "the appointment was cancelled or moved", ends=at(9))
    page.stepfunctions.executions[arn]["status"] = "ABORTED"

    told = sentences(page)

    assert deed in told
    assert end in told


def test_a_notice_of_the_end_has_no_end_of_its_own(page: PageTest) -> None:
    booked = book(page)
    page.carrier.now = at(days=3)
    page.state()
    page.post("/api/appointments/no-show", {"id": booked})
    given = {"step": "notify", "notice": "no-show", "appointmentId": booked}
    arn = page.stepfunctions.begin(f"{booked}-no-show", given, begins=at(days=3), machine=FOLLOW_UP)
    page.stepfunctions.end(arn, outcome("OVER"), ends=at(days=3, seconds=2))

    assert sentences(page)[1:] == [
        "Somebody skipped 3 days",
        "Webhook of Calendly: John Doe did not come to Coffee tasting",
    ]


def test_a_follow_up_that_failed_says_so(page: PageTest) -> None:
    booked = book(page)
    arn = begin(page, booked)
    cause = json.dumps({"errorMessage": "the table does not answer", "stackTrace": ["x"]})
    page.stepfunctions.fail(arn, "ServiceCallError", cause, ends=at(9))

    [problem] = [one for one in page.state()["account"]["steps"] if one["kind"] == "problem"]
    assert problem["words"] == ["The follow-up failed: the table does not answer (ServiceCallError)"]


def test_what_another_program_booked_is_told_too(page: PageTest, product: Product, dynamodb: Any) -> None:
    book(PageTest(dynamodb, webhook=product, conversations=CONVERSATIONS))

    assert sentences(page) == ["A webhook told of John Doe’s Coffee tasting, 23 20:00"]


def test_how_long_an_answer_is_waited_for_is_asked_once(page: PageTest) -> None:
    page.state()
    page.state()

    assert page.stepfunctions.calls.count("describe_state_machine") == 1


def test_texts_of_variants_are_quoted_since_they_belong_to_no_run(page: PageTest) -> None:
    booked = book(page)
    begin(page, booked)
    page.carrier.accept(
        "m1", JOHNS_PHONE, sent=at(3), campaign="appointments/confirmation/b", body="Hi John! Coffee tasting"
    )

    [told] = [one for one in page.state()["account"]["steps"] if one["kind"] == "text"]
    assert told["words"] == ["Text “Hi John! Coffee tasting” to John Doe accepted, 1 part"]
    assert told["chapter"] == booked


def test_a_request_for_a_review_is_told_by_the_name_of_the_invitee(page: PageTest, product: Product) -> None:
    row = product.row(book(page))
    assert row.booking is not None
    speaker = Speaker(texts=AppointmentTexts(), counts=FakeCampaignCounts())
    request = dict(speaker.review_request(row, row.booking))
    # As ReviewCollector keeps them.
    customer = {"userId": {"S": str(request["userId"])}, "name": {"S": "John Doe"}}
    page.dynamodb.put_item(TableName=CUSTOMERS, Item=customer)
    waits = {"event": {"detail": request}, "outcome": {"until": at(days=1).isoformat()}}
    arn = page.stepfunctions.begin("e-1", waits, begins=at(9), machine=LATER)
    page.stepfunctions.enter(arn, "Wait", "Wait for its hour", waits, enters=at(9))

    assert "The text to John Doe (invitee) waits until 22 17:00" in sentences(page)


def test_people_of_the_demo_have_a_phone_and_a_zone_or_neither() -> None:
    for person in (*PEOPLE, *SITUATIONS):
        assert (person.phone is None) == (person.time_zone is None)
