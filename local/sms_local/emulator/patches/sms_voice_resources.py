"""``AWS::SMSVOICE::*`` resources deploy into the carrier simulator.

Reason
    Event destinations, opt-out lists and numbers come from the same template locally and on AWS; a test of
    the deployed system then covers them.
AWS
    Resource types, their properties, ``Ref`` and ``GetAtt`` values:
    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/AWS_SMSVOICE.html
MiniStack 1.5.33
    Refuses a template that has them: "Unrecognized resource types".
Hook
    Each type becomes a provisioner that calls the carrier's own service API, the one the product calls. Event
    destinations and keywords, which are nested in their resource, are brought to what the template says by
    comparing with what it said before.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, override

from sms_local.emulator.patches._carrier import CarrierError, call
from sms_local.emulator.patches._cloudformation import Properties, is_true
from sms_local.emulator.patches._pinned import PatchSettings, require

type Provisioned = tuple[str, dict[str, str]]
type Call = Callable[[str, Mapping[str, Any]], dict[str, Any]]

NUMBER_CAPABILITIES: Mapping[str, str] = {"SMS": "SMS", "MMS": "MMS", "Voice": "VOICE"}
"""Property of ``CountryRuleSet`` → ``NumberCapability`` of the API."""

MANDATORY_KEYWORDS = ("HELP", "STOP")


def apply(settings: PatchSettings) -> None:
    """Register the types."""
    from ministack.services.cloudformation import provisioners

    require(holds=hasattr(provisioners, "_physical_name"), what="provisioners._physical_name")

    def call_carrier(operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        return call(
            settings.carrier_url,
            operation,
            {key: value for key, value in request.items() if value is not None},
        )

    for resource in (
        ConfigurationSet,
        OptOutList,
        ProtectConfiguration,
        PhoneNumber,
        Pool,
        SenderId,
        ResourcePolicy,
    ):
        name = f"AWS::SMSVOICE::{resource.__name__}"
        require(holds=name not in provisioners._RESOURCE_HANDLERS, what=f"gap where {name} would be")
        provisioners._RESOURCE_HANDLERS[name] = resource(call_carrier, provisioners._physical_name).handlers()


class Resource:
    """One resource type: how it is created, brought up to date and deleted.

    Parameters
    ----------
    call
        Calls one operation of the carrier; members that are ``None`` are left out of the request.
    physical_name
        MiniStack's generator of names for resources that the template does not name.
    """

    def __init__(self, call: Call, physical_name: Callable[..., str]) -> None:
        self.call = call
        self.physical_name = physical_name

    def handlers(self) -> dict[str, Any]:
        """Tell the functions as MiniStack's registry wants them."""
        return {"create": self._create, "update": self._update, "delete": self._delete}

    def create(self, properties: Properties, name: str) -> Provisioned:
        """Make it, by its generated ``name`` or its own; return what ``Ref`` and ``GetAtt`` give."""
        raise NotImplementedError

    def settle(self, physical_id: str, old: Properties, new: Properties) -> None:
        """Bring what can be changed in place from ``old`` to ``new``; after creation ``old`` is empty."""

    def attributes(self, physical_id: str, properties: Properties) -> dict[str, str]:
        """Tell what ``GetAtt`` gives for a resource that exists."""
        raise NotImplementedError

    def delete(self, physical_id: str, properties: Properties) -> None:
        """Remove the resource."""
        raise NotImplementedError

    def _create(self, logical_id: str, properties: Properties, stack_name: str) -> Provisioned:
        physical_id, attributes = self.create(
            properties, self.physical_name(stack_name, logical_id, max_len=64)
        )
        try:
            self.settle(physical_id, {}, properties)
        except CarrierError:
            # CloudFormation has no physical id yet, so a half-made resource would be left behind.
            self._delete(physical_id, properties)
            raise
        return physical_id, attributes

    def _update(self, physical_id: str, old: Properties, new: Properties, _stack: str) -> Provisioned:
        self.settle(physical_id, old, new)
        return physical_id, self.attributes(physical_id, new)

    def _delete(self, physical_id: str, properties: Properties) -> None:
        try:
            self.delete(physical_id, properties)
        except CarrierError as error:
            if error.code != "ResourceNotFoundException":
                raise


class ConfigurationSet(Resource):
    """``AWS::SMSVOICE::ConfigurationSet`` with its nested event destinations."""

    @override
    def create(self, properties: Properties, name: str) -> Provisioned:
        name = properties.get("ConfigurationSetName") or name
        made = self.call(
            "CreateConfigurationSet", {"ConfigurationSetName": name, "Tags": properties.get("Tags")}
        )
        return name, {"Arn": made["ConfigurationSetArn"]}

    @override
    def settle(self, physical_id: str, old: Properties, new: Properties) -> None:
        self._settle_event_destinations(physical_id, _destinations(old), _destinations(new))
        self._settle_protect_configuration(
            physical_id, old.get("ProtectConfigurationId"), new.get("ProtectConfigurationId")
        )
        sender_id = new.get("DefaultSenderId")
        if sender_id and sender_id != old.get("DefaultSenderId"):
            self.call("SetDefaultSenderId", {"ConfigurationSetName": physical_id, "SenderId": sender_id})
        elif old.get("DefaultSenderId") and not sender_id:
            self.call("DeleteDefaultSenderId", {"ConfigurationSetName": physical_id})
        feedback = is_true(new.get("MessageFeedbackEnabled"))
        if feedback != is_true(old.get("MessageFeedbackEnabled")):
            self.call(
                "SetDefaultMessageFeedbackEnabled",
                {"ConfigurationSetName": physical_id, "MessageFeedbackEnabled": feedback},
            )

    def _settle_event_destinations(
        self, name: str, old: Mapping[str, Properties], new: Mapping[str, Properties]
    ) -> None:
        for removed in old.keys() - new.keys():
            self.call(
                "DeleteEventDestination", {"ConfigurationSetName": name, "EventDestinationName": removed}
            )
        for destination_name, destination in new.items():
            if destination == old.get(destination_name):
                continue
            request = {
                "ConfigurationSetName": name,
                "EventDestinationName": destination_name,
                "MatchingEventTypes": destination["MatchingEventTypes"],
                "SnsDestination": destination.get("SnsDestination"),
                "CloudWatchLogsDestination": destination.get("CloudWatchLogsDestination"),
                "KinesisFirehoseDestination": destination.get("KinesisFirehoseDestination"),
            }
            enabled = is_true(destination.get("Enabled", True))
            if destination_name not in old:
                self.call("CreateEventDestination", request)
            # A destination is made enabled; whether it is, is a member of the update only.
            if destination_name in old or not enabled:
                self.call("UpdateEventDestination", {**request, "Enabled": enabled})

    def _settle_protect_configuration(self, name: str, old: str | None, new: str | None) -> None:
        if old and old != new:
            self.call(
                "DisassociateProtectConfiguration",
                {"ConfigurationSetName": name, "ProtectConfigurationId": old},
            )
        if new and old != new:
            self.call(
                "AssociateProtectConfiguration", {"ConfigurationSetName": name, "ProtectConfigurationId": new}
            )

    @override
    def attributes(self, physical_id: str, properties: Properties) -> dict[str, str]:
        found = self.call("DescribeConfigurationSets", {"ConfigurationSetNames": [physical_id]})
        return {"Arn": found["ConfigurationSets"][0]["ConfigurationSetArn"]}

    @override
    def delete(self, physical_id: str, properties: Properties) -> None:
        self.call("DeleteConfigurationSet", {"ConfigurationSetName": physical_id})


def _destinations(properties: Properties) -> dict[str, Properties]:
    return {each["EventDestinationName"]: each for each in properties.get("EventDestinations") or []}


class OptOutList(Resource):
    """``AWS::SMSVOICE::OptOutList``."""

    @override
    def create(self, properties: Properties, name: str) -> Provisioned:
        name = properties.get("OptOutListName") or name
        made = self.call("CreateOptOutList", {"OptOutListName": name, "Tags": properties.get("Tags")})
        return name, {"Arn": made["OptOutListArn"]}

    @override
    def attributes(self, physical_id: str, properties: Properties) -> dict[str, str]:
        found = self.call("DescribeOptOutLists", {"OptOutListNames": [physical_id]})
        return {"Arn": found["OptOutLists"][0]["OptOutListArn"]}

    @override
    def delete(self, physical_id: str, properties: Properties) -> None:
        self.call("DeleteOptOutList", {"OptOutListName": physical_id})


class ProtectConfiguration(Resource):
    """``AWS::SMSVOICE::ProtectConfiguration`` with its country rules."""

    @override
    def create(self, properties: Properties, name: str) -> Provisioned:
        made = self.call(
            "CreateProtectConfiguration",
            {
                "DeletionProtectionEnabled": is_true(properties.get("DeletionProtectionEnabled")),
                "Tags": properties.get("Tags"),
            },
        )
        identifier = made["ProtectConfigurationId"]
        return identifier, {"Arn": made["ProtectConfigurationArn"], "ProtectConfigurationId": identifier}

    @override
    def settle(self, physical_id: str, old: Properties, new: Properties) -> None:
        for member, capability in NUMBER_CAPABILITIES.items():
            before, after = _country_rules(old, member), _country_rules(new, member)
            # A country that the template no longer names goes back to the service's own default.
            changed = dict.fromkeys(before.keys() - after.keys(), "ALLOW")
            changed |= {country: status for country, status in after.items() if before.get(country) != status}
            if changed:
                self.call(
                    "UpdateProtectConfigurationCountryRuleSet",
                    {
                        "ProtectConfigurationId": physical_id,
                        "NumberCapability": capability,
                        "CountryRuleSetUpdates": {
                            country: {"ProtectStatus": status} for country, status in changed.items()
                        },
                    },
                )
        protection = is_true(new.get("DeletionProtectionEnabled"))
        if old and protection != is_true(old.get("DeletionProtectionEnabled")):
            self.call(
                "UpdateProtectConfiguration",
                {"ProtectConfigurationId": physical_id, "DeletionProtectionEnabled": protection},
            )

    @override
    def attributes(self, physical_id: str, properties: Properties) -> dict[str, str]:
        found = self.call("DescribeProtectConfigurations", {"ProtectConfigurationIds": [physical_id]})
        arn = found["ProtectConfigurations"][0]["ProtectConfigurationArn"]
        return {"Arn": arn, "ProtectConfigurationId": physical_id}

    @override
    def delete(self, physical_id: str, properties: Properties) -> None:
        self.call("DeleteProtectConfiguration", {"ProtectConfigurationId": physical_id})


def _country_rules(properties: Properties, member: str) -> dict[str, str]:
    rules = (properties.get("CountryRuleSet") or {}).get(member) or []
    return {rule["CountryCode"]: rule["ProtectStatus"] for rule in rules}


class Originator(Resource):
    """What a phone number and a pool have in common: keywords, the two-way channel and the opt-out list."""

    id_member: str
    update_operation: str

    @override
    def settle(self, physical_id: str, old: Properties, new: Properties) -> None:
        two_way = new.get("TwoWay") or {}
        self.call(
            self.update_operation,
            {
                self.id_member: physical_id,
                "TwoWayEnabled": is_true(two_way.get("Enabled")),
                "TwoWayChannelArn": two_way.get("ChannelArn"),
                "TwoWayChannelRole": two_way.get("ChannelRole"),
                "SelfManagedOptOutsEnabled": is_true(new.get("SelfManagedOptOutsEnabled")),
                "OptOutListName": new.get("OptOutListName"),
                "DeletionProtectionEnabled": is_true(new.get("DeletionProtectionEnabled")),
            },
        )
        before, after = _keywords(old), _keywords(new)
        for keyword in before.keys() - after.keys():
            self.call("DeleteKeyword", {"OriginationIdentity": physical_id, "Keyword": keyword})
        for keyword, (action, message) in after.items():
            if before.get(keyword) != (action, message):
                self.call(
                    "PutKeyword",
                    {
                        "OriginationIdentity": physical_id,
                        "Keyword": keyword,
                        "KeywordMessage": message,
                        "KeywordAction": action,
                    },
                )


def _keywords(properties: Properties) -> dict[str, tuple[str | None, str]]:
    """Keyword → action and message. The action of the mandatory ones is the service's, and left out."""
    mandatory = properties.get("MandatoryKeywords") or {}
    found: dict[str, tuple[str | None, str]] = {
        keyword: (None, mandatory[keyword]["Message"])
        for keyword in MANDATORY_KEYWORDS
        if keyword in mandatory
    }
    for optional in properties.get("OptionalKeywords") or []:
        found[optional["Keyword"]] = (optional["Action"], optional["Message"])
    return found


class PhoneNumber(Originator):
    """``AWS::SMSVOICE::PhoneNumber``: a number leased for the stack."""

    id_member = "PhoneNumberId"
    update_operation = "UpdatePhoneNumber"

    @override
    def create(self, properties: Properties, name: str) -> Provisioned:
        made = self.call(
            "RequestPhoneNumber",
            {
                "IsoCountryCode": properties["IsoCountryCode"],
                # The resource type has no property for it, and the service's own default is this.
                "MessageType": "TRANSACTIONAL",
                "NumberCapabilities": properties["NumberCapabilities"],
                "NumberType": properties["NumberType"],
                "OptOutListName": properties.get("OptOutListName"),
                "Tags": properties.get("Tags"),
            },
        )
        return made["PhoneNumberId"], _phone_number_attributes(made)

    @override
    def attributes(self, physical_id: str, properties: Properties) -> dict[str, str]:
        found = self.call("DescribePhoneNumbers", {"PhoneNumberIds": [physical_id]})
        return _phone_number_attributes(found["PhoneNumbers"][0])

    @override
    def delete(self, physical_id: str, properties: Properties) -> None:
        self.call("ReleasePhoneNumber", {"PhoneNumberId": physical_id})


def _phone_number_attributes(number: Mapping[str, Any]) -> dict[str, str]:
    return {
        "Arn": number["PhoneNumberArn"],
        "PhoneNumber": number["PhoneNumber"],
        "PhoneNumberId": number["PhoneNumberId"],
    }


class Pool(Originator):
    """``AWS::SMSVOICE::Pool``: origination identities that send as one."""

    id_member = "PoolId"
    update_operation = "UpdatePool"

    @override
    def create(self, properties: Properties, name: str) -> Provisioned:
        first, *others = properties["OriginationIdentities"]
        made = self.call(
            "CreatePool",
            {"OriginationIdentity": first, "MessageType": "TRANSACTIONAL", "Tags": properties.get("Tags")},
        )
        for other in others:
            self.call(
                "AssociateOriginationIdentity", {"PoolId": made["PoolId"], "OriginationIdentity": other}
            )
        return made["PoolId"], {"Arn": made["PoolArn"], "PoolId": made["PoolId"]}

    @override
    def settle(self, physical_id: str, old: Properties, new: Properties) -> None:
        if old:
            before, after = set(old["OriginationIdentities"]), set(new["OriginationIdentities"])
            for identity in sorted(after - before):
                self.call(
                    "AssociateOriginationIdentity", {"PoolId": physical_id, "OriginationIdentity": identity}
                )
            for identity in sorted(before - after):
                self.call(
                    "DisassociateOriginationIdentity",
                    {"PoolId": physical_id, "OriginationIdentity": identity},
                )
        super().settle(physical_id, old, new)

    @override
    def attributes(self, physical_id: str, properties: Properties) -> dict[str, str]:
        found = self.call("DescribePools", {"PoolIds": [physical_id]})
        return {"Arn": found["Pools"][0]["PoolArn"], "PoolId": physical_id}

    @override
    def delete(self, physical_id: str, properties: Properties) -> None:
        self.call("DeletePool", {"PoolId": physical_id})


class SenderId(Resource):
    """``AWS::SMSVOICE::SenderId``; ``Ref`` gives ``<sender id>|<country>``."""

    @override
    def create(self, properties: Properties, name: str) -> Provisioned:
        sender_id, country = properties["SenderId"], properties["IsoCountryCode"]
        made = self.call(
            "RequestSenderId",
            {"SenderId": sender_id, "IsoCountryCode": country, "Tags": properties.get("Tags")},
        )
        return f"{sender_id}|{country}", {"Arn": made["SenderIdArn"]}

    @override
    def attributes(self, physical_id: str, properties: Properties) -> dict[str, str]:
        sender_id, _, country = physical_id.partition("|")
        found = self.call(
            "DescribeSenderIds", {"SenderIds": [{"SenderId": sender_id, "IsoCountryCode": country}]}
        )
        return {"Arn": found["SenderIds"][0]["SenderIdArn"]}

    @override
    def delete(self, physical_id: str, properties: Properties) -> None:
        sender_id, _, country = physical_id.partition("|")
        self.call("ReleaseSenderId", {"SenderId": sender_id, "IsoCountryCode": country})


class ResourcePolicy(Resource):
    """``AWS::SMSVOICE::ResourcePolicy``: sharing with another account, stored by the carrier."""

    @override
    def create(self, properties: Properties, name: str) -> Provisioned:
        return properties["ResourceArn"], {}

    @override
    def settle(self, physical_id: str, old: Properties, new: Properties) -> None:
        if old.get("PolicyDocument") != new["PolicyDocument"]:
            self.call(
                "PutResourcePolicy", {"ResourceArn": physical_id, "Policy": json.dumps(new["PolicyDocument"])}
            )

    @override
    def attributes(self, physical_id: str, properties: Properties) -> dict[str, str]:
        return {}

    @override
    def delete(self, physical_id: str, properties: Properties) -> None:
        self.call("DeleteResourcePolicy", {"ResourceArn": physical_id})
