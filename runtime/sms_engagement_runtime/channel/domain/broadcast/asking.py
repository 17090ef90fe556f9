"""One part: asks its people, several at a time, and reports what became of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from typing import Final

from sms_engagement_runtime.channel.domain.broadcast.hours import HoursOfGroup, last_text_at
from sms_engagement_runtime.channel.domain.broadcast.outcomes import (
    PASSING,
    REMAINING,
    PersonOutcome,
    RunReason,
    tally,
)
from sms_engagement_runtime.channel.domain.broadcast.run import Assignment, PartReport, RunStore
from sms_engagement_runtime.channel.domain.broadcast.stop_rules import StopRules
from sms_engagement_runtime.channel.domain.errors import CallRefusedError, TransientError
from sms_engagement_runtime.channel.domain.outcome_state import OutcomeState
from sms_engagement_runtime.channel.domain.ports import CampaignCounts, Clock, PauseFlag
from sms_engagement_runtime.channel.domain.reasons import Reason

STOPPING: Final[frozenset[str | None]] = frozenset(
    {Reason.PAUSED, Reason.SENDING_DISABLED, Reason.DAY_BUDGET, Reason.CAMPAIGN_BUDGET}
)
"""Reasons for which no other text of the run would go out now either."""

_READ_AHEAD: Final = 8
"""People read at once for each worker. At the configured rate a worker asks one in two seconds at the most,
so they are texted within a quarter of a minute."""

_READING_LASTS: Final = timedelta(seconds=15)
"""Age at which people are read again before they are asked."""

_ATTEMPTS: Final = 3
# Seconds before another attempt at reading the people of a part; each has the client's own behind it.
_FIND_PAUSES: Final = (1.0, 3.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class PartAsker[Person]:
    """Carries out one assignment.

    Attributes
    ----------
    find
        Reads people by id; those who are gone are absent.
    missing_reason
        Reason code of those.
    ask
        Asks one of them; may raise ``TransientError``. Called by several threads.
    hours_of
        Allowed hours of a group.
    has_time
        False once the function's time is nearly over.
    on_error
        Told the type of an error that nobody foresaw; its text may quote what is the person's. Called by
        several threads.
    sleep
        Waits for a number of seconds before people are read again.
    workers
        People asked at the same time.
    pool, lock
        Makes the threads for so many, and what they wait for one another with; a simulation of time brings
        its own.
    """

    find: Callable[[Sequence[str]], Mapping[str, Person]]
    missing_reason: str
    ask: Callable[[Person], PersonOutcome]
    store: RunStore
    hours_of: HoursOfGroup
    clock: Clock
    pause: PauseFlag
    counts: CampaignCounts
    stop_rules: StopRules
    has_time: Callable[[], bool]
    on_error: Callable[[type[Exception]], None]
    sleep: Callable[[float], None]
    workers: int
    pool: Callable[[int], Executor] = ThreadPoolExecutor
    lock: Callable[[], AbstractContextManager[object]] = Lock

    def carry_out(self, assignment: Assignment, *, token: str) -> PartReport:
        """Ask everybody of a part who can be asked now; write results and report, and return the report.

        Carrying it out again texts nobody twice: the ledger knows who was asked.

        Parameters
        ----------
        token
            Different in each call: an attempt whose report comes late does not touch the results of another.
        """
        report = self._put_off(assignment) or self._ask_people(assignment, token)
        self.store.write_json(assignment.report_key, report.to_json())
        return report

    def _put_off(self, assignment: Assignment) -> PartReport | None:
        """Hand a part back before anything is written to the ledger, where nobody of it could be texted."""
        if assignment.run.is_dry:
            return None
        now = self.clock.now()
        stopped_by: str | None = self.stop_rules.broken_by(self.counts.get(assignment.run.run_id))
        if stopped_by is None and self.pause.is_paused():
            stopped_by = Reason.PAUSED
        if stopped_by is None and self._is_open(assignment.part.group, now):
            return None
        return PartReport(ended_at=now, is_untouched=True, stopped_by=stopped_by)

    def _is_open(self, group: str, now: datetime) -> bool:
        hours = self.hours_of(group)
        if hours.next_open(now) is None:
            # Nothing is known of the hours of such people: the gate has its own reason for them.
            return True
        ends_at = last_text_at(hours, now)
        return ends_at is not None and now < ends_at

    def _ask_people(self, assignment: Assignment, token: str) -> PartReport:
        run, part = assignment.run, assignment.part
        ends_at = None if run.is_dry else last_text_at(self.hours_of(part.group), self.clock.now())
        (people,) = self.store.read_people([part.key])
        # Before the first of them is asked: a part without this mark texted nobody.
        self.store.write_json(run.begun_key(part), {"begunAt": self.clock.now().isoformat()})
        outcomes, stop = self._ask_all(people, ends_at, is_dry=run.is_dry)
        final = [outcome for outcome in outcomes if _is_settled(outcome, is_dry=run.is_dry)]
        result_key = None
        if final:
            result_key = run.result_key(f"{part.name}-{token}")
            self.store.write_outcomes(result_key, final)
        return PartReport(
            ended_at=self.clock.now(),
            final=tally(final),
            result_key=result_key,
            rest=[outcome for outcome in outcomes if not _is_settled(outcome, is_dry=run.is_dry)],
            stopped_by=stop.reason if stop else None,
            until=stop.until if stop else None,
        )

    def _ask_all(
        self, recipient_ids: Sequence[str], ends_at: datetime | None, *, is_dry: bool
    ) -> tuple[Sequence[PersonOutcome], PersonOutcome | None]:
        """Ask people; return what became of each, and the outcome that stopped it, if one did.

        People are read shortly before their turn and not when the snapshot was taken: who left in between is
        not asked. Where a service does not answer or the carrier throttles, the person is tried again after
        the others. An error that nobody foresaw leaves its person `REMAINING`, and the others are asked all
        the same.
        """
        outcomes: dict[str, PersonOutcome] = {}
        stops: list[PersonOutcome] = []

        def attempt(recipient_id: str) -> PersonOutcome:
            if stops:
                return PersonOutcome(user_id=recipient_id, state=REMAINING, reason=stops[0].reason)
            if not self.has_time() or (ends_at is not None and self.clock.now() >= ends_at):
                return PersonOutcome(user_id=recipient_id, state=REMAINING, reason=RunReason.OUT_OF_TIME)
            try:
                person = reader.read(recipient_id)
                if person is None:
                    return PersonOutcome(
                        user_id=recipient_id, state=OutcomeState.SUPPRESSED, reason=self.missing_reason
                    )
                outcome = self.ask(person)
            except TransientError as error:
                if isinstance(error, CallRefusedError):
                    # Only a human can mend it.
                    self.on_error(type(error))
                return PersonOutcome(
                    user_id=recipient_id, state=REMAINING, reason=RunReason.SERVICE_UNAVAILABLE
                )
            except Exception as error:  # noqa: BLE001 - one person must not cost the others their turn
                self.on_error(type(error))
                return PersonOutcome(user_id=recipient_id, state=REMAINING, reason=RunReason.UNEXPECTED_ERROR)
            if not is_dry and outcome.state == OutcomeState.DEFERRED and outcome.reason in STOPPING:
                # No other text would be taken either.
                stops.append(outcome)
            return outcome

        pending = list(dict.fromkeys(recipient_ids))
        with self.pool(self.workers) as pool:
            for _ in range(_ATTEMPTS):
                reader = _Reader(
                    self._find,
                    pending,
                    at_once=self.workers * _READ_AHEAD,
                    clock=self.clock,
                    lock=self.lock(),
                )
                outcomes.update(zip(pending, pool.map(attempt, pending), strict=True))
                pending = [one for one in pending if outcomes[one].reason in PASSING]
                if not pending or reader.has_failed:
                    break
        return list(outcomes.values()), next(iter(stops), None)

    def _find(self, recipient_ids: Sequence[str]) -> Mapping[str, Person]:
        for pause in _FIND_PAUSES:
            try:
                return self.find(recipient_ids)
            except TransientError:
                self.sleep(pause)
        return self.find(recipient_ids)


class _Reader[Person]:
    """Reads people some at a time, when the first of them has their turn. Safe to be shared by threads.

    Once reading has failed nobody else is read.
    """

    def __init__(
        self,
        find: Callable[[Sequence[str]], Mapping[str, Person]],
        recipient_ids: Sequence[str],
        *,
        at_once: int,
        clock: Clock,
        lock: AbstractContextManager[object],
    ) -> None:
        self._find = find
        self._people = recipient_ids
        self._at_once = at_once
        self._clock = clock
        self._lock = lock
        self._place_of = {one: place for place, one in enumerate(recipient_ids)}
        # By the place of their first one: when they were read, and who is there.
        self._readings: dict[int, tuple[datetime, Mapping[str, Person]]] = {}
        self.has_failed = False

    def read(self, recipient_id: str) -> Person | None:
        """Return a person as they are about now; None for who is gone.

        Raises
        ------
        TransientError
            They cannot be read.
        """
        place = self._place_of[recipient_id]
        first = place - place % self._at_once
        with self._lock:
            reading = self._readings.get(first)
            if reading is None or self._clock.now() - reading[0] > _READING_LASTS:
                reading = self._read(first)
                self._readings[first] = reading
            return reading[1].get(recipient_id)

    def _read(self, first: int) -> tuple[datetime, Mapping[str, Person]]:
        if self.has_failed:
            raise TransientError("people could not be read a moment ago")
        read_at = self._clock.now()
        try:
            return read_at, self._find(self._people[first : first + self._at_once])
        except Exception:
            self.has_failed = True
            raise


def _is_settled(outcome: PersonOutcome, *, is_dry: bool) -> bool:
    # A dry run says how things stand, and waits for nobody.
    return outcome.state != REMAINING if is_dry else outcome.is_final
