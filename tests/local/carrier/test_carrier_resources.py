"""The resources of the account: made, changed, listed and deleted as in the service."""

from collections.abc import Callable
from typing import Any

import pytest

from sms_local.carrier.service_model import service_model
from sms_local.carrier.validation import problems_of

US, GB = "+14255550182", "+447700900123"
NUMBER_ID = "phone-local0000000000000000000000000"
TOPIC = "arn:aws:sns:us-east-1:000000000000:topic"
ARN = "arn:aws:sms-voice:us-east-1:000000000000"

type Call = Callable[..., dict[str, Any]]


@pytest.fixture
def call(carrier) -> Call:
    """Return a function that calls an operation; a success has to fit the operation's output shape."""

    def call(operation: str, **request: Any) -> dict[str, Any]:
        headers = {"x-amz-target": f"PinpointSMSVoiceV2.{operation}"}
        response = carrier.http.post("/", json=request, headers=headers)
        body = response.json()
        if response.status_code == 200:
            shape = service_model().operation_model(operation).output_shape
            assert list(problems_of(shape, body)) == []
        else:
            assert body["__type"] in {
                error.name for error in service_model().operation_model(operation).error_shapes
            }
            assert list(problems_of(service_model().shape_for(body["__type"]), _members(body))) == []
        return body

    return call


def _members(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name != "__type"}


def refused(body: dict[str, Any]) -> tuple[str, str | None]:
    return body["__type"], body.get("Reason")


def conflict(reason: str) -> tuple[str, str]:
    return "ConflictException", reason


NOT_FOUND = ("ResourceNotFoundException", None)


def test_the_account_is_born_with_a_number_and_an_opt_out_list(call):
    [number] = call("DescribePhoneNumbers")["PhoneNumbers"]
    [opt_out_list] = call("DescribeOptOutLists")["OptOutLists"]

    assert (number["PhoneNumber"], number["PhoneNumberId"]) == ("+12065550100", NUMBER_ID)
    assert number["PhoneNumberArn"] == f"{ARN}:phone-number/{NUMBER_ID}"
    assert (number["NumberType"], number["MessageType"]) == ("TEN_DLC", "TRANSACTIONAL")
    assert (number["TwoWayEnabled"], number["SelfManagedOptOutsEnabled"]) == (False, False)
    assert number["OptOutListName"] == opt_out_list["OptOutListName"] == "Default"


def test_configuration_sets_live_and_die(call):
    created = call("CreateConfigurationSet", ConfigurationSetName="set", Tags=[{"Key": "a", "Value": "b"}])
    again = call("CreateConfigurationSet", ConfigurationSetName="set")
    arn = created["ConfigurationSetArn"]
    call("SetDefaultMessageType", ConfigurationSetName="set", MessageType="PROMOTIONAL")
    call("SetDefaultSenderId", ConfigurationSetName="set", SenderId="SHOP")
    call("SetDefaultMessageFeedbackEnabled", ConfigurationSetName="set", MessageFeedbackEnabled=True)
    [listed] = call("DescribeConfigurationSets", ConfigurationSetNames=[arn])["ConfigurationSets"]
    deleted_default = call("DeleteDefaultMessageType", ConfigurationSetName="set")
    deleted_sender_id = call("DeleteDefaultSenderId", ConfigurationSetName="set")
    deleted = call("DeleteConfigurationSet", ConfigurationSetName=arn)

    assert arn == f"{ARN}:configuration-set/set"
    assert refused(again) == conflict("RESOURCE_ALREADY_EXISTS")
    assert (listed["DefaultMessageType"], listed["DefaultSenderId"]) == ("PROMOTIONAL", "SHOP")
    assert listed["DefaultMessageFeedbackEnabled"] is True
    assert deleted_default["MessageType"] == "PROMOTIONAL"
    assert deleted_sender_id["SenderId"] == "SHOP"
    assert {"DefaultMessageType", "DefaultSenderId"}.isdisjoint(deleted)
    assert refused(call("DeleteConfigurationSet", ConfigurationSetName="set")) == NOT_FOUND
    assert refused(call("DescribeConfigurationSets", ConfigurationSetNames=["set"])) == NOT_FOUND
    assert call("DescribeConfigurationSets")["ConfigurationSets"] == []


def test_event_destinations_are_made_changed_and_deleted(call):
    call("CreateConfigurationSet", ConfigurationSetName="set")
    destination = {"ConfigurationSetName": "set", "EventDestinationName": "topic"}
    created = call(
        "CreateEventDestination",
        **destination,
        MatchingEventTypes=["TEXT_ALL"],
        SnsDestination={"TopicArn": TOPIC},
    )
    updated = call("UpdateEventDestination", **destination, Enabled=False, MatchingEventTypes=["TEXT_SPAM"])
    moved = call("UpdateEventDestination", **destination, SnsDestination={"TopicArn": f"{TOPIC}-2"})
    [listed] = call("DescribeConfigurationSets")["ConfigurationSets"]
    deleted = call("DeleteEventDestination", **destination)

    assert created["EventDestination"] == {
        "EventDestinationName": "topic",
        "Enabled": True,
        "MatchingEventTypes": ["TEXT_ALL"],
        "SnsDestination": {"TopicArn": TOPIC},
    }
    assert updated["EventDestination"]["Enabled"] is False
    assert moved["EventDestination"]["SnsDestination"] == {"TopicArn": f"{TOPIC}-2"}
    assert moved["EventDestination"]["MatchingEventTypes"] == ["TEXT_SPAM"]
    assert listed["EventDestinations"] == [moved["EventDestination"]] == [deleted["EventDestination"]]
    assert refused(call("DeleteEventDestination", **destination)) == NOT_FOUND
    assert refused(call("UpdateEventDestination", **destination, Enabled=True)) == NOT_FOUND


def test_an_event_destination_has_one_destination_and_a_set_five_of_them(call):
    call("CreateConfigurationSet", ConfigurationSetName="set")

    def create(name: str, **destination: Any) -> dict[str, Any]:
        return call(
            "CreateEventDestination",
            ConfigurationSetName="set",
            EventDestinationName=name,
            MatchingEventTypes=["ALL"],
            **destination,
        )

    sns = {"SnsDestination": {"TopicArn": TOPIC}}
    logs = {
        "CloudWatchLogsDestination": {
            "IamRoleArn": "arn:aws:iam::000000000000:role/r",
            "LogGroupArn": "arn:aws:logs:us-east-1:000000000000:log-group:g",
        }
    }
    none, both = create("none"), create("both", **sns, **logs)
    for number in range(5):
        create(f"d{number}", **(sns if number else logs))

    assert refused(none) == ("ValidationException", "MISSING_PARAMETER")
    assert refused(both) == ("ValidationException", "PARAMETERS_CANNOT_BE_USED_TOGETHER")
    assert refused(create("d0", **sns)) == conflict("RESOURCE_ALREADY_EXISTS")
    assert refused(create("d5", **sns)) == (
        "ServiceQuotaExceededException",
        "EVENT_DESTINATIONS_PER_CONFIGURATION_SET",
    )


def test_opt_out_lists_keep_numbers(call):
    created = call("CreateOptOutList", OptOutListName="list")
    added = call("PutOptedOutNumber", OptOutListName=created["OptOutListArn"], OptedOutNumber="14255550182")
    again = call("PutOptedOutNumber", OptOutListName="list", OptedOutNumber=US)
    call("PutOptedOutNumber", OptOutListName="list", OptedOutNumber=GB)
    one = call("DescribeOptedOutNumbers", OptOutListName="list", OptedOutNumbers=[GB])
    by_account = call(
        "DescribeOptedOutNumbers",
        OptOutListName="list",
        Filters=[{"Name": "end-user-opted-out", "Values": ["false"]}],
    )
    removed = call("DeleteOptedOutNumber", OptOutListName="list", OptedOutNumber=US)

    assert (added["OptedOutNumber"], added["EndUserOptedOut"]) == (US, False)
    assert again["OptedOutTimestamp"] == added["OptedOutTimestamp"]
    assert [n["OptedOutNumber"] for n in one["OptedOutNumbers"]] == [GB]
    assert [n["OptedOutNumber"] for n in by_account["OptedOutNumbers"]] == [US, GB]
    assert removed["OptedOutNumber"] == US
    assert refused(call("DeleteOptedOutNumber", OptOutListName="list", OptedOutNumber=US)) == NOT_FOUND
    missing = call("DescribeOptedOutNumbers", OptOutListName="list", OptedOutNumbers=[US])
    assert (missing["__type"], missing["ResourceType"]) == ("ResourceNotFoundException", "opted-out-number")
    assert refused(call("PutOptedOutNumber", OptOutListName="list", OptedOutNumber="+1206")) == (
        "ValidationException",
        "INVALID_PARAMETER",
    )
    assert refused(call("PutOptedOutNumber", OptOutListName="nothing", OptedOutNumber=US)) == NOT_FOUND


def test_an_opt_out_list_in_use_stays(call):
    call("CreateOptOutList", OptOutListName="list")
    call("UpdatePhoneNumber", PhoneNumberId=NUMBER_ID, OptOutListName="list")

    in_use = call("DeleteOptOutList", OptOutListName="list")
    call("UpdatePhoneNumber", PhoneNumberId=NUMBER_ID, OptOutListName="Default")

    assert refused(in_use) == conflict("RESOURCE_DELETION_NOT_ALLOWED")
    assert refused(call("DeleteOptOutList", OptOutListName="Default")) == conflict(
        "RESOURCE_DELETION_NOT_ALLOWED"
    )
    assert call("DeleteOptOutList", OptOutListName="list")["OptOutListName"] == "list"
    assert refused(call("CreateOptOutList", OptOutListName="Default")) == conflict("RESOURCE_ALREADY_EXISTS")


def test_lists_come_in_pages(call):
    for number in range(5):
        call("PutOptedOutNumber", OptOutListName="Default", OptedOutNumber=f"+1425555010{number}")

    pages, token = [], {}
    while True:
        page = call("DescribeOptedOutNumbers", OptOutListName="Default", MaxResults=2, **token)
        pages.append([entry["OptedOutNumber"][-1] for entry in page["OptedOutNumbers"]])
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    wrong = call("DescribeOptedOutNumbers", OptOutListName="Default", NextToken="wrong")

    assert pages == [["0", "1"], ["2", "3"], ["4"]]
    assert refused(wrong) == ("ValidationException", "INVALID_NEXT_TOKEN")


def test_lists_are_filtered_by_members_by_lists_and_by_what_they_contain(call):
    for name, event_type in [("one", "TEXT_SPAM"), ("two", "TEXT_DELIVERED")]:
        call("CreateConfigurationSet", ConfigurationSetName=name)
        call(
            "CreateEventDestination",
            ConfigurationSetName=name,
            EventDestinationName=f"to-{name}",
            MatchingEventTypes=["VOICE_ALL", event_type],
            SnsDestination={"TopicArn": TOPIC},
        )
    call(
        "RequestSenderId", SenderId="SHOP", IsoCountryCode="GB", MessageTypes=["PROMOTIONAL", "TRANSACTIONAL"]
    )

    def sets(**filters: str) -> list[str]:
        wanted = [{"Name": name.replace("_", "-"), "Values": [value]} for name, value in filters.items()]
        found = call("DescribeConfigurationSets", Filters=wanted)["ConfigurationSets"]
        return [item["ConfigurationSetName"] for item in found]

    def count(operation: str, name: str, value: str) -> int:
        answer = call(operation, Filters=[{"Name": name, "Values": [value]}])
        return len(next(value for value in answer.values() if isinstance(value, list)))

    assert sets(matching_event_types="TEXT_SPAM") == ["one"]
    assert sets(event_destination_name="to-two") == ["two"]
    assert sets(matching_event_types="VOICE_ALL", event_destination_name="to-two") == ["two"]
    assert sets(matching_event_types="TEXT_SPAM", event_destination_name="to-two") == []
    assert count("DescribeSenderIds", "message-type", "PROMOTIONAL") == 1
    assert count("DescribePhoneNumbers", "number-capability", "SMS") == 1
    assert count("DescribePhoneNumbers", "number-capability", "VOICE") == 0
    assert count("DescribePhoneNumbers", "two-way-enabled", "false") == 1


def test_protect_configurations_hold_rules_by_country(call):
    created = call("CreateProtectConfiguration", DeletionProtectionEnabled=True)
    protect = {"ProtectConfigurationId": created["ProtectConfigurationId"]}
    fresh = call("GetProtectConfigurationCountryRuleSet", **protect, NumberCapability="SMS")
    updated = call(
        "UpdateProtectConfigurationCountryRuleSet",
        **protect,
        NumberCapability="SMS",
        CountryRuleSetUpdates={"CA": {"ProtectStatus": "BLOCK"}},
    )
    rules = call("GetProtectConfigurationCountryRuleSet", **protect, NumberCapability="SMS")["CountryRuleSet"]
    other = call("GetProtectConfigurationCountryRuleSet", **protect, NumberCapability="MMS")["CountryRuleSet"]

    assert {rule["ProtectStatus"] for rule in fresh["CountryRuleSet"].values()} == {"ALLOW"}
    assert len(rules) > 200
    assert (rules["CA"], rules["US"]) == ({"ProtectStatus": "BLOCK"}, {"ProtectStatus": "ALLOW"})
    assert other["CA"] == {"ProtectStatus": "ALLOW"}
    assert updated["CountryRuleSet"] == rules


def test_a_protect_configuration_in_use_stays(call):
    created = call("CreateProtectConfiguration", DeletionProtectionEnabled=True)
    protect = {"ProtectConfigurationId": created["ProtectConfigurationId"]}
    call("CreateConfigurationSet", ConfigurationSetName="set")
    use = protect | {"ConfigurationSetName": "set"}

    assert refused(call("DeleteProtectConfiguration", **protect)) == conflict("DELETION_PROTECTION_ENABLED")
    call("UpdateProtectConfiguration", **protect, DeletionProtectionEnabled=False)
    call("AssociateProtectConfiguration", **use)
    [listed] = call("DescribeConfigurationSets")["ConfigurationSets"]
    assert listed["ProtectConfigurationId"] == created["ProtectConfigurationId"]
    assert refused(call("DeleteProtectConfiguration", **protect)) == conflict(
        "PROTECT_CONFIGURATION_ASSOCIATED_WITH_CONFIGURATION_SET"
    )
    call("DisassociateProtectConfiguration", **use)
    assert refused(call("DisassociateProtectConfiguration", **use)) == conflict(
        "PROTECT_CONFIGURATION_NOT_ASSOCIATED_WITH_CONFIGURATION_SET"
    )
    call("SetAccountDefaultProtectConfiguration", **protect)
    assert refused(call("DeleteProtectConfiguration", **protect)) == conflict(
        "PROTECT_CONFIGURATION_IS_ACCOUNT_DEFAULT"
    )
    call("DeleteAccountDefaultProtectConfiguration")
    assert call("DescribeProtectConfigurations")["ProtectConfigurations"][0]["AccountDefault"] is False
    call("DeleteProtectConfiguration", **protect)
    assert refused(call("UpdateProtectConfiguration", **protect)) == NOT_FOUND


def request_number(call: Call, **change: Any) -> dict[str, Any]:
    request = {
        "IsoCountryCode": "US",
        "MessageType": "TRANSACTIONAL",
        "NumberCapabilities": ["SMS"],
        "NumberType": "TEN_DLC",
    }
    return call("RequestPhoneNumber", **request | change)


def test_numbers_are_bought_and_released(call):
    first, second = request_number(call), request_number(call, DeletionProtectionEnabled=True)
    british = request_number(call, IsoCountryCode="GB", NumberType="LONG_CODE")
    reference = {"PhoneNumberId": second["PhoneNumberArn"]}

    assert len({first["PhoneNumber"], second["PhoneNumber"], "+12065550100"}) == 3
    assert british["PhoneNumber"].startswith("+44")
    assert refused(call("ReleasePhoneNumber", **reference)) == conflict("DELETION_PROTECTION_ENABLED")
    call("UpdatePhoneNumber", **reference, DeletionProtectionEnabled=False)
    assert call("ReleasePhoneNumber", **reference)["Status"] == "DELETED"
    assert refused(call("ReleasePhoneNumber", **reference)) == NOT_FOUND
    assert refused(request_number(call, IsoCountryCode="ZZ")) == (
        "ValidationException",
        "COUNTRY_NOT_ENABLED",
    )
    by_type = call("DescribePhoneNumbers", Filters=[{"Name": "number-type", "Values": ["LONG_CODE"]}])
    assert [n["PhoneNumberId"] for n in by_type["PhoneNumbers"]] == [british["PhoneNumberId"]]


def test_two_way_needs_a_channel_and_a_refused_update_changes_nothing(call):
    number = {"PhoneNumberId": NUMBER_ID}

    without = call("UpdatePhoneNumber", **number, TwoWayEnabled=True)
    unknown_list = call(
        "UpdatePhoneNumber", **number, TwoWayEnabled=True, TwoWayChannelArn=TOPIC, OptOutListName="nothing"
    )
    [before] = call("DescribePhoneNumbers")["PhoneNumbers"]
    on = call("UpdatePhoneNumber", **number, TwoWayEnabled=True, TwoWayChannelArn=TOPIC)
    off = call("UpdatePhoneNumber", **number, TwoWayEnabled=False)

    assert refused(without) == ("ValidationException", "TWO_WAY_CHANNEL_NOT_PRESENT")
    assert refused(unknown_list) == NOT_FOUND
    assert (before["TwoWayEnabled"], "TwoWayChannelArn" in before) == (False, False)
    assert on["TwoWayChannelArn"] == TOPIC
    assert (off["TwoWayEnabled"], "TwoWayChannelArn" in off) == (False, False)


def test_a_pool_inherits_from_its_first_number_and_rules_it(call):
    call("UpdatePhoneNumber", PhoneNumberId=NUMBER_ID, TwoWayEnabled=True, TwoWayChannelArn=TOPIC)
    call("PutKeyword", OriginationIdentity=NUMBER_ID, Keyword="info", KeywordMessage="Open 9 to 5")
    pool = call("CreatePool", OriginationIdentity=NUMBER_ID, MessageType="TRANSACTIONAL")
    words = call("DescribeKeywords", OriginationIdentity=pool["PoolId"])["Keywords"]

    assert (pool["TwoWayEnabled"], pool["TwoWayChannelArn"]) == (True, TOPIC)
    assert {word["Keyword"] for word in words} == {"HELP", "STOP", "INFO"}
    for operation in ("UpdatePhoneNumber", "ReleasePhoneNumber"):
        assert refused(call(operation, PhoneNumberId=NUMBER_ID)) == conflict(
            "PHONE_NUMBER_ASSOCIATED_TO_POOL"
        )
    assert refused(
        call("CreatePool", OriginationIdentity=NUMBER_ID, MessageType="TRANSACTIONAL")
    ) == conflict("PHONE_NUMBER_ASSOCIATED_TO_POOL")
    call("DeletePool", PoolId=pool["PoolArn"])
    assert "PoolId" not in call("UpdatePhoneNumber", PhoneNumberId=NUMBER_ID)
    assert call("DescribePools")["Pools"] == []


def test_numbers_join_a_pool_that_they_match(call):
    pool = {
        "PoolId": call("CreatePool", OriginationIdentity=NUMBER_ID, MessageType="TRANSACTIONAL")["PoolId"]
    }
    number = request_number(call)["PhoneNumberId"]
    member = pool | {"OriginationIdentity": number}
    promotional = request_number(call, MessageType="PROMOTIONAL")["PhoneNumberId"]

    refusals = []
    call("CreateOptOutList", OptOutListName="list")
    for settings in (
        {"OptOutListName": "list"},
        {"OptOutListName": "Default", "SelfManagedOptOutsEnabled": True},
        {"SelfManagedOptOutsEnabled": False, "TwoWayEnabled": True, "TwoWayChannelArn": TOPIC},
    ):
        call("UpdatePhoneNumber", PhoneNumberId=number, **settings)
        refusals.append(refused(call("AssociateOriginationIdentity", **member)))
    call("UpdatePool", **pool, TwoWayEnabled=True, TwoWayChannelArn=TOPIC)
    call("PutKeyword", OriginationIdentity=number, Keyword="X", KeywordMessage="y")
    refusals.append(refused(call("AssociateOriginationIdentity", **member)))
    call("DeleteKeyword", OriginationIdentity=number, Keyword="x")
    refusals.append(refused(call("AssociateOriginationIdentity", **pool, OriginationIdentity=promotional)))

    joined = call("AssociateOriginationIdentity", **member)
    again = call("AssociateOriginationIdentity", **member)
    listed = call("ListPoolOriginationIdentities", **pool)["OriginationIdentities"]
    left = call("DisassociateOriginationIdentity", **member)
    outside = call("DisassociateOriginationIdentity", **member)
    last = call("DisassociateOriginationIdentity", **pool, OriginationIdentity=NUMBER_ID)

    assert [reason for _, reason in refusals] == [
        "OPT_OUT_LIST_MISMATCH",
        "SELF_MANAGED_OPT_OUTS_MISMATCH",
        "TWO_WAY_CONFIG_MISMATCH",
        "KEYWORD_MISMATCH",
        "MESSAGE_TYPE_MISMATCH",
    ]
    assert joined["OriginationIdentity"] == number == left["OriginationIdentity"]
    assert refused(again) == conflict("RESOURCE_ALREADY_ASSOCIATED")
    assert [identity["OriginationIdentity"] for identity in listed] == [NUMBER_ID, number]
    assert refused(outside) == conflict("PHONE_NUMBER_NOT_ASSOCIATED_TO_POOL")
    assert refused(last) == conflict("LAST_PHONE_NUMBER")


def test_keywords_but_for_help_and_stop_come_and_go(call):
    number = {"OriginationIdentity": NUMBER_ID}

    put = call("PutKeyword", **number, Keyword="Revoke", KeywordMessage="Bye", KeywordAction="OPT_OUT")
    changed = call("PutKeyword", **number, Keyword="STOP", KeywordMessage="Gone.")
    action = call(
        "PutKeyword", **number, Keyword="stop", KeywordMessage="x", KeywordAction="AUTOMATIC_RESPONSE"
    )
    kept = call("DescribeKeywords", **number, Keywords=["stop"])["Keywords"]
    optional = call("DescribeKeywords", **number, Filters=[{"Name": "keyword-action", "Values": ["OPT_OUT"]}])

    assert (put["Keyword"], put["KeywordAction"]) == ("REVOKE", "OPT_OUT")
    assert (changed["KeywordMessage"], changed["KeywordAction"]) == ("Gone.", "OPT_OUT")
    assert refused(action) == conflict("RESOURCE_MODIFICATION_NOT_ALLOWED")
    assert kept == [{"Keyword": "STOP", "KeywordMessage": "Gone.", "KeywordAction": "OPT_OUT"}]
    assert [word["Keyword"] for word in optional["Keywords"]] == ["STOP", "REVOKE"]
    assert refused(call("DeleteKeyword", **number, Keyword="HELP")) == conflict(
        "RESOURCE_DELETION_NOT_ALLOWED"
    )
    assert call("DeleteKeyword", **number, Keyword="REVOKE")["Keyword"] == "REVOKE"
    assert refused(call("DeleteKeyword", **number, Keyword="REVOKE")) == NOT_FOUND
    assert refused(call("DescribeKeywords", **number, Keywords=["REVOKE"])) == NOT_FOUND
    assert refused(call("PutKeyword", **number, Keyword=" x", KeywordMessage="y")) == (
        "ValidationException",
        "INVALID_PARAMETER",
    )


def test_a_number_has_thirty_keywords(call):
    for number in range(28):
        call("PutKeyword", OriginationIdentity=NUMBER_ID, Keyword=f"K{number}", KeywordMessage="x")

    full = call("PutKeyword", OriginationIdentity=NUMBER_ID, Keyword="ONE MORE", KeywordMessage="x")
    changed = call("PutKeyword", OriginationIdentity=NUMBER_ID, Keyword="K1", KeywordMessage="y")

    assert refused(full) == ("ServiceQuotaExceededException", "KEYWORDS_PER_PHONE_NUMBER")
    assert changed["KeywordMessage"] == "y"


def test_sender_ids_send_to_their_country_only(call, carrier):
    created = call("RequestSenderId", SenderId="SHOP", IsoCountryCode="GB")
    american = call("RequestSenderId", SenderId="SHOP", IsoCountryCode="US")
    send = {"OriginationIdentity": "SHOP", "MessageBody": "Hi"}

    there = call("SendTextMessage", DestinationPhoneNumber=GB, **send)
    elsewhere = call("SendTextMessage", DestinationPhoneNumber=US, **send)
    by_arn = call(
        "SendTextMessage", DestinationPhoneNumber=GB, **send | {"OriginationIdentity": created["SenderIdArn"]}
    )

    assert created["SenderIdArn"] == f"{ARN}:sender-id/SHOP/GB"
    assert refused(american) == ("ValidationException", "SENDER_ID_NOT_SUPPORTED")
    assert refused(elsewhere) == conflict("NO_ORIGINATION_IDENTITIES_FOUND")
    assert [(m["message_id"], m["from"]) for m in carrier.messages()] == [
        (there["MessageId"], "SHOP"),
        (by_arn["MessageId"], "SHOP"),
    ]
    picked = call("DescribeSenderIds", SenderIds=[{"SenderId": "SHOP", "IsoCountryCode": "GB"}])
    assert len(picked["SenderIds"]) == 1
    call("ReleaseSenderId", SenderId="SHOP", IsoCountryCode="GB")
    assert call("DescribeSenderIds")["SenderIds"] == []


def test_a_pool_sends_from_the_member_that_reaches_the_destination(call, carrier):
    sender = call("RequestSenderId", SenderId="SHOP", IsoCountryCode="GB")
    pool = call(
        "CreatePool",
        OriginationIdentity=sender["SenderIdArn"],
        IsoCountryCode="GB",
        MessageType="TRANSACTIONAL",
    )
    call(
        "AssociateOriginationIdentity",
        PoolId=pool["PoolId"],
        OriginationIdentity=NUMBER_ID,
        IsoCountryCode="US",
    )

    for phone in (GB, US):
        call(
            "SendTextMessage",
            DestinationPhoneNumber=phone,
            MessageBody="Hi",
            OriginationIdentity=pool["PoolArn"],
        )

    assert [(m["to"], m["from"]) for m in carrier.messages()] == [(GB, "SHOP"), (US, "+12065550100")]
    assert refused(call("ReleaseSenderId", SenderId="SHOP", IsoCountryCode="GB")) == conflict(
        "SENDER_ID_ASSOCIATED_TO_POOL"
    )


def test_tags_belong_to_resources_that_exist(call):
    arn = call("CreateOptOutList", OptOutListName="list", Tags=[{"Key": "a", "Value": "1"}])["OptOutListArn"]

    call("TagResource", ResourceArn=arn, Tags=[{"Key": "b", "Value": "2"}, {"Key": "a", "Value": "3"}])
    both = call("ListTagsForResource", ResourceArn=arn)["Tags"]
    call("UntagResource", ResourceArn=arn, TagKeys=["a", "nothing"])
    one = call("ListTagsForResource", ResourceArn=arn)["Tags"]
    call("DeleteOptOutList", OptOutListName="list")

    assert both == [{"Key": "a", "Value": "3"}, {"Key": "b", "Value": "2"}]
    assert one == [{"Key": "b", "Value": "2"}]
    gone = call("ListTagsForResource", ResourceArn=arn)
    assert (gone["__type"], gone["ResourceType"]) == ("ResourceNotFoundException", "opt-out-list")


def test_policies_and_tags_go_with_their_resource(call):
    arn = call("CreateOptOutList", OptOutListName="list", Tags=[{"Key": "a", "Value": "1"}])["OptOutListArn"]
    put = call("PutResourcePolicy", ResourceArn=arn, Policy="{}")
    got = call("GetResourcePolicy", ResourceArn=arn)
    call("DeleteOptOutList", OptOutListName="list")
    gone = call("GetResourcePolicy", ResourceArn=arn)
    call("CreateOptOutList", OptOutListName="list")

    assert put == got
    assert gone["ResourceType"] == "opt-out-list"
    assert call("DeleteResourcePolicy", ResourceArn=arn)["ResourceType"] == "policy"
    assert call("ListTagsForResource", ResourceArn=arn)["Tags"] == []
    call("PutResourcePolicy", ResourceArn=arn, Policy="{}")
    assert call("DeleteResourcePolicy", ResourceArn=arn)["Policy"] == "{}"


def test_a_protected_sender_id_stays(call):
    sender_id = {"SenderId": "SHOP", "IsoCountryCode": "GB"}
    call("RequestSenderId", **sender_id, DeletionProtectionEnabled=True)

    kept = call("ReleaseSenderId", **sender_id)
    updated = call("UpdateSenderId", **sender_id, DeletionProtectionEnabled=False)

    assert refused(kept) == conflict("DELETION_PROTECTION_ENABLED")
    assert updated["DeletionProtectionEnabled"] is False
    assert call("ReleaseSenderId", **sender_id)["SenderId"] == "SHOP"


def test_a_repeated_client_token_repeats_the_answer(call):
    first = call("CreateProtectConfiguration", ClientToken="token-1")
    second = call("CreateProtectConfiguration", ClientToken="token-1")
    third = call("CreateProtectConfiguration", ClientToken="token-2")

    assert first == second
    assert first["ProtectConfigurationId"] != third["ProtectConfigurationId"]
    assert len(call("DescribeProtectConfigurations")["ProtectConfigurations"]) == 2


@pytest.mark.parametrize(
    ("operation", "request_", "times", "reason"),
    [
        (
            "CreateConfigurationSet",
            lambda n: {"ConfigurationSetName": f"s{n}"},
            25,
            "CONFIGURATION_SETS_PER_ACCOUNT",
        ),
        ("CreateOptOutList", lambda n: {"OptOutListName": f"l{n}"}, 24, "OPT_OUT_LISTS_PER_ACCOUNT"),
    ],
)
def test_the_account_has_its_quotas(call, operation, request_, times, reason):
    for number in range(times):
        assert "__type" not in call(operation, **request_(number))

    assert refused(call(operation, **request_("more"))) == ("ServiceQuotaExceededException", reason)
