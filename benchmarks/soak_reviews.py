"""Reviews of the simulation: the broadcast and its follow-up, single requests, and what people submit."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from benchmarks.soak_channel import Channel
from benchmarks.soak_people import Person
from benchmarks.soak_runs import Engine
from benchmarks.soak_transport import Detail, Later
from sms_engagement_runtime.channel.domain.broadcast.audience import AudienceSource
from sms_engagement_runtime.channel.domain.broadcast.outcomes import PersonOutcome
from sms_engagement_runtime.channel.domain.broadcast.run import Run
from sms_engagement_runtime.channel.domain.errors import TransientError
from sms_engagement_runtime.review_collector.domain.asking import ReviewAsker
from sms_engagement_runtime.review_collector.domain.audience import ReviewAudience
from sms_engagement_runtime.review_collector.domain.confirming import ReviewConfirmer, confirmation_texts
from sms_engagement_runtime.review_collector.domain.customers import Customer
from sms_engagement_runtime.review_collector.domain.errands import ErrandRunner, read_errand
from sms_engagement_runtime.review_collector.domain.occasions import OccasionPolicy
from sms_engagement_runtime.review_collector.domain.request_texts import RequestTexts
from sms_engagement_runtime.review_collector.domain.requests import reference_to_id
from sms_engagement_runtime.review_collector.domain.reviews import Opinion
from sms_engagement_runtime.review_collector.domain.submission import Created, Edited, ReviewDesk
from sms_engagement_runtime.review_collector.domain.tokens import Verified, verify
from tests.support.fakes import SUBSCRIBER_KEY, Crash, FakeAttention
from tests.support.review_fakes import LINK_KEYS, FakeCustomers, FakeLinkKeys, FakeReviewRequests, FakeReviews

LINK: Final = re.compile(r"/r/([A-Za-z0-9_-]{40})(?![A-Za-z0-9_-])")
_LINK_LIFETIME: Final = timedelta(days=7)
_PAGE: Final = 500
_SUBMISSIONS: Final = 8
_EVENTS: Final = ("ReviewRequested", "OccasionRecorded", "ReviewLinkRequested", "ReviewSubmitted")


class Reviews(Engine):
    """Review collecting on the channel.

    Attributes
    ----------
    reviewed
        When a review was taken, by the intent of the text whose link led to it.
    """

    def __init__(self, channel: Channel, persons: Sequence[Person]) -> None:
        policy = OccasionPolicy()
        super().__init__(channel, "review-broadcast", follow_up_after=policy.reminder_delay)
        customers = (
            Customer(user_id=one.user_id, phone_number=one.phone, name=one.name, is_active=True)
            for one in persons
        )
        self.customers = FakeCustomers(*customers, page_size=_PAGE)
        self.requests = FakeReviewRequests(page_size=_PAGE)
        self.reviews = FakeReviews()
        self.reviewed: dict[str, datetime] = {}
        wrap = channel.wrap
        self._asker = ReviewAsker(
            send_service=channel.send_service(),
            requests=wrap(self.requests),
            customers=wrap(self.customers),
            register=wrap(self.customers),
            parser=channel.parser,
            subscriber_key=lambda: SUBSCRIBER_KEY,
            link_keys=FakeLinkKeys(),
            texts=RequestTexts(None),
            link_base_url="https://r.example.com",
            link_lifetime=_LINK_LIFETIME,
            policy=policy,
        )
        self._desk = ReviewDesk(
            requests=wrap(self.requests),
            reviews=wrap(self.reviews),
            admin_topic=wrap(FakeAttention()),
            bus=wrap(channel.bus),
            clock=channel.world.schedule,
            edit_window=timedelta(days=7),
            on_unannounced=lambda *_: None,
            link_lifetime=_LINK_LIFETIME,
        )
        self._later = Later(self.world, "review-later", self._come_back)
        self._runner = ErrandRunner(
            asker=self._asker,
            confirmer=ReviewConfirmer(
                send_service=self._asker.send_service,
                customers=self._asker.customers,
                parser=channel.parser,
                subscriber_key=lambda: SUBSCRIBER_KEY,
                texts=confirmation_texts(),
            ),
            later=wrap(self._later),
            clock=channel.world.schedule,
            on_text_refused=lambda *_: None,
        )
        channel.bus.rule("review-events", _EVENTS, self._handle)

    def source(self, run: Run) -> AudienceSource:  # noqa: ARG002 - every run is for everybody
        """Give the customers."""
        return ReviewAudience(
            customers=self._asker.customers,
            requests=self._asker.requests,
            parser=self.channel.parser,
            subscriber_key=lambda: SUBSCRIBER_KEY,
            places=self.channel.places,
            hours=self.channel.policy.quiet_hours,
            policy=self._asker.policy,
            clock=self.world.schedule,
        )

    def find(self, ids: Sequence[str]) -> Mapping[str, Any]:
        """Read customers."""
        return self._asker.customers.find(ids)

    def asker(self, run: Run) -> Callable[[Customer], PersonOutcome]:
        """Do what the function of a part does."""
        return lambda customer: self._asker.ask_due(
            customer, run_id=run.run_id, dry_run=run.is_dry, follow_up=run.follows is not None
        )

    def submit(self, token: str, intent: str, rating: int) -> bool:
        """Submit the form, again where the page says so, and tell whether the review was taken."""
        for attempt in range(_SUBMISSIONS):
            try:
                taken = self.world.functions.call(lambda: self._submit(token, rating))
            except (Crash, TransientError):
                self.world.schedule.sleep(1.0 + attempt)
                continue
            if taken:
                self.reviewed.setdefault(intent, self.world.now)
            return taken
        return False

    def _submit(self, token: str, rating: int) -> bool:
        now = self.world.now
        answer = verify(token, keys=LINK_KEYS.by_id, now=now, max_lifetime=_LINK_LIFETIME)
        if not isinstance(answer, Verified):
            return False
        opinion = Opinion(rating=rating, text="As expected.")
        return isinstance(self._desk.submit(reference_to_id(answer.reference), opinion), Created | Edited)

    def _handle(self, event_id: str, event_type: str, detail: Detail) -> datetime | None:
        errand = read_errand(event_type, dict(detail))
        assert errand is not None, event_type
        return self._runner.run(errand, event_id=event_id).until

    def _come_back(self, event: Detail) -> datetime | None:
        errand = read_errand(event["detail-type"], event["detail"])
        assert errand is not None
        since = datetime.fromisoformat(event["since"])
        return self._runner.run(errand, event_id=event["id"], since=since).until
