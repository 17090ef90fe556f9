"""What a channel wants of an origination identity, and what the identity had before."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self


class OriginationError(Exception):
    """The identity cannot be connected; the message is one sentence that says why and what to do."""


class IdentityKind(StrEnum):
    """Kinds of origination identity, as their ARNs spell them."""

    PHONE_NUMBER = "phone-number"
    POOL = "pool"
    SENDER_ID = "sender-id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """An origination identity, by the parts of its ARN."""

    arn: str
    kind: IdentityKind
    id: str

    @classmethod
    def from_arn(cls, arn: str) -> Self:
        """Read ``arn:aws:sms-voice:<region>:<account>:<kind>/<id>``.

        Raises
        ------
        OriginationError
            The text is no such ARN.
        """
        parts = arn.split(":", maxsplit=5)
        kind, _, identifier = parts[-1].partition("/")
        if len(parts) != 6 or parts[0] != "arn" or parts[2] != "sms-voice" or not identifier:
            raise OriginationError(_not_an_identity(arn))
        try:
            return cls(arn=arn, kind=IdentityKind(kind), id=identifier)
        except ValueError:
            raise OriginationError(_not_an_identity(arn)) from None

    @property
    def has_two_way(self) -> bool:
        """Whether the identity receives texts; a sender id does not (AWS, *sender IDs*)."""
        return self.kind is not IdentityKind.SENDER_ID


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoWaySettings:
    """Settings of a number or pool that a channel takes over."""

    two_way_enabled: bool
    topic_arn: str | None
    role_arn: str | None
    opt_out_list: str | None
    self_managed_opt_outs: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class KeywordAnswer:
    """What the service does when a text begins with a keyword."""

    action: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """What a channel wants of its origination identity. Keywords are upper case."""

    settings: TwoWaySettings
    keywords: Mapping[str, KeywordAnswer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """What the identity had before; a keyword that did not exist is ``None``."""

    settings: TwoWaySettings
    keywords: Mapping[str, KeywordAnswer | None] = field(default_factory=dict)


def _not_an_identity(arn: str) -> str:
    return (
        f"{arn!r} is not an origination identity; give the ARN of a phone number, pool or sender id, as "
        "arn:aws:sms-voice:us-east-1:111122223333:phone-number/phone-…"
    )
