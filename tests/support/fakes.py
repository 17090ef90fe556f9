"""In-memory ports of the channel, and a way to crash between any two of their calls.

Each fake passes the same contract tests as its adapter. All are safe to be used by several threads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from sms_engagement_runtime.channel.domain import ledger as rules
from sms_engagement_runtime.channel.domain import pacing
from sms_engagement_runtime.channel.domain.budget import SpendLimits
from sms_engagement_runtime.channel.domain.campaign_counts import Counts
from sms_engagement_runtime.channel.domain.consent import ConsentRecord, Contact
from sms_engagement_runtime.channel.domain.errors import (
    ContactChangedError,
    InvalidPhoneNumberError,
    OptOutListRefusedError,
    SendRefusedError,
)
from sms_engagement_runtime.channel.domain.ledger import (
    Claimed,
    ClaimResult,
    ContactChanged,
    DeliveryEvent,
    FoldResult,
    Guard,
    Held,
    Intent,
    LedgerRow,
    MessageState,
)
from sms_engagement_runtime.channel.domain.pacing import Full, Lane, Reserved, Slot
from sms_engagement_runtime.channel.domain.phone_number import ParsedNumber, PhoneNumber
from sms_engagement_runtime.channel.domain.ports import OutboundMessage
from sms_engagement_runtime.channel.domain.prompts import Prompt, is_open_on
from sms_engagement_runtime.channel.domain.quiet_hours import Place
from sms_engagement_runtime.channel.domain.reasons import Reason
from sms_engagement_runtime.channel.domain.subscriber import subscriber_id
from tests.support.bus_schemas import hold_to_schema
from tests.support.indexed import Indexed

START = datetime(2026, 11, 21, 17, 0, tzinfo=UTC)
SUBSCRIBER_KEY = b"a subscriber key of the tests"


@dataclass
class FakeClock:
    """Stands still until told to move."""

    instant: datetime = START

    def now(self) -> datetime:
        return self.instant

    def advance(self, **span: float) -> None:
        self.instant += timedelta(**span)


class FakeParser:
    """Knows E.164 numbers, and North American ones as people write them."""

    _COUNTRIES: ClassVar = {"+1": "US", "+44": "GB", "+33": "FR", "+49": "DE"}

    def parse(self, raw: str | None) -> ParsedNumber:
        if raw is None or not raw.strip():
            raise InvalidPhoneNumberError(Reason.NO_PHONE)
        digits = "".join(c for c in raw if c in "+0123456789")
        if len(digits) == 10 and digits.isdigit():
            digits = f"+1{digits}"
        if any(c.isalpha() for c in raw) or len(digits) < 8:
            raise InvalidPhoneNumberError(Reason.INVALID_PHONE)
        try:
            number = PhoneNumber(digits)
        except ValueError:
            raise InvalidPhoneNumberError(Reason.INVALID_PHONE) from None
        country = next((c for prefix, c in self._COUNTRIES.items() if digits.startswith(prefix)), None)
        return ParsedNumber(number=number, country=country)


class FakeContacts:
    """Contacts, consent records, prompts and the marks of handled inbound messages."""

    def __init__(self) -> None:
        self.rows: dict[str, Contact] = {}
        self.records: list[ConsentRecord] = []
        self.handled: dict[str, datetime] = {}
        self.prompts: Indexed[tuple[str, str, str, str, str], Prompt] = Indexed(
            lambda prompt: prompt.subscriber_id
        )
        self.before_save: Callable[[], None] | None = None
        self._lock = threading.RLock()

    def put(self, contact: Contact) -> Contact:
        """Arrange: store a contact as if it had been written once more."""
        with self._lock:
            stored = replace(contact, version=self.get(contact.subscriber_id).version + 1)
            self.rows[contact.subscriber_id] = stored
            return stored

    def get(self, subscriber_id: str) -> Contact:
        with self._lock:
            return self.rows.get(subscriber_id, Contact(subscriber_id=subscriber_id))

    def save(self, contact: Contact, *, expected_version: int, records: Sequence[ConsentRecord]) -> Contact:
        if self.before_save is not None:
            action, self.before_save = self.before_save, None
            action()
        with self._lock:
            if self.get(contact.subscriber_id).version != expected_version:
                raise ContactChangedError
            stored = self.get(contact.subscriber_id)
            saved = replace(contact, version=expected_version + 1)
            self.rows[contact.subscriber_id] = replace(
                saved,
                recent_texts=stored.recent_texts,
                introduced_at=stored.introduced_at,
                introduced_by=stored.introduced_by,
            )
            self.records.extend(records)
            return saved

    def claimed(self, contact: Contact, becomes: Contact) -> bool:
        """Write what a claim changes, if the stored row is as it was read; the ledger's share."""
        with self._lock:
            stored = self.get(contact.subscriber_id)
            stays = (
                becomes.recent_texts is contact.recent_texts,
                becomes.introduced_at == contact.introduced_at,
            )
            is_as_read = (
                stored.version == contact.version
                and (stays[0] or stored.recent_texts == contact.recent_texts)
                and (stays[1] or stored.introduced_at == contact.introduced_at)
            )
            if is_as_read and becomes != contact:
                self.rows[contact.subscriber_id] = replace(
                    stored,
                    recent_texts=becomes.recent_texts,
                    introduced_at=becomes.introduced_at,
                    introduced_by=becomes.introduced_by,
                )
            return is_as_read

    def forget_text(self, subscriber_id: str, key: str) -> None:
        with self._lock:
            stored = self.get(subscriber_id)
            recent = {other: at for other, at in stored.recent_texts.items() if other != key}
            changed = replace(stored, recent_texts=recent)
            if stored.introduced_by == key:
                changed = replace(changed, introduced_at=None, introduced_by=None)
            if changed != stored:
                self.rows[subscriber_id] = changed

    def was_handled(self, inbound_id: str) -> bool:
        return inbound_id in self.handled

    def mark_handled(self, inbound_id: str, at: datetime) -> None:
        self.handled[inbound_id] = at

    @staticmethod
    def _key(prompt: Prompt) -> tuple[str, str, str, str, str]:
        return (
            prompt.subscriber_id,
            prompt.origination,
            prompt.construct,
            prompt.purpose,
            prompt.occasion,
        )

    def open(self, prompt: Prompt) -> None:
        with self._lock:
            self.prompts.setdefault(self._key(prompt), prompt)

    def open_prompts(
        self, subscriber_id: str, origination: str | None, *, inbound_id: str, now: datetime
    ) -> Sequence[Prompt]:
        with self._lock:
            return [
                prompt
                for prompt in self.prompts.of(subscriber_id)
                if is_open_on(prompt, origination)
                and prompt.expires_at > now
                and prompt.answered_by in (None, inbound_id)
            ]

    def close(self, prompt: Prompt, *, inbound_id: str) -> None:
        with self._lock:
            stored = self.prompts[self._key(prompt)]
            if stored.answered_by is None:
                self.prompts[self._key(prompt)] = replace(stored, answered_by=inbound_id)


class FakeLedger:
    """Ledger rows. It shares the contacts, which it checks and changes with each claim.

    ``holds`` says whether the row of a guard still has its version; it is asked within the claim.
    """

    def __init__(self, contacts: FakeContacts, *, key: bytes = SUBSCRIBER_KEY) -> None:
        self.rows: Indexed[str, LedgerRow] = Indexed(lambda row: row.subscriber_id)
        self.deferred_until: dict[str, datetime | None] = {}
        self.claims = 0
        self.holds: Callable[[Guard], bool] = lambda guard: True
        self._contacts = contacts
        self._key = key
        self._lock = threading.RLock()

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
        with self._lock:
            row = self.rows.get(key)
            if row is not None and not rules.may_claim(row):
                return Held(row)
            # The guard first, since the contact is changed where it is as it was read.
            if guard is not None and not self.holds(guard):
                return ContactChanged()
            if not self._contacts.claimed(contact, becomes or contact):
                return ContactChanged()
            self.rows[key] = rules.open_row(
                intent, state=MessageState.CLAIMED, reason=None, parts=parts, now=now
            )
            self.claims += 1
            return Claimed()

    def accept(self, key: str, message_id: str, now: datetime) -> None:
        self._change(key, lambda row: rules.accept(row, message_id, now))

    def release(self, key: str, reason: str, now: datetime) -> None:
        self._change(key, lambda row: rules.release(row, reason, now))

    def fail(self, key: str, reason: str, now: datetime) -> None:
        self._change(key, lambda row: rules.fail(row, reason, now))

    def _change(self, key: str, rule: Callable[[LedgerRow], LedgerRow | None]) -> None:
        with self._lock:
            self.rows[key] = rule(self.rows[key]) or self.rows[key]

    def suppress(self, intent: Intent, key: str, reason: str, parts: int, now: datetime) -> Held | None:
        return self._put(intent, key, MessageState.SUPPRESSED, reason, parts, now)

    def defer(
        self, intent: Intent, key: str, reason: str, until: datetime | None, now: datetime
    ) -> Held | None:
        with self._lock:
            held = self._put(intent, key, MessageState.DEFERRED, reason, 0, now)
            if held is None:
                self.deferred_until[key] = until
            return held

    def _put(
        self, intent: Intent, key: str, state: MessageState, reason: str, parts: int, now: datetime
    ) -> Held | None:
        with self._lock:
            row = self.rows.get(key)
            if row is not None and not rules.may_claim(row):
                return Held(row)
            self.rows[key] = rules.open_row(intent, state=state, reason=reason, parts=parts, now=now)
            return None

    def get(self, key: str) -> LedgerRow | None:
        return self.rows.get(key)

    def record_event(self, event: DeliveryEvent, now: datetime) -> FoldResult:
        with self._lock:
            row = self.rows.get(event.key) if event.key is not None else None
            if row is None and event.destination is not None:
                person = subscriber_id(event.destination, self._key)
                recent = self.recent(person, 50)
                row = next((r for r in recent if r.message_id == event.message_id), None)
            if row is None:
                return FoldResult(row=None)
            folded = rules.fold(row, event)
            self.rows[row.key] = folded or row
            return rules.fold_result(row, folded)

    def recent(self, subscriber_id: str, limit: int) -> Sequence[LedgerRow]:
        return sorted(self.rows.of(subscriber_id), key=lambda row: row.claimed_at, reverse=True)[:limit]


@dataclass
class FakeSender:
    """A carrier that takes every text, unless ``answers`` holds what to do with the next ones.

    An exception in ``answers`` is raised instead of sending; a callable is called first; None sends. With an
    ``opt_out_list`` it refuses the numbers on it, as the service does.
    """

    answers: list[Exception | Callable[[], None] | None] = field(default_factory=list)
    opt_out_list: FakeOptOutList | None = None
    sent: list[OutboundMessage] = field(default_factory=list)
    calls: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self, message: OutboundMessage) -> str:
        with self._lock:
            self.calls += 1
            answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, Exception):
            raise answer
        if answer is not None:
            answer()
        if self.opt_out_list is not None and message.destination in self.opt_out_list.numbers:
            raise SendRefusedError("DESTINATION_PHONE_NUMBER_OPTED_OUT")
        with self._lock:
            self.sent.append(message)
            return f"message-{len(self.sent)}"

    @property
    def bodies(self) -> list[str]:
        return [message.body for message in self.sent]


@dataclass
class FakeOptOutList:
    """The service's list. Numbers in ``locked`` left it within 30 days: it refuses to let them go again."""

    numbers: set[PhoneNumber] = field(default_factory=set)
    locked: set[PhoneNumber] = field(default_factory=set)
    calls: list[tuple[str, PhoneNumber]] = field(default_factory=list)

    def put(self, number: PhoneNumber) -> None:
        self.calls.append(("put", number))
        self.numbers.add(number)

    def delete(self, number: PhoneNumber) -> None:
        self.calls.append(("delete", number))
        if number not in self.numbers:
            return
        if number in self.locked:
            raise OptOutListRefusedError("once in 30 days")
        self.numbers.remove(number)
        self.locked.add(number)


@dataclass
class FakePlaces:
    """Everybody lives in one zone, unless their record names another."""

    zones: tuple[str, ...] = ("America/New_York",)
    states: tuple[str, ...] = ()

    def place_of(self, number: PhoneNumber, country: str | None, time_zone: str | None) -> Place:
        return Place(self.zones, self.states) if time_zone is None else Place((time_zone,))


class FakeBudget:
    """What was spent, by day and by campaign; nothing is reserved ahead."""

    def __init__(self, limits: SpendLimits | None = None, *, millicents_per_part: int = 881) -> None:
        self.spent: dict[str, int] = {}
        self.settled = 0
        self._limits = limits or SpendLimits()
        self._price = millicents_per_part
        self._lock = threading.Lock()

    def reserve(
        self, campaign_id: str | None, parts: int, now: datetime, *, is_exempt: bool = False
    ) -> Reason | None:
        price = parts * self._price
        with self._lock:
            accounts = self._accounts(campaign_id, now, is_exempt=is_exempt)
            for account, (limit, reason) in accounts.items():
                if not is_exempt and self.spent.get(account, 0) + price > limit:
                    return reason
            for account in accounts:
                self.spent[account] = self.spent.get(account, 0) + price
            return None

    def give_back(
        self, campaign_id: str | None, parts: int, now: datetime, *, is_exempt: bool = False
    ) -> None:
        with self._lock:
            for account in self._accounts(campaign_id, now, is_exempt=is_exempt):
                self.spent[account] -= parts * self._price

    def settle(self) -> None:
        self.settled += 1

    def _accounts(
        self, campaign_id: str | None, now: datetime, *, is_exempt: bool
    ) -> dict[str, tuple[int, Reason]]:
        accounts = {}
        if self._limits.per_day is not None:
            accounts[f"day#{now.astimezone(UTC).date()}"] = (self._limits.per_day, Reason.DAY_BUDGET)
        if self._limits.per_campaign is not None and campaign_id is not None and not is_exempt:
            accounts[f"campaign#{campaign_id}"] = (self._limits.per_campaign, Reason.CAMPAIGN_BUDGET)
        return accounts


@dataclass
class FakePause:
    """Not paused unless set."""

    paused: bool = False

    def is_paused(self) -> bool:
        return self.paused


@dataclass
class FakePacer:
    """Never waits; remembers what it was asked. ``on_acquire`` happens during the wait."""

    acquired: list[int] = field(default_factory=list)
    held: list[Slot] = field(default_factory=list)
    lanes: list[Lane] = field(default_factory=list)
    back_offs: list[int] = field(default_factory=list)
    on_acquire: Callable[[], None] | None = None

    def acquire(self, parts: int, lane: Lane) -> Slot:
        self.acquired.append(parts)
        self.lanes.append(lane)
        if self.on_acquire is not None:
            action, self.on_acquire = self.on_acquire, None
            action()
        return Slot(at=START, parts=parts, taken_at=START, is_tight=False)

    def hold(self, slot: Slot) -> bool:
        self.held.append(slot)
        return True

    def back_off(self, attempt: int) -> None:
        self.back_offs.append(attempt)


class FakeRateQueue:
    """The queue in front of the rate."""

    def __init__(self) -> None:
        self.end: datetime | None = None
        self._lock = threading.Lock()

    def reserve(self, length: timedelta, lane: Lane, now: datetime) -> Reserved | Full:
        with self._lock:
            decision = pacing.reserve(self.end, now, lane)
            if isinstance(decision, Reserved):
                self.end = decision.start + length
            return decision


@dataclass
class FakeLater:
    """Keeps what waits: event and instant by name."""

    waits: dict[str, tuple[dict[str, object], datetime]] = field(default_factory=dict)

    def postpone(self, name: str, event: Mapping[str, object], until: datetime) -> None:
        self.waits.setdefault(name, (dict(event), until))


@dataclass
class FakeBus:
    """Keeps what was published, and holds it to the schemas that others read."""

    events: list[tuple[str, dict[str, object]]] = field(default_factory=list)

    def publish(self, detail_type: str, detail: Mapping[str, object]) -> None:
        hold_to_schema(detail_type, detail)
        self.events.append((detail_type, dict(detail)))


@dataclass
class FakeAttention:
    """Keeps what a human was told."""

    notices: list[tuple[str, str]] = field(default_factory=list)

    def publish(self, subject: str, message: str) -> None:
        self.notices.append((subject, message))


class FakeCampaignCounts:
    """Counts by campaign."""

    def __init__(self) -> None:
        self.counts: dict[str, Counts] = {}
        self._counted: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def add(
        self,
        campaign_id: str,
        *,
        delivered: int = 0,
        failed: int = 0,
        opted_out: int = 0,
        once: str | None = None,
    ) -> None:
        with self._lock:
            if once is not None and (campaign_id, once) in self._counted:
                return
            if once is not None:
                self._counted.add((campaign_id, once))
            added = Counts(delivered=delivered, failed=failed, opted_out=opted_out)
            self.counts[campaign_id] = self.counts.get(campaign_id, Counts()) + added

    def get(self, campaign_id: str) -> Counts:
        with self._lock:
            return self.counts.get(campaign_id, Counts())


class Crash(BaseException):
    """The process ends here. Not an ``Exception``: nothing may catch it."""


@dataclass
class CrashPlan:
    """Counts the instants around the calls of all ports that it wraps, and crashes at one of them.

    Every call has two instants: before its effect and after it. ``crash_at`` None never crashes.
    """

    crash_at: int | None = None
    instants: int = 0

    def reach(self) -> None:
        self.instants += 1
        if self.instants == self.crash_at:
            raise Crash(f"instant {self.instants}")

    def wrap[T](self, port: T) -> T:
        return _Crashing(port, self)  # type: ignore[return-value]


class _Crashing:
    def __init__(self, port: object, plan: CrashPlan) -> None:
        self._port = port
        self._plan = plan

    def __getattr__(self, name: str) -> object:
        method = getattr(self._port, name)

        def call(*args: object, **kwargs: object) -> object:
            self._plan.reach()
            result = method(*args, **kwargs)
            self._plan.reach()
            return result

        return call
