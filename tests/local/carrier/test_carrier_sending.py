"""SendTextMessage as a client of the service sees it: real boto3, real sockets."""

import inspect
import socket
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from sms_local.carrier.app import create_app
from sms_local.carrier.operations.sending import RECIPIENT_TEXTS_PER_SECOND

US, CA, GB = "+14255550182", "+16135550123", "+447700900123"
NUMBER, NUMBER_ID = "+12065550100", "phone-local0000000000000000000000000"
NUMBER_ARN = f"arn:aws:sms-voice:us-east-1:000000000000:phone-number/{NUMBER_ID}"
EVENT_TOPIC = "arn:aws:sns:us-east-1:000000000000:events"


def refusal(call: Callable[..., Any], **request: Any) -> dict[str, Any]:
    with pytest.raises(ClientError) as caught:
        call(**request)
    response = caught.value.response
    return {"Code": response["Error"]["Code"], "HTTP": response["ResponseMetadata"]["HTTPStatusCode"]} | {
        name: response[name]
        for name in ("Reason", "Fields", "ResourceType", "ResourceId")
        if name in response
    }


def with_events(carrier, *event_types: str, name: str = "set") -> str:
    carrier.sms.create_configuration_set(ConfigurationSetName=name)
    carrier.sms.create_event_destination(
        ConfigurationSetName=name,
        EventDestinationName="topic",
        MatchingEventTypes=list(event_types or ("TEXT_ALL",)),
        SnsDestination={"TopicArn": EVENT_TOPIC},
    )
    return name


def test_an_accepted_text_is_listed_as_it_was_sent(carrier):
    answer = carrier.sms.send_text_message(
        DestinationPhoneNumber=US,
        OriginationIdentity=NUMBER_ARN,
        MessageBody="Hi Ana! €5 off",
        MessageType="PROMOTIONAL",
        Context={"key": "k-1", "campaign": "c-1"},
    )

    [message] = carrier.messages(US)
    assert message.pop("sent_at").endswith("+00:00")
    assert message.pop("status") in {None, "TEXT_SUCCESSFUL", "TEXT_DELIVERED"}
    assert message == {
        "message_id": answer["MessageId"],
        "from": NUMBER,
        "to": US,
        "body": "Hi Ana! €5 off",
        "parts": 1,
        "encoding": "GSM",
        "message_type": "PROMOTIONAL",
        "context": {"key": "k-1", "campaign": "c-1"},
    }


@pytest.mark.parametrize("identity", [NUMBER, NUMBER_ID, NUMBER_ARN, None])
@pytest.mark.parametrize("message_type", ["TRANSACTIONAL", "PROMOTIONAL"])
def test_the_pre_owned_number_sends_both_message_types_by_any_of_its_names(carrier, identity, message_type):
    request = {"DestinationPhoneNumber": US, "MessageBody": "Hello", "MessageType": message_type}
    if identity:
        request["OriginationIdentity"] = identity

    carrier.sms.send_text_message(**request)

    assert [m["from"] for m in carrier.messages()] == [NUMBER]


def test_messages_are_listed_in_order_and_by_phone_even_with_an_unescaped_plus(carrier):
    for phone, body in [(US, "one"), (CA, "two"), (US, "three")]:
        carrier.sms.send_text_message(DestinationPhoneNumber=phone, MessageBody=body)

    assert [m["body"] for m in carrier.messages()] == ["one", "two", "three"]
    assert [m["body"] for m in carrier.messages(US)] == ["one", "three"]
    assert [m["body"] for m in carrier.http.get(f"/control/messages?phone={US}").json()] == ["one", "three"]
    assert carrier.messages("+14255550199") == []


BAD_REQUESTS = [
    ({"DestinationPhoneNumber": None}, "MISSING_PARAMETER", "DestinationPhoneNumber"),
    ({"MessageBody": None}, "MISSING_PARAMETER", "MessageBody"),
    ({"DestinationPhoneNumber": "0123"}, "INVALID_PARAMETER", "DestinationPhoneNumber"),
    ({"DestinationPhoneNumber": "+1206"}, "INVALID_PARAMETER", "DestinationPhoneNumber"),
    ({"DestinationPhoneNumber": "+99912345678"}, "INVALID_PARAMETER", "DestinationPhoneNumber"),
    ({"DestinationPhoneNumber": "+1 425 555 0182"}, "INVALID_PARAMETER", "DestinationPhoneNumber"),
    ({"DestinationPhoneNumber": "+" + "1" * 20}, "INVALID_PARAMETER", "DestinationPhoneNumber"),
    ({"DestinationPhoneNumber": 14255550182}, "INVALID_PARAMETER", "DestinationPhoneNumber"),
    ({"MessageBody": ""}, "INVALID_PARAMETER", "MessageBody"),
    ({"MessageBody": " \n\t "}, "INVALID_PARAMETER", "MessageBody"),
    ({"MessageBody": "x" * 1601}, "INVALID_PARAMETER", "MessageBody"),
    ({"MessageType": "MARKETING"}, "INVALID_PARAMETER", "MessageType"),
    ({"TimeToLive": 4}, "INVALID_PARAMETER", "TimeToLive"),
    ({"TimeToLive": 259_201}, "INVALID_PARAMETER", "TimeToLive"),
    ({"TimeToLive": True}, "INVALID_PARAMETER", "TimeToLive"),
    ({"MaxPrice": "1"}, "INVALID_PARAMETER", "MaxPrice"),
    ({"MaxPrice": "0.001"}, "PRICE_OVER_THRESHOLD", "MaxPrice"),
    ({"Context": {f"k{n}": "v" for n in range(6)}}, "INVALID_PARAMETER", "Context"),
    ({"Context": {"a key": "v"}}, "INVALID_PARAMETER", "Context"),
    ({"Context": {"k" * 101: "v"}}, "INVALID_PARAMETER", "Context"),
    ({"Context": {"key": "v" * 801}}, "INVALID_PARAMETER", "Context.key"),
    ({"Context": {"key": " v"}}, "INVALID_PARAMETER", "Context.key"),
    ({"Context": {"key": ""}}, "INVALID_PARAMETER", "Context.key"),
    ({"DryRun": "yes"}, "INVALID_PARAMETER", "DryRun"),
    ({"DestinationCountryParameters": {"XX": "1"}}, "INVALID_PARAMETER", "DestinationCountryParameters"),
    ({"ClientToken": "t"}, "INVALID_PARAMETER", "ClientToken"),
]


@pytest.mark.parametrize(("change", "reason", "field"), BAD_REQUESTS, ids=lambda value: str(value)[:50])
def test_what_the_model_forbids_is_refused_with_reason_and_field(carrier, change, reason, field):
    request = {"DestinationPhoneNumber": US, "MessageBody": "Hello"} | change

    # As JSON by hand: boto3 would leave out or refuse some of these by itself.
    response = carrier.http.post(
        "/", json=request, headers={"x-amz-target": "PinpointSMSVoiceV2.SendTextMessage"}
    )

    body = response.json()
    assert (response.status_code, body["__type"], body["Reason"]) == (400, "ValidationException", reason)
    assert {f["Name"] for f in body["Fields"]} == {field}
    assert US not in body["Message"]
    assert carrier.messages() == []


def test_boto3_reads_reason_and_fields_of_a_refusal(carrier):
    answer = refusal(carrier.sms.send_text_message, DestinationPhoneNumber=US, MessageBody="  ")

    assert (answer["Code"], answer["HTTP"]) == ("ValidationException", 400)
    assert answer["Reason"] == "INVALID_PARAMETER"
    assert [f["Name"] for f in answer["Fields"]] == ["MessageBody"]


@pytest.mark.parametrize(
    ("name", "reference", "resource_type"),
    [
        ("OriginationIdentity", "+12065550177", "phone-number"),
        ("OriginationIdentity", "phone-unknown", "phone-number"),
        ("OriginationIdentity", "pool-unknown", "pool"),
        ("OriginationIdentity", "NOBODY", "sender-id"),
        ("OriginationIdentity", NUMBER_ARN.replace("us-east-1", "us-west-2"), "phone-number"),
        ("ConfigurationSetName", "nothing", "configuration-set"),
        ("ProtectConfigurationId", "protect-nothing", "protect-configuration"),
    ],
)
def test_an_unknown_resource_is_named(carrier, name, reference, resource_type):
    answer = refusal(
        carrier.sms.send_text_message, DestinationPhoneNumber=US, MessageBody="Hi", **{name: reference}
    )

    assert answer == {
        "Code": "ResourceNotFoundException",
        "HTTP": 400,
        "ResourceType": resource_type,
        "ResourceId": reference,
    }


def test_an_opted_out_destination_gets_nothing_until_it_is_taken_off_the_list(carrier):
    carrier.sms.put_opted_out_number(OptOutListName="Default", OptedOutNumber=US)

    answer = refusal(carrier.sms.send_text_message, DestinationPhoneNumber=US, MessageBody="Hi")
    carrier.sms.send_text_message(DestinationPhoneNumber=CA, MessageBody="others are not concerned")
    carrier.sms.delete_opted_out_number(OptOutListName="Default", OptedOutNumber=US)
    carrier.sms.send_text_message(DestinationPhoneNumber=US, MessageBody="back")

    assert answer == {
        "Code": "ConflictException",
        "HTTP": 400,
        "Reason": "DESTINATION_PHONE_NUMBER_OPTED_OUT",
    }
    assert [m["body"] for m in carrier.messages()] == ["others are not concerned", "back"]


def test_a_list_that_the_number_does_not_use_blocks_nothing(carrier):
    carrier.sms.create_opt_out_list(OptOutListName="other")
    carrier.sms.put_opted_out_number(OptOutListName="other", OptedOutNumber=US)

    carrier.sms.send_text_message(DestinationPhoneNumber=US, MessageBody="Hi")
    carrier.sms.update_phone_number(PhoneNumberId=NUMBER_ID, OptOutListName="other")
    answer = refusal(carrier.sms.send_text_message, DestinationPhoneNumber=US, MessageBody="Hi")

    assert answer["Reason"] == "DESTINATION_PHONE_NUMBER_OPTED_OUT"


@pytest.mark.parametrize("by", ["configuration set", "request", "account default"])
def test_a_protect_configuration_blocks_its_countries(carrier, by):
    protect_id = carrier.sms.create_protect_configuration()["ProtectConfigurationId"]
    carrier.sms.update_protect_configuration_country_rule_set(
        ProtectConfigurationId=protect_id,
        NumberCapability="SMS",
        CountryRuleSetUpdates={"CA": {"ProtectStatus": "BLOCK"}, "GB": {"ProtectStatus": "MONITOR"}},
    )
    carrier.sms.create_configuration_set(ConfigurationSetName="set")
    request = {"MessageBody": "Hi", "ConfigurationSetName": "set"}
    match by:
        case "configuration set":
            carrier.sms.associate_protect_configuration(
                ProtectConfigurationId=protect_id, ConfigurationSetName="set"
            )
        case "request":
            request["ProtectConfigurationId"] = protect_id
        case "account default":
            carrier.sms.set_account_default_protect_configuration(ProtectConfigurationId=protect_id)

    answer = refusal(carrier.sms.send_text_message, DestinationPhoneNumber=CA, **request)
    carrier.sms.send_text_message(DestinationPhoneNumber=US, **request)
    carrier.sms.send_text_message(DestinationPhoneNumber=GB, **request)

    assert answer["Reason"] == "DESTINATION_COUNTRY_BLOCKED_BY_PROTECT_CONFIGURATION"
    assert (answer["ResourceType"], answer["ResourceId"]) == ("protect-configuration", protect_id)
    assert [m["to"] for m in carrier.messages()] == [US, GB]


def test_a_number_bought_for_one_message_type_refuses_the_other(carrier):
    number = carrier.sms.request_phone_number(
        IsoCountryCode="US", MessageType="TRANSACTIONAL", NumberCapabilities=["SMS"], NumberType="TOLL_FREE"
    )

    answer = refusal(
        carrier.sms.send_text_message,
        DestinationPhoneNumber=US,
        OriginationIdentity=number["PhoneNumberId"],
        MessageBody="Sale!",
        MessageType="PROMOTIONAL",
    )

    assert (answer["Reason"], answer["ResourceId"]) == ("MESSAGE_TYPE_MISMATCH", number["PhoneNumberId"])


def test_a_dry_run_checks_everything_and_sends_nothing(carrier):
    name = with_events(carrier)

    answer = carrier.sms.send_text_message(
        DestinationPhoneNumber=US, MessageBody="Hi", ConfigurationSetName=name, DryRun=True
    )
    carrier.sms.put_opted_out_number(OptOutListName="Default", OptedOutNumber=US)
    refused = refusal(carrier.sms.send_text_message, DestinationPhoneNumber=US, MessageBody="Hi", DryRun=True)

    assert answer["MessageId"]
    assert refused["Reason"] == "DESTINATION_PHONE_NUMBER_OPTED_OUT"
    assert carrier.messages() == []


def test_price_up_to_the_maximum_is_paid(carrier):
    one_part, two_parts = "x" * 160, "x" * 161

    carrier.sms.send_text_message(DestinationPhoneNumber=US, MessageBody=one_part, MaxPrice="0.00581")
    answer = refusal(
        carrier.sms.send_text_message, DestinationPhoneNumber=US, MessageBody=two_parts, MaxPrice="0.00581"
    )

    assert (answer["Code"], answer["Reason"]) == ("ValidationException", "PRICE_OVER_THRESHOLD")
    assert [m["parts"] for m in carrier.messages()] == [1]


def test_a_text_above_the_real_ceiling_is_accepted_and_fails_as_invalid(carrier, until):
    name = with_events(carrier)

    for body in ("x" * 1531, "é" * 1530 + "ê", "x" * 1530):
        carrier.sms.send_text_message(DestinationPhoneNumber=US, MessageBody=body, ConfigurationSetName=name)

    until(lambda: [m["status"] for m in carrier.messages()][2] == "TEXT_DELIVERED")
    assert [m["status"] for m in carrier.messages()] == [
        "TEXT_INVALID_MESSAGE",
        "TEXT_INVALID_MESSAGE",
        "TEXT_DELIVERED",
    ]


def test_parts_are_those_of_the_published_examples(carrier, sample):
    cases = [case for case in sample("encoding-vectors")["cases"] if case["text"]]

    for case in cases:
        carrier.sms.send_text_message(DestinationPhoneNumber=US, MessageBody=case["text"])

    assert [(m["encoding"], m["parts"]) for m in carrier.messages()] == [
        (case["encoding"], case["parts"]) for case in cases
    ]


def test_more_parts_a_second_than_the_number_carries_are_throttled(start_carrier):
    carrier = start_carrier(parts_per_second=0.1)

    carrier.sms.send_text_message(DestinationPhoneNumber=US, MessageBody="x" * 161)
    answer = refusal(carrier.sms.send_text_message, DestinationPhoneNumber=US, MessageBody="one more")

    assert (answer["Code"], answer["HTTP"]) == ("ThrottlingException", 400)
    assert len(carrier.messages()) == 1


def test_requests_a_second_are_limited_where_that_is_asked_for(start_carrier):
    carrier = start_carrier(requests_per_second=0.1)

    carrier.sms.send_text_message(DestinationPhoneNumber=US, MessageBody="one")
    answer = refusal(carrier.sms.send_text_message, DestinationPhoneNumber=CA, MessageBody="two")

    assert answer["Code"] == "ThrottlingException"


def test_a_second_text_to_one_recipient_within_a_second_is_throttled(start_carrier, timeline):
    carrier = start_carrier(recipient_texts_per_second=1.0, timeline=timeline)

    def send(phone: str, **more: Any) -> str:
        try:
            carrier.sms.send_text_message(DestinationPhoneNumber=phone, MessageBody="one", **more)
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return "sent"

    assert [send(US), send(US), send(CA)] == ["sent", "ThrottlingException", "sent"]
    # What only asks is no text.
    assert [send(GB, DryRun=True), send(GB)] == ["sent", "sent"]
    timeline.run(timedelta(seconds=0.9))
    assert send(US) == "ThrottlingException"
    timeline.run(timedelta(seconds=0.1))
    assert send(US) == "sent"
    assert len(carrier.messages(US)) == 2


def test_one_text_a_second_is_the_rule_unless_it_is_taken_away():
    assert RECIPIENT_TEXTS_PER_SECOND == 1.0
    default = inspect.signature(create_app).parameters["recipient_texts_per_second"].default
    assert default == RECIPIENT_TEXTS_PER_SECOND


def test_unknown_operations_and_broken_bodies_are_refused(carrier):
    def post(target: str, content: bytes) -> tuple[int, str]:
        response = carrier.http.post("/", content=content, headers={"x-amz-target": target})
        return response.status_code, response.json()["__type"]

    assert post("PinpointSMSVoiceV2.Nonsense", b"{}") == (400, "UnknownOperationException")
    assert post("Other.SendTextMessage", b"{}") == (400, "UnknownOperationException")
    assert post("PinpointSMSVoiceV2.SendVoiceMessage", b"{}") == (400, "UnknownOperationException")
    for content in (b"{", b"[]", b"\xff", b'{"MessageBody": "\\ud800"}'):
        assert post("PinpointSMSVoiceV2.SendTextMessage", content) == (400, "SerializationException")


def test_a_scripted_error_meets_the_next_send_to_that_phone_only(carrier):
    carrier.control("POST", "outcome", phone=US, error="ConflictException:DESTINATION_PHONE_NUMBER_OPTED_OUT")

    carrier.sms.send_text_message(DestinationPhoneNumber=CA, MessageBody="another phone")
    answer = refusal(carrier.sms.send_text_message, DestinationPhoneNumber=US, MessageBody="refused")
    carrier.sms.send_text_message(DestinationPhoneNumber=US, MessageBody="the one after")

    assert (answer["Code"], answer["Reason"]) == ("ConflictException", "DESTINATION_PHONE_NUMBER_OPTED_OUT")
    assert [m["body"] for m in carrier.messages()] == ["another phone", "the one after"]


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        ("InternalServerException", "InternalServerException", 500),
        ("InternalServerException:whatever", "InternalServerException", 500),
        ("ThrottlingException", "ThrottlingException", 400),
        (
            "ServiceQuotaExceededException:MONTHLY_SPEND_LIMIT_REACHED_FOR_TEXT",
            "ServiceQuotaExceededException",
            400,
        ),
        ("AccessDeniedException:ACCOUNT_DISABLED", "AccessDeniedException", 400),
        ("ValidationException:COUNTRY_NOT_ENABLED", "ValidationException", 400),
    ],
)
def test_every_error_of_the_service_can_be_scripted(carrier, error, code, status):
    carrier.control("POST", "outcome", phone="*", error=error)

    answer = refusal(carrier.sms.send_text_message, DestinationPhoneNumber=US, MessageBody="Hi")

    assert (answer["Code"], answer["HTTP"]) == (code, status)
    assert carrier.messages() == []


def test_the_throttled_share_of_calls_is_exact_and_kept_for_each_operation(carrier):
    carrier.control("POST", "fault", throttle=0.25)

    def outcome(call: Callable[..., Any], **request: Any) -> str:
        try:
            call(**request)
        except ClientError as exc:
            return exc.response["Error"]["Code"]
        return "ok"

    sends, lists = [], []
    for _ in range(8):
        sends.append(outcome(carrier.sms.send_text_message, DestinationPhoneNumber=US, MessageBody="Hi"))
        lists.append(outcome(carrier.sms.describe_pools))

    assert sends == lists == (["ok"] * 3 + ["ThrottlingException"]) * 2
    carrier.control("POST", "fault", throttle=0)
    carrier.sms.send_text_message(DestinationPhoneNumber=US, MessageBody="Hi")
    assert len(carrier.messages()) == 7


def test_a_crash_after_accepting_leaves_the_client_without_an_answer_and_the_text_sent(carrier, until):
    name = with_events(carrier)
    carrier.control("POST", "fault", after_accept_crash=1)
    request = {"DestinationPhoneNumber": US, "MessageBody": "Hi", "ConfigurationSetName": name}

    with pytest.raises(ConnectionClosedError):
        carrier.sms.send_text_message(**request)

    [message] = carrier.messages(US)
    until(lambda: len(carrier.topics.on(EVENT_TOPIC)) == 2)
    assert {event["messageId"] for event in carrier.topics.on(EVENT_TOPIC)} == {message["message_id"]}
    assert carrier.sms.send_text_message(**request)["MessageId"]


def test_a_crash_is_not_spent_on_what_was_not_sent(carrier):
    carrier.control("POST", "fault", after_accept_crash=1)

    refusal(carrier.sms.send_text_message, DestinationPhoneNumber=US, MessageBody=" ")
    carrier.sms.send_text_message(DestinationPhoneNumber=US, MessageBody="Hi", DryRun=True)
    carrier.sms.describe_pools()
    with pytest.raises(ConnectionClosedError):
        carrier.sms.send_text_message(DestinationPhoneNumber=US, MessageBody="Hi")


def test_a_crash_sends_not_a_byte_over_the_socket(carrier):
    carrier.control("POST", "fault", after_accept_crash=1)
    body = b'{"DestinationPhoneNumber": "+14255550182", "MessageBody": "Hi"}'
    port = int(carrier.url.rsplit(":", 1)[1])

    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(
            b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Amz-Target: PinpointSMSVoiceV2.SendTextMessage\r\n"
            + b"Content-Length: %d\r\n\r\n" % len(body)
            + body
        )
        received = connection.recv(1024)

    assert received == b""
    assert len(carrier.messages(US)) == 1


def test_no_log_line_holds_a_phone_number_or_a_text(carrier, until, caplog):
    caplog.set_level("DEBUG")
    name = with_events(carrier)
    carrier.topics.refusing.add(EVENT_TOPIC)
    carrier.sms.put_opted_out_number(OptOutListName="Default", OptedOutNumber=US)
    secret = "the text that nobody may read"

    refusal(carrier.sms.send_text_message, DestinationPhoneNumber=US, MessageBody=secret)
    refusal(carrier.sms.send_text_message, DestinationPhoneNumber=CA, MessageBody=secret * 60)
    refusal(carrier.sms.delete_opted_out_number, OptOutListName="Default", OptedOutNumber=CA)
    carrier.sms.send_text_message(DestinationPhoneNumber=CA, MessageBody=secret, ConfigurationSetName=name)
    until(lambda: "event not published" in caplog.text)

    lines = [record.getMessage() for record in caplog.records if record.name.startswith("sms_local")]
    assert len(lines) >= 4
    assert not [line for line in lines if secret in line or US[1:] in line or CA[1:] in line]
