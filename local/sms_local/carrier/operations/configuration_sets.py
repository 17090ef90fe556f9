"""Configuration sets and their event destinations."""

from collections.abc import Mapping
from typing import Any, Final

from sms_local.carrier.account import Account, already_exists
from sms_local.carrier.errors import not_found, quota_exceeded, validation_error
from sms_local.carrier.operations.listing import page
from sms_local.carrier.resources import ConfigurationSet, EventDestination

_MAX_CONFIGURATION_SETS: Final = 25
_MAX_EVENT_DESTINATIONS: Final = 5
_DESTINATIONS: Final = ("CloudWatchLogsDestination", "KinesisFirehoseDestination", "SnsDestination")


def create_configuration_set(account: Account, request: Mapping[str, Any]) -> dict[str, Any]:
    """Make an empty configuration set."""
    name = request["ConfigurationSetName"]
    if name in account.configuration_sets:
        raise already_exists("configuration-set", name)
    if len(account.configuration_sets) >= _MAX_CONFIGURATION_SETS:
        raise quota_exceeded("CONFIGURATION_SETS_PER_ACCOUNT", "The account has all the sets it may have.")
    created = ConfigurationSet(name=name, arn=account.arn("configuration-set", name), created=account.now())
    account.configuration_sets[name] = created
    account.tag(created.arn, request.get("Tags", ()))
    return {
        "ConfigurationSetArn": created.arn,
        "ConfigurationSetName": name,
        "Tags": request.get("Tags", []),
        "CreatedTimestamp": created.created.timestamp(),
    }


def delete_configuration_set(account: Account, request: Mapping[str, Any]) -> dict[str, Any]:
    """Delete a configuration set with its event destinations."""
    deleted = account.configuration_set(request["ConfigurationSetName"])
    del account.configuration_sets[deleted.name]
    account.forget(deleted.arn)
    answer = deleted.describe()
    answer.pop("ProtectConfigurationId", None)
    return answer


def describe_configuration_sets(account: Account, request: Mapping[str, Any]) -> dict[str, Any]:
    """List configuration sets; `ConfigurationSetNames` picks some by name or ARN."""
    wanted = request.get("ConfigurationSetNames")
    sets = (
        [account.configuration_set(reference) for reference in wanted]
        if wanted
        else list(account.configuration_sets.values())
    )
    return page("ConfigurationSets", (item.describe() for item in sets), request)


def create_event_destination(account: Account, request: Mapping[str, Any]) -> dict[str, Any]:
    """Add an event destination to a configuration set."""
    owner = account.configuration_set(request["ConfigurationSetName"])
    name = request["EventDestinationName"]
    if name in owner.event_destinations:
        raise already_exists("event-destination", name)
    if len(owner.event_destinations) >= _MAX_EVENT_DESTINATIONS:
        raise quota_exceeded("EVENT_DESTINATIONS_PER_CONFIGURATION_SET", "The configuration set is full.")
    destination = _destination_in(request)
    if destination is None:
        raise validation_error(
            "MISSING_PARAMETER",
            f"One of {', '.join(_DESTINATIONS)} is required.",
            fields=_destination_fields(),
        )
    owner.event_destinations[name] = EventDestination(
        name=name,
        enabled=True,
        matching_event_types=tuple(request["MatchingEventTypes"]),
        destination=destination,
    )
    return _answer(owner, owner.event_destinations[name])


def update_event_destination(account: Account, request: Mapping[str, Any]) -> dict[str, Any]:
    """Change an event destination."""
    owner = account.configuration_set(request["ConfigurationSetName"])
    updated = _event_destination(owner, request["EventDestinationName"])
    destination = _destination_in(request)
    if destination is not None:
        updated.destination = destination
    updated.enabled = request.get("Enabled", updated.enabled)
    updated.matching_event_types = tuple(request.get("MatchingEventTypes", updated.matching_event_types))
    return _answer(owner, updated)


def delete_event_destination(account: Account, request: Mapping[str, Any]) -> dict[str, Any]:
    """Delete an event destination."""
    owner = account.configuration_set(request["ConfigurationSetName"])
    deleted = _event_destination(owner, request["EventDestinationName"])
    del owner.event_destinations[deleted.name]
    return _answer(owner, deleted)


def set_default_message_type(account: Account, request: Mapping[str, Any]) -> dict[str, Any]:
    """Set the message type of sends that name the set and no type."""
    owner = account.configuration_set(request["ConfigurationSetName"])
    owner.default_message_type = request["MessageType"]
    return {**_names(owner), "MessageType": owner.default_message_type}


def delete_default_message_type(account: Account, request: Mapping[str, Any]) -> dict[str, Any]:
    """Take back `set_default_message_type`."""
    owner = account.configuration_set(request["ConfigurationSetName"])
    deleted, owner.default_message_type = owner.default_message_type, None
    return {**_names(owner), **({"MessageType": deleted} if deleted else {})}


def set_default_sender_id(account: Account, request: Mapping[str, Any]) -> dict[str, Any]:
    """Set the sender id of sends that name the set and no origination identity."""
    owner = account.configuration_set(request["ConfigurationSetName"])
    owner.default_sender_id = request["SenderId"]
    return {**_names(owner), "SenderId": owner.default_sender_id}


def delete_default_sender_id(account: Account, request: Mapping[str, Any]) -> dict[str, Any]:
    """Take back `set_default_sender_id`."""
    owner = account.configuration_set(request["ConfigurationSetName"])
    deleted, owner.default_sender_id = owner.default_sender_id, None
    return {**_names(owner), **({"SenderId": deleted} if deleted else {})}


def set_default_message_feedback_enabled(account: Account, request: Mapping[str, Any]) -> dict[str, Any]:
    """Set whether sends that name the set expect feedback."""
    owner = account.configuration_set(request["ConfigurationSetName"])
    owner.default_message_feedback_enabled = request["MessageFeedbackEnabled"]
    return {**_names(owner), "MessageFeedbackEnabled": owner.default_message_feedback_enabled}


def _destination_in(request: Mapping[str, Any]) -> dict[str, Any] | None:
    given = {name: request[name] for name in _DESTINATIONS if name in request}
    if len(given) > 1:
        raise validation_error(
            "PARAMETERS_CANNOT_BE_USED_TOGETHER",
            "An event destination has one destination.",
            fields=[(name, "excludes the others") for name in given],
        )
    return given or None


def _destination_fields() -> list[tuple[str, str]]:
    return [(name, "or one of the others is required") for name in _DESTINATIONS]


def _event_destination(owner: ConfigurationSet, name: str) -> EventDestination:
    found = owner.event_destinations.get(name)
    if found is None:
        raise not_found("event-destination", name)
    return found


def _names(owner: ConfigurationSet) -> dict[str, Any]:
    return {"ConfigurationSetArn": owner.arn, "ConfigurationSetName": owner.name}


def _answer(owner: ConfigurationSet, destination: EventDestination) -> dict[str, Any]:
    return {**_names(owner), "EventDestination": destination.describe()}
