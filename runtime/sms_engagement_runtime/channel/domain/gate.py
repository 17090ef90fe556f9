"""The send gate: one decision for every text of every construct, taken again each time before sending."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sms_engagement_runtime.channel.domain.consent import ConsentState, Contact, Scope
from sms_engagement_runtime.channel.domain.encoding import Measured, exceeds_cap
from sms_engagement_runtime.channel.domain.reasons import Reason


class MessageClass(StrEnum):
    """What a text is for. The class follows the purpose of the text, not its price."""

    TRANSACTIONAL = "TRANSACTIONAL"
    PROMOTIONAL = "PROMOTIONAL"
    REPLY = "REPLY"
    """The direct answer to an inbound message."""

    @property
    def message_type(self) -> str:
        """``MessageType`` of the API: ``TRANSACTIONAL`` or ``PROMOTIONAL``."""
        return "PROMOTIONAL" if self is MessageClass.PROMOTIONAL else "TRANSACTIONAL"


class ConsentRule(StrEnum):
    """What a text needs before it may go to a person."""

    IMPLIED = "IMPLIED"
    """Everybody who did not opt out: the relation itself is the consent."""
    RECORDED = "RECORDED"
    """Only those whose consent is on record as active."""
    NONE = "NONE"
    """Replies: the person wrote to us."""


class Answers(StrEnum):
    """What a reply answers, which decides whether it may go to a person who opted out."""

    OPT_OUT = "OPT_OUT"
    """The one confirmation of the opt-out itself (CTIA Principles 5.1.3; 47 CFR 64.1200(a)(12))."""
    HELP = "HELP"
    """Owed to anyone who asks."""
    MESSAGE = "MESSAGE"
    """Anything else: not sent to a person who opted out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateFacts:
    """All that the gate looks at.

    Attributes
    ----------
    still_true
        Whether the reason for the text still holds.
    expires_at
        Until when the text is useful; None means for ever.
    scope
        None for replies only.
    country
        ISO 3166-1 alpha-2 of the destination, None where unknown.
    max_parts
        The most message parts that the channel sends for one text.
    """

    now: datetime
    still_true: bool
    expires_at: datetime | None
    is_paused: bool
    contact: Contact
    scope: Scope | None
    message_class: MessageClass
    consent_rule: ConsentRule
    answers: Answers | None
    country: str | None
    allowed_countries: Collection[str]
    measured: Measured
    max_parts: int


@dataclass(frozen=True, slots=True)
class Send:
    """The text may go out now."""


@dataclass(frozen=True, slots=True)
class Suppress:
    """The text does not go out."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Defer:
    """The text may go out later.

    Attributes
    ----------
    until
        The first instant worth asking again; None where that is not known.
    """

    reason: Reason
    until: datetime | None = None


type Decision = Send | Suppress | Defer


def decide(facts: GateFacts) -> Decision:
    """Decide on one text. The first check that objects gives the reason: the order is part of the contract.

    Still true, paused, consent, country, parts.
    """
    if not facts.still_true:
        return Suppress(Reason.NO_LONGER_TRUE)
    if facts.expires_at is not None and facts.now >= facts.expires_at:
        return Suppress(Reason.EXPIRED)
    if facts.is_paused:
        return Defer(Reason.PAUSED)
    reason = _consent_objection(facts) or _country_objection(facts) or _length_objection(facts)
    return Send() if reason is None else Suppress(reason)


def _consent_objection(facts: GateFacts) -> Reason | None:
    if facts.message_class is MessageClass.REPLY:
        may_follow_an_opt_out = facts.answers in (Answers.OPT_OUT, Answers.HELP)
        return Reason.OPTED_OUT if facts.contact.is_opted_out and not may_follow_an_opt_out else None
    if facts.scope and facts.contact.is_opted_out_of(facts.scope):
        return Reason.OPTED_OUT
    state = facts.contact.consents.get(facts.scope) if facts.scope else None
    if facts.consent_rule is not ConsentRule.RECORDED and facts.message_class is MessageClass.TRANSACTIONAL:
        return None
    if state is ConsentState.PENDING:
        return Reason.PENDING_CONFIRMATION
    if facts.consent_rule is ConsentRule.RECORDED and state is not ConsentState.ACTIVE:
        return Reason.NO_CONSENT
    return None


def _country_objection(facts: GateFacts) -> Reason | None:
    if facts.country is None:
        return Reason.COUNTRY_UNKNOWN
    return None if facts.country in facts.allowed_countries else Reason.COUNTRY_NOT_ALLOWED


def _length_objection(facts: GateFacts) -> Reason | None:
    if facts.measured.parts == 0:
        return Reason.EMPTY_BODY
    too_long = facts.measured.parts > facts.max_parts or exceeds_cap(facts.measured)
    return Reason.TOO_MANY_PARTS if too_long else None
