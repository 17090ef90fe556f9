"""Appointments on the page: what was booked, the conversation about each, and what can be done with it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from itertools import count, islice
from typing import TYPE_CHECKING, Any, TypeGuard
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from boto3.dynamodb.types import TypeDeserializer

from sms_engagement_runtime.appointment_follow_up.domain.bookings import Party
from sms_local.booking_site import Appointment, BookingSite, BookingSiteError
from sms_local.people import PEOPLE, SITUATIONS, Person
from sms_local.phone.words import explain

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

#: Appointments that the page shows, the newest; rows that it looks at for them.
MOST_APPOINTMENTS = 60
_MOST_ROWS = 1000

#: How long a name of an event may be (`Booking.event_name`).
LONGEST_EVENT_NAME = 200
_MOST_DAYS = 60

#: State of a conversation → what that means; an answer says more than that there is one.
STATES = {
    "PENDING": "Is about to be told",
    "CONFIRMED_SENT": "Waits for an answer",
    "FOLLOWED_UP": "Asked once more, waits for an answer",
    "RESPONDED": "Answered",
    "FAILED": "Cannot be told by text",
    "OPTED_OUT": "Gets no more texts; the appointment stands",
    "NO_SHOW": "Did not come",
    "CANCELED": "Cancelled",
    "RESCHEDULED": "Moved to another time",
}
#: Kind of an answer → how it was taken.
ANSWERS = {
    "CONFIRM": "Said yes",
    "RESCHEDULE": "Wants another time",
    "OTHER": "Wrote something else, which the host reads",
}

#: States in which an appointment takes its course, until it is over.
_TAKES_PLACE = frozenset({"CONFIRMED_SENT", "FOLLOWED_UP", "RESPONDED"})

#: States whose reason is worth telling.
_WITH_REASON = frozenset({"FAILED", "OPTED_OUT"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """A row of the table ``conversations``; what it does not have is None.

    Attributes
    ----------
    status, reason, answer
        Codes, as stored.
    moved_to
        Id of the appointment that took its place.
    """

    id: str
    status: str
    created_at: datetime
    phone: str | None = None
    name: str | None = None
    event_name: str | None = None
    time_zone: str | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    moved_to: str | None = None
    reason: str | None = None
    answer: str | None = None
    replied_at: datetime | None = None
    followed_up_at: datetime | None = None


class ConversationReader:
    """Reads the table.

    Parameters
    ----------
    table
        Name of ``conversations``.
    """

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table
        self._plain = TypeDeserializer()

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows as plain values, up to a bound."""
        pages = self._client.get_paginator("scan").paginate(TableName=self._table, ConsistentRead=True)
        found = islice((row for page in pages for row in page["Items"]), _MOST_ROWS)
        return [{name: self._plain.deserialize(value) for name, value in row.items()} for row in found]


def read_conversation(row: Mapping[str, Any]) -> Conversation | None:
    """Return what the page shows of a row; None for one that is no conversation."""
    created_at = _from_milliseconds(row.get("createdAt"))
    if created_at is None or not {"appointmentId", "status"} <= row.keys():
        return None
    return Conversation(
        id=row["appointmentId"],
        status=row["status"],
        created_at=created_at,
        phone=row.get("phoneNumber"),
        name=row.get("inviteeName"),
        event_name=row.get("eventName"),
        time_zone=row.get("timeZone"),
        starts_at=_from_seconds(row.get("startsAt")),
        ends_at=_from_seconds(row.get("endsAt")),
        moved_to=row.get("movedTo"),
        reason=row.get("reason"),
        answer=row.get("answer"),
        replied_at=_from_milliseconds(row.get("repliedAt")),
        followed_up_at=_from_milliseconds(row.get("followedUpAt")),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An appointment as the page lists it: what the booking site knows, and what the cloud knows.

    Attributes
    ----------
    booked
        None for one of another provider, and for one whose booking nobody told of yet.
    conversation
        None while the cloud has recorded nothing.
    """

    id: str
    booked: Appointment | None
    conversation: Conversation | None

    @property
    def name(self) -> str:
        """Who booked it."""
        return self._of("name") or "Somebody"

    @property
    def event_name(self) -> str:
        """What was booked."""
        return self._of("event_name") or "An appointment"

    @property
    def phone(self) -> str | None:
        """The number that is texted; the one that was typed while nothing is recorded."""
        if self.conversation is not None and self.conversation.phone is not None:
            return self.conversation.phone
        return self.booked.phone if self.booked else None

    @property
    def starts_at(self) -> datetime | None:
        """When it begins; None where only its end was told of."""
        instant: datetime | None = self._of("starts_at")
        return instant

    @property
    def ends_at(self) -> datetime | None:
        """When it ends."""
        instant: datetime | None = self._of("ends_at")
        return instant

    @property
    def time_zone(self) -> str | None:
        """Zone of the invitee, as given."""
        zone: str | None = self._of("time_zone")
        return zone

    @property
    def since(self) -> datetime:
        """When it was heard of, for the order of the list."""
        if self.conversation is not None:
            return self.conversation.created_at
        assert self.booked is not None
        return self.booked.booked_at

    @property
    def status(self) -> str:
        """State of the conversation; empty while there is none."""
        return self.conversation.status if self.conversation else ""

    def _of(self, field: str) -> Any:
        mine = getattr(self.conversation, field, None)
        return mine if mine is not None else getattr(self.booked, field, None)


def entries(booked: Iterable[Appointment], conversations: Iterable[Conversation]) -> list[Entry]:
    """Return all appointments, the newest first."""
    by_id = {one.appointment_id: one for one in booked}
    recorded = {one.id: one for one in conversations}
    found = [
        Entry(id=one, booked=by_id.get(one), conversation=recorded.get(one))
        for one in dict.fromkeys([*recorded, *by_id])
    ]
    return sorted(found, key=lambda one: one.since, reverse=True)


def describe(
    listed: Sequence[Entry], people: Iterable[Person], *, now: datetime, can_book: bool
) -> dict[str, Any]:
    """Return what the page shows of appointments.

    Parameters
    ----------
    listed
        As `entries` returns them.
    people
        Those for whom something can be booked, where they have a phone of their own.
    now
        Virtual time.

    Returns
    -------
    dict
        ``{"canBook", "people": [{"userId", "name", "town", "timeZone"}], "list": [{"id", "name", "phone",
        "eventName", "when", "where", "words", "code", "state", "why", "answer", "link", "canCancel",
        "canMove", "canMark", "canUnmark"}]}``. ``when`` is in the person's zone, and ``where`` names that;
        ``state`` is a word for its colour: ``open``, ``good``, ``over`` or ``bad``; ``link`` is where the
        person would choose another time.
    """
    starts = {one.id: one for one in listed}
    towns: dict[str | None, str | None] = {one.phone: one.town for one in people if one.phone}
    return {
        "canBook": can_book,
        "people": [
            {
                "userId": person.user_id,
                "name": person.name,
                "town": person.town,
                "timeZone": person.time_zone,
            }
            for person in people
            if person.phone and person.time_zone
        ],
        "list": [_describe(one, starts, towns, now) for one in listed[:MOST_APPOINTMENTS]],
    }


def _describe(
    entry: Entry, others: Mapping[str, Entry], towns: Mapping[str | None, str | None], now: datetime
) -> dict[str, Any]:
    told = entry.conversation
    is_ours = entry.booked is not None and not entry.booked.is_cancelled
    is_ahead = entry.starts_at is not None and entry.starts_at > now
    is_marked = entry.status == "NO_SHOW"
    # In words already, unless it is past.
    is_said = entry.status == "RESPONDED" and not _is_past(entry, now)
    answer = told.answer if told and not is_said else None
    why = told.reason if told and entry.status in _WITH_REASON else None
    return {
        "id": entry.id,
        "name": entry.name,
        "phone": entry.phone,
        "eventName": entry.event_name,
        "when": moment(entry.starts_at, entry.time_zone) if entry.starts_at else "at an unknown time",
        "where": towns.get(entry.phone) or _city(entry.time_zone),
        "words": _words(entry, others, now),
        "code": entry.status,
        "state": _state(entry, now),
        "why": explain("", why) if why else "",
        "answer": ANSWERS.get(answer, answer) if answer else "",
        "link": entry.booked.reschedule_url if entry.booked else "",
        "canCancel": is_ours and is_ahead,
        "canMove": is_ours and is_ahead,
        "canMark": is_ours and not is_ahead and not is_marked,
        "canUnmark": is_ours and is_marked,
    }


def _words(entry: Entry, others: Mapping[str, Entry], now: datetime) -> str:
    told = entry.conversation
    if told is None:
        return "The webhook was taken; nothing is recorded yet"
    if told.status == "RESCHEDULED" and (other := others.get(told.moved_to or "")) and other.starts_at:
        return f"Moved to {moment(other.starts_at, other.time_zone)}"
    if _is_past(entry, now):
        return "Took place"
    if told.status == "RESPONDED":
        return ANSWERS.get(told.answer or "", STATES["RESPONDED"])
    return STATES.get(told.status, told.status)


def _state(entry: Entry, now: datetime) -> str:
    if entry.status == "RESPONDED" or _is_past(entry, now):
        return "good"
    if entry.status in ("FAILED", "OPTED_OUT", "NO_SHOW"):
        return "bad"
    return "over" if entry.status in ("CANCELED", "RESCHEDULED") else "open"


def _is_past(entry: Entry, now: datetime) -> bool:
    return entry.status in _TAKES_PLACE and entry.ends_at is not None and entry.ends_at <= now


def _city(zone_name: str | None) -> str:
    return zone_of(zone_name).key.rpartition("/")[2].replace("_", " ")


def moment(at: datetime, zone_name: str | None) -> str:
    """Return an instant as it is said where somebody is: ``Mon 23 Nov, 15:00``."""
    local = at.astimezone(zone_of(zone_name))
    return f"{local:%a} {local.day} {local:%b}, {local:%H:%M}"


def zone_of(name: str | None) -> ZoneInfo:
    """Return a zone; UTC for a name that does not exist."""
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


def _from_seconds(number: Any) -> datetime | None:
    return None if number is None else datetime.fromtimestamp(float(number), UTC)


def _from_milliseconds(number: Any) -> datetime | None:
    return None if number is None else datetime.fromtimestamp(float(number) / 1000, UTC)


# --- what the page asks for


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What somebody wants to book.

    Attributes
    ----------
    days, hour
        So many days from now, at an hour of the clock where the person is.
    """

    person: Person
    event_name: str
    days: int
    hour: int


def read_wish(wanted: Mapping[str, Any]) -> Wish:
    """Read what the page asks for: ``{"userId", "eventName", "days", "hour"}``.

    Raises
    ------
    ValueError
        With a sentence for the person at the page.
    """
    person = next((one for one in (*PEOPLE, *SITUATIONS) if one.user_id == wanted.get("userId")), None)
    if person is None or person.phone is None:
        raise ValueError("Choose somebody with a phone.")
    event_name, days, hour = wanted.get("eventName"), wanted.get("days"), wanted.get("hour")
    if not isinstance(event_name, str) or not 0 < len(event_name.strip()) <= LONGEST_EVENT_NAME:
        raise ValueError(f"Say what is booked, in {LONGEST_EVENT_NAME} characters at the most.")
    if not _is_whole(days, most=_MOST_DAYS) or not _is_whole(hour, most=23):
        raise ValueError(f"Say in how many days, {_MOST_DAYS} at the most, and at which hour.")
    return Wish(person=person, event_name=event_name.strip(), days=days, hour=hour)


def _is_whole(number: object, *, most: int) -> TypeGuard[int]:
    return isinstance(number, int) and not isinstance(number, bool) and 0 <= number <= most


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """Something that somebody did at the page, of which a webhook told.

    Attributes
    ----------
    what
        ``book``, ``cancel``, ``move``, ``mark`` or ``unmark``.
    at
        Virtual time.
    appointment
        After it; of a move, the one that took the other's place.
    """

    number: int
    what: str
    at: datetime
    appointment: Appointment


class Bookings:
    """Carries out what somebody does at the page, and remembers it for the account.

    Every method raises `BookingSiteError` with a sentence where it cannot be done.

    Parameters
    ----------
    now
        Virtual time.
    """

    def __init__(self, site: BookingSite, *, now: Callable[[], datetime]) -> None:
        self._site = site
        self._now = now
        self._deeds: list[Deed] = []
        self._numbers = count(1)

    @property
    def deeds(self) -> tuple[Deed, ...]:
        """What was done, oldest first."""
        return tuple(self._deeds)

    @property
    def appointments(self) -> tuple[Appointment, ...]:
        """What the site knows."""
        return self._site.appointments

    def restore(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Learn what was booked before the page was opened."""
        self._site.restore(rows)

    def forget(self) -> None:
        """Forget everything."""
        self._site.forget()
        self._deeds.clear()

    def book(self, wish: Wish) -> Appointment:
        """Book what somebody wants."""
        person, zone = wish.person, zone_of(wish.person.time_zone)
        day = self._now().astimezone(zone).date() + timedelta(days=wish.days)
        starts_at = datetime.combine(day, time(wish.hour), zone).astimezone(UTC)
        if starts_at <= self._now():
            raise BookingSiteError("That hour is over there already: choose a later one.")
        return self._do(
            "book",
            lambda: self._site.book(
                name=person.name,
                phone=person.phone,
                event_name=wish.event_name,
                starts_at=starts_at,
                time_zone=zone.key,
            ),
        )

    def cancel(self, id: str, *, by: Party = Party.HOST) -> Appointment:
        """Cancel one."""
        external_id = self._find(id).external_id
        return self._do("cancel", lambda: self._site.cancel(external_id, by=by))

    def move_a_day(self, id: str) -> Appointment:
        """Move one to the same hour of the next day; return the one that took its place."""
        known = self._find(id)
        local = known.starts_at.astimezone(zone_of(known.time_zone))
        later = datetime.combine(local.date() + timedelta(days=1), local.time(), local.tzinfo)
        return self._do("move", lambda: self._site.move(known.external_id, later.astimezone(UTC)))

    def mark(self, id: str, *, is_undone: bool) -> Appointment:
        """Mark the invitee as absent, or take that back."""
        external_id = self._find(id).external_id
        return self._do(
            "unmark" if is_undone else "mark",
            lambda: self._site.mark_no_show(external_id, is_undone=is_undone),
        )

    def _do(self, what: str, act: Callable[[], Appointment]) -> Appointment:
        # The time before it: what follows from the webhook follows in the account, too.
        began_at = self._now()
        done = act()
        self._deeds.append(Deed(number=next(self._numbers), what=what, at=began_at, appointment=done))
        return done

    def _find(self, id: str) -> Appointment:
        for known in self._site.appointments:
            if known.appointment_id == id:
                return known
        raise BookingSiteError("The booking site knows no such appointment.")
