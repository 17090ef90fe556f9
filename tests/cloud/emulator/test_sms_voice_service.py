"""AWS End User Messaging SMS as a service of the emulator: forwarding, faults, and who may call what."""

import threading

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

ARN = "arn:aws:sms-voice:us-east-1:000000000000"
NUMBER = f"{ARN}:phone-number/phone-1"
OTHER_NUMBER = f"{ARN}:phone-number/phone-2"
CONFIGURATION_SET = f"{ARN}:configuration-set/events"

CALLS_SMS_VOICE = """
import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
client = boto3.client("pinpoint-sms-voice-v2", config=Config(retries={"total_max_attempts": 1}))
def handler(event, context):
    try:
        answer = getattr(client, event["operation"])(**event["request"])
    except ClientError as error:
        return error.response["Error"]["Code"]
    return answer.get("MessageId", "done")
"""


def text(**more):
    return {
        "DestinationPhoneNumber": "+12065550100",
        "OriginationIdentity": NUMBER,
        "MessageBody": "Hi",
        **more,
    }


def statement(*resources, actions=("sms-voice:SendTextMessage",), effect="Allow"):
    return {"Effect": effect, "Action": list(actions), "Resource": list(resources)}


@pytest.fixture
def sms_voice(patched):
    return patched.client("pinpoint-sms-voice-v2")


def test_a_call_reaches_the_carrier_as_it_is_and_its_answer_comes_back(sms_voice, carrier):
    answer = sms_voice.send_text_message(**text(Context={"key": "ключ"}))

    assert answer["MessageId"] == "message-1"
    [(operation, request, headers)] = carrier.calls
    assert operation == "SendTextMessage"
    assert request == text(Context={"key": "ключ"})
    assert "sms-voice/aws4_request" in headers["authorization"]
    assert headers["content-type"] == "application/x-amz-json-1.0"


def test_without_the_patch_there_is_no_such_service(unpatched):
    with pytest.raises(ClientError):
        unpatched.client("pinpoint-sms-voice-v2").send_text_message(**text())


def test_an_error_of_the_carrier_comes_back_as_it_is(sms_voice, carrier, carrier_answer):
    carrier.answers["SendTextMessage"] = carrier_answer(
        {
            "__type": "ConflictException",
            "Message": "The number is opted out",
            "Reason": "DESTINATION_PHONE_NUMBER_OPTED_OUT",
            "ResourceType": "opted-out-number",
        },
        status=400,
    )

    with pytest.raises(sms_voice.exceptions.ConflictException) as refused:
        sms_voice.send_text_message(**text())

    assert refused.value.response["Reason"] == "DESTINATION_PHONE_NUMBER_OPTED_OUT"
    assert len(carrier.calls) == 1


def test_an_internal_error_of_the_carrier_comes_back_after_one_request(sms_voice, carrier, carrier_answer):
    carrier.answers["SendTextMessage"] = carrier_answer({"__type": "InternalServerException"}, status=500)

    with pytest.raises(sms_voice.exceptions.InternalServerException):
        sms_voice.send_text_message(**text())

    assert len(carrier.calls) == 1


@pytest.mark.parametrize(
    "fault", [{"drop": True}, {"cut": True}], ids=["without an answer", "within an answer"]
)
def test_a_dropped_connection_is_a_dropped_connection_to_the_caller(
    sms_voice, carrier, carrier_answer, fault
):
    carrier.answers["SendTextMessage"] = carrier_answer({"MessageId": "message-1"}, **fault)

    with pytest.raises(ConnectionClosedError):
        sms_voice.send_text_message(**text())

    assert len(carrier.calls) == 1
    carrier.clear()
    assert sms_voice.send_text_message(**text())["MessageId"] == "message-1"


def test_a_carrier_that_is_not_there_is_a_dropped_connection(start_with_carrier):
    with start_with_carrier("http://127.0.0.1:9") as running, pytest.raises(ConnectionClosedError):
        running.client("pinpoint-sms-voice-v2").send_text_message(**text())


def test_a_hanging_carrier_runs_into_the_callers_own_time_out(patched, carrier, carrier_answer, eventually):
    release = threading.Event()
    carrier.answers["SendTextMessage"] = carrier_answer({"MessageId": "message-1"}, hold=release)

    with pytest.raises(ReadTimeoutError):
        patched.client("pinpoint-sms-voice-v2", read_timeout=1).send_text_message(**text())

    try:
        eventually(lambda: carrier.calls)
    finally:
        release.set()
    assert len(carrier.calls) == 1


@pytest.mark.parametrize(
    ("allowed", "request_", "expected"),
    [
        pytest.param([], text(), "AccessDeniedException", id="nothing allowed"),
        pytest.param([statement(NUMBER)], text(), "message-1", id="this number allowed"),
        pytest.param([statement(OTHER_NUMBER)], text(), "AccessDeniedException", id="another number allowed"),
        pytest.param(
            [statement(NUMBER)], text(OriginationIdentity="phone-1"), "message-1", id="number given by its id"
        ),
        pytest.param(
            [statement(f"{ARN}:pool/pool-1")],
            text(OriginationIdentity="pool-1"),
            "message-1",
            id="pool given by id",
        ),
        pytest.param(
            [statement(f"{ARN}:sender-id/*")],
            text(OriginationIdentity="ACME"),
            "message-1",
            id="sender id by name",
        ),
        pytest.param(
            [statement(NUMBER)],
            text(OriginationIdentity="+12065550199"),
            "AccessDeniedException",
            id="number given in E.164, which policies do not name",
        ),
        pytest.param(
            [statement(NUMBER)],
            text(ConfigurationSetName="events"),
            "AccessDeniedException",
            id="number allowed, configuration set not",
        ),
        pytest.param(
            [statement(NUMBER, CONFIGURATION_SET)],
            text(ConfigurationSetName="events"),
            "message-1",
            id="number and configuration set allowed",
        ),
        pytest.param(
            [statement("*"), statement(NUMBER, effect="Deny")],
            text(),
            "AccessDeniedException",
            id="explicitly denied",
        ),
    ],
)
def test_a_role_may_send_from_the_resources_its_policy_names(patched, carrier, allowed, request_, expected):
    function = patched.function(CALLS_SMS_VOICE, role=patched.role(*allowed))

    outcome = patched.invoke(function, {"operation": "send_text_message", "request": request_})

    assert outcome == expected
    assert len(carrier.calls) == (expected == "message-1")


@pytest.mark.parametrize(
    ("operation", "request_", "resource"),
    [
        (
            "put_opted_out_number",
            {"OptOutListName": "list", "OptedOutNumber": "+12065550100"},
            "opt-out-list/list",
        ),
        (
            "delete_opted_out_number",
            {"OptOutListName": "list", "OptedOutNumber": "+12065550100"},
            "opt-out-list/list",
        ),
        ("describe_opted_out_numbers", {"OptOutListName": f"{ARN}:opt-out-list/list"}, "opt-out-list/list"),
        (
            "update_phone_number",
            {"PhoneNumberId": "phone-1", "OptOutListName": "list"},
            "phone-number/phone-1",
        ),
        ("update_pool", {"PoolId": f"{ARN}:pool/pool-1", "TwoWayEnabled": False}, "pool/pool-1"),
        (
            "put_keyword",
            {
                "OriginationIdentity": NUMBER,
                "Keyword": "STOP",
                "KeywordMessage": "Bye",
                "KeywordAction": "OPT_OUT",
            },
            "phone-number/phone-1",
        ),
        ("describe_phone_numbers", {"PhoneNumberIds": ["phone-1"]}, "phone-number/phone-1"),
    ],
)
def test_other_calls_are_authorised_on_the_resource_they_name(
    patched, carrier, operation, request_, resource
):
    action = "sms-voice:" + "".join(word.title() for word in operation.split("_"))
    right = patched.function(
        CALLS_SMS_VOICE, role=patched.role(statement(f"{ARN}:{resource}", actions=[action]))
    )
    wrong = patched.function(
        CALLS_SMS_VOICE, role=patched.role(statement(f"{ARN}:{resource}-2", actions=[action]))
    )
    event = {"operation": operation, "request": request_}

    assert patched.invoke(wrong, event) == "AccessDeniedException"
    assert carrier.calls == []
    assert patched.invoke(right, event) == "done"


def test_without_iam_everything_is_allowed(start, carrier):
    with start(iam=False) as running:
        function = running.function(CALLS_SMS_VOICE)

        assert running.invoke(function, {"operation": "send_text_message", "request": text()}) == "message-1"


def test_a_state_machine_calls_the_service_by_its_sdk_integration(patched, carrier):
    send = {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:pinpointsmsvoicev2:sendTextMessage",
        "Parameters": text(),
        "End": True,
    }

    execution = patched.run({"StartAt": "Send", "States": {"Send": send}})

    assert execution["status"] == "SUCCEEDED", execution["cause"]
    assert carrier.requests("SendTextMessage") == [text()]
