"""One run of the broadcast: its audience in parts, and what became of everybody.

Objects of a run, all below ``runs/<run id>/``; a step that is repeated writes the same keys again:

==========================  ===========================================================================
key                         content
==========================  ===========================================================================
``parts/00001.jsonl``       one line a person to ask: ``{"userId"}``; no phone number, no name
``manifest.json``           array of `ManifestItem`, read by the Distributed Map
``results/00001.jsonl``     one line a person of that part: `PersonOutcome`
``results/skipped-….jsonl`` the same for those who are in no part
``audience.json``           `Audience`
``summary.json``            what the run came to
==========================  ===========================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from itertools import batched
from typing import Any, Protocol

from sms_engagement_runtime.channel.domain.errors import TransientError
from sms_engagement_runtime.channel.domain.outcome_state import OutcomeState
from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber
from sms_engagement_runtime.channel.domain.ports import PhoneNumberParser
from sms_engagement_runtime.channel.domain.reasons import Reason
from sms_engagement_runtime.review_collector.domain.customers import Customer
from sms_engagement_runtime.review_collector.domain.outcomes import (
    REMAINING,
    AskReason,
    PersonOutcome,
    tally,
)
from sms_engagement_runtime.review_collector.domain.ports import CustomerDirectory
from sms_engagement_runtime.review_collector.domain.screening import screen

SKIPPED_PER_OBJECT = 10_000
"""Lines of one object of skipped people: about a megabyte."""

_ATTEMPTS = 3
# Seconds before another attempt at reading the customers of a part; each has the client's own behind it.
_FIND_PAUSES = (1.0, 3.0)
_STOPPING: frozenset[str | None] = frozenset({Reason.SENDING_DISABLED, Reason.PAUSED})
# Proven not sent, and likely to go better in a moment.
_TRIED_AGAIN: frozenset[str | None] = frozenset(
    {AskReason.SERVICE_UNAVAILABLE, Reason.THROTTLED, Reason.CONTACT_CHANGED}
)
# Not sent, and to be sent by a later run.
_LEFT: frozenset[str] = frozenset({REMAINING, OutcomeState.DEFERRED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a run was started with.

    Attributes
    ----------
    run_id
        Name of the execution.
    started_at
        ISO 8601, as Step Functions gives it.
    is_dry
        Nothing is sent and no table is written.
    reason
        Free text of whoever started it.
    """

    run_id: str
    started_at: str
    is_dry: bool = False
    reason: str | None = None

    @property
    def prefix(self) -> str:
        """Where the objects of the run lie."""
        return f"runs/{self.run_id}/"

    @property
    def manifest_key(self) -> str:
        """Array of the parts."""
        return f"{self.prefix}manifest.json"

    @property
    def audience_key(self) -> str:
        """`Audience`."""
        return f"{self.prefix}audience.json"

    @property
    def summary_key(self) -> str:
        """What the run came to."""
        return f"{self.prefix}summary.json"

    @property
    def result_prefix(self) -> str:
        """Where the results lie."""
        return f"{self.prefix}results/"

    def part_key(self, number: int) -> str:
        """People of a part, counted from 1."""
        return f"{self.prefix}parts/{number:05}.jsonl"

    def result_key(self, number: int) -> str:
        """Outcomes of the people of a part."""
        return f"{self.result_prefix}{number:05}.jsonl"

    def skipped_key(self, number: int) -> str:
        """People who are in no part, and why."""
        return f"{self.result_prefix}skipped-{number:05}.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestItem:
    """Input of one child of the Distributed Map."""

    part_key: str
    result_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Audience:
    """Who belongs to a run.

    Attributes
    ----------
    customers
        Everybody in the table.
    recipients
        Those in the parts.
    result_keys
        Where the outcome of everybody will be found once the run is over.
    """

    customers: int
    recipients: int
    result_keys: Sequence[str]


class RunStore(Protocol):
    """Objects of runs."""

    def write_people(self, key: str, user_ids: Sequence[str]) -> None:
        """Write a part."""
        ...

    def read_people(self, key: str) -> Sequence[str]:
        """Read a part."""
        ...

    def write_outcomes(self, key: str, outcomes: Iterable[PersonOutcome]) -> None:
        """Write what became of people, a line each."""
        ...

    def read_outcomes(self, prefix: str, keys: Sequence[str]) -> Iterator[PersonOutcome]:
        """Read what became of people from these keys, all below a prefix; a missing object has none."""
        ...

    def write_json(self, key: str, value: Any) -> None:
        """Write a JSON object or array."""
        ...

    def read_json(self, key: str) -> Any:
        """Read it."""
        ...


class PhoneBuckets(Protocol):
    """Customers, in buckets by their phone, so that a bucket fits in memory whatever the audience."""

    def add(self, subscriber_id: str, user_id: str) -> None:
        """Put a customer into the bucket of their phone."""
        ...

    def contents(self) -> Iterator[Sequence[tuple[str, str]]]:
        """Return bucket after bucket: pairs of subscriber id and customer id."""
        ...


def take_audience(
    run: Run,
    *,
    customers: CustomerDirectory,
    parser: PhoneNumberParser,
    identify: Callable[[PhoneNumber], str],
    buckets: PhoneBuckets,
    store: RunStore,
    recipients_per_part: int,
    manifest: Callable[[ManifestItem], Mapping[str, Any]],
) -> Audience:
    """Write the audience of a run in parts, and everybody else with the reason.

    The same phone under two customer ids is one recipient: the lowest id wins, the others are recorded as
    duplicates. Memory holds one page of the table, one bucket and one part at a time.

    Parameters
    ----------
    identify
        Returns the subscriber id of a number.
    manifest
        Makes the entry of the manifest from an item.
    """
    skipped = _SkippedWriter(run, store)
    for customer in customers.everybody():
        parsed = screen(customer, parser)
        if isinstance(parsed, Reason):
            skipped.add(customer.user_id, parsed)
        else:
            buckets.add(identify(parsed.number), customer.user_id)
    items: list[ManifestItem] = []
    recipients = 0
    for number, people in enumerate(
        batched(_without_duplicates(buckets, skipped), recipients_per_part, strict=False), start=1
    ):
        item = ManifestItem(part_key=run.part_key(number), result_key=run.result_key(number))
        store.write_people(item.part_key, people)
        items.append(item)
        recipients += len(people)
    skipped.flush()
    audience = Audience(
        customers=recipients + skipped.count,
        recipients=recipients,
        result_keys=[*(item.result_key for item in items), *skipped.keys],
    )
    store.write_json(
        run.audience_key,
        {
            "customers": audience.customers,
            "recipients": recipients,
            "resultKeys": list(audience.result_keys),
        },
    )
    # Last, since it is what the next step reads: with it, everything else is there.
    store.write_json(run.manifest_key, [manifest(item) for item in items])
    return audience


class _SkippedWriter:
    """Writes people who are in no part, an object for every ten thousand of them."""

    def __init__(self, run: Run, store: RunStore) -> None:
        self._run = run
        self._store = store
        self._outcomes: list[PersonOutcome] = []
        self.keys: list[str] = []
        self.count = 0

    def add(self, user_id: str, reason: Reason) -> None:
        self._outcomes.append(PersonOutcome(user_id=user_id, state=OutcomeState.SUPPRESSED, reason=reason))
        self.count += 1
        if len(self._outcomes) == SKIPPED_PER_OBJECT:
            self.flush()

    def flush(self) -> None:
        if self._outcomes:
            key = self._run.skipped_key(len(self.keys) + 1)
            self._store.write_outcomes(key, self._outcomes)
            self.keys.append(key)
            self._outcomes = []


def _without_duplicates(buckets: PhoneBuckets, skipped: _SkippedWriter) -> Iterator[str]:
    for bucket in buckets.contents():
        winners: dict[str, str] = {}
        for subscriber, user_id in bucket:
            winners[subscriber] = min(user_id, winners.get(subscriber, user_id))
        for subscriber, user_id in bucket:
            if winners[subscriber] != user_id:
                skipped.add(user_id, Reason.DUPLICATE_PHONE)
        yield from sorted(winners.values())


def send_part(
    user_ids: Sequence[str],
    *,
    customers: CustomerDirectory,
    ask: Callable[[Customer], PersonOutcome],
    may_go_on: Callable[[], bool],
    on_error: Callable[[type[Exception]], None],
    sleep: Callable[[float], None],
    workers: int,
) -> list[PersonOutcome]:
    """Ask everybody of a part, several at a time; each comes out in one final state.

    Customers are read now and not when the snapshot was taken: who left in between is not asked. Where a
    service does not answer or the carrier throttles, the person is tried again after the others. An error
    that nobody foresaw leaves its person `REMAINING`, and the others are asked all the same.

    Parameters
    ----------
    ask
        Asks one customer; may raise `TransientError`.
    may_go_on
        False once there is no time left; those who are left are `REMAINING`.
    on_error
        Told of such an error: its type alone, since its text may quote what is the person's. Called by
        several threads.
    sleep
        Waits for a number of seconds before the customers are read again.
    workers
        People asked at the same time.

    Raises
    ------
    TransientError
        The customers could not be read, again and again. Nobody was asked.
    """
    outcomes: dict[str, PersonOutcome] = {}
    stopped_by: list[str | None] = []

    def attempt(user_id: str) -> PersonOutcome:
        if stopped_by:
            return PersonOutcome(user_id=user_id, state=REMAINING, reason=stopped_by[0])
        if not may_go_on():
            return PersonOutcome(user_id=user_id, state=REMAINING, reason=AskReason.OUT_OF_TIME)
        customer = found.get(user_id)
        if customer is None:
            return PersonOutcome(user_id=user_id, state=OutcomeState.SUPPRESSED, reason=AskReason.NO_CUSTOMER)
        try:
            outcome = ask(customer)
        except TransientError:
            return PersonOutcome(user_id=user_id, state=REMAINING, reason=AskReason.SERVICE_UNAVAILABLE)
        except Exception as error:  # noqa: BLE001 - one person must not cost the others their turn
            on_error(type(error))
            return PersonOutcome(user_id=user_id, state=REMAINING, reason=AskReason.UNEXPECTED_ERROR)
        if outcome.state == OutcomeState.DEFERRED and outcome.reason in _STOPPING:
            # No other text would be taken either.
            stopped_by.append(outcome.reason)
        return outcome

    pending = list(dict.fromkeys(user_ids))
    found = _find(pending, customers, sleep)
    with ThreadPoolExecutor(workers) as pool:
        for _ in range(_ATTEMPTS):
            for outcome in pool.map(attempt, pending):
                outcomes[outcome.user_id] = outcome
            pending = [user_id for user_id in pending if outcomes[user_id].reason in _TRIED_AGAIN]
            if not pending:
                break
    return list(outcomes.values())


def _find(
    user_ids: Sequence[str], customers: CustomerDirectory, sleep: Callable[[float], None]
) -> Mapping[str, Customer]:
    for pause in _FIND_PAUSES:
        try:
            return customers.find(user_ids)
        except TransientError:
            sleep(pause)
    return customers.find(user_ids)


def summarise(run: Run, *, store: RunStore, millicents_per_part: int) -> dict[str, Any]:
    """Add up a run, write the sum beside its results, and return it.

    People of a part without results (its function failed) are counted as `REMAINING`: some of them may have
    been asked all the same, which the next run finds in the ledger.
    """
    audience = store.read_json(run.audience_key)
    total = tally(store.read_outcomes(run.result_prefix, audience["resultKeys"]))
    outcomes, reasons = dict(total.outcomes), dict(total.reasons)
    unknown = audience["customers"] - total.people
    if unknown > 0:
        outcomes[REMAINING] = outcomes.get(REMAINING, 0) + unknown
        reasons[AskReason.PART_FAILED] = unknown
    summary = {
        "runId": run.run_id,
        "dryRun": run.is_dry,
        "recipients": audience["recipients"],
        "customers": audience["customers"],
        "outcomes": outcomes,
        "reasons": reasons,
        "parts": total.parts,
        "estimatedCostUsd": f"{Decimal(total.parts * millicents_per_part) / 100_000:.2f}",
        "complete": _LEFT.isdisjoint(outcomes),
        "reason": run.reason,
    }
    store.write_json(run.summary_key, summary)
    return summary
