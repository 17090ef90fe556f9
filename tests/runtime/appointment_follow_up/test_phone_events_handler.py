"""What the channel tells of invitees' phones, as the bus and the waiting machine deliver it."""

import json
from datetime import timedelta

import pytest

from sms_engagement_runtime.appointment_follow_up.domain import conversation as rules
from sms_engagement_runtime.appointment_follow_up.domain.changing import change
from sms_engagement_runtime.appointment_follow_up.domain.conversation import Event, Status
from sms_engagement_runtime.channel.adapters.aws_errors import ServiceCallError
from sms_engagement_runtime.channel.adapters.busy_rows import RowBusyError
from tests.runtime.appointment_follow_up.conftest import NOON, PHONE, STARTS_AT
from tests.support.appointment_fakes import id_of
from tests.support.aws_faults import failing
from tests.support.bus_schemas import hold_to_schema
from tests.support.handlers import Context, fresh_handler
from tests.support.logs import captured_logs

MODULE = "sms_engagement_runtime.appointment_follow_up.handlers.phone_events"
DONE = {"state": "DONE", "until": None}
WORDS = "Is there a garage? Ada"


@pytest.fixture
def module(carrier, desk, environment):
    # A process of its own for each test: it would remember the rate and the pause of the one before.
    with fresh_handler(MODULE, environment) as module:
        yield module


@pytest.fixture
def handle(module):
    def handle(detail, detail_type="ReplyReceived", event_id="event-1", **fields):
        event = {"id": event_id, "source": "sms-engagement", "detail-type": detail_type, "detail": detail}
        return module.handler({**event, **fields}, Context())

    return handle


@pytest.fixture
def told(desk):
    """An appointment that its invitee was told of."""
    desk.book()
    change(
        desk.conversations,
        id_of("A"),
        lambda row: rules.tell(row, Event.CONFIRMATION_SENT, NOON),
        now=NOON,
    )


@pytest.fixture
def reply(person):
    def reply(body, name="A", inbound_id="inbound-1", alternatives=(), purpose="confirmation"):
        detail = {
            "inboundMessageId": inbound_id,
            "subscriberId": person,
            "construct": "appointments",
            "purpose": purpose,
            "occasion": id_of(name),
            "messageId": "message-1",
            "alternatives": [{"purpose": "confirmation", "occasion": id_of(other)} for other in alternatives],
            "origination": "+12025550199",
            "body": body,
            "keyword": "FREE_TEXT",
            "receivedAt": round((NOON - timedelta(seconds=5)).timestamp() * 1000),
            "schemaVersion": 1,
        }
        hold_to_schema("ReplyReceived", detail)
        return detail

    return reply


def status_of(desk, name="A"):
    return desk.conversations.get(id_of(name)).status


@pytest.mark.usefixtures("told")
class TestAnswers:
    def test_a_yes_is_recorded_and_told_to_the_bus_alone(self, handle, desk, reply, carrier):
        assert handle(reply("1")) == DONE

        assert status_of(desk) is Status.RESPONDED
        assert [(bus, event) for bus, event, _ in desk.events] == [
            ("crm", "AppointmentReplied"),
            ("crm", "AppointmentConfirmed"),
        ]
        assert desk.notices() == []
        assert carrier.texts(PHONE) == []

    def test_a_wish_for_another_time_gets_the_link_and_reaches_the_host(self, handle, desk, reply, carrier):
        assert handle(reply("R")) == DONE

        (text,) = carrier.texts(PHONE)
        assert "https://calendly.com/reschedulings/1a2b" in text
        ((subject, message),) = desk.notices()
        assert subject == "An invitee wants another time"
        assert PHONE in message

    def test_other_words_reach_the_host_as_they_are(self, handle, desk, reply, carrier):
        assert handle(reply(WORDS)) == DONE

        ((_, message),) = desk.notices()
        assert WORDS in message
        assert carrier.texts(PHONE) == []

    @pytest.mark.parametrize("body", ["1", "R", WORDS])
    def test_an_event_that_comes_again_changes_and_sends_nothing(self, handle, desk, reply, carrier, body):
        handle(reply(body))
        before = desk.conversations.get(id_of("A"))
        texts, notices = carrier.texts(PHONE), desk.notices()

        assert handle(reply(body)) == handle(reply(body), event_id="event-2") == DONE

        assert desk.conversations.get(id_of("A")) == before
        assert (carrier.texts(PHONE), desk.notices()) == (texts, notices)

    def test_of_two_appointments_it_is_asked_which(self, handle, desk, reply, carrier):
        desk.book("B", starts_at=STARTS_AT + timedelta(days=1))

        assert handle(reply("1", alternatives=["B"])) == DONE

        assert len(carrier.texts(PHONE)) == 1
        assert status_of(desk) is Status.CONFIRMED_SENT

    def test_about_nothing_that_is_known_it_is_ignored(self, handle, desk, reply):
        with captured_logs() as log:
            assert handle(reply("1", name="nobody's")) == DONE

        assert "NO_APPOINTMENT" in log.getvalue()


@pytest.mark.usefixtures("told")
class TestWaiting:
    def test_an_answer_that_cannot_be_sent_waits_without_what_the_person_wrote(
        self, handle, desk, reply, carrier
    ):
        desk.pause()

        answer = handle(reply("Reschedule please, Ada Lovelace"))

        assert answer["state"] == "DEFERRED"
        assert answer["until"].endswith("Z")
        (waiting,) = desk.waiting().values()
        assert waiting["functionName"] == "phone-events"
        assert waiting["outcome"] == answer
        assert waiting["event"].keys() == {"id", "detail-type", "detail", "waited"}
        assert waiting["event"]["detail"] == {
            "inboundMessageId": "inbound-1",
            "subscriberId": reply("R")["subscriberId"],
            "construct": "appointments",
            "purpose": "confirmation",
            "occasion": id_of("A"),
            "alternatives": [],
            "receivedAt": reply("R")["receivedAt"],
            "body": "R",
        }
        assert "+1" not in json.dumps(waiting)
        assert carrier.texts(PHONE) == []

    def test_when_it_can_be_sent_it_is_and_nothing_else_happens_twice(
        self, handle, desk, reply, carrier, module
    ):
        desk.pause()
        handle(reply("R"))
        (waiting,) = desk.waiting().values()
        notices = desk.notices()

        # Still paused: the machine that calls waits on, and no other is started.
        with failing("StartExecution"):
            assert module.handler(waiting["event"], Context())["state"] == "DEFERRED"
        assert len(desk.waiting()) == 1
        desk.pause(paused=False)
        assert module.handler(waiting["event"], Context()) == DONE

        assert len(carrier.texts(PHONE)) == 1
        assert desk.notices() == notices

    def test_an_event_that_comes_again_waits_once(self, handle, desk, reply):
        desk.pause()

        handle(reply("R"))
        handle(reply("R"))

        assert len(desk.waiting()) == 1


class TestOptOuts:
    def detail(self, person, **changes):
        detail = {
            "inboundMessageId": "inbound-9",
            "subscriberId": person,
            "body": "STOP",
            "isCancel": False,
            "isWrongNumber": False,
            "conversations": [],
            "answeredPrompt": None,
            "receivedAt": round(NOON.timestamp() * 1000),
            "schemaVersion": 1,
            **changes,
        }
        hold_to_schema("OptedOut", detail)
        return detail

    @pytest.mark.usefixtures("told")
    def test_whoever_left_is_texted_no_more_and_the_host_knows(self, handle, desk, person):
        assert handle(self.detail(person), "OptedOut") == DONE

        assert status_of(desk) is Status.OPTED_OUT
        ((subject, message),) = desk.notices()
        assert subject == "An invitee opted out"
        assert "They get no more texts." in message

    @pytest.mark.usefixtures("told")
    def test_the_host_is_told_once(self, handle, desk, person):
        for number in range(3):
            assert handle(self.detail(person), "OptedOut", event_id=f"event-{number}") == DONE

        assert len(desk.notices()) == 1

    def test_who_has_no_appointment_is_nobodys_business(self, handle, desk, person):
        assert handle(self.detail(person), "OptedOut") == DONE

        assert desk.notices() == []


@pytest.mark.usefixtures("told")
class TestFailedTexts:
    def test_a_text_that_failed_for_good_is_recorded(self, handle, desk, person):
        detail = {
            "construct": "appointments",
            "purpose": "confirmation",
            "occasion": id_of("A"),
            "reason": "CARRIER_UNREACHABLE",
        }

        assert handle(detail, "TextFailed") == DONE

        row = desk.conversations.get(id_of("A"))
        assert (row.status, row.reason) == (Status.FAILED, "CARRIER_UNREACHABLE")


class TestMalformed:
    @pytest.mark.parametrize(
        ("detail_type", "detail"),
        [
            ("ReplyReceived", {}),
            ("ReplyReceived", None),
            ("ReplyReceived", {"construct": "reviews"}),
            ("ReplyReceived", {"construct": "appointments", "inboundMessageId": 7}),
            ("OptedOut", {"subscriberId": "v1:x"}),
            ("TextFailed", {"construct": "appointments"}),
            ("SomethingElse", {"construct": "appointments"}),
            (None, "+12025550123 wrote"),
        ],
    )
    def test_is_acknowledged_logged_and_counted(self, handle, desk, capsys, detail_type, detail):
        with captured_logs() as log:
            assert handle(detail, detail_type) == DONE

        assert "Event cannot be carried out" in log.getvalue()
        assert "555" not in log.getvalue()
        assert '"MalformedEvents"' in capsys.readouterr().out
        assert desk.waiting() == {}


@pytest.mark.usefixtures("told")
class TestFaults:
    @pytest.mark.parametrize(
        ("operation", "error", "kind"),
        [
            ("GetItem", "ThrottlingException", ServiceCallError),
            ("PutItem", "ThrottlingException", ServiceCallError),
            ("PutItem", "TransactionConflictException", RowBusyError),
            ("Query", "ThrottlingException", ServiceCallError),
            ("Publish", "Throttled", ServiceCallError),
            ("PutEvents", "InternalException", ServiceCallError),
        ],
    )
    def test_reach_the_platform_by_their_names_and_the_next_delivery_goes_on(
        self, handle, desk, module, reply, carrier, operation, error, kind, monkeypatch
    ):
        monkeypatch.setattr(module._service.conversations, "_sleep", lambda _: None)

        with failing(operation, error), pytest.raises(kind) as raised:
            handle(reply("R"))

        assert type(raised.value) is kind
        assert handle(reply("R")) == DONE
        assert status_of(desk) is Status.RESPONDED
        assert len(carrier.texts(PHONE)) == len(desk.notices()) == 1

    def test_an_answer_that_cannot_even_wait_is_delivered_again(self, handle, desk, reply):
        desk.pause()

        with failing("StartExecution"), pytest.raises(ServiceCallError):
            handle(reply("R"))

        assert handle(reply("R"))["state"] == "DEFERRED"
        assert len(desk.waiting()) == 1


@pytest.mark.usefixtures("told")
class TestWhatIsTold:
    def test_an_event_is_logged_by_ids_and_counted_by_what_was_made_of_it(self, handle, reply, capsys):
        with captured_logs() as log:
            handle(reply(WORDS))

        (line,) = [json.loads(line) for line in log.getvalue().splitlines()]
        assert (line["message"], line["action"], line["appointment_ids"]) == (
            "Phone event handled",
            "REPLIED",
            [id_of("A")],
        )
        written = log.getvalue() + capsys.readouterr().out
        # The construct's metric of answers has this name.
        assert '"AppointmentReplied"' in written
        assert not [word for word in ("555", "Ada", "garage", "Lovelace") if word in written]
