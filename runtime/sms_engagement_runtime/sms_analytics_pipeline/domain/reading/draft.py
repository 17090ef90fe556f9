"""What a reader finds in a payload, and the values that payloads spell in several ways.

Every function here takes any JSON value and raises for none.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from sms_engagement_runtime.channel.domain.keywords import MAX_CHARACTERS
from sms_engagement_runtime.sms_analytics_pipeline.domain.events import LATEST_TIMESTAMP, SetAside

LONGEST_ID: Final = 512
"""The longest message id that is read; ids of the services have about 40 characters."""

LONGEST_NAME: Final = 800
"""The longest value of ``Context``, in which campaign and journey travel (AWS, *SendTextMessage*)."""

LONGEST_WORD: Final = 100
"""The longest status, keyword and the like."""

LONGEST_BODY: Final = MAX_CHARACTERS

CLOCK_TOLERANCE_MS: Final = 24 * 3_600_000
"""How far ahead of its arrival an event may say that it happened."""

_EARLIEST_TIMESTAMP: Final = 1_000_000_000_000
"""9 September 2001. A smaller figure is no time in milliseconds: seconds, most likely."""

_MOST_MILLICENTS: Final = 100_000_000
"""A thousand dollars. ``MaxPrice`` of a message part is under a hundred (AWS, *SendTextMessage*)."""

_MOST_PARTS: Final = 1_000

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_DIGITS: Final = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,9})?")
_SUBSCRIBER: Final = re.compile(r"[!-~]{1,128}")
_COUNTRY: Final = re.compile(r"[A-Za-z]{2}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An event as a payload tells it. Whose it is has still to be found out.

    Attributes
    ----------
    phone
        The person's number as the payload spells it; None where it does not say.
    subscriber_id
        Where the payload says it: canonical events.
    answers
        ``previousPublishedMessageId`` of an inbound text: the message that it answers, as far as the service
        knows.
    is_to_attribute
        Whether campaign and journey have to be looked up: those of an inbound text are those of the text that
        it answers.

    The others are those of ``CanonicalEvent``.
    """

    event_type: str
    event_id: str
    message_id: str
    event_timestamp: int
    arrival_timestamp: int
    phone: str | None = None
    subscriber_id: str | None = None
    campaign_id: str | None = None
    journey_id: str | None = None
    record_status: str | None = None
    message_type: str | None = None
    country_code: str | None = None
    price_millicents: int | None = None
    parts: int | None = None
    response_text: str | None = None
    keyword: str | None = None
    origination: str | None = None
    answers: str | None = None
    is_to_attribute: bool = False


type Payload = Mapping[Any, Any]
"""A JSON object."""


@dataclass(frozen=True, slots=True)
class Occasion:
    """Which message something happened to, and when."""

    message_id: str
    at: int


def occasion_of(message_id: object, at: object, received_at_ms: int) -> Occasion | SetAside:
    """Read what every event must have.

    Parameters
    ----------
    message_id, at
        As they are in the payload.
    received_at_ms
        Epoch milliseconds.
    """
    if message_id is None or message_id == "":
        return SetAside.NO_MESSAGE_ID
    known = identifier(message_id)
    if known is None:
        return SetAside.UNKNOWN_SHAPE
    milliseconds = instant(at)
    if milliseconds is None:
        return SetAside.NO_TIMESTAMP
    if is_ahead(milliseconds, received_at_ms):
        return SetAside.CLOCK_AHEAD
    return Occasion(known, milliseconds)


def is_ahead(at: int, received_at_ms: int) -> bool:
    """Whether an event says that it happened long after it came."""
    return at > received_at_ms + CLOCK_TOLERANCE_MS


def text(value: object, longest: int = LONGEST_WORD) -> str | None:
    """Return a text that can be stored, cut to its longest; None for what is none, and for an empty one.

    Half of a surrogate pair, as a cut text ends with, becomes U+FFFD: JSON can spell it, and no request to a
    service can hold it.
    """
    if not isinstance(value, str) or not value:
        return None
    return value[:longest].encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def identifier(value: object) -> str | None:
    """Return an id; None for what is none. Never cut, since two ids must not become one."""
    if not isinstance(value, str) or not value.strip() or len(value) > LONGEST_ID:
        return None
    return text(value, LONGEST_ID)


def subscriber(value: object) -> str | None:
    """Return a subscriber id; None for what cannot be one.

    It is the partition key of the stream, which has at most 256 characters (Amazon Kinesis Data Streams,
    *PutRecordsRequestEntry*): one that is longer would have all be refused that is put together with it.
    """
    return value if isinstance(value, str) and _SUBSCRIBER.fullmatch(value) else None


def name(value: object) -> str | None:
    """Return the name of a campaign or journey."""
    found = text(value, LONGEST_NAME)
    return found if found and found.strip() else None


def instant(value: object) -> int | None:
    """Return epoch milliseconds of a time that is spelled as milliseconds or in ISO 8601; None for no time.

    A time without zone is UTC, as those of Amazon SNS are (developer guide, *Viewing Amazon CloudWatch
    metrics and logs for SMS deliveries*).
    """
    milliseconds: int
    if isinstance(value, str):
        if _DIGITS.fullmatch(value):
            milliseconds = int(Decimal(value))
        else:
            try:
                at = datetime.fromisoformat(value)
                at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
                milliseconds = (at - _EPOCH) // _MILLISECOND
            except (ValueError, OverflowError):
                return None
    else:
        figure = number(value)
        if figure is None or not 0 <= figure <= LATEST_TIMESTAMP:
            return None
        milliseconds = int(figure)
    return milliseconds if _EARLIEST_TIMESTAMP <= milliseconds <= LATEST_TIMESTAMP else None


def number(value: object) -> Decimal | None:
    """Return a figure that is spelled as number or text; None for what is none, not finite, or endless."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        return None
    try:
        # A float is read by its shortest decimal form, which is what the sender wrote. More than a few digits
        # are no figure of ours, and work.
        spelled = str(value)
        figure = Decimal(spelled) if len(spelled) <= LONGEST_WORD else None
    except (InvalidOperation, ValueError):
        # Python refuses to spell integers of more than 4,300 digits.
        return None
    return figure if figure is not None and figure.is_finite() else None


def millicents(value: object, *, per_unit: int) -> int | None:
    """Return a price in whole thousandths of a US cent; None for what no text can cost.

    Parameters
    ----------
    per_unit
        Millicents in one unit of the value: 100,000 of a dollar, 1 of a millicent.
    """
    figure = number(value)
    if figure is None or not 0 <= figure <= _MOST_MILLICENTS:
        return None
    price = int((figure * per_unit).to_integral_value())
    return price if price <= _MOST_MILLICENTS else None


def parts(value: object) -> int | None:
    """Return a count of message parts."""
    figure = number(value)
    return int(figure) if figure is not None and 1 <= figure <= _MOST_PARTS else None


def country(value: object) -> str | None:
    """Return an ISO 3166-1 alpha-2 code in upper case."""
    return value.upper() if isinstance(value, str) and _COUNTRY.fullmatch(value) else None


def message_type(value: object) -> str | None:
    """Return ``TRANSACTIONAL`` or ``PROMOTIONAL``, whichever way it is spelled."""
    spelled = value.upper() if isinstance(value, str) and len(value) <= LONGEST_WORD else None
    return spelled if spelled in {"TRANSACTIONAL", "PROMOTIONAL"} else None
