"""What one event asks for: a text to one person, now or later, or an occasion to be written down."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zlib import crc32

from sms_engagement_runtime.channel.domain.broadcast.outcomes import PersonOutcome
from sms_engagement_runtime.channel.domain.outcome_state import OutcomeState
from sms_engagement_runtime.channel.domain.pacing import NoSlotError
from sms_engagement_runtime.channel.domain.ports import Clock, Later
from sms_engagement_runtime.channel.domain.reasons import Reason
from sms_engagement_runtime.review_collector.domain import bus_events
from sms_engagement_runtime.review_collector.domain.asking import ReviewAsker
from sms_engagement_runtime.review_collector.domain.confirming import ReviewConfirmer
from sms_engagement_runtime.review_collector.domain.customers import Customer, read_customer, read_locale
from sms_engagement_runtime.review_collector.domain.reasons import TextFault
from sms_engagement_runtime.review_collector.domain.requests import GivenText

MAX_ID_LENGTH: Final = 512
"""Characters of an id or an occasion in an event; what is longer is no id of anybody's."""

# Others are a slip, and at the ends of the calendar no arithmetic is possible.
_YEARS: Final = range(2000, 2200)

_SHORTEST_WAIT: Final = timedelta(minutes=5)
_LONGEST_WAIT: Final = timedelta(hours=1)
# In thirty days some 760 looks: the history of an execution, which holds 25,000 events (Step Functions,
# quotas), has room for ten of each.
_LOOKS_PER_AGE: Final = 12

_MAY_HAVE_GONE_OUT: Final = frozenset(
    {OutcomeState.ACCEPTED, OutcomeState.ALREADY_SENT, OutcomeState.IN_FLIGHT, OutcomeState.UNCERTAIN}
)


@dataclass(frozen=True, slots=True)
class AskForReview:
    """Ask a customer about an occasion, now.

    Attributes
    ----------
    newcomer
        Who is added to the customers table where it has nobody of this id. Never shown: it has a number.
    text
        In place of the standard texts, where nothing is wrong with it.
    """

    user_id: str
    occasion: str
    occurred_at: datetime | None = None
    newcomer: Customer | None = field(default=None, repr=False)
    text: GivenText | None = None


@dataclass(frozen=True, slots=True)
class RecordOccasion:
    """Write an occasion down for the next broadcast."""

    user_id: str
    occasion: str
    occurred_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RemindOfReview:
    """Remind a customer of a request."""

    user_id: str
    occasion: str


@dataclass(frozen=True, slots=True)
class SendNewLink:
    """Send a link in place of an expired one."""

    request_id: str


@dataclass(frozen=True, slots=True)
class ThankForReview:
    """Thank a customer for a review."""

    review_id: str
    user_id: str


type Errand = AskForReview | RecordOccasion | RemindOfReview | SendNewLink | ThankForReview


def read_errand(event_type: object, detail: object) -> Errand | None:
    """Read what an event asks for; None where it is none of ours, or malformed.

    Fields that nobody here knows are passed over. An ``occurredAt`` that is no instant makes an event
    malformed: whether its occasion is of use any more could not be told. So does a ``customer`` that is no
    object. A ``text`` that is none is read as an empty one, so that somebody hears of it.
    """
    if not isinstance(event_type, str) or not isinstance(detail, dict):
        return None
    try:
        match event_type:
            case bus_events.REVIEW_REQUESTED:
                return AskForReview(
                    _id(detail, "userId"),
                    _id(detail, "occasion"),
                    _occurred_at(detail),
                    _newcomer(detail),
                    _given_text(detail),
                )
            case bus_events.OCCASION_RECORDED:
                return RecordOccasion(_id(detail, "userId"), _id(detail, "occasion"), _occurred_at(detail))
            case bus_events.REVIEW_REMINDER_DUE:
                return RemindOfReview(_id(detail, "userId"), _id(detail, "occasion"))
            case bus_events.REVIEW_LINK_REQUESTED:
                return SendNewLink(_id(detail, "requestId"))
            case bus_events.REVIEW_SUBMITTED:
                return ThankForReview(_id(detail, "reviewId"), _id(detail, "userId"))
    except ValueError:
        return None
    return None


def write_errand(errand: Errand) -> tuple[str, dict[str, Any]]:
    """Return the event that `read_errand` reads: its type, and its detail.

    It holds ids, instants and a template. Whom the event brought is left out: they are in the customers table
    before anything waits.
    """
    match errand:
        case AskForReview(user_id, occasion, occurred_at, _, text):
            return bus_events.REVIEW_REQUESTED, _detail(user_id, occasion, occurred_at) | _words(text)
        case RecordOccasion(user_id, occasion, occurred_at):
            return bus_events.OCCASION_RECORDED, _detail(user_id, occasion, occurred_at)
        case RemindOfReview(user_id, occasion):
            return bus_events.REVIEW_REMINDER_DUE, _detail(user_id, occasion)
        case SendNewLink(request_id):
            return bus_events.REVIEW_LINK_REQUESTED, {"requestId": request_id}
        case ThankForReview(review_id, user_id):
            return bus_events.REVIEW_SUBMITTED, {"reviewId": review_id, "userId": user_id}


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrandRunner:
    """Does what single events ask for, each of them repeatable.

    Attributes
    ----------
    on_text_refused
        Told the event's id and why its text is not used.
    """

    asker: ReviewAsker
    confirmer: ReviewConfirmer
    later: Later
    clock: Clock
    on_text_refused: Callable[[str, TextFault], None]

    def run(self, errand: Errand, *, event_id: str, since: datetime | None = None) -> PersonOutcome:
        """Do an errand; what has to wait comes back by itself, and so does the reminder of a request.

        Parameters
        ----------
        event_id
            Of the event: repeated, it waits once.
        since
            When this came first, where it comes back after a wait; None where it comes from the bus.

        Returns
        -------
        PersonOutcome
            DEFERRED always with an ``until``.

        Raises
        ------
        TransientError
            A service did not answer. The errand may be repeated.
        """
        errand = self._checked(errand, event_id)
        now = self.clock.now()
        wait = _wait_after(now - (since or now))
        try:
            outcome = self._do(errand, since or now)
        except NoSlotError:
            # All who waited for the same morning come at once. Who finds the rate taken comes back after a
            # while, and not all of them at the same time again.
            until = now + wait * (1 + crc32(event_id.encode()) / 2**32)
            outcome = PersonOutcome(
                user_id="", state=OutcomeState.DEFERRED, reason=Reason.THROTTLED, until=until
            )
        if outcome.state == OutcomeState.DEFERRED:
            until = outcome.until or now + wait
            if since is None:
                self.later.postpone(event_id, _event(event_id, errand, now), until)
            return replace(outcome, until=until)
        delay = self.asker.policy.reminder_delay
        if isinstance(errand, AskForReview) and delay is not None and outcome.state in _MAY_HAVE_GONE_OUT:
            # Named by its request: however often, and by whatever events, the occasion was asked about.
            name = f"reminder-{self.asker.request_id(errand.user_id, errand.occasion)}"
            reminder = RemindOfReview(errand.user_id, errand.occasion)
            self.later.postpone(name, _event(name, reminder, now), now + delay)
        return outcome

    def _checked(self, errand: Errand, event_id: str) -> Errand:
        """Leave out a text that cannot be sent, before it is sent, stored or handed on."""
        if not isinstance(errand, AskForReview) or errand.text is None:
            return errand
        fault = self.asker.find_fault(errand.text)
        if fault is None:
            return errand
        self.on_text_refused(event_id, fault)
        return replace(errand, text=None)

    def _do(self, errand: Errand, since: datetime) -> PersonOutcome:
        match errand:
            case AskForReview(user_id, occasion, occurred_at, newcomer, text):
                return self.asker.ask_by_id(
                    user_id,
                    occasion,
                    occurred_at=occurred_at,
                    requested_at=since,
                    newcomer=newcomer,
                    text=text,
                )
            case RecordOccasion(user_id, occasion, occurred_at):
                return self.asker.record(user_id, occasion, occurred_at=occurred_at)
            case RemindOfReview(user_id, occasion):
                return self.asker.remind_by_id(user_id, occasion)
            case SendNewLink(request_id):
                return self.asker.send_new_link(request_id, requested_at=since)
            case ThankForReview(review_id, user_id):
                return self.confirmer.confirm(review_id, user_id, requested_at=since)


def _event(event_id: str, errand: Errand, since: datetime) -> dict[str, object]:
    event_type, detail = write_errand(errand)
    return {"id": event_id, "detail-type": event_type, "detail": detail, "since": since.isoformat()}


def _wait_after(age: timedelta) -> timedelta:
    """Return the pause before looking again where nobody can say when it is worth it: sending is paused.

    Five minutes at first, so that texts follow soon after a short pause; an hour where it lasts.
    """
    return min(max(age / _LOOKS_PER_AGE, _SHORTEST_WAIT), _LONGEST_WAIT)


def _detail(user_id: str, occasion: str, occurred_at: datetime | None = None) -> dict[str, Any]:
    detail = {"userId": user_id, "occasion": occasion}
    return detail if occurred_at is None else detail | {"occurredAt": occurred_at.isoformat()}


def _words(text: GivenText | None) -> dict[str, Any]:
    if text is None:
        return {}
    return {"text": text.template} | ({} if text.locale is None else {"textLocale": text.locale})


def _newcomer(detail: Mapping[str, Any]) -> Customer | None:
    """Read whom the event brings, with the tolerance that rows of the customers table are read with."""
    given = detail.get("customer")
    if given is None:
        return None
    if not isinstance(given, dict):
        raise ValueError("customer is no object")
    names = ("phoneNumber", "name", "locale", "timeZone")
    known = {name: given[name] for name in names if name in given and _is_storable(given[name])}
    return read_customer({**known, "userId": _id(detail, "userId"), "status": "active"})


def _given_text(detail: Mapping[str, Any]) -> GivenText | None:
    if detail.get("text") is None:
        return None
    template, locale = (
        value if isinstance(value, str) and _is_storable(value) else ""
        for value in (detail["text"], detail.get("textLocale"))
    )
    return GivenText(template, read_locale(locale))


def _is_storable(value: object) -> bool:
    """Whether a table can hold it: not half of a surrogate pair, which JSON can."""
    return not isinstance(value, str) or not any("\ud800" <= character <= "\udfff" for character in value)


def _id(detail: Mapping[str, Any], name: str) -> str:
    value = detail.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= MAX_ID_LENGTH or not _is_storable(value):
        raise ValueError(f"no {name}")
    return value


def _occurred_at(detail: Mapping[str, Any]) -> datetime | None:
    value = detail.get("occurredAt")
    if value is None:
        return None
    if not isinstance(value, str):
        raise ValueError("occurredAt is no text")
    instant = datetime.fromisoformat(value)
    if instant.year not in _YEARS:
        raise ValueError("occurredAt is no instant of our time")
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
