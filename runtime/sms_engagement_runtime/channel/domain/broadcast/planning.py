"""What a run does next: send a wave, wait for an instant, or end.

The state machine asks before the first wave, after every wave and after every wait. Each answer is a *turn*:
it is worked out from what was stored by the turn before and from the reports of the wave under way, and it is
stored before it is given. A turn that is asked for again, because the answer got lost, gives the same answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Self

from sms_engagement_runtime.channel.domain.broadcast.hours import HoursOfGroup, always_open
from sms_engagement_runtime.channel.domain.broadcast.outcomes import (
    PASSING,
    REMAINING,
    PersonOutcome,
    RunReason,
    Tally,
)
from sms_engagement_runtime.channel.domain.broadcast.parts import Names, OutcomeWriter, PartWriter
from sms_engagement_runtime.channel.domain.broadcast.run import (
    Assignment,
    Audience,
    BroadcastSettings,
    Part,
    PartReport,
    Run,
    RunStore,
    instant,
    tally_from_json,
    tally_to_json,
)
from sms_engagement_runtime.channel.domain.broadcast.stop_rules import StopRules
from sms_engagement_runtime.channel.domain.broadcast.waves import choose_wave, starts_at, wave_length
from sms_engagement_runtime.channel.domain.errors import PermanentError
from sms_engagement_runtime.channel.domain.ledger import UNCERTAIN_AFTER
from sms_engagement_runtime.channel.domain.outcome_state import OutcomeState
from sms_engagement_runtime.channel.domain.ports import CampaignCounts, PauseFlag
from sms_engagement_runtime.channel.domain.reasons import Reason

MAX_FAILURES: Final = 5
"""Attempts at a part whose function dies, or at a person whose turn ends in an error that nobody foresaw."""

MAX_OUTAGES: Final = 24
"""Attempts at a person for whom a service does not answer, or at a part whose function does not begin: five
hours, with the waits between them.

A service is not away for that long. A right that is missing is, and a new run asks once it is there.
"""

CLAIM_SETTLES_AFTER: Final = UNCERTAIN_AFTER + timedelta(seconds=1)
"""By then a claim whose function died counts as uncertain, and any other one has its answer."""

_FIRST_LOOK: Final = timedelta(seconds=5)
_LAST_LOOK: Final = timedelta(minutes=5)
_FIRST_BACK_OFF: Final = CLAIM_SETTLES_AFTER
_LAST_BACK_OFF: Final = timedelta(minutes=15)

# An execution has 25,000 events in its history (Step Functions, quotas). A turn takes eleven of them at the
# most, its retries apart: step, choice, and map or wait.
_MAX_TURNS: Final = 1_500
_FREE_TURNS: Final = 300
"""Turns that may follow one another as they come; those after them are spread over the time that is left."""

_SHORTEST_WAIT: Final = timedelta(seconds=1)

_MAY_HAVE_TEXTED: Final[frozenset[str | None]] = frozenset(
    {RunReason.SERVICE_UNAVAILABLE, RunReason.UNEXPECTED_ERROR}
)
"""Reasons of attempts that may have ended behind the call to the carrier."""


class Next(StrEnum):
    """What the state machine does."""

    SEND = "SEND"
    WAIT = "WAIT"
    DONE = "DONE"


class TurnError(PermanentError):
    """A turn was asked for that is neither the next one nor the last one. The run cannot go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """Answer to the state machine.

    Attributes
    ----------
    number
        Counted from 1.
    until
        What to wait for; WAIT only.
    manifest_key
        Parts to send; SEND only.
    """

    number: int
    next: Next
    until: datetime | None = None
    manifest_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """An object with final outcomes.

    Attributes
    ----------
    group, ended_at
        Of the part, and when it ended; None for people who were in no part, or whose turn never came.
    """

    key: str
    group: str | None = None
    ended_at: datetime | None = None


@dataclass(slots=True, kw_only=True)
class Progress:
    """How far a run is: all that one turn hands to the next.

    Attributes
    ----------
    customers, recipients
        As in `Audience`.
    parts
        To be sent, in that order, those of the wave under way not among them.
    wave_parts
        Of the wave under way.
    waves
        Sent so far, the one under way included.
    tally
        Over everybody whose turn came to an end in this run, with whatever state.
    looks
        How often in a row nothing could be sent.
    hold_until, hold_reason
        Nothing is sent before.
    stopped_by
        Why the run ended before everybody had their turn.
    """

    run: Run
    customers: int
    recipients: int
    parts: list[Part]
    tally: Tally
    results: list[Result]
    turn: int = 0
    answer: Turn | None = None
    waves: int = 0
    wave_parts: list[Part] = field(default_factory=list)
    number: int = 0
    looks: int = 0
    hold_until: datetime | None = None
    hold_reason: str | None = None
    stopped_by: str | None = None

    @property
    def remaining(self) -> int:
        """People without a final state."""
        return self.customers - self.tally.people + self.tally.outcomes.get(REMAINING, 0)

    @classmethod
    def of_audience(cls, run: Run, audience: Audience) -> Self:
        """Return the progress of a run that has not begun."""
        return cls(
            run=run,
            customers=audience.customers,
            recipients=audience.recipients,
            parts=list(audience.parts),
            tally=audience.skipped,
            results=[Result(key=key) for key in audience.result_keys],
        )

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return {
            "run": self.run.to_json(),
            "customers": self.customers,
            "recipients": self.recipients,
            "parts": [part.to_json() for part in self.parts],
            "tally": tally_to_json(self.tally),
            "results": [_result_to_json(result) for result in self.results],
            "turn": self.turn,
            "answer": None if self.answer is None else _turn_to_json(self.answer),
            "waves": self.waves,
            "waveParts": [part.to_json() for part in self.wave_parts],
            "number": self.number,
            "looks": self.looks,
            "holdUntil": None if self.hold_until is None else self.hold_until.isoformat(),
            "holdReason": self.hold_reason,
            "stoppedBy": self.stopped_by,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` returned."""
        return cls(
            run=Run.from_json(value["run"]),
            customers=value["customers"],
            recipients=value["recipients"],
            parts=[Part.from_json(part) for part in value["parts"]],
            tally=tally_from_json(value["tally"]),
            results=[_result_from_json(result) for result in value["results"]],
            turn=value["turn"],
            answer=None if value["answer"] is None else _turn_from_json(value["answer"]),
            waves=value["waves"],
            wave_parts=[Part.from_json(part) for part in value["waveParts"]],
            number=value["number"],
            looks=value["looks"],
            hold_until=instant(value["holdUntil"]),
            hold_reason=value["holdReason"],
            stopped_by=value["stoppedBy"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Planner:
    """Takes the turns of runs."""

    store: RunStore
    hours_of: HoursOfGroup
    pause: PauseFlag
    counts: CampaignCounts
    stop_rules: StopRules
    settings: BroadcastSettings

    def take_turn(self, run: Run, *, after: int, now: datetime, token: str) -> Turn:
        """Say what the run does next.

        Parameters
        ----------
        after
            Number of the last turn that the state machine knows of; 0 before the first.
        token
            Different in each call.

        Raises
        ------
        TurnError
            There is no such turn.
        TransientError
            A service did not answer. The turn may be asked for again.
        """
        progress = self._progress_of(run)
        if progress.answer is not None and progress.turn == after + 1:
            return progress.answer
        if progress.turn != after:
            raise TurnError(f"the run is at turn {progress.turn} and was asked for the one after {after}")
        names = Names(token, progress.number)
        if progress.wave_parts:
            _Harvest(progress, self.store, self.settings, names, now).bring_in()
        answer = self._decide(progress, names, now)
        progress.turn, progress.answer, progress.number = answer.number, answer, names.number
        # Last the plan itself: with it, everything that it names is there.
        self.store.write_json(run.progress_key, describe(progress, now))
        if answer.next is Next.DONE:
            self.store.write_json(run.results_key, _results_of(progress))
        self.store.write_json(run.plan_key, progress.to_json())
        return answer

    def _progress_of(self, run: Run) -> Progress:
        (saved,) = self.store.read_json([run.plan_key], prefix=run.prefix)
        if saved is not None:
            return Progress.from_json(saved)
        (audience,) = self.store.read_json([run.audience_key], prefix=run.prefix)
        return Progress.of_audience(run, Audience.from_json(audience))

    def _decide(self, progress: Progress, names: Names, now: datetime) -> Turn:
        run, number = progress.run, progress.turn + 1
        if progress.parts:
            self._end_early(progress, names, now)
        if not progress.parts:
            return Turn(number=number, next=Next.DONE)
        if not run.is_dry:
            held_until = self._held_until(progress, now)
            if held_until is not None:
                return self._wait(progress, held_until, now)
        return self._send(progress, names, now)

    def _end_early(self, progress: Progress, names: Names, now: datetime) -> None:
        """Give everybody who is left their last state, where the run is at its end before they are."""
        run = progress.run
        if progress.hold_reason == Reason.CAMPAIGN_BUDGET:
            progress.stopped_by = Reason.CAMPAIGN_BUDGET
        elif not run.is_dry:
            progress.stopped_by = self.stop_rules.broken_by(self.counts.get(run.run_id))
        if progress.stopped_by is not None:
            state, reason = REMAINING, progress.stopped_by
        elif self._is_too_late(progress, now):
            state, reason = OutcomeState.SUPPRESSED, RunReason.RUN_EXPIRED
        else:
            return
        give_up(progress, self.store, names, progress.parts, state=state, reason=reason)
        progress.parts = []

    def _is_too_late(self, progress: Progress, now: datetime) -> bool:
        expires_at = self.settings.expires_at(progress.run)
        return all(self._starts_at(progress, part, now) >= expires_at for part in progress.parts)

    def _starts_at(self, progress: Progress, part: Part, now: datetime) -> datetime:
        return starts_at(part, now=now, hours_of=always_open if progress.run.is_dry else self.hours_of)

    def _held_until(self, progress: Progress, now: datetime) -> datetime | None:
        if self.pause.is_paused():
            progress.hold_reason = Reason.PAUSED
            return _next_look(progress, now)
        is_held = progress.hold_until is not None and progress.hold_until > now
        if not is_held:
            progress.hold_until = None
        if progress.hold_until is None or progress.hold_reason == Reason.PAUSED:
            progress.hold_reason = None
        return progress.hold_until

    def _send(self, progress: Progress, names: Names, now: datetime) -> Turn:
        is_dry = progress.run.is_dry
        wave = choose_wave(
            progress.parts,
            now=now,
            hours_of=always_open if is_dry else self.hours_of,
            length=timedelta.max if is_dry else max(wave_length(progress.waves), self._pace(progress, now)),
            recipients_per_second=self.settings.recipients_per_second,
        )
        if not wave.parts:
            first = min(self._starts_at(progress, part, now) for part in progress.parts)
            return self._wait(progress, first, now)
        progress.waves += 1
        progress.parts, progress.wave_parts = list(wave.later), list(wave.parts)
        # Named by the call: of two at once, the one whose answer counts may have chosen other parts.
        manifest_key = progress.run.wave_key(f"{progress.waves:05}-{names()}")
        self.store.write_json(
            manifest_key,
            [
                Assignment(run=progress.run, part=part, report_key=_report_key(progress, part)).to_json()
                for part in progress.wave_parts
            ],
        )
        return Turn(number=progress.turn + 1, next=Next.SEND, manifest_key=manifest_key)

    def _wait(self, progress: Progress, until: datetime, now: datetime) -> Turn:
        until = max(until, now + max(_SHORTEST_WAIT, self._pace(progress, now)))
        return Turn(
            number=progress.turn + 1,
            next=Next.WAIT,
            until=max(min(until, self.settings.expires_at(progress.run)), now + _SHORTEST_WAIT),
        )

    def _pace(self, progress: Progress, now: datetime) -> timedelta:
        """Return how far apart turns must be, so that the run can go on to its end."""
        if progress.turn < _FREE_TURNS:
            return timedelta(0)
        left = max(self.settings.expires_at(progress.run) - now, timedelta(0))
        return left / max(1, _MAX_TURNS - progress.turn)


class _Harvest:
    """Takes in what the wave under way came to."""

    def __init__(
        self, progress: Progress, store: RunStore, settings: BroadcastSettings, names: Names, now: datetime
    ) -> None:
        self._progress = progress
        self._store = store
        self._names = names
        self._now = now
        self._writer = PartWriter(progress.run, store, size=settings.recipients_per_part, names=names)
        self._left = OutcomeWriter(progress.run, store, names=names)
        self._back: list[Part] = []

    def bring_in(self) -> None:
        """Move the people of the wave to the results or back into parts."""
        progress = self._progress
        wave_parts, progress.wave_parts = progress.wave_parts, []
        keys = [_report_key(progress, part) for part in wave_parts]
        reports = self._store.read_json(keys, prefix=progress.run.report_prefix(progress.waves))
        stops: list[PartReport] = []
        lost: list[Part] = []
        for part, report in zip(wave_parts, reports, strict=True):
            if report is None:
                lost.append(part)
                continue
            read = PartReport.from_json(report)
            self._take_in(part, read)
            if read.stopped_by is not None:
                stops.append(read)
        begun = _begun(progress.run, self._store, lost)
        for part in lost:
            if part.key in begun:
                self._take_back_failed(part)
            else:
                self._take_back_unbegun(part)
        self._writer.flush()
        self._left.flush()
        progress.tally += self._left.tally
        progress.results += [Result(key=key) for key in self._left.keys]
        progress.parts = [*self._back, *self._writer.parts, *progress.parts]
        self._hold(stops)

    def _take_in(self, part: Part, report: PartReport) -> None:
        if report.is_untouched:
            self._back.append(part)
            return
        self._progress.tally += report.final
        if report.result_key is not None:
            self._progress.results.append(
                Result(key=report.result_key, group=part.group, ended_at=report.ended_at)
            )
        for outcome in report.rest:
            self._take_back(part, report, outcome)

    def _take_back(self, part: Part, report: PartReport, outcome: PersonOutcome) -> None:
        failures = part.failures + 1 if outcome.reason == RunReason.UNEXPECTED_ERROR else 0
        outages = part.outages + 1 if outcome.reason in PASSING else 0
        if failures >= MAX_FAILURES or (
            outcome.reason == RunReason.SERVICE_UNAVAILABLE and outages >= self._most_outages
        ):
            self._left.add(outcome)
            return
        if outcome.until is not None:
            not_before: datetime | None = outcome.until
        elif outcome.state == OutcomeState.IN_FLIGHT:
            not_before = report.ended_at + CLAIM_SETTLES_AFTER
        elif failures or outages:
            not_before = self._now + _doubling(_FIRST_BACK_OFF, failures + outages - 1, _LAST_BACK_OFF)
        elif outcome.state == OutcomeState.DEFERRED and outcome.reason != report.stopped_by:
            # It waits for something that nobody could name an instant for.
            not_before = self._now + _LAST_BACK_OFF
        else:
            not_before = None
        self._writer.add(
            part.group,
            outcome.user_id,
            not_before=not_before,
            failures=failures,
            outages=outages,
            may_have_texted=part.may_have_texted
            or outcome.state == OutcomeState.IN_FLIGHT
            or outcome.reason in _MAY_HAVE_TEXTED,
        )

    @property
    def _most_outages(self) -> int:
        # Whoever started a dry run waits for its answer, which may be that a service is away.
        return MAX_FAILURES if self._progress.run.is_dry else MAX_OUTAGES

    def _take_back_failed(self, part: Part) -> None:
        failures = part.failures + 1
        # The function that died may have texted some of them first, and nobody wrote down whom.
        died = replace(part, failures=failures, may_have_texted=True)
        if failures >= MAX_FAILURES:
            self._leave(died, RunReason.PART_FAILED)
            return
        # Whom the function that died had claimed a text for is known to be uncertain by then.
        not_before = self._now + _doubling(_FIRST_BACK_OFF, failures - 1, _LAST_BACK_OFF)
        self._back.append(replace(died, not_before=not_before))

    def _take_back_unbegun(self, part: Part) -> None:
        """Put off a part of which nobody was asked: Lambda did not take the call, or the map had a fault."""
        outages = part.outages + 1
        if outages >= self._most_outages:
            self._leave(part, RunReason.SERVICE_UNAVAILABLE)
            return
        not_before = self._now + _doubling(_FIRST_BACK_OFF, outages - 1, _LAST_BACK_OFF)
        self._back.append(replace(part, outages=outages, not_before=not_before))

    def _leave(self, part: Part, reason: str) -> None:
        for people in self._store.read_people([part.key]):
            for recipient_id in people:
                self._left.add(_left_out(self._progress.run, part, recipient_id, REMAINING, reason))

    def _hold(self, stops: Sequence[PartReport]) -> None:
        progress = self._progress
        if not stops:
            progress.looks = 0
        # Whether sending still is paused, the flag itself tells.
        lasting = [report for report in stops if report.stopped_by != Reason.PAUSED]
        if not lasting:
            return
        # Of several reasons the one that lasts longest: the others are looked at again after it.
        stop = max(lasting, key=lambda report: report.until or report.ended_at)
        budget_over = any(report.stopped_by == Reason.CAMPAIGN_BUDGET for report in lasting)
        progress.hold_reason = Reason.CAMPAIGN_BUDGET if budget_over else stop.stopped_by
        progress.hold_until = stop.until or _next_look(progress, self._now)


def give_up(
    progress: Progress, store: RunStore, names: Names, parts: Sequence[Part], *, state: str, reason: str
) -> None:
    """Give all people of these parts their last state, and count them.

    Nobody who may have been texted is said not to have been: an attempt at a part of theirs began, and how it
    ended is not known.
    """
    run = progress.run
    writer = OutcomeWriter(run, store, names=names)
    begun = frozenset[str]() if run.is_dry else _begun(run, store, parts)
    for part, people in zip(parts, store.read_people([part.key for part in parts]), strict=True):
        known = replace(part, may_have_texted=True) if part.key in begun else part
        for recipient_id in people:
            writer.add(_left_out(run, known, recipient_id, state, reason))
    writer.flush()
    progress.tally += writer.tally
    progress.results += [Result(key=key) for key in writer.keys]


def _begun(run: Run, store: RunStore, parts: Sequence[Part]) -> frozenset[str]:
    """Return the keys of those parts that a function began to ask, of which no report counts yet."""
    marks = store.read_json([run.begun_key(part) for part in parts], prefix=run.begun_prefix) if parts else ()
    return frozenset(part.key for part, mark in zip(parts, marks, strict=True) if mark is not None)


def _left_out(run: Run, part: Part, recipient_id: str, state: str, reason: str) -> PersonOutcome:
    if part.may_have_texted and not run.is_dry:
        state, reason = OutcomeState.UNCERTAIN, RunReason.PART_FAILED
    return PersonOutcome(user_id=recipient_id, state=state, reason=reason)


def look_at(run: Run, *, store: RunStore, now: datetime) -> dict[str, Any] | None:
    """Return a run in figures, as `describe`, with what the parts of the wave under way have reported by now.

    Nothing is changed. None where the run is not known, or its audience not complete.
    """
    (saved,) = store.read_json([run.plan_key], prefix=run.prefix)
    if saved is None:
        return None
    progress = Progress.from_json(saved)
    keys = [_report_key(progress, part) for part in progress.wave_parts]
    under_way: list[Part] = []
    for part, report in zip(
        progress.wave_parts,
        store.read_json(keys, prefix=run.report_prefix(progress.waves)),
        strict=True,
    ):
        if report is None:
            under_way.append(part)
        else:
            progress.tally += PartReport.from_json(report).final
    progress.wave_parts = under_way
    return describe(progress, now)


def describe(progress: Progress, now: datetime) -> dict[str, Any]:
    """Return the run in figures.

    Returns
    -------
    dict
        ``{"runId", "dryRun", "at", "next", "until", "reason", "customers", "recipients", "remaining",
        "outcomes", "reasons", "parts", "waves", "sending", "stoppedBy"}``. ``remaining`` are the people
        without a final state at that instant, ``sending`` those of them in the wave that begins then;
        ``reason`` says why it waits, where that is not the hour.
    """
    answer = progress.answer
    assert answer is not None
    return {
        "runId": progress.run.run_id,
        "dryRun": progress.run.is_dry,
        "at": now.isoformat(),
        "next": answer.next,
        "until": None if answer.until is None else answer.until.isoformat(),
        "reason": progress.hold_reason,
        "customers": progress.customers,
        "recipients": progress.recipients,
        "remaining": progress.remaining,
        "outcomes": dict(progress.tally.outcomes),
        "reasons": dict(progress.tally.reasons),
        "parts": progress.tally.parts,
        "waves": progress.waves,
        "sending": sum(part.people for part in progress.wave_parts),
        "stoppedBy": progress.stopped_by,
    }


def _next_look(progress: Progress, now: datetime) -> datetime:
    """Return when to look again whether sending is possible, later and later."""
    wait = _doubling(_FIRST_LOOK, progress.looks, _LAST_LOOK)
    progress.looks += 1
    return now + wait


def _doubling(first: timedelta, times: int, most: timedelta) -> timedelta:
    # Beyond twenty times it is the most in any case, and the power would leave what a timedelta can hold.
    factor: int = 2 ** min(times, 20)
    return min(most, first * factor)


def _report_key(progress: Progress, part: Part) -> str:
    return f"{progress.run.report_prefix(progress.waves)}{part.name}.json"


def _results_of(progress: Progress) -> dict[str, Any]:
    return {
        "run": progress.run.to_json(),
        "results": [_result_to_json(result) for result in progress.results],
    }


def _result_to_json(result: Result) -> dict[str, Any]:
    return {
        "key": result.key,
        "group": result.group,
        "endedAt": None if result.ended_at is None else result.ended_at.isoformat(),
    }


def _result_from_json(value: Mapping[str, Any]) -> Result:
    return Result(key=value["key"], group=value["group"], ended_at=instant(value["endedAt"]))


def _turn_to_json(turn: Turn) -> dict[str, Any]:
    return {
        "number": turn.number,
        "next": turn.next,
        "until": None if turn.until is None else turn.until.isoformat(),
        "manifestKey": turn.manifest_key,
    }


def _turn_from_json(value: Mapping[str, Any]) -> Turn:
    return Turn(
        number=value["number"],
        next=Next(value["next"]),
        until=instant(value["until"]),
        manifest_key=value["manifestKey"],
    )
