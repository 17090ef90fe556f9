"""A review request: one customer asked once about one occasion."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime

from sms_engagement_runtime.review_collector.domain.keyed_hash import keyed_digest
from sms_engagement_runtime.review_collector.domain.tokens import REFERENCE_LENGTH

REGISTRATION = "registration"
"""The occasion of a customer for whom none was ever recorded."""

_DOMAIN = b"review-request"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewRequest:
    """What a link stands for.

    Attributes
    ----------
    request_id
        Sixteen characters, `request_id` of customer and occasion; also the id of the review.
    user_id, occasion
        Who was asked, about what.
    name, first_name, locale
        As the customers table had them; None where it had none.
    asked_at
        When the text went out or was about to; None where the gate refused it. Aware UTC.
    answered_at
        First answer; None until then.
    new_link_at
        When a new link was asked for in place of an expired one; None until then.
    """

    request_id: str
    user_id: str
    occasion: str
    name: str | None = None
    first_name: str | None = None
    locale: str | None = None
    asked_at: datetime | None = None
    answered_at: datetime | None = None
    new_link_at: datetime | None = None


def request_id(user_id: str, occasion: str, key: bytes) -> bytes:
    """Return the reference of a customer and an occasion: twelve bytes that tell neither without the key.

    Customer and occasion are joined with the length of the first, so that no two pairs are ever the same
    message.
    """
    user = user_id.encode()
    message = b"%b%b%b%b" % (_DOMAIN, len(user).to_bytes(4), user, occasion.encode())
    return keyed_digest(key, message)[:REFERENCE_LENGTH]


def reference_to_id(reference: bytes) -> str:
    """Spell a reference as the key of its row: base64url, sixteen characters."""
    return urlsafe_b64encode(reference).decode("ascii")


def id_to_reference(identifier: str) -> bytes:
    """Read the reference back out of a row's key; ValueError where it is none."""
    reference = urlsafe_b64decode(identifier)
    if len(reference) != REFERENCE_LENGTH or reference_to_id(reference) != identifier:
        raise ValueError("not the id of a review request")
    return reference
