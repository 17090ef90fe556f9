"""What journeys need from outside. Every method may raise ``TransientError``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from sms_engagement_runtime.channel.domain.broadcast.audience import Cursor, Page
from sms_engagement_runtime.channel.domain.ledger import Guard
from sms_engagement_runtime.journeys.domain.conditions import SubscriberState
from sms_engagement_runtime.journeys.domain.enrolment import Enrolment
from sms_engagement_runtime.journeys.domain.subscribers import Subscriber


class SubscriberDirectory(Protocol):
    """The subscribers table, which is only read."""

    def page(
        self, cursor: Cursor | None, *, states: frozenset[SubscriberState], segment: str | None
    ) -> Page[Subscriber]:
        """Read some of the subscribers in these states, of one segment or of all."""
        ...

    def find(self, subscriber_ids: Sequence[str]) -> Mapping[str, Subscriber]:
        """Read these subscribers; those that do not exist are absent."""
        ...


class EnrolmentRepository(Protocol):
    """How far people are."""

    def get(self, run_id: str, subscriber_id: str, *, journey: str) -> Enrolment:
        """Read a row, strongly consistent; one that is not there has version 0."""
        ...

    def save(self, enrolment: Enrolment) -> Enrolment:
        """Write the row if it still has this version, and return it with the next one.

        Raises
        ------
        EnrolmentChangedError
            It has another one.
        """
        ...

    def guard(self, enrolment: Enrolment) -> Guard:
        """Give the condition that the row is as it was read."""
        ...
