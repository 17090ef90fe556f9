"""Payloads of booking providers: the samples, variations of them, and what must hold for whatever is read."""

import json
from collections.abc import Sequence
from copy import deepcopy
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from sms_engagement_runtime.appointment_follow_up.domain.bookings import (
    Booked,
    Booking,
    BookingEvent,
    Unusable,
)

EVENTS = Path(__file__).resolve().parents[1] / "events"

TEXTS = st.text(st.characters(exclude_categories=()), max_size=20)
"""Halves of surrogate pairs and control characters included."""

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


def sample(name: str) -> bytes:
    """A sample's bytes, as it would arrive."""
    return (EVENTS / f"{name}.json").read_bytes()


def varied(name: str, *changes: tuple[str, Any]) -> bytes:
    """A sample with other values at some paths, as ``payload.attendees.0.name``; ``...`` leaves one out."""
    document = json.loads(sample(name))
    for path, value in changes:
        put(document, path.split("."), value)
    return json.dumps(document).encode()


def put(document: Any, path: Sequence[str], value: Any) -> None:
    """Set, add or (``...``) remove what is at a path."""
    *above, last = path
    for step in above:
        document = document[int(step) if isinstance(document, list) else step]
    key: Any = int(last) if isinstance(document, list) else last
    if value is ...:
        del document[key]
    else:
        document[key] = value


def paths_of(document: Any) -> list[tuple[str, ...]]:
    """Path of everything in a document, but for itself."""
    members = document.items() if isinstance(document, dict) else enumerate(document)
    paths = []
    for key, value in members:
        paths.append((str(key),))
        if isinstance(value, dict | list):
            paths += [(str(key), *below) for below in paths_of(value)]
    return paths


def damaged(name: str) -> st.SearchStrategy[bytes]:
    """A sample with anything in place of up to three of its parts."""
    document = json.loads(sample(name))
    paths = paths_of(document)
    changes = st.lists(st.tuples(st.sampled_from(paths), ANY_JSON), min_size=1, max_size=3)

    def apply(chosen: list[tuple[tuple[str, ...], Any]]) -> bytes:
        changed = deepcopy(document)
        # The deepest first, so that no path leads into what was replaced.
        for path, value in sorted(chosen, key=lambda change: -len(change[0])):
            put(changed, path, value)
        return json.dumps(changed).encode()

    return changes.map(apply)


def check(result: Sequence[BookingEvent] | Unusable) -> None:
    """Whatever was read: a reason, or events that every later step can rely on."""
    if isinstance(result, Unusable):
        return
    assert len(result) in (1, 2)
    assert (
        len({event.key for event in result}) == len({event.appointment_id for event in result}) == len(result)
    )
    for event in result:
        assert 0 < len(event.key) <= 64
        assert event.key.isascii()
        assert event.at.utcoffset() == timedelta()
        if isinstance(event, Booked):
            check_booking(event.booking)
    assert all(not isinstance(event, Booked) for event in result[:-1])


def check_booking(booking: Booking) -> None:
    """Instants in UTC, in their order, and texts that any service takes."""
    for instant in (booking.booked_at, booking.starts_at, booking.ends_at):
        assert instant.utcoffset() == timedelta()
    assert booking.starts_at <= booking.ends_at
    texts = [booking.event_name, booking.invitee_name, booking.host_name, booking.time_zone, booking.locale]
    texts += [phone.raw for phone in booking.phones]
    for text in texts:
        assert text is None or (len(text) <= 200 and text.encode() is not None and "\n" not in text)
    assert all(phone.raw for phone in booking.phones)
    for url in (booking.reschedule_url, booking.cancel_url):
        assert url is None or (url.startswith("https://") and len(url) <= 500 and url.isascii())
    assert booking.external_id.encode()
    assert booking.replaces != booking.external_id
