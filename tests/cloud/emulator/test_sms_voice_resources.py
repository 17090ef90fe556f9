"""``AWS::SMSVOICE::*`` in templates, down to the calls that the carrier gets."""

import pytest
from botocore.exceptions import ClientError

TOPIC = "arn:aws:sns:us-east-1:000000000000:events"
INBOUND = "arn:aws:sns:us-east-1:000000000000:inbound"


def destination(name, *, enabled=True, types=("TEXT_ALL",)):
    return {
        "EventDestinationName": name,
        "Enabled": enabled,
        "MatchingEventTypes": list(types),
        "SnsDestination": {"TopicArn": TOPIC},
    }


def channel(*destinations, countries=("US",), keyword_message="Bye"):
    """A template with one resource of each kind that the product uses."""
    return {
        "Resources": {
            "Protect": {
                "Type": "AWS::SMSVOICE::ProtectConfiguration",
                "Properties": {
                    "CountryRuleSet": {
                        "SMS": [{"CountryCode": each, "ProtectStatus": "BLOCK"} for each in countries]
                    }
                },
            },
            "Set": {
                "Type": "AWS::SMSVOICE::ConfigurationSet",
                "Properties": {
                    "EventDestinations": list(destinations),
                    "ProtectConfigurationId": {"Ref": "Protect"},
                },
            },
            "List": {"Type": "AWS::SMSVOICE::OptOutList", "Properties": {"OptOutListName": "list"}},
            "Number": {
                "Type": "AWS::SMSVOICE::PhoneNumber",
                "Properties": {
                    "IsoCountryCode": "US",
                    "NumberType": "TOLL_FREE",
                    "NumberCapabilities": ["SMS"],
                    "OptOutListName": {"Ref": "List"},
                    "SelfManagedOptOutsEnabled": True,
                    "TwoWay": {"Enabled": True, "ChannelArn": INBOUND},
                    "MandatoryKeywords": {"HELP": {"Message": "Help"}, "STOP": {"Message": keyword_message}},
                },
            },
            "Pool": {
                "Type": "AWS::SMSVOICE::Pool",
                "Properties": {
                    "OriginationIdentities": [{"Fn::GetAtt": ["Number", "Arn"]}],
                    "MandatoryKeywords": {"HELP": {"Message": "Help"}, "STOP": {"Message": "Bye"}},
                },
            },
        },
        "Outputs": {
            "SetName": {"Value": {"Ref": "Set"}},
            "SetArn": {"Value": {"Fn::GetAtt": ["Set", "Arn"]}},
            "ListArn": {"Value": {"Fn::GetAtt": ["List", "Arn"]}},
            "NumberId": {"Value": {"Ref": "Number"}},
            "Number": {"Value": {"Fn::GetAtt": ["Number", "PhoneNumber"]}},
            "PoolArn": {"Value": {"Fn::GetAtt": ["Pool", "Arn"]}},
        },
    }


def test_a_stack_sets_the_carrier_up_as_its_template_says(patched, carrier):
    stack = patched.deploy(channel(destination("all"), destination("off", enabled=False)))

    assert stack["StackStatus"] == "CREATE_COMPLETE"
    outputs = patched.outputs(stack)
    name = outputs["SetName"]
    assert name.startswith(stack["StackName"])
    assert outputs == {
        "SetName": name,
        "SetArn": f"arn:aws:sms-voice:us-east-1:000000000000:configuration-set/{name}",
        "ListArn": "arn:aws:sms-voice:us-east-1:000000000000:opt-out-list/list",
        "NumberId": "phone-1",
        "Number": "+12065550199",
        "PoolArn": "arn:aws:sms-voice:us-east-1:000000000000:pool/pool-1",
    }
    made = [
        {
            "ConfigurationSetName": name,
            "EventDestinationName": each,
            "MatchingEventTypes": ["TEXT_ALL"],
            "SnsDestination": {"TopicArn": TOPIC},
        }
        for each in ("all", "off")
    ]
    assert carrier.requests("CreateEventDestination") == made
    assert carrier.requests("UpdateEventDestination") == [{**made[1], "Enabled": False}]
    assert carrier.requests("AssociateProtectConfiguration") == [
        {"ConfigurationSetName": name, "ProtectConfigurationId": "protect-1"}
    ]
    assert carrier.requests("UpdateProtectConfigurationCountryRuleSet") == [
        {
            "ProtectConfigurationId": "protect-1",
            "NumberCapability": "SMS",
            "CountryRuleSetUpdates": {"US": {"ProtectStatus": "BLOCK"}},
        }
    ]
    assert carrier.requests("UpdatePhoneNumber") == [
        {
            "PhoneNumberId": "phone-1",
            "TwoWayEnabled": True,
            "TwoWayChannelArn": INBOUND,
            "SelfManagedOptOutsEnabled": True,
            "OptOutListName": "list",
            "DeletionProtectionEnabled": False,
        }
    ]
    assert [(each["OriginationIdentity"], each["Keyword"]) for each in carrier.requests("PutKeyword")] == [
        ("phone-1", "HELP"),
        ("phone-1", "STOP"),
        ("pool-1", "HELP"),
        ("pool-1", "STOP"),
    ]


def test_an_update_changes_what_changed_and_nothing_else(patched, carrier):
    stack = patched.deploy(channel(destination("gone"), destination("kept"), destination("changed")))
    carrier.clear()

    updated = patched.deploy(
        channel(
            destination("kept"),
            destination("changed", types=["TEXT_DELIVERED"]),
            destination("new"),
            countries=("CA",),
            keyword_message="So long",
        ),
        stack=stack["StackName"],
    )

    assert updated["StackStatus"] == "UPDATE_COMPLETE"
    assert patched.outputs(updated) == patched.outputs(stack)
    named = {
        operation: [each["EventDestinationName"] for each in carrier.requests(operation)]
        for operation in ("DeleteEventDestination", "CreateEventDestination", "UpdateEventDestination")
    }
    assert named == {
        "DeleteEventDestination": ["gone"],
        "CreateEventDestination": ["new"],
        "UpdateEventDestination": ["changed"],
    }
    assert carrier.requests("UpdateProtectConfigurationCountryRuleSet")[0]["CountryRuleSetUpdates"] == {
        "US": {"ProtectStatus": "ALLOW"},
        "CA": {"ProtectStatus": "BLOCK"},
    }
    assert [each["KeywordMessage"] for each in carrier.requests("PutKeyword")] == ["So long"]
    assert not [operation for operation in carrier.operations() if operation.startswith("Request")]


def test_deleting_the_stack_deletes_at_the_carrier(patched, carrier):
    stack = patched.deploy(channel(destination("all")))
    carrier.clear()

    patched.client("cloudformation").delete_stack(StackName=stack["StackName"])
    assert patched.settled(stack["StackId"])["StackStatus"] == "DELETE_COMPLETE"

    deleted = [operation for operation in carrier.operations() if operation.startswith(("Delete", "Release"))]
    assert sorted(deleted) == [
        "DeleteConfigurationSet",
        "DeleteOptOutList",
        "DeletePool",
        "DeleteProtectConfiguration",
        "ReleasePhoneNumber",
    ]
    assert deleted.index("DeletePool") < deleted.index("ReleasePhoneNumber")
    assert deleted.index("DeleteConfigurationSet") < deleted.index("DeleteProtectConfiguration")


def test_what_the_carrier_refuses_fails_the_stack_with_its_reason_and_leaves_nothing(
    patched, carrier, carrier_answer
):
    refusal = {"__type": "ValidationException", "Message": "the topic is not there"}
    carrier.answers["CreateEventDestination"] = carrier_answer(refusal, status=400)

    stack = patched.deploy(channel(destination("all")))

    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "ValidationException: the topic is not there" in patched.reasons(stack["StackName"])
    [made] = carrier.requests("CreateConfigurationSet")
    assert carrier.requests("DeleteConfigurationSet") == [
        {"ConfigurationSetName": made["ConfigurationSetName"]}
    ]


def test_something_already_gone_at_the_carrier_does_not_stop_the_deletion(patched, carrier, carrier_answer):
    stack = patched.deploy(channel(destination("all")))
    gone = carrier_answer({"__type": "ResourceNotFoundException", "Message": "gone"}, status=400)
    carrier.answers |= {"DeleteConfigurationSet": gone, "DeletePool": gone}

    patched.client("cloudformation").delete_stack(StackName=stack["StackName"])

    assert patched.settled(stack["StackId"])["StackStatus"] == "DELETE_COMPLETE"


def test_without_the_patch_the_types_are_unknown(unpatched):
    with pytest.raises(ClientError, match="Unrecognized resource types"):
        unpatched.deploy(channel(destination("all")))
