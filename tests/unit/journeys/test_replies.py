"""What people answer to texts of a journey."""

from datetime import UTC, datetime

import pytest

from sms_engagement_runtime.channel.domain.prompts import ANY_ORIGINATION
from sms_engagement_runtime.journeys.domain.conditions import ReplyKind
from sms_engagement_runtime.journeys.domain.replies import (
    Left,
    Reply,
    ReplyService,
    listening_purpose,
    read_event,
    read_subject,
)
from sms_engagement_runtime.journeys.domain.reply_reading import read_kind
from tests.support.fakes import FakeAttention
from tests.support.journey_fakes import NEWCOMER, PERSON, FakeSubscribers, OnePerson

REPLY = {
    "inboundMessageId": "in-1",
    "subscriberId": PERSON,
    "construct": "journeys",
    "purpose": "welcome/welcome/run",
    "occasion": "once",
    "messageId": "m-1",
    "alternatives": [],
    "origination": "+12065550199",
    "body": "not interested",
    "keyword": "AMBIGUOUS_OPT_OUT",
    "receivedAt": 1795280400000,
    "schemaVersion": 1,
}
SUBJECT = {"construct": "journeys", "purpose": "welcome/welcome/run", "occasion": "once", "messageId": "m-1"}


def instant(milliseconds):
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def event(event_type="ReplyReceived", **changes):
    return read_event(event_type, REPLY | changes, to_instant=instant)


@pytest.fixture
def one():
    person = OnePerson()
    person.turn(1)
    return person


@pytest.fixture
def attention():
    return FakeAttention()


@pytest.fixture
def service(one, attention):
    return ReplyService(
        enrolments=one.enrolments,
        subscribers=FakeSubscribers({PERSON: NEWCOMER}),
        prompts=one.contacts,
        attention=attention,
        clock=one.clock,
        read_kind=read_kind,
    )


@pytest.mark.parametrize(
    ("body", "keyword", "kind"),
    [
        ("not interested", "AMBIGUOUS_OPT_OUT", "NEGATIVE"),
        ("No thanks", "FREE_TEXT", "NEGATIVE"),
        ("Great!", "FREE_TEXT", "POSITIVE"),
        ("yes", "CONFIRM", "POSITIVE"),
        ("When do you open?", "FREE_TEXT", "NEUTRAL"),
    ],
)
def test_an_answer_is_kept_by_what_it_says_and_a_no_ends_the_journey(one, service, body, keyword, kind):
    handled = service.handle(event(body=body, keyword=keyword))

    assert handled.action == kind
    assert one.row.replies == {ReplyKind(kind)}
    assert one.row.ended == ("DECLINED" if kind == "NEGATIVE" else None)


def test_an_answer_that_comes_twice_is_one(one, service, attention):
    for _ in range(2):
        service.handle(event(body="No thanks", keyword="FREE_TEXT"))

    assert one.row.version == 3  # attempt, settled, answered
    assert len([prompt for prompt in one.contacts.prompts.values() if prompt.answered_by is None]) == 2


def test_a_human_reads_what_is_neither_yes_nor_no_unless_the_channel_told_them(service, attention):
    service.handle(event(body="When do you open?", keyword="FREE_TEXT"))
    service.handle(event(body="stop by tomorrow?", keyword="AMBIGUOUS_WRONG_NUMBER", inboundMessageId="in-2"))

    ((subject, message),) = attention.notices
    assert subject == "Answer to a journey"
    assert message.startswith("+12065550101 wrote “When do you open?”")


def test_what_is_written_next_comes_here_too(one, service):
    service.handle(event())

    prompts = one.contacts.open_prompts(PERSON, "+1", inbound_id="in-2", now=one.clock.now())
    (again,) = [prompt for prompt in prompts if prompt.purpose.endswith("/in-1")]
    assert (again.asks, again.occasion, again.origination) == (False, "once", ANY_ORIGINATION)
    assert read_subject(again.purpose) == read_subject("welcome/welcome/run")


def test_an_answer_to_another_engines_run_is_left_alone(one, service, attention):
    handled = service.handle(
        event(purpose="welcome/welcome/run-of-another", body="What?", keyword="FREE_TEXT")
    )

    assert handled.action == "UNKNOWN"
    assert attention.notices == []
    assert one.enrolments.get("run-of-another", PERSON, journey="welcome").version == 0


def test_an_answer_during_a_turn_is_not_lost(one, service):
    before = one.row
    real = one.enrolments.get
    # Somebody writes the row between reading and writing it.
    one.enrolments.get = lambda *given, **named: _write_and_return(one, real, before)

    service.handle(event())

    assert one.row.ended == "DECLINED"
    assert one.row.settled == 2


def _write_and_return(one, real, before):
    one.enrolments.get = real
    one.enrolments.save(one.row.settle(2, now=one.clock.now()))
    return before


def test_whoever_opts_out_is_at_the_end_of_the_journeys_that_were_open(one, service):
    detail = {
        "subscriberId": PERSON,
        "conversations": [SUBJECT, {"construct": "appointments", "purpose": "x"}],
    }

    handled = service.handle(read_event("OptedOut", detail, to_instant=instant))

    assert handled.run_ids == ("run",)
    assert one.row.ended == "OPTED_OUT"


@pytest.mark.parametrize(
    ("event_type", "detail"),
    [
        ("ReplyReceived", None),
        ("ReplyReceived", {}),
        ("ReplyReceived", REPLY | {"subscriberId": 7}),
        ("ReplyReceived", REPLY | {"purpose": "welcome"}),
        ("ReplyReceived", REPLY | {"purpose": "welcome//run"}),
        ("ReplyReceived", REPLY | {"receivedAt": "today"}),
        ("ReplyReceived", REPLY | {"inboundMessageId": None}),
        ("TextFailed", REPLY),
    ],
)
def test_an_event_that_cannot_be_read_is_none(event_type, detail):
    assert read_event(event_type, detail, to_instant=instant) is None


def test_events_are_read_as_they_are():
    assert isinstance(event(), Reply)
    left = read_event("OptedOut", {"subscriberId": PERSON, "conversations": None}, to_instant=instant)
    assert left == Left(subscriber_id=PERSON, subjects=())


@pytest.mark.parametrize("after", [None, "in/1", "0b8c1f0e-1"])
def test_the_name_of_a_prompt_tells_what_it_is_about(after):
    subject = read_subject(listening_purpose("win-back", "last", "spring_sale-1", after=after))

    assert subject is not None
    assert (subject.journey, subject.send, subject.run_id) == ("win-back", "last", "spring_sale-1")
