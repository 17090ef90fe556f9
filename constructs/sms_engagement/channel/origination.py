"""The origination identity: a phone number, pool or sender id that was bought outside the stack."""

import re
from collections.abc import MutableMapping
from enum import StrEnum
from typing import Final
from weakref import WeakKeyDictionary

from aws_cdk import Token
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
