"""The message ledger: one row for each intended text, and the rules by which rows change.

Everything here is pure. An adapter reads a row, asks one of these functions what the row becomes, and writes
that on the condition that the row is still the one it read.

A row moves by *rank* and never backwards, so that delivery events may come twice, late, in any order, and
before the call's own answer was recorded: any permutation of the same events ends in the same row.
"""

import hashlib
import json
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from sms_engagement_runtime.channel.domain.consent import Scope
from sms_engagement_runtime.channel.domain.gate import Answers, ConsentRule, MessageClass
from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber

UNCERTAIN_AFTER: Final = timedelta(seconds=60)
"""A claim older than this belongs to a call whose answer was lost: longer than the SMS client waits."""


class MessageState(StrEnum):
    """State of an intended text."""

    SUPPRESSED = "SUPPRESSED"
    """The gate refused it. A later attempt may ask again."""
    DEFERRED = "DEFERRED"
    """Not sent yet, and proven not sent. A later attempt may ask again."""
    CLAIMED = "CLAIMED"
    """About to be sent, or sent without an answer."""
    ACCEPTED = "ACCEPTED"
    """The service took it and gave a message id."""
    DELIVERED = "DELIVERED"
    FAILED = "FAILED"
    EXPIRED = "EXPIRED"
    UNCERTAIN = "UNCERTAIN"
    """Derived on reading, never stored: claimed, and no answer for ``UNCERTAIN_AFTER``."""


FINAL_STATES: Final = frozenset({MessageState.DELIVERED, MessageState.FAILED, MessageState.EXPIRED})
CLAIMABLE_STATES: Final = frozenset({MessageState.SUPPRESSED, MessageState.DEFERRED})

RANK_OPEN: Final = 0
RANK_CLAIMED: Final = 10
RANK_ACCEPTED: Final = 20
_RANK_IN_FLIGHT: Final = 30
_RANK_CARRIER_ACCEPTED: Final = 40
RANK_REFUSED: Final = 45
"""The service refused the text in its answer: final, but evidence of a delivery would outweigh it."""

# Every final event type has a rank of its own, so that two finals of one message leave the same row in either
# order. A handset's receipt outweighs all; a named failure outweighs the carrier's word (SUCCESSFUL);
# UNKNOWN, which the service itself emits after 72 h of silence, outweighs nothing final. Sources: AWS, *Event
# types for configuration sets*, and the pairs seen in public code.
_FINAL_RANKS: Final[dict[str, tuple[MessageState, int]]] = {
    "TEXT_UNKNOWN": (MessageState.FAILED, 50),
    "TEXT_SUCCESSFUL": (MessageState.DELIVERED, 60),
    "TEXT_TTL_EXPIRED": (MessageState.EXPIRED, 70),
    "TEXT_UNREACHABLE": (MessageState.FAILED, 71),
    "TEXT_CARRIER_UNREACHABLE": (MessageState.FAILED, 72),
    "TEXT_SPAM": (MessageState.FAILED, 73),
    "TEXT_BLOCKED": (MessageState.FAILED, 74),
    "TEXT_CARRIER_BLOCKED": (MessageState.FAILED, 75),
    "TEXT_INVALID_MESSAGE": (MessageState.FAILED, 76),
    "TEXT_INVALID": (MessageState.FAILED, 77),
    "TEXT_PROTECT_BLOCKED": (MessageState.FAILED, 78),
    "TEXT_DELIVERED": (MessageState.DELIVERED, 90),
}
_PREFIX = "TEXT_"


def classify_event(event_type: str, *, is_final: bool) -> tuple[MessageState, int]:
    """Give the state and rank that a delivery event stands for.

    ``TEXT_DELIVERED`` is final whatever it says of itself. Other types that are not final, and types that we
    don't know, prove that the service has the text.
    """
    if event_type == "TEXT_DELIVERED" or (is_final and event_type in _FINAL_RANKS):
        return _FINAL_RANKS[event_type]
    if event_type == "TEXT_SUCCESSFUL":
        return MessageState.ACCEPTED, _RANK_CARRIER_ACCEPTED
    return MessageState.ACCEPTED, _RANK_IN_FLIGHT


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A text that some construct wants one person to get once.

    Attributes
    ----------
    construct, purpose, occasion
        Which part of the product, what for, and which single event: with the subscriber id they make the
        ledger key.
    scope
        The consent that the text falls under; None for replies only.
    answers
        For replies, and only for them: what kind of inbound message this answers.
    country
        ISO 3166-1 alpha-2 of the recipient, None where unknown.
    campaign_id, journey_id
        Echoed in delivery events; at most 800 characters without space at either end (``Context`` of
        ``SendTextMessage``).
    expires_at
        From then on the text is not useful any more and is not sent.
    time_zone
        IANA zone that the person is known to live in; None where nobody knows.
    shorter_body
        The body without the person's name, for a first text into which the name does not fit.
    locale
        Language of the body, as ``en`` or ``fr-CA``; None means the channel's default.
    caused_at
        When the person did what the text follows from. One that is late, since sending was paused or an event
        was delayed, waits for the person's hours. None where it follows from nothing that the person did.
    key
        The ledger key.

    Raises
    ------
    ValueError
        Where message class, consent rule, scope and ``answers`` contradict one another.
    """

    construct: str
    purpose: str
    occasion: str
    scope: Scope | None
    message_class: MessageClass
    consent_rule: ConsentRule
    recipient: PhoneNumber
    subscriber_id: str
    country: str | None
    body: str
    answers: Answers | None = None
    campaign_id: str | None = None
    journey_id: str | None = None
    expires_at: datetime | None = None
    time_zone: str | None = None
    shorter_body: str | None = None
    locale: str | None = None
    caused_at: datetime | None = None
    # Worked out once: each step of a send looks at it.
    key: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        is_reply = self.message_class is MessageClass.REPLY
        if is_reply is not (self.answers is not None) or is_reply is not (
            self.consent_rule is ConsentRule.NONE
        ):
            raise ValueError(
                "a REPLY, and nothing else, says what it answers and needs no consent (ConsentRule.NONE)"
            )
        if not is_reply and self.scope is None:
            raise ValueError("every text but a REPLY has a scope of consent")
        key = intent_key(self.construct, self.subscriber_id, self.purpose, self.occasion)
        object.__setattr__(self, "key", key)


# Made once: `json.dumps` with separators of its own makes an encoder for every call.
_to_json: Final = json.JSONEncoder(separators=(",", ":")).encode


def intent_key(construct: str, subscriber_id: str, purpose: str, occasion: str) -> str:
    """Derive the ledger key of an intended text.

    Returns
    -------
    str
        43 characters: unpadded base64url of the SHA-256 over the four parts as a JSON array, which no other
        four parts share. It also is the ``Context`` value of the text (no white space, at most 800
        characters).
    """
    joined = _to_json([construct, subscriber_id, purpose, occasion])
    return urlsafe_b64encode(hashlib.sha256(joined.encode("ascii")).digest()).rstrip(b"=").decode("ascii")


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerRow:
    """One intended text, as stored.

    Attributes
    ----------
    reason
        Why it is suppressed, deferred or failed: a ``Reason``, the service's reason code or the status of the
        delivery event (``CARRIER_BLOCKED``). None in every other state.
    parts
        Message parts, as counted before sending and then as the service reports them.
    claimed_at
        When it was claimed; before that, when the row was written.
    updated_at
        When the row last changed.
    price_millicents
        What the service charged for the message, in thousandths of a US cent (1 USD = 100,000); None until an
        event tells.
    campaign_id, journey_id
        Of the intent that the row was last opened for: which campaign or run, and which journey,
        sent the text.
    """

    key: str
    construct: str
    subscriber_id: str
    purpose: str
    occasion: str
    state: MessageState
    rank: int
    reason: str | None
    message_id: str | None
    parts: int
    claimed_at: datetime
    updated_at: datetime
    price_millicents: int | None = None
    campaign_id: str | None = None
    journey_id: str | None = None

    def derived_state(self, now: datetime) -> MessageState:
        """Give the state that a reader shall see: an old claim is UNCERTAIN."""
        if self.state is MessageState.CLAIMED and now - self.claimed_at > UNCERTAIN_AFTER:
            return MessageState.UNCERTAIN
        return self.state


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryEvent:
    """One delivery event of a text.

    Attributes
    ----------
    key
        The ledger key out of ``context``; None where the event does not echo one (EventBridge, texts of other
        senders).
    event_type
        ``TEXT_DELIVERED`` and so on.
    status
        ``messageStatus``; where missing, the event type without its prefix.
    destination
        None where the event does not say (EventBridge).
    price_millicents, carrier_fee_millicents
        In thousandths of a US cent; None where the event does not say.
    """

    message_id: str
    key: str | None
    event_type: str
    status: str
    is_final: bool
    at: datetime
    destination: PhoneNumber | None
    country: str | None = None
    parts: int | None = None
    price_millicents: int | None = None
    carrier_fee_millicents: int | None = None
    carrier: str | None = None
    origination: str | None = None
    message_type: str | None = None
    campaign_id: str | None = None
    journey_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """A row that what the text is about lives in, and that must still have this version when it is claimed.

    Attributes
    ----------
    table
        Name of the row's table.
    key
        Name and value of its partition key, a string; it has no sort key.
    version
        Value of its attribute ``version``, which every change of what the text depends on makes another one.
    """

    table: str
    key: tuple[str, str]
    version: int


@dataclass(frozen=True, slots=True)
class Claimed:
    """The row is ours: send now, once."""


@dataclass(frozen=True, slots=True)
class Held:
    """Somebody holds the row or has sent the text."""

    row: LedgerRow


@dataclass(frozen=True, slots=True)
class ContactChanged:
    """The contact, or the row that guards the text, is not any more as it was seen: ask the gate again."""


type ClaimResult = Claimed | Held | ContactChanged


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldResult:
    """What a delivery event did to the ledger.

    Attributes
    ----------
    row
        The row after the event; None where the ledger holds no such message.
    changed
        Whether the event changed the row. False for duplicates and overtaken events.
    became_final
        Whether it was this event that ended the text: True once a message, so that statuses are counted once.
    price_added_millicents
        What this event adds to the cost of the message: summed over all its events, the row's price.
    """

    row: LedgerRow | None
    changed: bool = False
    became_final: bool = False
    price_added_millicents: int = 0


def open_row(
    intent: Intent, *, state: MessageState, reason: str | None, parts: int, now: datetime
) -> LedgerRow:
    """Make the row of an intent that is CLAIMED, SUPPRESSED or DEFERRED."""
    return LedgerRow(
        key=intent.key,
        construct=intent.construct,
        subscriber_id=intent.subscriber_id,
        purpose=intent.purpose,
        occasion=intent.occasion,
        state=state,
        rank=RANK_CLAIMED if state is MessageState.CLAIMED else RANK_OPEN,
        reason=reason,
        message_id=None,
        parts=parts,
        claimed_at=now,
        updated_at=now,
        campaign_id=intent.campaign_id,
        journey_id=intent.journey_id,
    )


def may_claim(row: LedgerRow | None) -> bool:
    """Say whether a row may be claimed, suppressed or deferred: it is proven that nothing was sent for it."""
    return row is None or row.state in CLAIMABLE_STATES


def accept(row: LedgerRow, message_id: str, now: datetime) -> LedgerRow | None:
    """Record the answer of the call. Where an event has overtaken it, only a missing message id is added."""
    if row.rank < RANK_ACCEPTED:
        return replace(
            row,
            state=MessageState.ACCEPTED,
            rank=RANK_ACCEPTED,
            reason=None,
            message_id=message_id,
            updated_at=now,
        )
    return replace(row, message_id=message_id, updated_at=now) if row.message_id is None else None


def release(row: LedgerRow, reason: str, now: datetime) -> LedgerRow | None:
    """Give a claim back, since it is proven that nothing was sent. None where it is no claim any more."""
    if row.state is not MessageState.CLAIMED:
        return None
    return replace(row, state=MessageState.DEFERRED, rank=RANK_OPEN, reason=reason, updated_at=now)


def fail(row: LedgerRow, reason: str, now: datetime) -> LedgerRow | None:
    """Record that the service refused the text for good. None where an event knows better."""
    if row.rank >= RANK_REFUSED:
        return None
    return replace(row, state=MessageState.FAILED, rank=RANK_REFUSED, reason=reason, updated_at=now)


def fold(row: LedgerRow, event: DeliveryEvent) -> LedgerRow | None:
    """Fold a delivery event into the row of its message. None where it changes nothing.

    State follows the highest rank, price and parts the largest figure of any final event; each is the same in
    whatever order the events come. An event of another message than the row's is not folded: a retry never is
    another message here.
    """
    if row.message_id is not None and row.message_id != event.message_id:
        return None
    state, rank = classify_event(event.event_type, is_final=event.is_final)
    folded = replace(row, message_id=event.message_id)
    if rank > row.rank:
        reason = (
            event.event_type.removeprefix(_PREFIX)
            if state in (MessageState.FAILED, MessageState.EXPIRED)
            else None
        )
        folded = replace(folded, state=state, rank=rank, reason=reason)
    if state in FINAL_STATES:
        folded = replace(
            folded,
            price_millicents=_largest(folded.price_millicents, event.price_millicents),
            parts=max(folded.parts, event.parts or 0),
        )
    return None if folded == row else replace(folded, updated_at=max(row.updated_at, event.at))


def _largest(known: int | None, told: int | None) -> int | None:
    return told if known is None else known if told is None else max(known, told)


def fold_result(before: LedgerRow, after: LedgerRow | None) -> FoldResult:
    """Say what a fold did, for those who count."""
    if after is None:
        return FoldResult(row=before)
    return FoldResult(
        row=after,
        changed=True,
        became_final=before.state not in FINAL_STATES and after.state in FINAL_STATES,
        price_added_millicents=(after.price_millicents or 0) - (before.price_millicents or 0),
    )
