"""A review request: one customer, one occasion, and what came of asking about it."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime

from sms_engagement_runtime.channel.domain.keyed_hash import keyed_digest
from sms_engagement_runtime.review_collector.domain.tokens import REFERENCE_LENGTH

REGISTRATION = "registration"
"""The occasion of a customer for whom none was ever recorded."""

_DOMAIN = b"review-request"


@dataclass(frozen=True, slots=True)
class GivenText:
    """The text of one request, where whoever asks for the review knows better words than the standard texts.

    It asks, reminds and brings a new link: it says what the person is asked about, in their language, where
    the standard texts of all three speak of a purchase.

    Attributes
    ----------
    template
        With ``{{link}}`` and, where it greets, ``{{name}}``; whether it can be sent is for ``find_fault`` to
        say.
    locale
        Language of it; None for that of the customer.
    """

    template: str
    locale: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewRequest:
    """What a link stands for. Instants are aware UTC, in whole seconds.

    Attributes
    ----------
    request_id
        Sixteen characters, `request_id` of customer and occasion; also the id of the review.
    user_id, occasion
        Who is asked, about what.
    name, first_name, locale
        As the customers table had them when the person was asked; None where it had none.
    occurred_at
        When it happened; None where nobody said.
    recorded_at
        When the row was first written.
    asked_at
        When the text went out or was about to; None where the gate refused it, and before that.
    reminded_at
        The same of the reminder.
    answered_at
        First answer; None until then.
    new_link_at
        When a new link was asked for in place of an expired one; None until then.
    subscriber_id
        Keyed hash of the number that was asked; it leads to the text in the ledger.
    run_id
        The broadcast that asked; None where it was no broadcast.
    text
        In place of the standard texts, whoever asks or reminds and whenever; None for those.
    """

    request_id: str
    user_id: str
    occasion: str
    recorded_at: datetime
    name: str | None = None
    first_name: str | None = None
    locale: str | None = None
    occurred_at: datetime | None = None
    asked_at: datetime | None = None
    reminded_at: datetime | None = None
    answered_at: datetime | None = None
    new_link_at: datetime | None = None
    subscriber_id: str | None = None
    run_id: str | None = None
    text: GivenText | None = None


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
