"""Contacts with their consent, from a file: what a line says, and what it does to a contact.

A file is somebody's word for what people said elsewhere. It adds consent where nobody has said anything to
us, and changes nothing of what people said themselves: an opt-out stands whenever it was, and so does a
question that waits for its answer. An opt-out in a file counts for everything, as STOP does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Final

from sms_engagement_runtime.channel.domain.consent import (
    ALL_SCOPES,
    Change,
    ConsentState,
    Contact,
    Evidence,
    Scope,
    Source,
    grant,
    opt_out,
    replace_contact,
)
from sms_engagement_runtime.channel.domain.errors import InvalidPhoneNumberError
from sms_engagement_runtime.channel.domain.phone_number import NumberKind, PhoneNumber
from sms_engagement_runtime.channel.domain.ports import PhoneNumberParser
from sms_engagement_runtime.channel.domain.reasons import Reason

COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "phone": ("phone", "phonenumber", "mobile", "msisdn"),
    "scopes": ("scope", "scopes"),
    "state": ("state", "status", "consent"),
    "source": ("source", "consentsource"),
    "date": ("date", "consentdate", "consentedat"),
    "wording": ("wording", "consentwording", "words"),
    "name": ("name", "fullname"),
    "locale": ("locale", "language"),
    "time_zone": ("timezone", "tz"),
    "user_id": ("userid", "customerid", "id"),
}
"""Columns, and how their headers may be spelled: case, spaces, hyphens and underscores make no difference."""

REQUIRED: Final = ("phone", "source", "date")

LONGEST: Final = 2_000
"""Characters of a value. The wording of a consent is a sentence or two."""

_CLOCK_SKEW: Final = timedelta(minutes=5)
_EARLIEST: Final = datetime(1990, 1, 1, tzinfo=UTC)
"""Before the first text message: a year that somebody mistyped, or an empty cell of a spreadsheet."""


class BadLine(StrEnum):
    """Why a line cannot be used. Never holds what the line says."""

    NO_PHONE = "NO_PHONE"
    INVALID_PHONE = "INVALID_PHONE"
    LANDLINE = "LANDLINE"
    NO_DATE = "NO_DATE"
    BAD_DATE = "BAD_DATE"
    """Neither ``2026-03-01`` nor ``2026-03-01T14:05:00Z``; other notations mean two days each."""
    FUTURE_DATE = "FUTURE_DATE"
    NO_SOURCE = "NO_SOURCE"
    NO_WORDING = "NO_WORDING"
    """Consent without what was consented to is no proof."""
    UNKNOWN_SCOPE = "UNKNOWN_SCOPE"
    NO_SCOPE = "NO_SCOPE"
    UNKNOWN_STATE = "UNKNOWN_STATE"
    TOO_LONG = "TOO_LONG"
    WRONG_ENCODING = "WRONG_ENCODING"
    COLUMNS = "COLUMNS"
    """More cells than the header has."""


class Outcome(StrEnum):
    """What a line does, or why nothing."""

    GRANTED = "GRANTED"
    OPTED_OUT = "OPTED_OUT"
    UNCHANGED = "UNCHANGED"
    """The contact has that state already."""
    DUPLICATE = "DUPLICATE"
    """An earlier line of the file says the same."""
    KEPT_OPT_OUT = "KEPT_OPT_OUT"
    """Opted out with us: only their START ends that."""
    ON_OPT_OUT_LIST = "ON_OPT_OUT_LIST"
    """AWS refuses every text to them."""
    PENDING_CONFIRMATION = "PENDING_CONFIRMATION"
    """Asked by us to confirm: their answer decides."""
    OVERTAKEN = "OVERTAKEN"
    """Came back after the opt-out of the file."""
    ERASED = "ERASED"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportLine:
    """A line that can be used.

    Attributes
    ----------
    state
        ACTIVE or OPTED_OUT.
    evidence
        ``source`` is ``import:`` and the file's; ``message_id`` is made of what the line says, so that a file
        that is imported again changes nothing.
    """

    phone_number: PhoneNumber
    scopes: tuple[Scope, ...]
    state: ConsentState
    evidence: Evidence
    name: str | None = None
    locale: str | None = None
    time_zone: str | None = None
    user_id: str | None = None


def columns_of(header: list[str]) -> Mapping[str, int]:
    """Find the columns.

    Raises
    ------
    ValueError
        One that is needed is missing, or there twice; unknown ones are passed over.
    """
    names = {spelling: column for column, spellings in COLUMNS.items() for spelling in spellings}
    found: dict[str, int] = {}
    for place, title in enumerate(header):
        column = names.get("".join(c for c in title.casefold() if c.isalnum()))
        if column is None:
            continue
        if column in found:
            raise ValueError(f"the header has the column {column} twice, as {title!r} too")
        found[column] = place
    missing = [column for column in REQUIRED if column not in found]
    if missing:
        raise ValueError(
            f"the header lacks {', '.join(missing)}; needed are {', '.join(REQUIRED)}, "
            "and wording for consent"
        )
    return found


def read_line(
    cells: Mapping[str, str], *, parser: PhoneNumberParser, scopes: tuple[Scope, ...], now: datetime
) -> ImportLine | BadLine:
    """Read a line.

    Parameters
    ----------
    cells
        By column.
    scopes
        Of lines that name none; may be empty.
    """
    values = {column: cell.strip() for column, cell in cells.items()}
    if any(len(value) > LONGEST for value in values.values()):
        return BadLine.TOO_LONG
    number = _number(values.get("phone"), parser)
    if isinstance(number, BadLine):
        return number
    state = _state(values.get("state", ""))
    if isinstance(state, BadLine):
        return state
    at = _instant(values.get("date", ""), now)
    if isinstance(at, BadLine):
        return at
    source, wording = values.get("source", ""), values.get("wording", "")
    if not source:
        return BadLine.NO_SOURCE
    if not wording and state is ConsentState.ACTIVE:
        return BadLine.NO_WORDING
    chosen = _scopes(values.get("scopes", ""), scopes, state)
    if isinstance(chosen, BadLine):
        return chosen
    said = "\x1f".join((number.e164, state, at.isoformat(), source, wording, *chosen))
    return ImportLine(
        phone_number=number,
        scopes=chosen,
        state=state,
        evidence=Evidence(
            source=f"{Source.IMPORT}:{source}",
            words=wording,
            message_id=f"import#{sha256(said.encode()).hexdigest()[:32]}",
            at=at,
        ),
        name=values.get("name") or None,
        locale=values.get("locale") or None,
        time_zone=values.get("time_zone") or None,
        user_id=values.get("user_id") or None,
    )


def apply_line(contact: Contact, line: ImportLine, *, is_listed: bool) -> Change | Outcome:
    """Say what a line makes of a contact; an outcome where it makes nothing of it.

    Parameters
    ----------
    is_listed
        Whether the service has the number on its opt-out list.
    """
    if contact.is_erased:
        return Outcome.ERASED
    if line.state is ConsentState.OPTED_OUT:
        came_back = contact.resubscribed_at
        if came_back is not None and came_back >= line.evidence.at:
            return Outcome.OVERTAKEN
        change = opt_out(contact, line.evidence)
    else:
        if contact.is_opted_out:
            return Outcome.KEPT_OPT_OUT
        if is_listed:
            return Outcome.ON_OPT_OUT_LIST
        change = grant(contact, line.evidence, scopes=line.scopes)
        if change is None and any(contact.consents.get(s) is ConsentState.PENDING for s in line.scopes):
            return Outcome.PENDING_CONFIRMATION
    if change is None:
        return Outcome.UNCHANGED
    return replace_contact(change, phone_number=contact.phone_number or line.phone_number)


def _number(raw: str | None, parser: PhoneNumberParser) -> PhoneNumber | BadLine:
    try:
        parsed = parser.parse(raw)
    except InvalidPhoneNumberError as error:
        return BadLine.NO_PHONE if error.reason is Reason.NO_PHONE else BadLine.INVALID_PHONE
    return BadLine.LANDLINE if parsed.kind is NumberKind.LANDLINE else parsed.number


_STATES: Final = {
    "": ConsentState.ACTIVE,
    "active": ConsentState.ACTIVE,
    "optedin": ConsentState.ACTIVE,
    "subscribed": ConsentState.ACTIVE,
    "optedout": ConsentState.OPTED_OUT,
    "unsubscribed": ConsentState.OPTED_OUT,
}


def _state(raw: str) -> ConsentState | BadLine:
    return _STATES.get("".join(c for c in raw.casefold() if c.isalnum()), BadLine.UNKNOWN_STATE)


def _scopes(raw: str, default: tuple[Scope, ...], state: ConsentState) -> tuple[Scope, ...] | BadLine:
    if state is ConsentState.OPTED_OUT:
        return ALL_SCOPES
    names = raw.casefold().replace(";", " ").replace(",", " ").replace("|", " ").split()
    if not names:
        return default or BadLine.NO_SCOPE
    if names == ["all"]:
        return ALL_SCOPES
    try:
        named = {Scope(name) for name in names}
    except ValueError:
        return BadLine.UNKNOWN_SCOPE
    return tuple(scope for scope in ALL_SCOPES if scope in named)


def _instant(raw: str, now: datetime) -> datetime | BadLine:
    if not raw:
        return BadLine.NO_DATE
    try:
        at = datetime.fromisoformat(raw)
    except ValueError:
        return BadLine.BAD_DATE
    try:
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (OverflowError, ValueError):
        return BadLine.BAD_DATE
    if at < _EARLIEST:
        return BadLine.BAD_DATE
    return BadLine.FUTURE_DATE if at > now + _CLOCK_SKEW else at
