"""Who may be texted about what: the contact row, its transitions, and the append-only proof of each.

A transition never half-happens: it gives the new row together with the records that prove it, and both are
saved in one write.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber

PENDING_LASTS: Final = timedelta(days=30)
"""How long a request to confirm can be answered. A YES after that is a text like any other."""

_MARK_LENGTH: Final = 11


class Scope(StrEnum):
    """What a person consents to."""

    MARKETING = "marketing"
    APPOINTMENTS = "appointments"
    REVIEWS = "reviews"


ALL_SCOPES: tuple[Scope, ...] = tuple(Scope)


class ConsentState(StrEnum):
    """State of one scope. A scope without a state was never spoken about."""

    PENDING = "PENDING"
    """Asked to confirm, no answer yet."""
    ACTIVE = "ACTIVE"
    OPTED_OUT = "OPTED_OUT"
    """Left by ``START`` or ``UNSTOP`` only."""


class Source(StrEnum):
    """Where a consent record comes from."""

    INBOUND_MESSAGE = "inbound-message"
    CARRIER = "carrier"
    """The service refused a text because the number is on its or the carrier's list."""
    CONFIRMATION_REQUEST = "confirmation-request"
    """A text of ours asks the person to confirm."""
    ERASURE = "erasure"
    """The person was erased, which ends every consent."""
    OPT_OUT_LIST = "opt-out-list"
    """The number was found on the service's opt-out list, where the account had put it."""
    PROVIDER_EVENT = "provider-event"
    """An event of the service or of an earlier system tells of an opt-out (``_SMS.OPTOUT``)."""
    IMPORT = "import"
    """A file of contacts with their consent; the words of the person, or of the form, are in the record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What proves a change of consent.

    Attributes
    ----------
    words
        The exact words of the person, the service's reason code, or the name of the text that asks.
    message_id
        The inbound message id, or the ledger key of the text that was refused or that asks. Unique a change,
        and what makes it idempotent.
    at
        When it was received, aware UTC.
    """

    source: str
    words: str
    message_id: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """What we know about a phone number.

    Attributes
    ----------
    version
        Counts the writes of the row; 0 means that there is no row yet.
    phone_number
        Kept for the daily comparison with the service's opt-out list; None where the row was never written
        with it.
    opted_out_by
        ``Source`` of the opt-out in force, None where there is none.
    opted_out_at, resubscribed_at
        When the words of the last opt-out, and of the last ``START`` that ended one, were received. They
        order keywords that are delivered late.
    pending_since
        When the person was last asked to confirm; None where nobody wrote it down, which never expires.
    changed_by
        ``Evidence.message_id`` of the last change. A redelivered inbound message recognises its own change by
        it and goes on with its next step.
    recent_texts
        When promotional texts were claimed, by ledger key: those of the last period of the frequency cap, and
        perhaps older ones.
    introduced_at, introduced_by
        When the person was told who speaks and how to opt out, and the ledger key of the text that did; None
        before that.
    erased_at
        When the person was erased: the row is their tombstone then, without a phone number, and nothing that
        anybody says changes it any more. None for everybody else.
    sent_before_erasure
        Marks of the texts that went out, or may have, before the person was erased (`sent_mark`): their rows
        of the ledger are gone, and whoever comes back is not sent the same again.

    Notes
    -----
    ``recent_texts``, ``introduced_at`` and ``introduced_by`` are written by the claims of texts alone. They
    do not count as versions, which are what a person said, or what was said about them.
    """

    subscriber_id: str
    version: int = 0
    consents: Mapping[Scope, ConsentState] = field(default_factory=dict)
    phone_number: PhoneNumber | None = None
    opted_out_by: str | None = None
    opted_out_at: datetime | None = None
    resubscribed_at: datetime | None = None
    pending_since: datetime | None = None
    changed_by: str | None = None
    recent_texts: Mapping[str, datetime] = field(default_factory=dict)
    introduced_at: datetime | None = None
    introduced_by: str | None = None
    erased_at: datetime | None = None
    sent_before_erasure: frozenset[str] = frozenset()

    @property
    def is_erased(self) -> bool:
        """Whether the row is the tombstone of an erased person, who is never texted again."""
        return self.erased_at is not None

    @property
    def is_opted_out(self) -> bool:
        """Whether any scope is opted out; the service's list then blocks every text."""
        return ConsentState.OPTED_OUT in self.consents.values()

    @property
    def has_left(self) -> bool:
        """Whether every scope that was ever spoken about is opted out.

        Such a number belongs on the service's opt-out list, which knows no scopes, and no other does.
        """
        return set(self.consents.values()) == {ConsentState.OPTED_OUT}

    def is_opted_out_of(self, scope: Scope) -> bool:
        """Whether a scope is opted out, by its state or by an opt-out of everything.

        Who opted out of everything that there was has left what was added since, too.
        """
        states = {self.consents[scope]} if scope in self.consents else set(self.consents.values())
        return states == {ConsentState.OPTED_OUT}

    def needs_introduction(self, key: str) -> bool:
        """Whether no text but, at most, an earlier attempt at the one with this key has told who speaks."""
        return self.introduced_at is None or self.introduced_by == key

    @property
    def is_pending(self) -> bool:
        """Whether the person was asked to confirm and is not opted out."""
        return not self.is_opted_out and ConsentState.PENDING in self.consents.values()

    def is_pending_at(self, at: datetime) -> bool:
        """Whether a YES of this instant confirms: the person was asked, and not too long ago."""
        is_recent = self.pending_since is None or at < self.pending_since + PENDING_LASTS
        return self.is_pending and is_recent


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentRecord:
    """One line of the append-only consent ledger: one scope that came into one state."""

    subscriber_id: str
    scope: Scope
    state: ConsentState
    source: str
    words: str
    message_id: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A transition: the row as it shall be and its proof. Saved in one write."""

    contact: Contact
    records: tuple[ConsentRecord, ...]


def opt_out(contact: Contact, evidence: Evidence, *, scopes: Iterable[Scope] = ALL_SCOPES) -> Change | None:
    """Opt a contact out, of everything unless told otherwise.

    Where it is out already, words of the person that came later than what it went out by move the instant of
    the opt-out, and nothing else: a START from between the two may come after both, and must not end what
    was asked for again. None where that does not apply either, and for whoever was erased.
    """
    if contact.is_erased:
        return None
    moved = [scope for scope in scopes if contact.consents.get(scope) is not ConsentState.OPTED_OUT]
    if not moved:
        return _repeat(contact, evidence)
    changed = _move(contact, moved, ConsentState.OPTED_OUT, evidence)
    return replace_contact(changed, opted_out_by=evidence.source, opted_out_at=evidence.at)


def _repeat(contact: Contact, evidence: Evidence) -> Change | None:
    said_before = contact.opted_out_by == Source.INBOUND_MESSAGE and (
        contact.opted_out_at is not None and contact.opted_out_at >= evidence.at
    )
    if evidence.source != Source.INBOUND_MESSAGE or said_before:
        return None
    # `changed_by` stays: the first of them is the one that is confirmed.
    return Change(
        contact=replace(contact, opted_out_by=evidence.source, opted_out_at=evidence.at), records=()
    )


def confirm(contact: Contact, evidence: Evidence) -> Change | None:
    """Make what is pending active.

    None where nothing is pending or not any more (`PENDING_LASTS`), or any scope is opted out, and for
    whoever was erased.
    """
    if contact.is_erased or not contact.is_pending_at(evidence.at):
        return None
    pending = [scope for scope, state in contact.consents.items() if state is ConsentState.PENDING]
    changed = _move(contact, pending, ConsentState.ACTIVE, evidence)
    return replace_contact(changed, pending_since=None)


def ask_to_confirm(contact: Contact, evidence: Evidence, *, scope: Scope = Scope.MARKETING) -> Change | None:
    """Make a scope pending: a text asks the person to confirm it. Asked again, the time begins anew.

    None where the person has confirmed it, where any scope is opted out, and where this very text has asked
    already, and for whoever was erased. What was active, or left, is never put in question by a text of ours.
    """
    is_settled = contact.consents.get(scope) is ConsentState.ACTIVE
    if contact.is_erased or contact.is_opted_out or is_settled or contact.changed_by == evidence.message_id:
        return None
    changed = _move(contact, [scope], ConsentState.PENDING, evidence)
    return replace_contact(changed, pending_since=evidence.at)


def resubscribe(contact: Contact, evidence: Evidence) -> Change | None:
    """End an opt-out: every scope that is out becomes active. None where none is.

    None, too, for whoever was erased: the words of a phone do not show that it still is the same person's.
    """
    if contact.is_erased:
        return None
    out = [scope for scope, state in contact.consents.items() if state is ConsentState.OPTED_OUT]
    if not out:
        return None
    changed = _move(contact, out, ConsentState.ACTIVE, evidence)
    return replace_contact(changed, opted_out_by=None, resubscribed_at=evidence.at)


def grant(contact: Contact, evidence: Evidence, *, scopes: Iterable[Scope]) -> Change | None:
    """Record a consent that was given elsewhere, for scopes that nobody has spoken about with us.

    None where there is nothing to record, where any scope is opted out, and for whoever was erased: what
    people said themselves is never overridden by what is said about them.
    """
    if contact.is_erased or contact.is_opted_out:
        return None
    new = [scope for scope in scopes if scope not in contact.consents]
    return _move(contact, new, ConsentState.ACTIVE, evidence) if new else None


def erase(contact: Contact, at: datetime) -> Contact:
    """Make the tombstone of a person: what of their row stays.

    Neither the phone number nor what they said and when, nor which message said it. Every scope is opted out,
    so that a reader that knows nothing of tombstones refuses, too. Erased twice is erased at the first time.
    """
    return Contact(
        subscriber_id=contact.subscriber_id,
        version=contact.version,
        consents=dict.fromkeys(ALL_SCOPES, ConsentState.OPTED_OUT),
        opted_out_by=Source.ERASURE,
        erased_at=contact.erased_at or at,
        sent_before_erasure=contact.sent_before_erasure,
    )


def sent_mark(key: str) -> str:
    """Return what is kept of a ledger key when its row is erased.

    The key is a hash already; 66 of its bits tell a person's texts apart (one in 10**14 by chance, for a
    thousand of them), and a row of ten thousand marks stays far below DynamoDB's 400 KB.
    """
    return key[:_MARK_LENGTH]


def _move(contact: Contact, scopes: Sequence[Scope], state: ConsentState, evidence: Evidence) -> Change:
    return Change(
        contact=replace(
            contact,
            consents={**contact.consents, **dict.fromkeys(scopes, state)},
            changed_by=evidence.message_id,
        ),
        records=tuple(
            ConsentRecord(
                subscriber_id=contact.subscriber_id,
                scope=scope,
                state=state,
                source=evidence.source,
                words=evidence.words,
                message_id=evidence.message_id,
                at=evidence.at,
            )
            for scope in scopes
        ),
    )


def replace_contact(change: Change, **fields: object) -> Change:
    """Give the change another row, with these fields replaced."""
    return replace(change, contact=replace(change.contact, **fields))  # type: ignore[arg-type]  # dataclasses.replace checks names
