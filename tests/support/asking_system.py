"""A review asker over fakes, with one customer."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from sms_engagement_runtime.channel.domain.consent import ConsentState, Scope
from sms_engagement_runtime.channel.domain.ledger import intent_key
from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber
from sms_engagement_runtime.channel.domain.sending import SendPolicy, SendService
from sms_engagement_runtime.channel.domain.subscriber import subscriber_id
from sms_engagement_runtime.review_collector.domain.asking import ReviewAsker
from sms_engagement_runtime.review_collector.domain.customers import Customer
from sms_engagement_runtime.review_collector.domain.occasions import OccasionPolicy
from sms_engagement_runtime.review_collector.domain.request_texts import RequestTexts
from sms_engagement_runtime.review_collector.domain.requests import reference_to_id, request_id
from tests.support.fakes import (
    SUBSCRIBER_KEY,
    FakeClock,
    FakeContacts,
    FakeLedger,
    FakePacer,
    FakeParser,
    FakePause,
    FakePlaces,
    FakeSender,
)
from tests.support.review_fakes import FakeCustomers, FakeLinkKeys, FakeReviewRequests

PHONE = PhoneNumber("+12025550123")
JOHN = Customer(user_id="u1", phone_number="+1 (202) 555-0123", name="John Doe", is_active=True)
BASE_URL = "https://r.example.com"
LINK_LIFETIME = timedelta(days=7)


def request_key(user_id="u1", occasion="registration"):
    return reference_to_id(request_id(user_id, occasion, SUBSCRIBER_KEY))


class System:
    def __init__(self):
        self.clock = FakeClock()
        self.contacts = FakeContacts()
        self.ledger = FakeLedger(self.contacts)
        self.sender = FakeSender()
        self.pause = FakePause()
        self.pacer = FakePacer()
        self.requests = FakeReviewRequests()
        self.customers = FakeCustomers(JOHN)
        self.adds_customers = True
        self.parser = FakeParser()
        self.policy = OccasionPolicy()

    def asker(self, wrap=lambda port: port, texts=None):
        return ReviewAsker(
            send_service=SendService(
                contacts=wrap(self.contacts),
                ledger=wrap(self.ledger),
                sender=wrap(self.sender),
                pause=self.pause,
                pacer=self.pacer,
                places=FakePlaces(),
                clock=self.clock,
                policy=SendPolicy(allowed_countries=frozenset({"US"})),
            ),
            requests=wrap(self.requests),
            customers=self.customers,
            register=wrap(self.customers) if self.adds_customers else None,
            parser=self.parser,
            subscriber_key=lambda: SUBSCRIBER_KEY,
            link_keys=FakeLinkKeys(),
            texts=RequestTexts(texts),
            link_base_url=BASE_URL,
            link_lifetime=LINK_LIFETIME,
            policy=self.policy,
        )

    def ask_due(self, customer=JOHN, *, run_id="monday", **options):
        return self.asker().ask_due(customer, run_id=run_id, **options)

    def ask(self, occasion="order-17", user_id="u1", **options):
        return self.asker().ask_by_id(user_id, occasion, **options)

    def record(self, occasion="order-17", occurred_at=None):
        return self.asker().record("u1", occasion, occurred_at=occurred_at)

    def row(self, occasion="registration"):
        return self.requests.rows[request_key(occasion=occasion)]

    def answer(self, occasion="registration"):
        self.requests.mark_answered(request_key(occasion=occasion), self.clock.now())

    def opt_out(self):
        self.contacts.put(
            replace(
                self.contacts.get(subscriber_id(PHONE, SUBSCRIBER_KEY)),
                consents=dict.fromkeys(Scope, ConsentState.OPTED_OUT),
            )
        )

    def lose(self, occasion="registration"):
        """The process was cut off before the text was claimed."""
        key = intent_key("reviews", subscriber_id(PHONE, SUBSCRIBER_KEY), "review-request", occasion)
        del self.ledger.rows[key]
