"""Waits of executions follow the virtual clock and end when the execution is stopped.

Reason
    A follow-up after days, a reminder, a group's next allowed hour: each is a ``Wait`` that must end at its
    instant, also when the clock jumps, and chained waits each at theirs. A stopped broadcast that still
    waited would be what is due next for ever.
AWS
    ``Seconds``, ``SecondsPath``, ``Timestamp`` and ``TimestampPath``; a timestamp that cannot be read fails
    the execution. A retry waits ``IntervalSeconds * BackoffRate ^ n``, at most ``MaxDelaySeconds``. Stopping
    ends an execution at once.
    https://docs.aws.amazon.com/step-functions/latest/dg/state-wait.html
    https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
MiniStack 1.5.33
    Sleeps by the machine's clock to the end, whatever became of the execution; passes over a timestamp that
    it cannot read; never waits longer than a minute before a retry.
Hook
    ``_scaled_sleep`` and ``_sleep_until`` sleep on the clock, under the name of the state. ``Map`` states use
    a pool of counted threads. An execution that ended meanwhile ends its thread by an exception of its own.
"""

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import wraps
from threading import Lock
from types import ModuleType
from typing import Any, Self

from sms_local.emulator.patches._pinned import PatchSettings, require, rewrite
from sms_local.emulator.virtual_clock import Call, CountedThread, Due, VirtualClock, Woken


class ExecutionEndedError(Exception):
    """What an execution's thread waits in is over, since the execution is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The state that a thread is in.

    Attributes
    ----------
    name
        State machine and state.
    kind
        What a pause in it is: ``wait`` or ``retry``.
    execution
        None for the execution of a single tested state.
    """

    name: str
    kind: str
    execution: dict[str, Any] | None

    def is_over(self) -> bool:
        """Tell whether the execution has ended."""
        return self.execution is not None and self.execution.get("status") != "RUNNING"


_step: ContextVar[Step | None] = ContextVar("step", default=None)


def current_step() -> Step:
    """Return the state that this thread is in."""
    return _step.get() or Step(name="an execution", kind="wait", execution=None)


def apply(settings: PatchSettings) -> None:
    """Let executions sleep on the clock."""
    from ministack.services import stepfunctions

    clock = settings.clock
    for name in ("_scaled_sleep", "_sleep_until", "ThreadPoolExecutor", "futures_wait"):
        require(holds=hasattr(stepfunctions, name), what=f"stepfunctions.{name}")

    def sleep(seconds: float) -> None:
        sleep_until(clock.now() + seconds)

    def sleep_until(at: float) -> None:
        step = current_step()
        due = Due(at=at, what=step.kind, name=step.name)
        if clock.sleep(due, is_over=step.is_over) is Woken.OVER:
            raise ExecutionEndedError

    def sleep_until_timestamp(timestamp: str) -> None:
        try:
            instant = datetime.fromisoformat(timestamp.replace("Z", "+00:00"))
        except ValueError as error:
            text = f"The timestamp {timestamp!r} is not in ISO 8601"
            raise stepfunctions._ExecutionError("States.Runtime", text) from error
        sleep_until((instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp())

    stepfunctions._scaled_sleep, stepfunctions._sleep_until = sleep, sleep_until_timestamp
    stepfunctions.ThreadPoolExecutor = type("Pool", (CountedPool,), {"clock": clock})

    def wait_for_all(futures: Iterable[Future[Any]]) -> None:
        _wait_for_all(clock, list(futures))

    stepfunctions.futures_wait = wait_for_all
    _rewrite_retries(stepfunctions)
    _end_with_the_execution(stepfunctions, clock)
    _name_steps(stepfunctions)


def pause_before_retry(retrier: dict[str, Any], seconds: float) -> float:
    """Return the seconds before a retry: those of the back-off, at most ``MaxDelaySeconds``."""
    return min(seconds, float(retrier.get("MaxDelaySeconds", seconds)))


def _rewrite_retries(stepfunctions: ModuleType) -> None:
    vars(stepfunctions)["_pause_before_retry"] = pause_before_retry
    rewrite(
        stepfunctions,
        "_execute_task",
        ("_scaled_sleep(min(sleep_sec, 60))", "_scaled_sleep(_pause_before_retry(retrier, sleep_sec))"),
    )
    rewrite(
        stepfunctions,
        "_with_retry_and_catch",
        (
            '_scaled_sleep(min(interval * (retrier.get("BackoffRate", 2.0) ** count), 60))',
            "_scaled_sleep(_pause_before_retry(\n"
            '                    retrier, interval * (retrier.get("BackoffRate", 2.0) ** count)))',
        ),
    )


def _end_with_the_execution(stepfunctions: ModuleType, clock: VirtualClock) -> None:
    vars(stepfunctions)["_ExecutionEndedError"] = ExecutionEndedError
    rewrite(
        stepfunctions,
        "_run_execution",
        (
            "    except _ExecutionError as err:\n        _fail_execution(",
            "    except _ExecutionEndedError:\n        pass\n"
            "    except _ExecutionError as err:\n        _fail_execution(",
        ),
    )
    fail, stop = stepfunctions._fail_execution, stepfunctions._stop_execution

    @wraps(fail)
    def fail_unless_ended(execution: dict[str, Any], error: str, cause: str) -> None:
        if execution["status"] == "RUNNING":
            fail(execution, error, cause)

    @wraps(stop)
    def stop_at_once(data: dict[str, Any]) -> Any:
        answer = stop(data)
        clock.wake_over()
        return answer

    vars(stepfunctions).update(_fail_execution=fail_unless_ended, _stop_execution=stop_at_once)


def _name_steps(stepfunctions: ModuleType) -> None:
    """Note which state a thread is in, while it is in it."""

    def noting(name: str, kind: str) -> Callable[..., Any]:
        execute = getattr(stepfunctions, name)

        @wraps(execute)
        def execute_noted(state: Any, state_input: Any, *others: Any) -> Any:
            context = next((one for one in others if isinstance(one, dict) and "State" in one), {})
            former = _step.set(_step_in(stepfunctions, context, kind))
            try:
                return execute(state, state_input, *others)
            finally:
                _step.reset(former)

        return execute_noted

    for name, kind in (
        ("_execute_wait", "wait"),
        ("_execute_task", "retry"),
        ("_with_retry_and_catch", "retry"),
    ):
        require(holds=hasattr(stepfunctions, name), what=f"stepfunctions.{name}")
        setattr(stepfunctions, name, noting(name, kind))


def _step_in(stepfunctions: ModuleType, context: dict[str, Any], kind: str) -> Step:
    machine, state = context.get("StateMachine", {}), context.get("State", {})
    return Step(
        name=f"{machine.get('Name', 'state machine')}: {state.get('Name', 'state')}",
        kind=kind,
        execution=stepfunctions._executions.get(context.get("Execution", {}).get("Id")),
    )


class CountedPool:
    """Threads for the items of a ``Map`` state; set ``clock`` in a subclass.

    As :class:`concurrent.futures.ThreadPoolExecutor`, as far as it is used, but its threads count as running
    while they have something to do.
    """

    clock: VirtualClock

    def __init__(self, max_workers: int) -> None:
        self._max_workers = max_workers
        self._workers = 0
        self._waiting: deque[tuple[Future[Any], Callable[..., Any], tuple[Any, ...]]] = deque()
        self._lock = Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()

    def submit(self, work: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Do something as soon as a thread is free."""
        future: Future[Any] = Future()
        with self._lock:
            self._waiting.append((future, work, arguments))
            is_new = self._workers < self._max_workers
            self._workers += is_new
        if is_new:
            type("CountedThread", (CountedThread,), {"clock": self.clock})(
                target=self._work, daemon=True
            ).start()
        return future

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._workers -= 1
                    return
                future, work, arguments = self._waiting.popleft()
            try:
                result = work(*arguments)
            except BaseException as error:  # noqa: BLE001 - whoever waits for the result gets it
                future.set_exception(error)
            else:
                future.set_result(result)

    def shutdown(self, *, wait: bool = True) -> None:
        """Do nothing: a thread without work has ended."""


def _wait_for_all(clock: VirtualClock, futures: list[Future[Any]]) -> None:
    all_done, lock, left = Call(clock), Lock(), len(futures)
    if not futures:
        return

    def one_less(_: Future[Any]) -> None:
        nonlocal left
        with lock:
            left -= 1
            is_last = left == 0
        if is_last:
            all_done.set()

    for future in futures:
        future.add_done_callback(one_less)
    all_done.wait()
