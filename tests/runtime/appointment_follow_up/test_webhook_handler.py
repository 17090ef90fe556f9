"""Webhooks as API Gateway hands them over, against DynamoDB, Step Functions and Secrets Manager in moto."""

import json
import time
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier
from unittest.mock import patch

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ConnectTimeoutError
from hypothesis import given, settings

from sms_engagement_runtime.appointment_follow_up.domain.bookings import Provider, appointment_id
from sms_engagement_runtime.appointment_follow_up.domain.signatures import sign_calcom, sign_calendly
from tests.support.appointment_tables import CONVERSATIONS, appointment_tables
from tests.support.aws_faults import failing
from tests.support.booking_payloads import EVENTS, damaged, sample, varied
from tests.support.handlers import Context, fresh_handler
from tests.support.http_events import api_event
from tests.support.review_tables import aws_client

MODULE = "sms_engagement_runtime.appointment_follow_up.handlers.webhook"
MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:follow-up"
KEYS = {"calendly": "the key of the calendly hook", "calcom": "the key of the calcom hook"}
SERVICE = "shop-appointments"

NOON = datetime(2026, 11, 21, 17, tzinfo=UTC)
CREATED = "calendly-invitee.created-sms-number"
CANCELED = "calendly-invitee.canceled"
CALCOM_CREATED = "calcom-BOOKING_CREATED-with-phone"
INVITEE = "https://api.calendly.com/scheduled_events/AAAAAAAAAAAAAAAA/invitees/AAAAAAAAAAAAAAAA"
ID = appointment_id(Provider.CALENDLY, INVITEE)

ACCEPTED = (200, {"status": "accepted"})
IGNORED = (200, {"status": "ignored"})
UNAUTHORIZED = (401, {"message": "Unauthorized"})
AGAIN = (503, {"message": "Try again later"})


@pytest.fixture(scope="module")
def clock_file(tmp_path_factory):
    """It is noon of that day in New York, whatever the machine's clock says."""
    file = tmp_path_factory.mktemp("clock") / "offset"
    file.write_text(str((NOON - datetime.now(UTC)).total_seconds()))
    return file


@pytest.fixture
def aws():
    with appointment_tables() as dynamodb:
        secrets = aws_client("secretsmanager")
        secrets.create_secret(Name="subscriber-key", SecretString="the text of the subscriber key secret")
        for provider, key in KEYS.items():
            secrets.create_secret(Name=provider, SecretString=key)
        aws_client("stepfunctions").create_state_machine(
            name="follow-up", definition="{}", roleArn="arn:aws:iam::123456789012:role/machine"
        )
        yield dynamodb


@pytest.fixture
def environment(clock_file):
    return {
        "CONVERSATIONS_TABLE": CONVERSATIONS,
        "STATE_MACHINE_ARN": MACHINE,
        "SUBSCRIBER_KEY_SECRET_ARN": "subscriber-key",
        "SIGNING_KEYS": json.dumps({provider: provider for provider in KEYS}),
        "RETENTION_SECONDS": "86400",
        "POWERTOOLS_SERVICE_NAME": SERVICE,
        "CLOCK": "virtual",
        "CLOCK_OFFSET_FILE": str(clock_file),
    }


class Hooks:
    """The endpoint as a provider sees it, and what can be seen behind it."""

    def __init__(self, module, dynamodb, capsys):
        self.module = module
        self.dynamodb = dynamodb
        self._capsys = capsys

    def post(self, body, *, provider="calendly", key=None, age=0, headers=None, as_base64=False, signed=True):
        """Post a body, signed by default as the provider signs it; return status and answer."""
        body = body.encode() if isinstance(body, str) else body
        key = (key or KEYS.get(provider, "")).encode()
        if headers is None and signed:
            headers = (
                {"Calendly-Webhook-Signature": sign_calendly(body, key, time.time() - age)}
                if provider == "calendly"
                else {"X-Cal-Signature-256": sign_calcom(body, key)}
            )
        event = api_event(
            f"POST /webhooks/{provider}",
            # HTTP APIs lower-case the names.
            headers={name.lower(): value for name, value in (headers or {}).items()},
            body=body if as_base64 else body.decode("utf-8", "surrogateescape"),
        )
        return self.handle(event)

    def handle(self, event):
        response = self.module.handler(event, Context())
        assert response["headers"] == {
            "content-type": "application/json",
            "cache-control": "no-store",
            "strict-transport-security": "max-age=31536000",
            "x-content-type-options": "nosniff",
        }
        return response["statusCode"], json.loads(response["body"])

    @property
    def rows(self):
        return {
            item["appointmentId"]["S"]: {name: next(iter(value.values())) for name, value in item.items()}
            for item in self.dynamodb.scan(TableName=CONVERSATIONS)["Items"]
        }

    @property
    def row(self):
        (row,) = self.rows.values()
        return row

    @property
    def executions(self):
        found = aws_client("stepfunctions").list_executions(stateMachineArn=MACHINE)["executions"]
        return {execution["name"]: execution["status"] for execution in found}

    def logs(self):
        """Lines since the last look."""
        return [json.loads(line) for line in self._capsys.readouterr().out.splitlines() if line]

    def log(self):
        (line,) = self.logs()
        return line


@pytest.fixture
def hooks(aws, environment, capsys):
    # A process of its own for each test: it would remember the keys of the one before.
    with fresh_handler(MODULE, environment) as module:
        yield Hooks(module, aws, capsys)


class TestABooking:
    def test_becomes_a_row_and_an_execution_of_its_name(self, hooks):
        assert hooks.post(sample(CREATED)) == ACCEPTED

        row = hooks.row
        assert (row["appointmentId"], row["status"], row["version"]) == (ID, "PENDING", "1")
        assert (row["provider"], row["externalId"]) == ("calendly", INVITEE)
        assert (row["phoneNumber"], row["country"], row["timeZone"]) == (
            "+14045551234",
            "US",
            "America/New_York",
        )
        assert row["subscriberId"].startswith("v1:")
        assert hooks.executions == {ID: "RUNNING"}

    def test_of_the_other_provider_is_one_too(self, hooks):
        body = varied(
            CALCOM_CREATED,
            ("createdAt", "2026-11-21T16:59:00.000Z"),
            ("payload.startTime", "2026-12-01T09:30:00Z"),
            ("payload.endTime", "2026-12-01T09:45:00Z"),
        )

        assert hooks.post(body, provider="calcom") == ACCEPTED

        assert (hooks.row["provider"], hooks.row["phoneNumber"]) == ("calcom", "+12025550147")
        assert list(hooks.executions) == [hooks.row["appointmentId"]]

    def test_arrives_as_base64_too(self, hooks):
        assert hooks.post(sample(CREATED), as_base64=True) == ACCEPTED
        assert hooks.row["status"] == "PENDING"

    def test_is_kept_for_as_long_as_the_construct_says(self, hooks):
        hooks.post(sample(CREATED))

        ends_at = datetime(2026, 12, 1, 18, 30, tzinfo=UTC).timestamp()
        assert int(hooks.row["expiresAt"]) == int(ends_at) + 86400

    def test_is_logged_by_its_id_and_counted_by_the_service(self, hooks):
        hooks.post(sample(CREATED))

        line = hooks.log()
        assert (line["level"], line["message"]) == ("INFO", "Webhook taken")
        # The dimension of the metric that the alarms hang on.
        assert line["service"] == SERVICE
        assert (line["provider"], line["appointment_id"], line["status"]) == ("calendly", ID, "PENDING")
        assert line["api_request_id"] == "api-request"

    def test_that_comes_ten_times_is_one(self, hooks):
        assert {hooks.post(sample(CREATED))[0] for _ in range(10)} == {200}

        assert hooks.row["version"] == "1"
        assert list(hooks.executions) == [ID]

    def test_that_comes_ten_times_at_once_is_one(self, hooks):
        barrier = Barrier(10, timeout=30)

        def post(_):
            barrier.wait()
            return hooks.post(sample(CREATED))

        with ThreadPoolExecutor(10) as pool:
            answers = list(pool.map(post, range(10)))

        assert answers == [ACCEPTED] * 10
        assert (len(hooks.rows), hooks.row["version"]) == (1, "1")
        assert list(hooks.executions) == [ID]

    def test_whose_row_was_written_and_whose_execution_was_not_is_completed_by_the_next_delivery(self, hooks):
        with failing("StartExecution", times=1):
            assert hooks.post(sample(CREATED)) == AGAIN
        assert (hooks.row["status"], hooks.executions) == ("PENDING", {})

        assert hooks.post(sample(CREATED)) == ACCEPTED

        assert hooks.executions == {ID: "RUNNING"}
        assert hooks.row["version"] == "1"

    def test_is_completed_by_a_delivery_that_is_older_than_signatures_may_be(self, hooks):
        with failing("StartExecution", times=1):
            assert hooks.post(sample(CREATED)) == AGAIN

        assert hooks.post(sample(CREATED), age=3600) == ACCEPTED

        assert hooks.executions == {ID: "RUNNING"}

    def test_that_is_cancelled_stops_and_is_told_of(self, hooks):
        hooks.post(sample(CREATED))

        assert hooks.post(sample(CANCELED)) == ACCEPTED

        assert hooks.row["status"] == "CANCELED"
        assert hooks.executions == {ID: "ABORTED", f"{ID}-cancelled": "RUNNING"}

    def test_that_was_cancelled_before_it_was_heard_of_begins_and_ends(self, hooks):
        assert hooks.post(sample(CANCELED)) == ACCEPTED
        assert hooks.executions == {}

        assert hooks.post(sample(CREATED)) == ACCEPTED

        assert hooks.row["status"] == "CANCELED"
        assert set(hooks.executions) == {ID, f"{ID}-cancelled"}

    def test_that_moved_ends_the_old_one_and_begins_the_new_one(self, hooks):
        hooks.post(sample(CREATED))
        new = INVITEE.replace("A", "B")
        moved = varied(
            "calendly-invitee.created-rescheduled", ("payload.uri", new), ("payload.old_invitee", INVITEE)
        )
        new_id = appointment_id(Provider.CALENDLY, new)

        assert hooks.post(moved) == ACCEPTED

        old, booked = hooks.rows[ID], hooks.rows[new_id]
        assert (old["status"], old["movedTo"]) == ("RESCHEDULED", new_id)
        assert (booked["status"], booked["replaces"]) == ("PENDING", ID)
        assert hooks.executions == {ID: "ABORTED", new_id: "RUNNING"}
        assert [line["appointment_id"] for line in hooks.logs()] == [ID, ID, new_id]


class TestSignatures:
    @pytest.mark.parametrize("provider", KEYS)
    def test_without_one_it_is_refused(self, hooks, provider):
        assert hooks.post(sample(CREATED), provider=provider, signed=False) == UNAUTHORIZED

        assert hooks.rows == {}
        line = hooks.log()
        assert (line["level"], line["message"], line["reason"]) == ("WARNING", "Webhook refused", "INVALID")
        assert line["service"] == SERVICE

    @pytest.mark.parametrize("provider", KEYS)
    def test_of_another_key_is_refused(self, hooks, provider):
        assert hooks.post(sample(CREATED), provider=provider, key="somebody else's") == UNAUTHORIZED

    @pytest.mark.parametrize("provider", KEYS)
    def test_of_the_other_providers_key_is_refused(self, hooks, provider):
        (other,) = set(KEYS) - {provider}
        assert hooks.post(sample(CREATED), provider=provider, key=KEYS[other]) == UNAUTHORIZED

    @pytest.mark.parametrize(
        "header",
        ["", "v1=", "t=,v1=", "t=1764000000", "no-secret-provided", "t=1,t=2,v1=00", "é" * 64, "x" * 100_000],
    )
    @pytest.mark.parametrize("provider", KEYS)
    def test_that_is_none_is_refused(self, hooks, provider, header):
        headers = {"calendly-webhook-signature": header, "x-cal-signature-256": header}
        assert hooks.post(sample(CREATED), provider=provider, headers=headers) == UNAUTHORIZED

    @pytest.mark.parametrize("provider", KEYS)
    def test_over_the_body_as_somebody_wrote_it_anew_is_refused(self, hooks, provider):
        body = sample(CREATED)
        again = json.dumps(json.loads(body)).encode()
        assert again != body
        key = KEYS[provider].encode()
        headers = {
            "calendly-webhook-signature": sign_calendly(again, key, time.time()),
            "x-cal-signature-256": sign_calcom(again, key),
        }

        assert hooks.post(body, provider=provider, headers=headers) == UNAUTHORIZED

    @pytest.mark.parametrize("provider", KEYS)
    def test_over_the_base64_and_not_the_body_is_refused(self, hooks, provider):
        body, key = b64encode(sample(CREATED)), KEYS[provider].encode()
        headers = {
            "calendly-webhook-signature": sign_calendly(body, key, time.time()),
            "x-cal-signature-256": sign_calcom(body, key),
        }

        assert hooks.post(sample(CREATED), provider=provider, headers=headers, as_base64=True) == UNAUTHORIZED

    def test_that_is_old_is_refused(self, hooks):
        assert hooks.post(sample(CREATED), age=181) == UNAUTHORIZED

        assert hooks.rows == {}
        assert hooks.log()["reason"] == "STALE"

    def test_that_is_old_under_something_unusable_is_refused_as_well(self, hooks):
        assert hooks.post(b'{"event": "unknown"}', age=181) == UNAUTHORIZED

    def test_that_is_old_is_harmless_under_what_is_known(self, hooks):
        hooks.post(sample(CREATED))

        # As Calendly repeats a delivery whose answer it did not get.
        assert hooks.post(sample(CREATED), age=3600) == ACCEPTED

        assert hooks.row["version"] == "1"

    def test_that_is_old_under_another_event_of_what_is_known_is_refused(self, hooks):
        hooks.post(sample(CREATED))

        assert hooks.post(sample(CANCELED), age=3600) == UNAUTHORIZED
        assert hooks.row["status"] == "PENDING"

    def test_calcoms_old_events_are_recognised_by_what_is_in_them(self, hooks):
        assert hooks.post(sample(CALCOM_CREATED), provider="calcom") == IGNORED
        assert hooks.log()["reason"] == "STALE_EVENT"

    def test_over_a_body_that_is_no_base64_is_refused(self, hooks):
        event = api_event("POST /webhooks/calendly", body="%%%", is_base64=True)

        assert hooks.handle(event) == UNAUTHORIZED

    def test_is_looked_for_whatever_the_case_of_its_header(self, hooks):
        event = api_event(
            "POST /webhooks/calcom",
            headers={"X-CAL-Signature-256": sign_calcom(b"{}", KEYS["calcom"].encode())},
            body="{}",
        )

        assert hooks.handle(event) == IGNORED


class TestKeys:
    def test_the_one_before_is_accepted_for_a_while(self, hooks):
        aws_client("secretsmanager").put_secret_value(SecretId="calendly", SecretString="the new key")

        assert hooks.post(sample(CREATED), key="the new key") == ACCEPTED
        assert hooks.post(sample(CREATED), key=KEYS["calendly"]) == ACCEPTED

    def test_a_new_one_is_looked_up_when_it_is_met(self, hooks):
        hooks.post(sample(CREATED))
        aws_client("secretsmanager").put_secret_value(SecretId="calendly", SecretString="the new key")

        assert hooks.post(sample(CREATED), key="the new key") == ACCEPTED

    def test_a_flood_of_bad_signatures_is_no_flood_of_reads(self, hooks):
        hooks.post(sample(CREATED))
        reads = []
        real = BaseClient._make_api_call

        def counted(self, name, arguments):
            reads.append(name)
            return real(self, name, arguments)

        with patch.object(BaseClient, "_make_api_call", counted):
            assert {hooks.post(sample(CREATED), key="no")[0] for _ in range(50)} == {401}

        # Three times both versions, and once more for each ten seconds that this machine may take.
        assert 0 < reads.count("GetSecretValue") < 20

    @pytest.mark.parametrize(
        "error",
        [
            "ResourceNotFoundException",
            "AccessDeniedException",
            "ThrottlingException",
            "DecryptionFailure",
            ConnectTimeoutError(endpoint_url="https://secretsmanager"),
        ],
        ids=str,
    )
    def test_a_secret_that_cannot_be_read_is_a_reason_to_try_again(self, hooks, error):
        with failing("GetSecretValue", error):
            assert hooks.post(sample(CREATED)) == AGAIN

        line = hooks.log()
        assert (line["level"], line["message"]) == ("ERROR", "Webhook could not be taken")
        assert line["service"] == SERVICE
        assert line["reason"].startswith("secretsmanager:GetSecretValue: ")
        assert hooks.post(sample(CREATED)) == ACCEPTED

    def test_a_secret_without_a_text_is_a_reason_to_try_again(self, hooks):
        aws_client("secretsmanager").put_secret_value(SecretId="calendly", SecretBinary=b"\0")

        assert hooks.post(sample(CREATED)) == AGAIN

    def test_an_empty_key_signs_nothing(self, hooks):
        aws_client("secretsmanager").put_secret_value(SecretId="calendly", SecretString=" ")
        headers = {"calendly-webhook-signature": sign_calendly(sample(CREATED), b"", time.time())}

        assert hooks.post(sample(CREATED), headers=headers)[0] == 503
        assert hooks.rows == {}

    def test_a_provider_without_a_key_is_not_served(self, aws, environment, capsys):
        with fresh_handler(MODULE, {**environment, "SIGNING_KEYS": '{"calcom": "calcom"}'}) as module:
            hooks = Hooks(module, aws, capsys)

            assert hooks.post(sample(CREATED)) == (404, {"message": "Not found"})


class TestFaults:
    @pytest.mark.parametrize("operation", ["GetItem", "PutItem"])
    @pytest.mark.parametrize(
        "error",
        [
            "ThrottlingException",
            "ProvisionedThroughputExceededException",
            "InternalServerError",
            "ResourceNotFoundException",
            ConnectTimeoutError(endpoint_url="https://dynamodb"),
        ],
        ids=str,
    )
    def test_a_table_that_does_not_answer_is_a_reason_to_try_again(self, hooks, operation, error):
        with failing(operation, error):
            assert hooks.post(sample(CREATED)) == AGAIN

        assert hooks.executions == {}
        assert hooks.post(sample(CREATED)) == ACCEPTED
        assert hooks.executions == {ID: "RUNNING"}

    def test_a_row_that_is_busy_is_written_when_it_is_free(self, hooks):
        with failing("PutItem", "TransactionConflictException", times=2):
            assert hooks.post(sample(CREATED)) == ACCEPTED

    def test_a_machine_that_cannot_be_stopped_is_a_reason_to_try_again(self, hooks):
        hooks.post(sample(CREATED))

        with failing("StopExecution"):
            assert hooks.post(sample(CANCELED)) == AGAIN

        # It is recorded, so nothing is sent; and the next delivery ends what waits.
        assert hooks.row["status"] == "CANCELED"
        assert hooks.post(sample(CANCELED)) == ACCEPTED
        assert hooks.executions == {ID: "ABORTED", f"{ID}-cancelled": "RUNNING"}


class TestUnusable:
    """Authentic, so it is 200: a provider disables a hook that answers otherwise."""

    @pytest.mark.parametrize("provider", KEYS)
    @pytest.mark.parametrize(
        ("body", "reason"),
        [
            (b"", "MALFORMED_PAYLOAD"),
            (b"{", "MALFORMED_PAYLOAD"),
            (b"null", "MALFORMED_PAYLOAD"),
            (b"[]", "MALFORMED_PAYLOAD"),
            (b"\xff\xfe{}", "MALFORMED_PAYLOAD"),
            (b"[" * 100_000, "MALFORMED_PAYLOAD"),
            (b'{"event": "x", "triggerEvent": "x", "payload": "' + b"a" * 1_048_576 + b'"}', "TOO_LARGE"),
            (
                b'{"event": "invitee.teleported", "triggerEvent": "TELEPORTED", "payload": {}}',
                "UNKNOWN_EVENT",
            ),
        ],
        ids=["empty", "cut off", "null", "array", "no UTF-8", "deep", "1 MB", "unknown event"],
    )
    def test_is_ignored_with_a_reason(self, hooks, provider, body, reason):
        assert hooks.post(body, provider=provider, as_base64=True) == IGNORED

        line = hooks.log()
        assert (line["level"], line["message"], line["reason"]) == (
            "INFO",
            "Webhook cannot be used",
            reason,
        )
        assert line["service"] == SERVICE
        assert hooks.rows == {}

    def test_a_body_of_one_megabyte_is_refused_where_nobody_signed_it(self, hooks):
        assert hooks.post(b"a" * 1_048_576, signed=False) == UNAUTHORIZED
        assert hooks.post(b"a" * 1_048_576, key="no") == UNAUTHORIZED

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ([("payload.text_reminder_number", None)], "NO_PHONE"),
            ([("payload.text_reminder_number", "  ")], "NO_PHONE"),
            ([("payload.text_reminder_number", "call me")], "INVALID_PHONE"),
            ([("payload.text_reminder_number", "+1 555 555 1234")], "INVALID_PHONE"),
            ([("payload.text_reminder_number", {"number": "+14045551234"})], "NO_PHONE"),
            ([("payload.text_reminder_number", "+49 30 23125 012")], "LANDLINE"),
            ([("payload.scheduled_event.start_time", "2026-11-21T16:59:59Z")], "START_IN_PAST"),
            ([("payload.scheduled_event.start_time", "2019-08-24T14:15:22.123456Z")], "START_IN_PAST"),
        ],
    )
    def test_an_appointment_that_cannot_be_texted_is_recorded_with_a_reason(self, hooks, changes, reason):
        assert hooks.post(varied(CREATED, *changes)) == ACCEPTED

        assert (hooks.row["status"], hooks.row["reason"]) == ("FAILED", reason)
        assert "phoneNumber" not in hooks.row
        assert hooks.log()["reason"] == reason

    @pytest.mark.parametrize("name", [CREATED, CALCOM_CREATED])
    def test_whatever_stands_in_place_of_anything_it_is_answered_and_kept_or_ignored(self, hooks, name):
        provider = name.partition("-")[0]

        @settings(max_examples=60)
        @given(damaged(name))
        def post(body):
            body = body.replace(b"2025-11-04T21:39:41.319Z", b"2026-11-21T16:59:00.000Z")
            assert hooks.post(body, provider=provider) in (ACCEPTED, IGNORED)

        post()
        # Each row can be read again, and every one that can be texted has its execution.
        for appointment, row in hooks.rows.items():
            assert hooks.module._intake.conversations.get(appointment).status.value == row["status"]
            assert row["status"] != "PENDING" or appointment in hooks.executions

    @pytest.mark.parametrize("missing", ["payload.uri", "payload.scheduled_event.start_time", "created_at"])
    def test_without_what_makes_it_an_appointment_it_is_none(self, hooks, missing):
        assert hooks.post(varied(CREATED, (missing, ...))) == IGNORED
        assert hooks.rows == {}


class TestWhatInviteesType:
    @pytest.mark.parametrize(
        "typed", ["(404) 555-1234", "404.555.1234", "+1 404-555-1234", "14045551234", "  4045551234 "]
    )
    def test_numbers_in_any_notation(self, hooks, typed):
        assert hooks.post(varied(CREATED, ("payload.text_reminder_number", typed))) == ACCEPTED
        assert hooks.row["phoneNumber"] == "+14045551234"

    def test_a_number_in_an_answer_of_the_form(self, hooks):
        assert hooks.post(sample("calendly-invitee.created-phone-in-answers")) == ACCEPTED
        assert hooks.row["status"] == "PENDING"

    def test_a_number_in_the_location_of_the_call(self, hooks):
        assert hooks.post(sample("calendly-invitee.created-outbound-call")) == ACCEPTED
        assert hooks.row["status"] == "PENDING"

    @pytest.mark.parametrize(
        ("country", "kept"), [("US", "+12025550123"), ("CA", "+12025550123"), ("GB", "INVALID_PHONE")]
    )
    def test_a_number_of_the_configured_question_in_the_configured_country(
        self, aws, environment, capsys, country, kept
    ):
        own = {
            **environment,
            "DEFAULT_COUNTRY": country,
            "PHONE_QUESTIONS": json.dumps({"questions": ["WhatsApp?"]}),
            "LANGUAGE_QUESTIONS": json.dumps({"questions": ["Language"]}),
        }
        answers = [
            {"question": "Phone number", "answer": "+12125550177", "position": 0},
            {"question": "whatsapp", "answer": "(202) 555-0123", "position": 1},
            {"question": "LANGUAGE", "answer": "Deutsch", "position": 2},
        ]
        body = varied(
            CREATED,
            ("payload.text_reminder_number", None),
            ("payload.questions_and_answers", answers),
        )
        with fresh_handler(MODULE, own) as module:
            hooks = Hooks(module, aws, capsys)

            assert hooks.post(body) == ACCEPTED

            assert (hooks.row.get("phoneNumber") or hooks.row["reason"]) == kept
            assert hooks.row["locale"] == "de"

    def test_a_zone_that_does_not_exist_is_kept_as_it_came(self, hooks):
        assert hooks.post(varied(CREATED, ("payload.timezone", "Mars/Olympus_Mons"))) == ACCEPTED
        # What is said about the time falls back to the host's zone.
        assert (hooks.row["status"], hooks.row["timeZone"]) == ("PENDING", "Mars/Olympus_Mons")

    @pytest.mark.parametrize(
        ("name", "kept"),
        [
            ("👩‍👩‍👧 Zoë 😀", "👩‍👩‍👧 Zoë 😀"),
            ("é" * 300, "é" * 200),
            ("😀" * 300, "😀" * 200),
            ("a\nb\0c", "a b c"),
            ("{{link}} <script>", "{{link}} <script>"),
        ],
        ids=["emoji", "300 letters", "300 emoji", "controls", "braces"],
    )
    def test_names_of_any_kind(self, hooks, name, kept):
        assert hooks.post(varied(CREATED, ("payload.name", name))) == ACCEPTED
        assert hooks.row["inviteeName"] == kept

    def test_a_name_that_was_cut_within_an_emoji(self, hooks):
        body = varied(CREATED, ("payload.name", "NAME")).replace(b"NAME", b"Zo\\u00eb \\ud83d")

        assert hooks.post(body) == ACCEPTED
        assert hooks.row["inviteeName"] == "Zoë \N{REPLACEMENT CHARACTER}"


EXPECTED = {
    "calendly-invitee.canceled": ACCEPTED,
    "calendly-invitee.canceled-rescheduled": ACCEPTED,
    "calendly-invitee.created": ACCEPTED,
    "calendly-invitee.created-outbound-call": ACCEPTED,
    "calendly-invitee.created-phone-in-answers": ACCEPTED,
    "calendly-invitee.created-rescheduled": ACCEPTED,
    "calendly-invitee.created-sms-number": ACCEPTED,
    "calendly-invitee_no_show.created": ACCEPTED,
    "calendly-routing_form_submission.created": IGNORED,
    # As old as they are, they would be replays; with today's date they are none.
    "calcom-BOOKING_CANCELLED": IGNORED,
    "calcom-BOOKING_CREATED": IGNORED,
    "calcom-BOOKING_CREATED-with-phone": IGNORED,
    "calcom-BOOKING_RESCHEDULED": IGNORED,
}


class TestSamples:
    def test_all_of_them_are_here(self):
        names = {path.stem for path in EVENTS.glob("cal*.json") if "vector" not in path.name}

        assert set(EXPECTED) == names

    @pytest.mark.parametrize("name", EXPECTED)
    def test_each_is_taken_or_ignored_as_it_should_be(self, hooks, name):
        assert hooks.post(sample(name), provider=name.partition("-")[0]) == EXPECTED[name]

    @pytest.mark.parametrize("name", [name for name in EXPECTED if name.startswith("calcom")])
    def test_those_of_calcom_are_taken_when_they_are_new(self, hooks, name):
        body = varied(name, ("createdAt", "2026-11-21T16:59:00.000Z"))

        assert hooks.post(body, provider="calcom") == ACCEPTED

    @pytest.mark.parametrize("provider", KEYS)
    def test_the_published_signature_is_one(self, hooks, provider):
        vector = json.loads(sample(f"{provider}-signature-vector"))
        name, _, value = vector["header"].partition(": ")
        key = vector.get("signing_key") or vector["secret"]
        aws_client("secretsmanager").put_secret_value(SecretId=provider, SecretString=key)

        status, _ = hooks.post(vector["raw_body"], provider=provider, headers={name: value})

        # Calendly's is years old, which the log tells from one that is none.
        assert status == (401 if provider == "calendly" else 200)
        assert hooks.log()["reason"] == ("STALE" if provider == "calendly" else "STALE_EVENT")


class TestWhatIsTold:
    @pytest.mark.parametrize("path", ["acuity", "calendly/", "CALENDLY", "{provider}", ""])
    def test_an_unknown_provider_is_not_found(self, hooks, path):
        event = api_event(f"POST /webhooks/{path}", body="{}")

        assert hooks.handle(event) == (404, {"message": "Not found"})

    def test_an_event_without_anything_is_not_found(self, hooks):
        assert hooks.handle({}) == (404, {"message": "Not found"})

    def test_no_answer_has_anything_of_ours_in_it(self, hooks):
        answers = [
            hooks.post(sample(CREATED)),
            hooks.post(sample(CREATED), key="no"),
            hooks.post(b"{"),
        ]
        with failing("GetItem", "ResourceNotFoundException"):
            answers.append(hooks.post(sample(CREATED)))

        assert answers == [ACCEPTED, UNAUTHORIZED, IGNORED, AGAIN]

    def test_no_line_of_the_log_has_a_number_a_name_or_a_body(self, hooks, capsys):
        hooks.logs()
        hooks.post(sample(CREATED))
        hooks.post(sample(CREATED), key="no")
        hooks.post(varied(CREATED, ("payload.text_reminder_number", "call John Doe")))
        hooks.post(b'{"event": "John Doe +14045551234"}')
        for operation in ("GetItem", "PutItem", "StartExecution"):
            with failing(operation):
                hooks.post(varied(CREATED, ("payload.uri", f"https://api.calendly.com/{operation}")))

        written = capsys.readouterr()
        assert written.out.count("\n") == 7
        for secret in (
            "4045551234",
            "2025550123",
            "404-555-1234",
            "John",
            "Doe",
            "test@example.com",
            "15 Minute",
        ):
            assert secret not in written.out + written.err
        for key in KEYS.values():
            assert key not in written.out
