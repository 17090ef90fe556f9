"""The canonical event: what ingest puts onto the stream and every consumer reads.

One JSON object a Kinesis record; the partition key is ``subscriber_id``. The vocabulary of event types is
that of Amazon Pinpoint's event stream, which ended on 2026-10-30 and lives on as this contract (AWS, *Event
stream: SMS events*); ``_SMS.RECEIVED`` is ours.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

SCHEMA_VERSION: Final = 1
"""Version of the canonical event. A consumer sets aside what has a higher one."""

MAX_EVENT_BYTES: Final = 128 * 1024
"""The largest event that is read. Kinesis takes records of ten megabytes (AWS, *Quotas and limits*); an event
has at most 1,600 characters of text and a dozen ids, and its parts have to fit into rows of 400 KB."""

MILLICENTS_PER_USD: Final = 100_000

LATEST_TIMESTAMP: Final = 253_402_300_799_999
"""The last millisecond of the year 9999, the last that ``datetime`` can hold."""


class EventType(StrEnum):
    """Kind of a canonical event."""

    SUCCESS = "_SMS.SUCCESS"
    """A text was delivered, or is final as far as its carrier tells."""
    FAILURE = "_SMS.FAILURE"
    """A text was not delivered."""
    BUFFERED = "_SMS.BUFFERED"
    """A text is on its way."""
    OPTOUT = "_SMS.OPTOUT"
    """A person opted out."""
    RECEIVED = "_SMS.RECEIVED"
    """An inbound text."""


OUTCOMES: Final = frozenset({EventType.SUCCESS, EventType.FAILURE})
"""What ends a text. A message is counted once as one of them, however many events tell of it."""


class SetAside(StrEnum):
    """Why something is kept in the quarantine instead of being counted."""

    NOT_BASE64 = "NOT_BASE64"
    NOT_JSON = "NOT_JSON"
    TOO_LARGE = "TOO_LARGE"
    """More than :data:`MAX_EVENT_BYTES`."""
    FUTURE_SCHEMA = "FUTURE_SCHEMA"
    UNKNOWN_SHAPE = "UNKNOWN_SHAPE"
    """JSON, and none of the shapes that are known, or with a field of the wrong kind."""
    UNKNOWN_EVENT_TYPE = "UNKNOWN_EVENT_TYPE"
    NOT_A_TEXT = "NOT_A_TEXT"
    """Voice, media, RCS, e-mail: another channel on the same topic."""
    NO_MESSAGE_ID = "NO_MESSAGE_ID"
    NO_TIMESTAMP = "NO_TIMESTAMP"
    CLOCK_AHEAD = "CLOCK_AHEAD"
    """The event's own time lies more than a day in the future."""
    NO_SUBSCRIBER = "NO_SUBSCRIBER"
    """Neither a phone number nor a message that is known tells whose event this is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CanonicalEvent:
    """One event, as it lies on the stream.

    Attributes
    ----------
    event_id
        The same for every delivery of the same event: the inbound message id, with ``/optout`` for the
        opt-out that the text was; else ``<message id>/<type>/<record status>``.
    event_timestamp, arrival_timestamp
        Epoch milliseconds: when it happened, and when it reached us.
    subscriber_id
        Keyed hash of the phone number; the partition key.
    phone_number
        E.164: the recipient, or the writer of an inbound text.
    message_id
        Of the text, or of the inbound text.
    campaign_id, journey_id
        Of the text; of an inbound text those of the text that it answers.
    record_status
        ``DELIVERED``, ``CARRIER_BLOCKED``, …: the service's own word.
    message_type
        ``TRANSACTIONAL`` or ``PROMOTIONAL``.
    country_code
        ISO 3166-1 alpha-2.
    price_millicents
        Thousandths of a US cent; one dollar is 100,000.
    parts
        Message parts.
    response_text, keyword
        Of an inbound text: its body, and ``messageKeyword``.
    origination
        Our number, or what the text was sent from.
    counted_as, counted_at, counted_price_millicents
        How the message was counted before this event came, where another event has ended it already: as which
        event type, at what time (epoch ms) and price. Set by ingest, which alone remembers messages; None for
        the first. See ``counting``.
    """

    event_type: str
    event_id: str
    event_timestamp: int
    arrival_timestamp: int
    subscriber_id: str
    phone_number: str | None = None
    message_id: str | None = None
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
    counted_as: str | None = None
    counted_at: int | None = None
    counted_price_millicents: int | None = None
    schema_version: int = SCHEMA_VERSION


def delivery_event_id(message_id: str, event_type: str, record_status: str | None) -> str:
    """Return the id of a delivery event: two receipts that say the same of a message are one event."""
    return f"{message_id}/{event_type.removeprefix('_SMS.')}/{record_status or ''}"


def opt_out_event_id(inbound_id: str) -> str:
    """Return the id of the opt-out that an inbound text was."""
    return f"{inbound_id}/optout"
