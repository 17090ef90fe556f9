"""Single review events, as the bus and the waiting machine deliver them; the carrier at a socket."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from sms_engagement_runtime.channel.adapters.dynamodb_contacts import DynamoContacts
from sms_engagement_runtime.channel.domain.consent import ConsentState, Contact, Scope
from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber
from sms_engagement_runtime.channel.domain.subscriber import subscriber_id
from sms_engagement_runtime.review_collector.adapters.dynamodb_requests import DynamoReviewRequests
from sms_engagement_runtime.review_collector.domain.requests import reference_to_id, request_id
from tests.support.carrier import PHONE_NUMBER_ARN, carrier_server
from tests.support.dynamodb_tables import CONTACTS, MESSAGES
from tests.support.handlers import Context, fresh_handler
from tests.support.logs import captured_logs
from tests.support.review_tables import CUSTOMERS, REVIEW_REQUESTS, aws_client, review_tables

MODULE = "sms_engagement_runtime.review_collector.handlers.review_requested"
KEY_TEXT = "the text of the subscriber key secret"
LATER_ARN = "arn:aws:states:us-east-1:123456789012:stateMachine:later"
JOHN, NIGHT_OWL, GRACE = "+12065550101", "+12065550102", "+12065550147"
MEETING = {
    "userId": "invitee-1",
    "occasion": "appointment-9",
    "customer": {"phoneNumber": "(206) 555-0147", "name": "Grace Hopper", "locale": "en-US"},
    "text": "Hi {{name}}! How was your 15 Minute Meeting? {{link}}",
    "textLocale": "en",
}
NOON = datetime(2026, 11, 21, 17, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def server():
    with carrier_server() as server:
        yield server


@pytest.fixture
def carrier(server):
    server.restart()
    server.client.create_configuration_set(ConfigurationSetName="channel")
    return server


@pytest.fixture
def dynamodb(carrier):
    with review_tables() as client:
        secrets = aws_client("secretsmanager")
        secrets.create_secret(Name="subscriber-key", SecretString=KEY_TEXT)
        secrets.create_secret(
            Name="link-keys", SecretString=json.dumps({"active": 1, "k1": "a link key of the tests"})
        )
        aws_client("stepfunctions").create_state_machine(
            name="later", definition="{}", roleArn="arn:aws:iam::123456789012:role/later"
        )
        put(client, "u1", JOHN, name={"S": "John Doe"})
        put(client, "owl", NIGHT_OWL, timeZone={"S": "Asia/Tokyo"})
        put(client, "gone", "+12065550105", status={"S": "inactive"})
        client.put_item(TableName=CUSTOMERS, Item={"userId": {"S": "mute"}, "status": {"S": "active"}})
        yield client


def put(client, user_id, phone, **attributes):
    item = {"userId": {"S": user_id}, "phoneNumber": {"S": phone}, "status": {"S": "active"}}
    client.put_item(TableName=CUSTOMERS, Item=item | attributes)


@pytest.fixture(scope="module")
def clock_file(tmp_path_factory):
    return tmp_path_factory.mktemp("clock") / "offset"


@pytest.fixture
def noon(clock_file):
    """It is five in the afternoon in Greenwich, nine in the morning in Seattle and two at night in Tokyo."""
    move(clock_file, NOON)


def move(clock_file, instant):
    clock_file.write_text(str((instant - datetime.now(UTC)).total_seconds()))


@pytest.fixture(scope="module")
def environment(server, clock_file):
    return {
        "AWS_ENDPOINT_URL_PINPOINT_SMS_VOICE_V2": server.url,
        "AWS_LAMBDA_FUNCTION_NAME": "asker",
        "LATER_ARN": LATER_ARN,
        "CONTACTS_TABLE": CONTACTS,
        "MESSAGES_TABLE": MESSAGES,
        "CUSTOMERS_TABLE": CUSTOMERS,
        "ADD_CUSTOMERS_FROM_EVENTS": "true",
        "REVIEW_REQUESTS_TABLE": REVIEW_REQUESTS,
        "SUBSCRIBER_KEY_SECRET_ARN": "subscriber-key",
        "LINK_SECRET_ARN": "link-keys",
        "LINK_BASE_URL": "https://r.example.com/",
        "SENDER": "eum",
        "ORIGINATION_IDENTITY": PHONE_NUMBER_ARN,
        "CONFIGURATION_SET": "channel",
        "PARTS_PER_SECOND": "1000",
        "CLOCK": "virtual",
        "CLOCK_OFFSET_FILE": str(clock_file),
    }


@pytest.fixture
def module(noon, dynamodb, environment):
    # A process of its own for each test: it would remember the rate and the pause of the one before.
    with fresh_handler(MODULE, environment) as module:
        yield module


@pytest.fixture
def handle(module):
    def handle(detail, detail_type="ReviewRequested", event_id="event-1", **fields):
        event = {"id": event_id, "source": "sms-engagement", "detail-type": detail_type, "detail": detail}
        return module.handler({**event, **fields}, Context())

    return handle


def executions():
    """Input of every execution by its name."""
    client = aws_client("stepfunctions")
    return {
        execution["name"]: json.loads(
            client.describe_execution(executionArn=execution["executionArn"])["input"]
        )
        for execution in client.list_executions(stateMachineArn=LATER_ARN)["executions"]
    }


def pause(dynamodb):
    item = {"subscriberId": {"S": "control"}, "record": {"S": "sending"}, "paused": {"BOOL": True}}
    dynamodb.put_item(TableName=CONTACTS, Item=item)


def opt_out(dynamodb, phone):
    contact = Contact(
        subscriber_id=subscriber_id(PhoneNumber(phone), KEY_TEXT.encode()),
        consents=dict.fromkeys(Scope, ConsentState.OPTED_OUT),
    )
    DynamoContacts(dynamodb, table=CONTACTS).save(contact, expected_version=0, records=[])


def key_of(user_id, occasion):
    return reference_to_id(request_id(user_id, occasion, KEY_TEXT.encode()))


def customer_of(dynamodb, user_id):
    return dynamodb.get_item(TableName=CUSTOMERS, Key={"userId": {"S": user_id}}).get("Item")


def row_of(dynamodb, user_id, occasion):
    return DynamoReviewRequests(dynamodb, table=REVIEW_REQUESTS).get(key_of(user_id, occasion))


class TestAsking:
    def test_a_customer_is_asked_at_once_and_once(self, handle, carrier):
        detail = {"userId": "u1", "occasion": "order-17", "occurredAt": "2026-11-21T16:00:00Z"}

        assert handle(detail) == {"state": "ACCEPTED", "reason": None, "until": None}
        assert handle(detail) == {"state": "ALREADY_SENT", "reason": "ALREADY_ASKED", "until": None}
        (text,) = carrier.texts(JOHN)
        assert text.startswith("Hi John! Please review your recent purchase: https://r.example.com/r/")

    @pytest.mark.parametrize(
        ("user_id", "reason"), [("nobody", "NO_CUSTOMER"), ("gone", "INACTIVE"), ("mute", "NO_PHONE")]
    )
    def test_who_cannot_be_asked_is_acknowledged_with_the_reason(self, handle, user_id, reason):
        answer = handle({"userId": user_id, "occasion": "o"})

        assert answer == {"state": "SUPPRESSED", "reason": reason, "until": None}
        assert executions() == {}

    def test_what_is_too_long_ago_is_not_asked_about(self, handle, carrier):
        answer = handle({"userId": "u1", "occasion": "o", "occurredAt": "2026-10-22T16:59:00Z"})

        assert answer == {"state": "SUPPRESSED", "reason": "EXPIRED", "until": None}
        assert carrier.texts(JOHN) == []

    @pytest.mark.parametrize(
        ("detail_type", "detail"),
        [
            ("ReviewRequested", {"userId": "u1"}),
            ("ReviewRequested", {"userId": "u1", "occasion": "o", "occurredAt": "yesterday"}),
            ("SomethingElse", {"userId": "u1", "occasion": "o"}),
            (None, None),
        ],
    )
    def test_an_event_that_cannot_be_carried_out_is_acknowledged(self, handle, carrier, detail_type, detail):
        with captured_logs() as log:
            answer = handle(detail, detail_type)

        assert answer == {"state": "SUPPRESSED", "reason": "MALFORMED_EVENT", "until": None}
        assert "Event cannot be carried out" in log.getvalue()
        assert carrier.texts(JOHN) == []

    def test_an_occasion_is_recorded_for_the_next_broadcast(self, handle, carrier, dynamodb):
        detail = {"userId": "u1", "occasion": "order-18", "occurredAt": "2026-11-20T17:00:00Z"}

        assert handle(detail, "OccasionRecorded") == {"state": "RECORDED", "reason": None, "until": None}
        row = row_of(dynamodb, "u1", "order-18")
        assert (row.occurred_at, row.asked_at) == (NOON - timedelta(days=1), None)
        assert carrier.texts(JOHN) == []


class TestInvitees:
    """The end of an appointment: its invitee is in no customers table, and it was no purchase."""

    def test_an_invitee_is_added_and_asked_about_the_meeting_once(self, handle, carrier, dynamodb):
        with captured_logs() as log:
            assert handle(MEETING)["state"] == "ACCEPTED"
            assert handle(MEETING, event_id="event-2")["state"] == "ALREADY_SENT"

        (text,) = carrier.texts(GRACE)
        assert text.startswith("Hi Grace! How was your 15 Minute Meeting? https://r.example.com/r/")
        (message,) = carrier.control("GET", f"messages?phone={GRACE.replace('+', '%2B')}")
        assert (message["parts"], message["message_type"]) == (1, "PROMOTIONAL")
        row = customer_of(dynamodb, "invitee-1")
        created_at = int(row.pop("createdAt")["N"])
        assert int(row.pop("expiresAt")["N"]) - created_at == timedelta(days=90).total_seconds()
        assert timedelta() <= datetime.fromtimestamp(created_at, UTC) - NOON < timedelta(minutes=1)
        assert row == {
            "userId": {"S": "invitee-1"},
            "phoneNumber": {"S": GRACE},
            "name": {"S": "Grace Hopper"},
            "status": {"S": "active"},
            "locale": {"S": "en-US"},
            "source": {"S": "appointment"},
        }
        assert not [word for word in ("555", "Grace", "Meeting") if word in log.getvalue()]

    def test_who_is_in_the_table_is_asked_as_it_says_and_stays(self, handle, carrier, dynamodb):
        before = customer_of(dynamodb, "u1")

        assert handle({**MEETING, "userId": "u1"})["state"] == "ACCEPTED"

        assert carrier.texts(JOHN)[0].startswith("Hi John! How was your 15 Minute Meeting?")
        assert carrier.texts(GRACE) == []
        assert customer_of(dynamodb, "u1") == before

    def test_who_is_inactive_in_the_table_is_not_asked(self, handle, carrier, dynamodb):
        assert handle({**MEETING, "userId": "gone"})["reason"] == "INACTIVE"

        assert customer_of(dynamodb, "gone")["status"] == {"S": "inactive"}
        assert carrier.texts(GRACE) == []

    @pytest.mark.parametrize(
        ("phone", "reason"), [("call me", "INVALID_PHONE"), ("5" * 5000, "INVALID_PHONE"), (None, "NO_PHONE")]
    )
    def test_a_broken_number_is_a_recorded_skip_and_no_row(self, handle, dynamodb, phone, reason):
        with captured_logs() as log:
            answer = handle({**MEETING, "customer": {"phoneNumber": phone}})

        assert answer == {"state": "SUPPRESSED", "reason": reason, "until": None}
        assert reason in log.getvalue()
        assert customer_of(dynamodb, "invitee-1") is None
        assert row_of(dynamodb, "invitee-1", "appointment-9") is None

    def test_where_that_is_switched_off_the_unknown_are_a_recorded_skip(self, environment, noon, dynamodb):
        with fresh_handler(MODULE, {**environment, "ADD_CUSTOMERS_FROM_EVENTS": "false"}) as module:
            answer = module.handler(
                {"id": "1", "detail-type": "ReviewRequested", "detail": MEETING}, Context()
            )

        assert answer == {"state": "SUPPRESSED", "reason": "NO_CUSTOMER", "until": None}
        assert customer_of(dynamodb, "invitee-1") is None

    def test_the_night_is_waited_out_without_anything_personal(self, handle, carrier, clock_file, dynamodb):
        owl = {**MEETING["customer"], "timeZone": "Asia/Tokyo"}

        assert handle({**MEETING, "customer": owl})["reason"] == "QUIET_HOURS"

        (waiting,) = executions().values()
        assert waiting["event"]["detail"] == {k: v for k, v in MEETING.items() if k != "customer"}
        assert not [word for word in ("555", "Grace", "Hopper") if word in json.dumps(waiting)]
        assert customer_of(dynamodb, "invitee-1")["timeZone"] == {"S": "Asia/Tokyo"}
        move(clock_file, NOON + timedelta(hours=6))
        assert handle(waiting["event"]["detail"], since=waiting["event"]["since"])["state"] == "ACCEPTED"
        assert carrier.texts(GRACE)[0].startswith("Hi Grace! How was your 15 Minute Meeting?")

    def test_the_reminder_days_later_speaks_of_the_meeting_too(self, handle, carrier, clock_file):
        handle(MEETING)
        (reminder,) = executions().values()
        assert reminder["event"]["detail"] == {"userId": "invitee-1", "occasion": "appointment-9"}
        move(clock_file, NOON + timedelta(days=3, minutes=1))

        assert handle(reminder["event"]["detail"], "ReviewReminderDue")["state"] == "ACCEPTED"

        _, text = carrier.texts(GRACE)
        assert text.startswith("Reminder: Hi Grace! How was your 15 Minute Meeting? https://r.example.com/r/")

    def test_a_text_that_cannot_be_sent_is_counted_and_logged_by_its_reason(self, handle, carrier, capsys):
        with captured_logs() as log:
            assert handle({**MEETING, "text": "Dear {{first_name}}, {{link}}"})["state"] == "ACCEPTED"

        assert carrier.texts(GRACE)[0].startswith("Hi Grace! Please review your recent purchase:")
        assert "UNKNOWN_PLACEHOLDER" in log.getvalue()
        assert "Dear" not in log.getvalue()
        assert '"ReviewTextsRefused"' in capsys.readouterr().out


class TestWaiting:
    def test_a_text_at_night_waits_in_the_machine_that_calls_this_function(self, handle, carrier):
        answer = handle({"userId": "owl", "occasion": "order-17", "note": "to be left behind"})

        assert answer == {"state": "DEFERRED", "reason": "QUIET_HOURS", "until": "2026-11-21T23:00:00Z"}
        (execution,) = executions().values()
        since = datetime.fromisoformat(execution["event"].pop("since"))
        assert NOON <= since < NOON + timedelta(minutes=1)
        assert execution == {
            "functionName": "asker",
            "event": {
                "id": "event-1",
                "detail-type": "ReviewRequested",
                "detail": {"userId": "owl", "occasion": "order-17"},
            },
            "outcome": {"state": "DEFERRED", "until": "2026-11-21T23:00:00Z"},
        }
        assert carrier.texts(NIGHT_OWL) == []

    def test_in_the_morning_it_goes_out_and_its_reminder_waits(self, handle, carrier, clock_file):
        handle({"userId": "owl", "occasion": "order-17"})
        (waiting,) = executions().values()
        move(clock_file, NOON + timedelta(hours=6))

        answer = handle(detail=waiting["event"]["detail"], since=waiting["event"]["since"])

        assert answer == {"state": "ACCEPTED", "reason": None, "until": None}
        assert len(carrier.texts(NIGHT_OWL)) == 1
        reminder = executions()[f"reminder-{key_of('owl', 'order-17')}"]
        assert reminder["event"]["detail-type"] == "ReviewReminderDue"
        assert reminder["event"]["detail"] == {"userId": "owl", "occasion": "order-17"}
        assert reminder["outcome"]["until"].startswith("2026-11-24T23:0")

    def test_while_sending_is_paused_it_is_looked_at_again(self, handle, dynamodb, carrier):
        pause(dynamodb)

        answer = handle({"userId": "u1", "occasion": "o"})

        assert (answer["state"], answer["reason"]) == ("DEFERRED", "PAUSED")
        assert answer["until"].startswith("2026-11-21T17:05:")
        assert list(executions()) == ["event-1"]
        assert carrier.texts(JOHN) == []

    def test_an_event_without_an_id_waits_under_that_of_the_call(self, handle):
        handle({"userId": "owl", "occasion": "order-17"}, event_id=None)

        assert list(executions()) == [Context().aws_request_id]

    def test_nothing_personal_waits_in_the_machine(self, handle):
        handle({"userId": "owl", "occasion": "order-17", "phoneNumber": NIGHT_OWL})
        handle({"userId": "u1", "occasion": "order-17", "name": "John Doe"}, event_id="event-2")

        waiting = json.dumps(executions())
        for personal in (JOHN, NIGHT_OWL, "John", "/r/"):
            assert personal not in waiting


class TestReminding:
    def ask_and_wait(self, handle, clock_file):
        handle({"userId": "u1", "occasion": "order-17"})
        (reminder,) = executions().values()
        move(clock_file, NOON + timedelta(days=3, minutes=1))
        return {"detail_type": "ReviewReminderDue", **{k: reminder["event"][k] for k in ("detail", "since")}}

    def test_the_reminder_goes_out_once(self, handle, carrier, clock_file, dynamodb):
        due = self.ask_and_wait(handle, clock_file)

        assert handle(**due) == {"state": "ACCEPTED", "reason": None, "until": None}
        assert handle(**due)["reason"] == "ALREADY_REMINDED"
        _, reminder = carrier.texts(JOHN)
        assert reminder.startswith("Hi John! A reminder to review your recent purchase: https://")
        assert row_of(dynamodb, "u1", "order-17").reminded_at is not None

    def test_the_reminder_stops_when_answered(self, handle, carrier, clock_file, dynamodb):
        due = self.ask_and_wait(handle, clock_file)
        requests = DynamoReviewRequests(dynamodb, table=REVIEW_REQUESTS)
        requests.mark_answered(key_of("u1", "order-17"), NOON)

        assert handle(**due) == {"state": "SUPPRESSED", "reason": "ANSWERED", "until": None}
        assert len(carrier.texts(JOHN)) == 1


class TestLinksAndThanks:
    def test_a_new_link_is_sent_once(self, handle, carrier):
        handle({"userId": "u1", "occasion": "o"})
        detail = {"requestId": key_of("u1", "o")}

        assert handle(detail, "ReviewLinkRequested")["state"] == "ACCEPTED"
        assert handle(detail, "ReviewLinkRequested")["state"] == "ALREADY_SENT"
        assert len(carrier.texts(JOHN)) == 2

    def test_an_unknown_request_gets_no_link(self, handle):
        answer = handle({"requestId": "AAAA"}, "ReviewLinkRequested")

        assert answer == {"state": "SUPPRESSED", "reason": "NO_REQUEST", "until": None}

    def test_a_review_is_thanked_for_once_by_name(self, handle, carrier):
        handle({"userId": "u1", "occasion": "o"})
        detail = {"reviewId": "review-1", "userId": "u1", "rating": 5, "occasion": "o"}

        assert handle(detail, "ReviewSubmitted")["state"] == "ACCEPTED"
        assert handle(detail, "ReviewSubmitted")["state"] == "ALREADY_SENT"
        _, message = carrier.control("GET", f"messages?phone={JOHN.replace('+', '%2B')}")
        assert message["body"] == "Thank you for your review, John!"
        assert (message["parts"], message["message_type"]) == (1, "TRANSACTIONAL")

    def test_a_review_is_not_thanked_for_after_an_opt_out(self, handle, carrier, dynamodb):
        opt_out(dynamodb, JOHN)

        answer = handle({"reviewId": "r", "userId": "u1"}, "ReviewSubmitted")

        assert answer == {"state": "SUPPRESSED", "reason": "OPTED_OUT", "until": None}
        assert carrier.texts(JOHN) == []

    def test_texts_are_those_of_the_settings(self, environment, noon, dynamodb, carrier):
        texts = {
            "CONFIRMATION_TEXTS": json.dumps({"en": "Cheers, {{name}}."}),
            "REVIEW_TEXTS": json.dumps({"en": "{{name}}? {{link}}"}),
        }

        with fresh_handler(MODULE, {**environment, **texts}) as module:
            for detail_type, detail in (
                ("ReviewRequested", {"userId": "u1", "occasion": "o"}),
                ("ReviewSubmitted", {"reviewId": "r", "userId": "u1"}),
            ):
                module.handler({"id": detail_type, "detail-type": detail_type, "detail": detail}, Context())

        asked, thanked = carrier.texts(JOHN)
        assert asked.startswith("John? https://")
        assert thanked == "Cheers, John."
