"""Why somebody did or did not get a text: everything that is known of them in the order of time.

Works on rows as they are stored, as plain values: it explains what was decided, and decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sms_engagement_runtime.channel.domain.consent import PENDING_LASTS
from sms_engagement_runtime.channel.domain.keywords import Keyword, recognise
from sms_engagement_runtime.channel.domain.ledger import UNCERTAIN_AFTER, MessageState
from sms_engagement_runtime.channel.domain.reasons import Reason

type Row = Mapping[str, Any]
"""A row of any table as plain values."""

REASONS: Final[Mapping[str, tuple[str, str]]] = {
    Reason.ERASED: (
        "they were erased on request, and are never texted again",
        "nothing; docs/privacy.md tells how somebody may come back",
    ),
    Reason.SENT_BEFORE_ERASURE: (
        "they had this very text before they were erased",
        "nothing; they came back, and are texted about what is new",
    ),
    Reason.NO_LONGER_TRUE: (
        "what the text was about had ended: answered, cancelled or moved",
        "nothing; the text would have been wrong",
    ),
    Reason.EXPIRED: ("its useful time was over before it could go out", "send again what is still of use"),
    Reason.PAUSED: ("all sending is paused", "`sms-engagement status` says why, `resume` lets it go on"),
    Reason.QUIET_HOURS: (
        "it is not the hour for such texts where the person is or may be",
        "nothing; it goes out by itself in the next allowed hour",
    ),
    Reason.EXPIRES_IN_QUIET_HOURS: (
        "it would not have been of use any more in the next allowed hour",
        "start earlier in the day, or give the text a longer useful time",
    ),
    Reason.TIME_ZONE_UNKNOWN: (
        "nobody knows what time it is where the person is",
        "record a time zone for the person",
    ),
    Reason.FREQUENCY_CAP: (
        "they have had as many promotional texts lately as anybody gets",
        "nothing; it goes out by itself when the period is over",
    ),
    Reason.DAY_BUDGET: ("what may be spent in one day was spent", "wait for tomorrow, or raise the budget"),
    Reason.CAMPAIGN_BUDGET: ("what may be spent on this campaign was spent", "raise the campaign's budget"),
    Reason.OPTED_OUT: ("they opted out", "only they can end that, by texting START from their phone"),
    Reason.NO_CONSENT: (
        "recorded consent is required for such texts, and there is none",
        "ask them for it, and import it with its proof",
    ),
    Reason.PENDING_CONFIRMATION: (
        "they were asked to confirm their subscription, and have not answered",
        "only they can confirm, by answering YES",
    ),
    Reason.COUNTRY_UNKNOWN: ("the country of the number could not be told", "correct the number"),
    Reason.COUNTRY_NOT_ALLOWED: (
        "the channel does not send to the number's country",
        "add the country to allowed_countries, if texts may go there",
    ),
    Reason.EMPTY_BODY: ("there was nothing to send", "correct the text"),
    Reason.TOO_MANY_PARTS: (
        "the text needed more message parts than the channel allows",
        "shorten the text, or raise max_parts",
    ),
    Reason.NO_PHONE: ("there was no phone number", "record one"),
    Reason.INVALID_PHONE: ("the phone number is malformed or cannot exist", "correct the number"),
    Reason.LANDLINE: ("the number is a landline's", "record a mobile number"),
    Reason.DUPLICATE_PHONE: (
        "another customer has the same number, and was the one who was texted",
        "correct the record that has a number that is not theirs",
    ),
    Reason.INACTIVE: ("the customer is not active", "make the customer active, if that is wrong"),
    Reason.THROTTLED: (
        "the carrier was too busy, as often as it was asked",
        "nothing; it is tried again while it is of use",
    ),
    Reason.SLOT_MISSED: ("its place in the rate had passed", "nothing; it is tried again"),
    Reason.SENDING_DISABLED: (
        "AWS does not let the account send: spend limit, reputation or configuration",
        "raise the spend limit or clear the block with AWS",
    ),
    Reason.CARRIER_REFUSED: ("AWS refused this text for good", "look at the number and at the text"),
    Reason.OUTCOME_UNKNOWN: (
        "the call ended without an answer, so that it may have gone out",
        "ask the person before anything is sent again",
    ),
    Reason.CONTACT_CHANGED: ("what is known of them changed each time it was about to go out", "try again"),
    Reason.OPT_OUT_LIST_REFUSED: (
        "AWS keeps the number on its opt-out list, which it may leave once in 30 days",
        "wait until the 30 days are over, and let them text START again",
    ),
    Reason.WRONG_NUMBER: (
        "whoever has the number said that it is the wrong one",
        "correct the customer's number",
    ),
    # The ends of names of delivery events (AWS, *Event types for configuration sets*).
    "BLOCKED": ("the number is blocked for this sender", "nothing, as long as they block it"),
    "CARRIER_BLOCKED": ("their carrier blocked it", "ask AWS support, with the message id"),
    "CARRIER_UNREACHABLE": ("their carrier could not be reached", "send again what is still of use"),
    "INVALID": ("the number does not exist, or takes no texts", "correct the number"),
    "INVALID_MESSAGE": ("the carrier did not take the text as it was written", "correct the text"),
    "PROTECT_BLOCKED": ("the protect configuration blocks their country", "see allowed_countries"),
    "SPAM": ("their carrier took it for spam", "look at the text and its links"),
    "TTL_EXPIRED": ("the phone could not be reached while the text was of use", "send what is of use"),
    "UNKNOWN": ("the carrier never said what became of it", "ask the person"),
    "UNREACHABLE": ("the phone was off or out of reach", "send again what is still of use"),
    "DESTINATION_PHONE_NUMBER_OPTED_OUT": (
        "the number is on the opt-out list of AWS or its carrier",
        "only they can end that, by texting START from their phone",
    ),
}
"""Reason codes by why a text was not sent, after "because", and what can be done about it."""

_UNKNOWN_REASON: Final = "look the code up at AWS, or in the documentation of the system that sent"

_CONTACT_RECORD: Final = "contact"
_CONSENT: Final = "consent#"
_PROMPT: Final = "prompt#"

_SAID: Final = frozenset({Keyword.OPT_OUT, Keyword.START, Keyword.HELP, Keyword.CONFIRM})
_LONGEST_SHOWN: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing that happened.

    Attributes
    ----------
    what
        Kind: ``text``, ``consent``, ``question``, ``contact``, or what another system calls it.
    sentence
        In plain words, without a phone number or a name.
    reason
        Code of why a text was not sent, None for everything else.
    """

    at: datetime
    what: str
    sentence: str
    reason: str | None = None

    def to_json(self) -> dict[str, object]:
        """Return it as JSON has it."""
        told: dict[str, object] = {"at": self.at.isoformat(), "what": self.what, "sentence": self.sentence}
        return told if self.reason is None else told | {"reason": self.reason}


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """All that is known of a person, the earliest first, and what follows from it."""

    entries: Sequence[Entry]
    conclusion: str


@dataclass(frozen=True, slots=True)
class Words:
    """How what people wrote is shown.

    Attributes
    ----------
    is_masked
        Only what is a keyword is shown then; of everything else, how long it is.
    """

    is_masked: bool = True

    def shown(self, text: object) -> str:
        """Return a text for a sentence."""
        # What people send goes to a terminal: escape sequences must not, nor lines that look like ours.
        words = "".join(each if each.isprintable() else " " for each in str(text or "")).strip()
        if self.is_masked and not (len(words) <= _LONGEST_SHOWN and recognise(words) in _SAID):
            return f"({len(words)} characters, hidden)"
        return f"“{words}”"


@dataclass(frozen=True, slots=True)
class ChannelRows:
    """What the channel itself has of a person.

    Attributes
    ----------
    contacts
        Rows of the contacts table: the contact, consent records, questions.
    messages
        Rows of the ledger.
    """

    contacts: Sequence[Row] = field(default_factory=tuple)
    messages: Sequence[Row] = field(default_factory=tuple)

    @property
    def contact(self) -> Row | None:
        """The contact row."""
        return next((row for row in self.contacts if row.get("record") == _CONTACT_RECORD), None)


def timeline(
    rows: ChannelRows, *, now: datetime, words: Words | None = None, others: Iterable[Entry] = ()
) -> Timeline:
    """Put in order what the channel, and perhaps other systems, know of a person.

    Parameters
    ----------
    others
        Entries of other systems.
    """
    words = words or Words()
    entries = [
        *(entry for row in rows.contacts for entry in _of_contacts_row(row, words)),
        *(entry for row in rows.messages for entry in _of_text(row, now)),
        *others,
    ]
    entries.sort(key=lambda entry: entry.at)
    return Timeline(entries=entries, conclusion=conclude(rows, now))


def explained(reason: str) -> str:
    """Return a reason code with why that is: ``QUIET_HOURS: it is not the hour …``."""
    known = REASONS.get(reason)
    return reason if known is None else f"{reason}: {known[0]}"


def conclude(rows: ChannelRows, now: datetime) -> str:
    """Say in one sentence why the person got their last text, or did not, and what can be done."""
    contact = rows.contact or {}
    if contact.get("erasedAt") is not None:
        return _because(Reason.ERASED)
    texts = [row for row in rows.messages if row.get("construct") != "channel"] or list(rows.messages)
    if not texts:
        states = set((contact.get("consents") or {}).values())
        if "OPTED_OUT" in states:
            return _because(Reason.OPTED_OUT)
        return (
            "No text to this number was ever decided about: no system of this channel has meant to text it; "
            "check that the customer's record has this number, and that something was due for them."
        )
    last = max(texts, key=lambda row: _latest(row))
    return _conclusion(last, now)


def _latest(row: Row) -> int:
    return int(row.get("updatedAt") or row.get("claimedAt") or 0)


def _conclusion(row: Row, now: datetime) -> str:
    state, reason, text = row.get("state"), row.get("reason"), _named(row)
    at = instant(_latest(row))
    match state:
        case MessageState.SUPPRESSED:
            return _because(str(reason), text)
        case MessageState.DEFERRED:
            until = instant(row["deferredUntil"]) if row.get("deferredUntil") else None
            when = f" until {moment(until)}" if until else ""
            why, remedy = REASONS.get(str(reason), (str(reason), _UNKNOWN_REASON))
            return f"The last text ({text}) waits{when} because {why}; what can be done: {remedy}."
        case MessageState.DELIVERED:
            return f"The last text ({text}) was delivered at {moment(at)}; they have it."
        case MessageState.FAILED | MessageState.EXPIRED:
            why, remedy = REASONS.get(str(reason), (f"the service said {reason}", _UNKNOWN_REASON))
            return (
                f"The last text ({text}) was sent or offered, and not delivered, because {why}; what can be "
                f"done: {remedy}."
            )
        case MessageState.ACCEPTED:
            return (
                f"The last text ({text}) was taken by AWS at {moment(at)} and its carrier has not said yet "
                f"what became of it; that may take 72 hours."
            )
    if now - at > UNCERTAIN_AFTER:
        return _because(Reason.OUTCOME_UNKNOWN, text)
    return f"The last text ({text}) is going out at this moment; look again in a minute."


def _because(reason: str, text: str | None = None) -> str:
    why, remedy = REASONS.get(reason, (f"of {reason}", _UNKNOWN_REASON))
    subject = f"The last text ({text}) was not sent" if text else "They were not texted"
    return f"{subject} because {why}; what can be done: {remedy}."


def _of_contacts_row(row: Row, words: Words) -> Iterable[Entry]:
    record = str(row.get("record", ""))
    if record == _CONTACT_RECORD:
        yield from _of_contact(row)
    elif record.startswith(_CONSENT):
        proof = f", in the words {words.shown(row['words'])}" if row.get("words") else ""
        yield Entry(
            at=instant(row["at"]),
            what="consent",
            sentence=f"{row['scope']} became {row['state']}, by {row['source']}{proof}.",
        )
    elif record.startswith(_PROMPT):
        kind = "asked" if row.get("asks", True) else "was listening"
        answered = " It was answered." if row.get("answeredBy") else ""
        until = moment(instant(row["openUntil"]))
        yield Entry(
            at=instant(row["askedAt"]),
            what="question",
            sentence=f"{row['construct']} {kind} ({row['purpose']}), open until {until}.{answered}",
        )


def _of_contact(row: Row) -> Iterable[Entry]:
    told: Sequence[tuple[str, Callable[[datetime], str]]] = (
        ("erasedAt", lambda _: "They were erased; nothing is ever sent again."),
        ("introducedAt", lambda _: "A text told who speaks and how to opt out."),
        (
            "pendingSince",
            lambda at: f"They were asked to confirm; a YES counts until {moment(at + PENDING_LASTS)}.",
        ),
    )
    for name, sentence in told:
        if row.get(name) is not None:
            at = instant(row[name])
            yield Entry(at=at, what="contact", sentence=sentence(at))


def _of_text(row: Row, now: datetime) -> Iterable[Entry]:
    text, state, reason = _named(row), row.get("state"), row.get("reason")
    first, last = instant(row["claimedAt"]), instant(_latest(row))
    code = str(reason) if reason else None
    if state == MessageState.SUPPRESSED:
        yield Entry(
            at=last,
            what="text",
            sentence=f"{text}: the gate refused it, {explained(str(reason))}.",
            reason=code,
        )
        return
    if state == MessageState.DEFERRED:
        until = f" until {moment(instant(row['deferredUntil']))}" if row.get("deferredUntil") else ""
        sentence = f"{text}: it waits{until}, {explained(str(reason))}."
        yield Entry(at=last, what="text", sentence=sentence, reason=code)
        return
    parts = int(row.get("parts") or 0)
    yield Entry(
        at=first,
        what="text",
        sentence=f"{text}: the gate let it pass, and it was claimed to be sent, once ({_parts(parts)}).",
    )
    message = f", message {row['messageId']}" if row.get("messageId") else ""
    match state:
        case MessageState.CLAIMED if now - first > UNCERTAIN_AFTER:
            ending = f"nobody knows whether it went out, {explained(Reason.OUTCOME_UNKNOWN)}"
            code = Reason.OUTCOME_UNKNOWN.value
        case MessageState.CLAIMED:
            return
        case MessageState.ACCEPTED:
            ending = f"AWS took it{message}"
        case MessageState.DELIVERED:
            ending = f"delivered{message}"
        case _:
            ending = f"not delivered, {explained(str(reason))}{message}"
    yield Entry(at=last, what="text", sentence=f"{text}: {ending}.", reason=code)


def _named(row: Row) -> str:
    return f"{row.get('construct')}, {row.get('purpose')}"


def _parts(number: int) -> str:
    return f"{number} part" if number == 1 else f"{number} parts"


def instant(milliseconds: int) -> datetime:
    """Return epoch milliseconds as an instant."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(milliseconds))


def moment(at: datetime) -> str:
    """Return an instant as a sentence has it."""
    return f"{at:%Y-%m-%d %H:%M} UTC"
