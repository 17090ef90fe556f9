"""Broadcasts of the simulation: the engine's own planner, snapshot and parts, several runs at once."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import nullcontext, suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from benchmarks.soak_channel import Channel
from sms_engagement_runtime.channel.domain.broadcast.asking import PartAsker
from sms_engagement_runtime.channel.domain.broadcast.audience import AudienceSource
from sms_engagement_runtime.channel.domain.broadcast.outcomes import PersonOutcome
from sms_engagement_runtime.channel.domain.broadcast.planning import Planner
from sms_engagement_runtime.channel.domain.broadcast.run import Assignment, BroadcastSettings, Run
from sms_engagement_runtime.channel.domain.broadcast.snapshot import Snapshot
from sms_engagement_runtime.channel.domain.broadcast.stop_rules import StopRules
from sms_engagement_runtime.channel.domain.errors import TransientError
from tests.support.broadcast_fakes import FakeRunStore, FakeShuffle
from tests.support.broadcast_machine import Machine
from tests.support.fakes import Crash

PART_SECONDS: Final = 235.0
"""After which a part takes nobody new: the function ends after 280 seconds."""

_PEOPLE_A_PART: Final = 100
_PARTS_AT_ONCE: Final = 4
_INSTANTS_A_PERSON: Final = 15
_PEOPLE_A_SECOND: Final = 60


class _ExecutionFailedError(Exception):
    """A step failed each time."""


class InTurn(Executor):
    """Calls functions one after another, as a part with one worker; other parts go on at the same time."""

    def map[T](self, fn: Callable[..., T], *iterables: Iterable[Any], **_: Any) -> Iterator[T]:
        """Call a function with each item."""
        return iter([fn(*arguments) for arguments in zip(*iterables, strict=False)])


class Engine(Machine):
    """The broadcast's state machine on the channel's shared ports.

    Attributes
    ----------
    summaries
        Of the runs that are over, by name.
    """

    def __init__(self, channel: Channel, name: str, *, follow_up_after: timedelta | None = None) -> None:
        # Not the machine's own: its ports are a test's, and its people are of one kind.
        self.channel, self.world, self.name = channel, channel.world, name
        self.clock = channel.world.schedule
        self.store, self.shuffle = FakeRunStore(), FakeShuffle(buckets=16)
        self.contacts, self.counts, self.pause = channel.contacts, channel.counts, channel.pause
        self.follow_up_after, self.stop_rules = follow_up_after, StopRules()
        self.settings = BroadcastSettings(
            recipients_per_part=_PEOPLE_A_PART,
            recipients_per_second=_PEOPLE_A_SECOND,
            follow_up_after=follow_up_after,
        )
        self.errors: list[type[Exception]] = []
        self.summaries: dict[str, dict[str, Any]] = {}
        self._tokens = self.world.ids
        self.world.failed_executions[name] = 0

    def play(self, run_id: str, given: Mapping[str, Any] | None = None) -> None:
        """Let a run go to its end, and start the one that follows it up."""
        with suppress(_ExecutionFailedError):
            self._play(run_id, given)

    def _play(self, run_id: str, given: Mapping[str, Any] | None) -> None:
        for step in self.start(run_id, given):
            if isinstance(step, datetime):
                self.clock.sleep((step - self.clock.now()).total_seconds())
            elif isinstance(step, dict):
                self.summaries[run_id] = step
                if (follow_up := step.get("followUp")) is not None:
                    self.world.schedule.after(1, partial(self.play, follow_up, {"follows": run_id}))

    @abstractmethod
    def source(self, run: Run) -> AudienceSource:
        """Say who a run is for."""

    @abstractmethod
    def find(self, ids: Sequence[str]) -> Mapping[str, Any]:
        """Read people."""

    @abstractmethod
    def asker(self, run: Run) -> Callable[[Any], PersonOutcome]:
        """Give what asks a person in a run."""

    def _step(self, call: Callable[[Any], Any]) -> Any:
        answer = self.world.task(self.name, lambda: call(None))
        if answer is None:
            raise _ExecutionFailedError
        return answer

    def _snapshot(self, run: Run, plan: Any) -> Any:  # noqa: ARG002 - the machine's
        wrap = self.channel.wrap
        return Snapshot(
            run=run,
            source=self.source(run),
            store=wrap(self.store),
            shuffle=self.shuffle.reopened(),
            settings=self.settings,
            token=self._token(),
            may_go_on=lambda: True,
        ).take()

    def _planner(self, plan: Any) -> Any:  # noqa: ARG002 - the machine's
        return Planner(
            store=self.channel.wrap(self.store),
            hours_of=self.channel.policy.quiet_hours.hours_of_key,
            pause=self.pause,
            counts=self.counts,
            stop_rules=self.stop_rules,
            settings=self.settings,
        )

    def _send_parts(self, assignments: Sequence[Assignment]) -> Iterator[None]:
        left = iter(assignments)

        def work() -> None:
            for assignment in left:
                self._send_part(assignment)

        self.world.schedule.together([work] * min(_PARTS_AT_ONCE, len(assignments)))
        yield None

    def _send_part(self, assignment: Assignment) -> None:
        instants = assignment.part.people * _INSTANTS_A_PERSON
        try:
            self.world.functions.call(
                partial(self._ask_part, assignment), kind="part_crash", instants=max(instants, 40)
            )
        except (Crash, TransientError):
            # The plan finds no report, and has the part tried again.
            return

    def _ask_part(self, assignment: Assignment) -> None:
        schedule, wrap = self.world.schedule, self.channel.wrap
        deadline = schedule.now() + timedelta(seconds=PART_SECONDS)
        asker = PartAsker(
            find=self.find,
            missing_reason="NOBODY",
            ask=self.asker(assignment.run),
            store=wrap(self.store),
            hours_of=self.channel.policy.quiet_hours.hours_of_key,
            clock=schedule,
            pause=self.pause,
            counts=wrap(self.counts),
            stop_rules=self.stop_rules,
            has_time=lambda: schedule.now() < deadline,
            on_error=self.errors.append,
            sleep=schedule.sleep,
            workers=1,
            pool=lambda _: InTurn(),
            lock=nullcontext,
        )
        asker.carry_out(assignment, token=self._token())
