"""The send gate: one decision for every text of every construct, taken again each time before sending."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from sms_engagement_runtime.channel.domain.budget import next_day
from sms_engagement_runtime.channel.domain.consent import ConsentState, Contact, Scope, sent_mark
from sms_engagement_runtime.channel.domain.encoding import Measured, exceeds_cap
from sms_engagement_runtime.channel.domain.frequency import FrequencyCap
from sms_engagement_runtime.channel.domain.pacing import LEAVES_WITHIN
from sms_engagement_runtime.channel.domain.quiet_hours import RecipientHours
from sms_engagement_runtime.channel.domain.reasons import Reason


class MessageClass(StrEnum):
    """What a text is for. The class follows the purpose of the text, not its price."""

    TRANSACTIONAL = "TRANSACTIONAL"
    PROMOTIONAL = "PROMOTIONAL"
    REPLY = "REPLY"
    """The direct answer to an inbound message."""

    @property
    def is_promotional(self) -> bool:
        """Whether quiet hours, frequency cap and budget bind it."""
        return self is MessageClass.PROMOTIONAL

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
    ASKING = "ASKING"
    """A text that itself asks for consent: everybody who did not opt out, also who was asked before."""
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
    key
        The ledger key.
    still_true
        Whether the reason for the text still holds.
    expires_at
        Until when the text is useful; None means for ever.
    scope
        None for replies only.
    country
        ISO 3166-1 alpha-2 of the destination, None where unknown.
    hours
        When the person may be sent texts that nobody waits for; None means never, and is not looked at for
        other texts.
    over_budget
        DAY_BUDGET or CAMPAIGN_BUDGET where its price could not be reserved, else None.
    max_parts
        The most message parts that the channel sends for one text.
    caused_at
        When the person did what the text follows from; None where it follows from nothing of the kind.
    """

    key: str
    now: datetime
    still_true: bool
    expires_at: datetime | None
    is_paused: bool
    contact: Contact
    scope: Scope | None
    message_class: MessageClass
    consent_rule: ConsentRule
    answers: Answers | None
    hours: RecipientHours | None
    frequency_cap: FrequencyCap
    country: str | None
    allowed_countries: Collection[str]
    over_budget: Reason | None
    measured: Measured
    max_parts: int
    caused_at: datetime | None = None

    @property
    def is_bound_by_hours(self) -> bool:
        """Whether it is for the person's hours only: promotional, or late."""
        return self.message_class.is_promotional or (
            self.caused_at is not None and self.now - self.caused_at > PROMPT
        )


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


type Objection = Suppress | Defer
type Decision = Send | Objection

_SEND: Final = Send()

PROMPT: Final = timedelta(minutes=5)
"""A text within this time follows what the person just did, at whatever hour that was.

A later one waits for the person's hours. Source: 47 CFR 64.1200(a)(12), which presumes consent to a
confirmation that is sent within five minutes.
"""


def decide(facts: GateFacts) -> Decision:
    """Decide on one text. The first check that objects gives the reason: the order is part of the contract.

    Erased, sent before that, still true, paused, consent, quiet hours, frequency cap, country, budget, parts.
    """
    return next(objections(facts), _SEND)


def objections(facts: GateFacts) -> Iterator[Objection]:
    """Go through all checks, in their order, and tell each that objects."""
    # Before everything else, and for replies, too: what was promised is that no text ever goes out again.
    if facts.contact.is_erased:
        yield Suppress(Reason.ERASED)
    if sent_mark(facts.key) in facts.contact.sent_before_erasure:
        yield Suppress(Reason.SENT_BEFORE_ERASURE)
    if not facts.still_true:
        yield Suppress(Reason.NO_LONGER_TRUE)
    if facts.expires_at is not None and facts.now >= facts.expires_at:
        yield Suppress(Reason.EXPIRED)
    if facts.is_paused:
        yield Defer(Reason.PAUSED)
    if reason := _consent_objection(facts):
        yield Suppress(reason)
    if facts.is_bound_by_hours and (quiet := _quiet_hours_objection(facts)):
        yield quiet
    if facts.message_class.is_promotional and (until := _capped_until(facts)):
        yield Defer(Reason.FREQUENCY_CAP, until)
    if reason := _country_objection(facts):
        yield Suppress(reason)
    if facts.over_budget is not None:
        # Nobody knows whether a campaign will ever be given more; a day ends.
        ends = next_day(facts.now) if facts.over_budget is Reason.DAY_BUDGET else None
        yield Defer(facts.over_budget, ends)
    if reason := _length_objection(facts):
        yield Suppress(reason)


def _consent_objection(facts: GateFacts) -> Reason | None:
    if facts.message_class is MessageClass.REPLY:
        may_follow_an_opt_out = facts.answers in (Answers.OPT_OUT, Answers.HELP)
        return Reason.OPTED_OUT if facts.contact.is_opted_out and not may_follow_an_opt_out else None
    if facts.scope and facts.contact.is_opted_out_of(facts.scope):
        return Reason.OPTED_OUT
    state = facts.contact.consents.get(facts.scope) if facts.scope else None
    if facts.consent_rule is not ConsentRule.RECORDED and facts.message_class is MessageClass.TRANSACTIONAL:
        return None
    if state is ConsentState.PENDING and facts.consent_rule is not ConsentRule.ASKING:
        return Reason.PENDING_CONFIRMATION
    if facts.consent_rule is ConsentRule.RECORDED and state is not ConsentState.ACTIVE:
        return Reason.NO_CONSENT
    return None


def _quiet_hours_objection(facts: GateFacts) -> Objection | None:
    if facts.hours is None:
        return Suppress(Reason.TIME_ZONE_UNKNOWN)
    # What leaves a moment before quiet hours is not to arrive in them.
    leaves_by = facts.now + LEAVES_WITHIN
    is_open = facts.hours.is_open(facts.now)
    if is_open and facts.hours.is_open(leaves_by):
        return None
    until = facts.hours.next_open(leaves_by if is_open else facts.now)
    if until is None:
        return Suppress(Reason.TIME_ZONE_UNKNOWN)
    if facts.expires_at is not None and until >= facts.expires_at:
        return Suppress(Reason.EXPIRES_IN_QUIET_HOURS)
    return Defer(Reason.QUIET_HOURS, until)


def _capped_until(facts: GateFacts) -> datetime | None:
    return facts.frequency_cap.blocked_until(facts.contact.recent_texts, facts.key, facts.now)


def _country_objection(facts: GateFacts) -> Reason | None:
    if facts.country is None:
        return Reason.COUNTRY_UNKNOWN
    return None if facts.country in facts.allowed_countries else Reason.COUNTRY_NOT_ALLOWED


def _length_objection(facts: GateFacts) -> Reason | None:
    if facts.measured.parts == 0:
        return Reason.EMPTY_BODY
    too_long = facts.measured.parts > facts.max_parts or exceeds_cap(facts.measured)
    return Reason.TOO_MANY_PARTS if too_long else None
