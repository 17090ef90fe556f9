"""Who a broadcast of review requests is for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sms_engagement_runtime.channel.domain.broadcast.audience import Candidate, Cursor, Page, Skipped
from sms_engagement_runtime.channel.domain.ports import Clock, PhoneNumberParser, PlaceFinder
from sms_engagement_runtime.channel.domain.quiet_hours import QuietHoursPolicy
from sms_engagement_runtime.channel.domain.reasons import Reason
from sms_engagement_runtime.channel.domain.subscriber import subscriber_id
from sms_engagement_runtime.review_collector.domain.customers import Customer
from sms_engagement_runtime.review_collector.domain.occasions import Nothing, OccasionPolicy, choose
from sms_engagement_runtime.review_collector.domain.ports import CustomerDirectory, ReviewRequestRepository
from sms_engagement_runtime.review_collector.domain.requests import ReviewRequest
from sms_engagement_runtime.review_collector.domain.screening import screen

_INSTANTS: Final = {
    "occurredAt": "occurred_at",
    "recordedAt": "recorded_at",
    "askedAt": "asked_at",
    "remindedAt": "reminded_at",
    "answeredAt": "answered_at",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewAudience:
    """Active customers, and what each of them was asked about (an ``AudienceSource``).

    Attributes
    ----------
    subscriber_key
        Returns the key of subscriber ids.
    hours
        When promotional texts may go out.
    policy
        How often people are asked.
    """

    customers: CustomerDirectory
    requests: ReviewRequestRepository
    parser: PhoneNumberParser
    subscriber_key: Callable[[], bytes]
    places: PlaceFinder
    hours: QuietHoursPolicy
    policy: OccasionPolicy
    clock: Clock

    def candidates(self, cursor: Cursor | None) -> Page[Candidate | Skipped]:
        """Read a page of customers; who cannot be texted at any hour is skipped with the reason."""
        page = self.customers.page(cursor)
        now = self.clock.now()
        return Page(rows=[self._candidate(customer, now) for customer in page.rows], next=page.next)

    def histories(self, cursor: Cursor | None) -> Page[tuple[str, Mapping[str, Any]]]:
        """Read a page of requests."""
        page = self.requests.page(cursor)
        return Page(rows=[(request.user_id, _to_json(request)) for request in page.rows], next=page.next)

    def objection(self, candidate: Candidate, history: Sequence[Mapping[str, Any]]) -> str | None:
        """Return why a customer is not to be asked now, and not to be reminded either."""
        requests = [_from_json(candidate.recipient_id, row) for row in history]
        match choose(requests, self.clock.now(), self.policy):
            case Nothing(reason):
                return reason
        return None

    def _candidate(self, customer: Customer, now: datetime) -> Candidate | Skipped:
        parsed = screen(customer, self.parser)
        if isinstance(parsed, Reason):
            return Skipped(recipient_id=customer.user_id, reason=parsed)
        place = self.places.place_of(parsed.number, parsed.country, customer.time_zone)
        hours = self.hours.hours_for(place)
        if hours.next_open(now) is None:
            return Skipped(recipient_id=customer.user_id, reason=Reason.TIME_ZONE_UNKNOWN)
        return Candidate(
            recipient_id=customer.user_id,
            subscriber_id=subscriber_id(parsed.number, self.subscriber_key()),
            group=hours.key,
        )


def _to_json(request: ReviewRequest) -> dict[str, Any]:
    row: dict[str, Any] = {"requestId": request.request_id, "occasion": request.occasion}
    if request.run_id is not None:
        row["runId"] = request.run_id
    for name, attribute in _INSTANTS.items():
        instant: datetime | None = getattr(request, attribute)
        if instant is not None:
            row[name] = instant.isoformat()
    return row


def _from_json(user_id: str, row: Mapping[str, Any]) -> ReviewRequest:
    instants: dict[str, Any] = {
        attribute: datetime.fromisoformat(row[name]) for name, attribute in _INSTANTS.items() if name in row
    }
    return ReviewRequest(
        request_id=row["requestId"],
        user_id=user_id,
        occasion=row["occasion"],
        run_id=row.get("runId"),
        **instants,
    )
