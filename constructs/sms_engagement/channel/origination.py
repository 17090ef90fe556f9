"""The origination identity: a phone number, pool or sender id that was bought outside the stack."""

import re
from collections.abc import MutableMapping
from enum import StrEnum
from typing import Final
from weakref import WeakKeyDictionary

from aws_cdk import Stack, Token
from constructs import Construct, IConstruct

# Service authorization reference of AWS End User Messaging SMS: resource types and their ARNs.
_ARN: Final = re.compile(
    r"arn:aws[a-z-]*:sms-voice:(?P<region>[a-z0-9-]+):(?P<account>\d{12}):"
    r"(?P<kind>phone-number|pool|sender-id)/(?P<name>[^/]+)(?:/[A-Z]{2})?"
)


# Identities by app, and the path of the channel that uses each.
_CLAIMED: Final[MutableMapping[IConstruct, dict[str, str]]] = WeakKeyDictionary()


class IdentityKind(StrEnum):
    """What a text comes from, as in the identity's ARN."""

    PHONE_NUMBER = "phone-number"
    POOL = "pool"
    SENDER_ID = "sender-id"


def identity_kind(arn: str) -> IdentityKind | None:
    """Return the kind of an origination identity; None for an unresolved token.

    Raises
    ------
    ValueError
        Not the ARN of a phone number, pool or sender id.
    """
    if Token.is_unresolved(arn):
        return None
    matched = _ARN.fullmatch(arn)
    if matched is None:
        msg = (
            f"origination_identity must be the ARN of a phone number, pool or sender id of AWS End User "
            f"Messaging SMS, got {arn!r}; copy it from `aws pinpoint-sms-voice-v2 describe-phone-numbers` "
            f"(arn:aws:sms-voice:<region>:<account>:phone-number/phone-…)"
        )
        raise ValueError(msg)
    return IdentityKind(matched["kind"])


def check_identity_region(scope: Construct, arn: str) -> list[str]:
    """Refuse an identity of another Region than the stack's, and doubt one of another account.

    Returns
    -------
    list of str
        What is legal and perhaps not meant: an identity can be shared between accounts (End User Messaging
        SMS user guide, *Sharing resources*), and then its owner connects it to the channel.

    Raises
    ------
    ValueError
        Both Regions are known, and they differ.
    """
    matched = None if Token.is_unresolved(arn) else _ARN.fullmatch(arn)
    if matched is None:
        return []
    stack = Stack.of(scope)
    if not Token.is_unresolved(stack.region) and stack.region != matched["region"]:
        msg = (
            f"origination_identity must be in the Region of its stack, {stack.region}, got {arn!r} in "
            f"{matched['region']}; give the stack env=Environment(region={matched['region']!r}), or an "
            f"identity of {stack.region}"
        )
        raise ValueError(msg)
    if not Token.is_unresolved(stack.account) and stack.account != matched["account"]:
        return [
            f"origination_identity {arn} belongs to account {matched['account']}, and the stack to "
            f"{stack.account}: the identity must be shared with it, and its owner connects it to the inbound "
            f"topic (manage_origination=False prints how)"
        ]
    return []


def claim_identity(scope: Construct, id: str, arn: str) -> None:
    """Note that the channel `id` below `scope` uses an identity.

    Raises
    ------
    ValueError
        Another channel of the app uses it. An identity has one inbound topic and one opt-out list: the
        second channel would take them from the first.
    """
    if Token.is_unresolved(arn):
        return
    path = "/".join(filter(None, (scope.node.path, id)))
    owner = _CLAIMED.setdefault(scope.node.root, {}).setdefault(arn, path)
    if owner != path:
        msg = (
            f"{owner} already uses {arn}; make one channel and hand it to both systems, "
            f"or give {path} an origination identity of its own"
        )
        raise ValueError(msg)
