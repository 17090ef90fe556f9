"""Single review events over fakes: the runner, and the machine that lets them wait."""

from __future__ import annotations

import json
from datetime import datetime

from sms_engagement_runtime.review_collector.domain.confirming import ReviewConfirmer, confirmation_texts
from sms_engagement_runtime.review_collector.domain.errands import AskForReview, ErrandRunner, read_errand
from tests.support.asking_system import System
from tests.support.fakes import SUBSCRIBER_KEY, FakeLater

ASK = AskForReview("u1", "order-17")


class Errands:
    """The runner, and the machine that calls it again, whose time the test moves."""

    def __init__(self):
        self.system = System()
        self.later = FakeLater()
        self.refused_texts = []

    def runner(self, wrap=lambda port: port):
        asker = self.system.asker(wrap)
        return ErrandRunner(
            asker=asker,
            confirmer=ReviewConfirmer(
                send_service=asker.send_service,
                customers=asker.customers,
                parser=asker.parser,
                subscriber_key=lambda: SUBSCRIBER_KEY,
                texts=confirmation_texts(),
            ),
            later=self.later,
            clock=self.system.clock,
            on_text_refused=lambda event_id, fault: self.refused_texts.append((event_id, fault)),
        )

    def run(self, errand=ASK, event_id="event-1", since=None, wrap=lambda port: port):
        return self.runner(wrap).run(errand, event_id=event_id, since=since)

    def publish(self, **detail):
        """Carry out what a ``ReviewRequested`` event asks for."""
        return self.run(read_errand("ReviewRequested", detail))

    def come_back(self, name):
        """Do what the machine does: call again at each instant that it was told, until nothing waits."""
        event, until = self.later.waits.pop(name)
        event = json.loads(json.dumps(event))
        outcomes = []
        while until is not None:
            self.system.clock.instant = until
            errand = read_errand(event["detail-type"], event["detail"])
            outcome = self.run(errand, event["id"], datetime.fromisoformat(event["since"]))
            outcomes.append(outcome)
            until = outcome.until
        return outcomes

    @property
    def bodies(self):
        return self.system.sender.bodies
