"""What the domain needs from outside. Adapters implement these on one AWS service each; they hold no rules.

Every method may raise ``TransientError`` where the service behind it does not answer. Nobody here catches
that: the platform delivers the record again, and every step is safe to repeat.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

# For annotations only: whoever needs one port is not made to load the whole domain.
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sms_engagement_runtime.channel.domain.campaign_counts import Counts
    from sms_engagement_runtime.channel.domain.consent import ConsentRecord, Contact
    from sms_engagement_runtime.channel.domain.gate import MessageClass
    from sms_engagement_runtime.channel.domain.ledger import (
        ClaimResult,
        DeliveryEvent,
        FoldResult,
        Guard,
        Held,
        Intent,
        LedgerRow,
    )
    from sms_engagement_runtime.channel.domain.pacing import Lane, Slot
    from sms_engagement_runtime.channel.domain.phone_number import ParsedNumber, PhoneNumber
    from sms_engagement_runtime.channel.domain.prompts import Prompt
    from sms_engagement_runtime.channel.domain.quiet_hours import Place
    from sms_engagement_runtime.channel.domain.reasons import Reason


class Clock(Protocol):
    """The time."""

    def now(self) -> datetime:
        """Give the present instant, aware UTC."""
        ...


class PhoneNumberParser(Protocol):
    """Phone numbers as people write them."""

    def parse(self, raw: str | None) -> ParsedNumber:
        """Read a number in any usual notation.

        Raises
        ------
        InvalidPhoneNumberError
            ``NO_PHONE`` for None and blank text, ``INVALID_PHONE`` for everything else that is no phone
            number, short codes and sender ids included.
        """
        ...


class ContactRepository(Protocol):
    """Contact rows, their consent records, and the marks of inbound messages that are done."""

    def get(self, subscriber_id: str) -> Contact:
        """Read a contact, strongly consistent. An unknown one has version 0 and nothing else."""
        ...

    def save(self, contact: Contact, *, expected_version: int, records: Sequence[ConsentRecord]) -> Contact:
        """Write the row and append the records, in one transaction.

        The row gets version ``expected_version + 1`` and is returned so. What claims wrote into it (recent
        texts, introduction) stays as it is stored.

        Raises
        ------
        ContactChangedError
            Where the stored row has another version; nothing is written then.
        """
        ...

    def forget_text(self, subscriber_id: str, key: str) -> None:
        """Take a text that was claimed, and is proven not sent, out of the recent ones.

        Where it would have introduced the sender, the next one shall. Repeatable.
        """
        ...

    def was_handled(self, inbound_id: str) -> bool:
        """Say whether ``mark_handled`` was called for this inbound message."""
        ...

    def mark_handled(self, inbound_id: str, at: datetime) -> None:
        """Remember that every step for this inbound message is done. Kept for 90 days."""
        ...


class PromptRepository(Protocol):
    """Questions that wait for a person's answer."""

    def open(self, prompt: Prompt) -> None:
        """Store a prompt. The same prompt twice is one; an answered one is not opened again."""
        ...

    def open_prompts(
        self, subscriber_id: str, origination: str | None, *, inbound_id: str, now: datetime
    ) -> Sequence[Prompt]:
        """List the prompts of this person on this origination number that have not expired, in any order.

        On all numbers where ``origination`` is None.
        Those that are unanswered, and those that ``inbound_id`` itself has answered: a redelivered message
        finds its prompt again.
        """
        ...

    def close(self, prompt: Prompt, *, inbound_id: str) -> None:
        """Record that this inbound message answered the prompt. The first answer stays."""
        ...


class MessageLedger(Protocol):
    """Rows of the ledger. The functions of ``ledger`` decide what a row becomes."""

    def claim(
        self,
        intent: Intent,
        *,
        key: str,
        contact: Contact,
        becomes: Contact | None = None,
        parts: int,
        now: datetime,
        guard: Guard | None = None,
    ) -> ClaimResult:
        """Put the row as CLAIMED, in one transaction with the contact and the guard.

        ``Held`` unless ``ledger.may_claim`` of the stored row; ``ContactChanged`` where the stored contact
        has another version than ``contact`` (0: nobody has said anything yet), or other values of what
        changes, or where the row of ``guard`` has another version or is gone. Where both hold it is ``Held``.

        Parameters
        ----------
        contact
            As the gate saw it.
        becomes
            The same with other recent texts, or another introduction, as they are after this text. Nothing
            else may differ. None leaves the contact as it is.
        guard
            A row of another table, which is looked at and not changed. None where there is nothing to guard.
        """
        ...

    def accept(self, key: str, message_id: str, now: datetime) -> None:
        """Record the message id that the service answered with (``ledger.accept``)."""
        ...

    def release(self, key: str, reason: str, now: datetime) -> None:
        """Turn a claim into DEFERRED (``ledger.release``)."""
        ...

    def fail(self, key: str, reason: str, now: datetime) -> None:
        """Record a refusal for good (``ledger.fail``)."""
        ...

    def suppress(self, intent: Intent, key: str, reason: str, parts: int, now: datetime) -> Held | None:
        """Record that the gate refused; ``Held``, without effect, unless ``ledger.may_claim`` of the row."""
        ...

    def defer(
        self, intent: Intent, key: str, reason: str, until: datetime | None, now: datetime
    ) -> Held | None:
        """Record that the text waits; ``Held``, without effect, unless ``ledger.may_claim`` of the row."""
        ...

    def get(self, key: str) -> LedgerRow | None:
        """Read one row, strongly consistent."""
        ...

    def record_event(self, event: DeliveryEvent, now: datetime) -> FoldResult:
        """Fold a delivery event into the row of its message (``ledger.fold``).

        The row is found by ``event.key``, else among the recent ones of ``event.destination`` by message id.
        """
        ...

    def recent(self, subscriber_id: str, limit: int) -> Sequence[LedgerRow]:
        """List the rows of a person, newest claim first."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundMessage:
    """What is handed to the carrier.

    Attributes
    ----------
    key
        The ledger key, sent along as ``Context`` where the service has such a thing.
    """

    destination: PhoneNumber
    body: str
    message_class: MessageClass
    key: str
    campaign_id: str | None = None
    journey_id: str | None = None


class MessageSender(Protocol):
    """The one call that costs money and cannot be taken back."""

    def send(self, message: OutboundMessage) -> str:
        """Send a text in exactly one request, and give the service's message id.

        Raises
        ------
        SendThrottledError, SendRefusedError, SendingDisabledError
            The answer, or the lack of a connection, proves that nothing was sent.
        OutcomeUnknownError
            Everything else.
        """
        ...


class OptOutList(Protocol):
    """The opt-out list of the service."""

    def put(self, number: PhoneNumber) -> None:
        """Block every text to this number. Repeatable."""
        ...

    def delete(self, number: PhoneNumber) -> None:
        """Take the number off the list. A number that is not on it is off already.

        Raises
        ------
        OptOutListRefusedError
            Where the service refuses (once in 30 days).
        """
        ...


class PauseFlag(Protocol):
    """The switch that stops all sending."""

    def is_paused(self) -> bool:
        """Say whether a human paused all sending."""
        ...


class Pacer(Protocol):
    """The rate of the origination identity."""

    def acquire(self, parts: int, lane: Lane) -> Slot:
        """Take a slot for so many message parts, and wait until shortly before it.

        Transactional texts go first.
        """
        ...

    def hold(self, slot: Slot) -> bool:
        """Wait for the slot itself, for a moment only; called when nothing but the call is left to do.

        False where the slot was missed: the text then takes another one, and goes to the gate again.
        """
        ...

    def back_off(self, attempt: int) -> None:
        """Wait after the carrier throttled, the longer the higher ``attempt`` (1, 2, …), with jitter."""
        ...


class PlaceFinder(Protocol):
    """Where people are, as far as their number or a customer's record tells."""

    def place_of(self, number: PhoneNumber, country: str | None, time_zone: str | None) -> Place:
        """Find the places where the holder of a number may be.

        Parameters
        ----------
        country
            ISO 3166-1 alpha-2 of the number, None where unknown.
        time_zone
            IANA zone that is on record for the person. One that does not exist is as none.
        """
        ...


class Budget(Protocol):
    """What may be spent: on one day by the whole channel, and by one campaign.

    Reserved before the gate is asked and given back where the text is not sent, so that whatever runs at the
    same time, no limit is passed.
    """

    def reserve(
        self, campaign_id: str | None, parts: int, now: datetime, *, is_exempt: bool = False
    ) -> Reason | None:
        """Reserve the price of so many message parts; None where that was possible.

        Parameters
        ----------
        is_exempt
            Whether the text goes out whatever was spent: it then only counts towards the day.
        """
        ...

    def give_back(
        self, campaign_id: str | None, parts: int, now: datetime, *, is_exempt: bool = False
    ) -> None:
        """Undo a reservation that succeeded with the same arguments."""
        ...

    def settle(self) -> None:
        """Return what this process reserved ahead and did not use, when it has no more to send for now."""
        ...


class Later(Protocol):
    """Events that the function which is at work is given again later."""

    def postpone(self, name: str, event: Mapping[str, object], until: datetime) -> None:
        """Hand an event to this function at an instant, and again for as long as it has to wait.

        Parameters
        ----------
        name
            Of this one wait: the same name twice, within 90 days, is one.
        event
            What the function is called with: anything that JSON can hold, ids only.
        """
        ...


class EventBus(Protocol):
    """The bus on which capabilities meet."""

    def publish(self, detail_type: str, detail: Mapping[str, object]) -> None:
        """Publish one domain event. Consumers see it at least once."""
        ...


class AttentionTopic(Protocol):
    """What a human reads."""

    def publish(self, subject: str, message: str) -> None:
        """Tell a human. Subjects are ASCII, at most 100 characters."""
        ...


class CampaignCounts(Protocol):
    """How the texts of each campaign fare: figures that are added to while it runs, and that stop it."""

    def add(
        self,
        campaign_id: str,
        *,
        delivered: int = 0,
        failed: int = 0,
        opted_out: int = 0,
        once: str | None = None,
    ) -> None:
        """Add to the counts of a campaign.

        Parameters
        ----------
        once
            Name of what is counted: the same name in the same campaign is counted once, however often this is
            called. Without a name every call counts.
        """
        ...

    def get(self, campaign_id: str) -> Counts:
        """Read the counts, strongly consistent; those of an unknown campaign are 0."""
        ...
