"""Opt-out lists and the numbers on them."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from sms_local.carrier.account import Account, already_exists
from sms_local.carrier.destinations import parse_destination
from sms_local.carrier.errors import ServiceError, conflict, not_found, quota_exceeded, validation_error
from sms_local.carrier.operations.listing import page
from sms_local.carrier.resources import DEFAULT_OPT_OUT_LIST, OptOutList, PhoneNumber, Pool

_MAX_OPT_OUT_LISTS: Final = 25
DELETION_INTERVAL: Final = timedelta(days=30)
"""A destination phone number can be taken off a list once in this time (API reference,
``DeleteOptedOutNumber``)."""


def create_opt_out_list(account: Account, request: Mapping[str, Any]) -> dict[str, Any]:
    """Make an empty opt-out list."""
    name = request["OptOutListName"]
    if name in account.opt_out_lists:
        raise already_exists("opt-out-list", name)
    if len(account.opt_out_lists) >= _MAX_OPT_OUT_LISTS:
        raise quota_exceeded("OPT_OUT_LISTS_PER_ACCOUNT", "The account has all the lists it may have.")
    created = OptOutList(name=name, arn=account.arn("opt-out-list", name), created=account.now())
    account.opt_out_lists[name] = created
    account.tag(created.arn, request.get("Tags", ()))
    return {**created.describe(), "Tags": request.get("Tags", [])}


def delete_opt_out_list(account: Account, request: Mapping[str, Any]) -> dict[str, Any]:
    """Delete an opt-out list with the numbers on it, unless a number or pool uses it."""
    deleted = account.opt_out_list(request["OptOutListName"])
    users: list[PhoneNumber | Pool] = [*account.phone_numbers.values(), *account.pools.values()]
    in_use = any(user.settings.opt_out_list_name == deleted.name for user in users)
    if in_use or deleted.name == DEFAULT_OPT_OUT_LIST:
        raise conflict(
            "RESOURCE_DELETION_NOT_ALLOWED",
            "The opt-out list is in use.",
            resource_type="opt-out-list",
            resource_id=deleted.name,
        )
    del account.opt_out_lists[deleted.name]
    account.forget(deleted.arn)
    return deleted.describe()


def describe_opt_out_lists(account: Account, request: Mapping[str, Any]) -> dict[str, Any]:
    """List opt-out lists; `OptOutListNames` picks some by name or ARN."""
    wanted = request.get("OptOutListNames")
    lists = (
        [account.opt_out_list(reference) for reference in wanted]
        if wanted
        else list(account.opt_out_lists.values())
    )
    if request.get("Owner") == "SHARED":
        lists = []
    return page("OptOutLists", (item.describe() for item in lists), request)


def put_opted_out_number(account: Account, request: Mapping[str, Any]) -> dict[str, Any]:
    """Put a destination phone number on a list. One that is there already stays as it is."""
    opt_out_list = account.opt_out_list(request["OptOutListName"])
    number = _e164(request["OptedOutNumber"])
    entry = opt_out_list.add(number, at=account.now(), end_user_opted_out=False)
    return _names(opt_out_list) | entry.describe()


def delete_opted_out_number(account: Account, request: Mapping[str, Any]) -> dict[str, Any]:
    """Take a destination phone number off a list, once in 30 days.

    Raises
    ------
    ServiceError
        ``ResourceNotFoundException``: it is not on the list. ``ValidationException``,
        ``PHONE_NUMBER_CANNOT_BE_OPTED_IN``: it was taken off within 30 days.
    """
    opt_out_list = account.opt_out_list(request["OptOutListName"])
    number = _e164(request["OptedOutNumber"])
    entry = opt_out_list.entries.get(number)
    if entry is None:
        raise not_found("opted-out-number", number)
    now = account.now()
    last = opt_out_list.deletions.get(number)
    if last is not None and now - last < DELETION_INTERVAL:
        raise validation_error(
            "PHONE_NUMBER_CANNOT_BE_OPTED_IN", "The phone number was opted in within the last 30 days."
        )
    del opt_out_list.entries[number]
    opt_out_list.deletions[number] = now
    return _names(opt_out_list) | entry.describe()


def describe_opted_out_numbers(account: Account, request: Mapping[str, Any]) -> dict[str, Any]:
    """List the numbers on a list; `OptedOutNumbers` asks for some, all of which have to be there."""
    opt_out_list = account.opt_out_list(request["OptOutListName"])
    entries = list(opt_out_list.entries.values())
    if request.get("OptedOutNumbers"):
        wanted = [_e164(number) for number in request["OptedOutNumbers"]]
        missing = [number for number in wanted if number not in opt_out_list.entries]
        if missing:
            raise not_found("opted-out-number", missing[0])
        entries = [opt_out_list.entries[number] for number in wanted]
    numbers = page("OptedOutNumbers", (entry.describe() for entry in entries), request)
    return _names(opt_out_list) | numbers


def _e164(raw: str) -> str:
    try:
        return parse_destination(raw).e164
    except ServiceError as exc:
        problem = "must be a phone number in E.164 format"
        raise validation_error(
            "INVALID_PARAMETER", f"OptedOutNumber {problem}", fields=[("OptedOutNumber", problem)]
        ) from exc


def _names(opt_out_list: OptOutList) -> dict[str, Any]:
    return {"OptOutListArn": opt_out_list.arn, "OptOutListName": opt_out_list.name}
