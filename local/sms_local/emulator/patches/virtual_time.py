"""The time of day of the services is virtual, and the clock can be read, moved and watched.

Reason
    Waits of days, quiet hours, reminders and expiries have to be seen in minutes, with the rest of the cloud
    as it is.
AWS
    Time cannot be moved, so a bare interpretation: a moved clock shows what the real one would, at the
    instants that the services write and compare: ``Timestamp`` of a notification
    (https://docs.aws.amazon.com/sns/latest/dg/http-notification-json.html), ``$$.Execution.StartTime``,
    delays and visibility of messages, ``time`` of an event, the times at which records came on a stream.
MiniStack 1.5.33
    Everything reads the machine's clock, and nothing tells whether anything still runs.
Hook
    The modules of CloudWatch, SNS, SQS, EventBridge, Scheduler, DynamoDB, Kinesis and Step Functions get a
    ``time`` of their own.
    Threads that deliver, poll and invoke are counted while they work; a call that starts another piece of
    work lets it count before it ends. Signing, IAM, logs, time-outs of Lambda, retries of its
    asynchronous calls, pauses of failed batches of DynamoDB streams, and S3 stay on the machine's clock.

    ``GET /_sms_local/clock`` answers ``{"now", "offset_seconds", "running", "next_due", "fell_due",
    "logged"}``; with ``?quiet_within=SECONDS`` it waits until nothing runs, and ``?after=N`` lists what fell
    due after the first N things. ``POST`` of ``{"at": ISO}`` goes forward, starts what is due by then, and
    answers the same; ``{"at": ISO, "back": true}`` puts the clock back, starts nothing and ends the warm
    functions.
"""

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from datetime import datetime
from types import ModuleType
from typing import Any, Final
from urllib.parse import parse_qs

from sms_local.emulator.patches._pinned import PatchSettings, require, rewrite
from sms_local.emulator.virtual_clock import (
    Call,
    CountedThread,
    Due,
    VirtualClock,
    VirtualTime,
    exact_iso,
    iso,
)

PATH: Final = "/_sms_local/clock"

type Scope = MutableMapping[str, Any]
type AsgiCallable = Callable[..., Awaitable[None]]


def apply(settings: PatchSettings) -> None:
    """Give the services the virtual time, count what runs, and serve the clock."""
    from ministack import app as gateway
    from ministack.core import lambda_runtime
    from ministack.services import (
        cloudwatch,
        dynamodb,
        eventbridge,
        kinesis,
        lambda_svc,
        scheduler,
        sns,
        sqs,
        stepfunctions,
    )

    require(holds=hasattr(cloudwatch, "_metrics"), what="cloudwatch._metrics")
    for name in ("_lock", "_workers", "kill_workers"):
        require(holds=hasattr(lambda_runtime, name), what=f"lambda_runtime.{name}")
    clock = settings.clock
    for module in (cloudwatch, dynamodb, eventbridge, kinesis, scheduler, sns, sqs, stepfunctions):
        require(holds=hasattr(module, "time"), what=f"{module.__name__}.time")
        vars(module)["time"] = VirtualTime(clock=clock)

    def now_iso() -> str:
        return iso(clock.now())

    for module, name in ((stepfunctions, "now_iso"), (sns, "_now_iso")):
        if hasattr(module, name):
            setattr(module, name, now_iso)
    # A sequence number that goes back with the clock would put a record before those that are read already.
    for module, numbers in ((dynamodb, "_next_stream_seq"), (kinesis, "_next_sequence_number")):
        vars(module)["_real_time"] = clock._real_time
        rewrite(module, numbers, ("time.time()", "_real_time()"))
    _count_threads(clock)
    _count_invocations(lambda_svc, clock)
    clock.add_source(Queues(clock))
    require(holds=callable(getattr(gateway, "app", None)), what="ASGI application ministack.app.app")
    gateway.app = _with_clock(gateway.app, clock)
    clock.keep_ticking()


class _Threading:
    """What stands in for the module ``threading`` in a service that starts pieces of work."""

    def __init__(self, clock: VirtualClock) -> None:
        self.Thread = type("CountedThread", (CountedThread,), {"clock": clock})
        self._clock = clock

    def Event(self) -> Call:  # noqa: N802 - the standard library's name
        return Call(self._clock)

    def __getattr__(self, name: str) -> Any:
        return getattr(threading, name)


def _count_threads(clock: VirtualClock) -> None:
    """Count deliveries of SNS and EventBridge, and executions."""
    from ministack.services import eventbridge, sns, stepfunctions

    for module, name in ((sns, "_threading"), (eventbridge, "threading"), (stepfunctions, "threading")):
        require(holds=getattr(module, name, None) is threading, what=f"{module.__name__}.{name}")
        setattr(module, name, _Threading(clock))
    # Runs for ever, and does nothing between its ticks.
    vars(eventbridge)["_DaemonThread"] = threading.Thread
    rewrite(eventbridge, "start_scheduler", ("= threading.Thread(", "= _DaemonThread("))


def _count_invocations(lambda_svc: ModuleType, clock: VirtualClock) -> None:
    """Count invocations, their retries, and the poller of event sources while it has something to do."""
    require(holds=hasattr(lambda_svc, "_execute_function"), what="lambda_svc._execute_function")
    execute, spawn = lambda_svc._execute_function, lambda_svc.spawn_background

    def execute_counted(*arguments: Any, **options: Any) -> Any:
        with clock.counted():
            return execute(*arguments, **options)

    def spawn_counted(work: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        return spawn(clock.counted_from_now(work), *arguments, **options)

    vars(lambda_svc).update(
        _execute_function=execute_counted,
        spawn_background=spawn_counted,
        _CountedThread=type("CountedThread", (CountedThread,), {"clock": clock}),
        _virtual_now=clock.now,
    )
    rewrite(lambda_svc, "invoke_async_with_retry", ("threading.Thread(", "_CountedThread("))
    rewrite(
        lambda_svc,
        "_route_async_failure",
        ("threading.Thread(", "_CountedThread("),
        ("now = time.time()", "now = _virtual_now()"),
    )
    rewrite(lambda_svc, "_ensure_poller", ("threading.Thread(", "_CountedThread("))
    rewrite(lambda_svc, "_poll_sqs", ("now = time.time()", "now = _virtual_now()"))
    rewrite(lambda_svc, "_send_ddb_stream_failure_record", ("now = time.time()", "now = _virtual_now()"))
    rewrite(
        lambda_svc,
        "_poll_dynamodb_streams",
        ("(time.time() - oldest)", "(_virtual_now() - oldest)"),
        ('"ApproximateCreationDateTime", time.time())', '"ApproximateCreationDateTime", _virtual_now())'),
    )
    _replace_wake(clock)


def _replace_wake(clock: VirtualClock) -> None:
    """Let the poller count from the moment that somebody wakes it."""
    import sys

    from ministack.core import concurrency

    former, wake = concurrency.esm_wake, Call(clock)
    require(holds=isinstance(former, threading.Event), what="event concurrency.esm_wake")
    for module in [module for name, module in sys.modules.items() if name.startswith("ministack.")]:
        for name, value in list(vars(module).items()):
            if value is former:
                setattr(module, name, wake)


class Queues:
    """Messages that become visible to an event source mapping: delayed ones, and ones to try again."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock

    def next_due(self, now: float) -> Due | None:
        """Return the earliest instant at which a mapping gets something to take."""
        dues = (
            Due(at=at, what="queue", name=name)
            for name, mapping, queue in self._mapped()
            for at in self._instants(mapping, queue, now)
            if at > now
        )
        return min(dues, key=lambda due: due.at, default=None)

    def fire(self, since: float, now: float) -> Iterable[Due]:
        """Wake the poller when something became visible, and say in which queue."""
        from ministack.core import concurrency

        found = [
            Due(at=at, what="queue", name=name)
            for name, mapping, queue in self._mapped()
            for at in self._instants(mapping, queue, since)
            if since < at <= now
        ]
        if found:
            concurrency.esm_wake.set()
        return sorted(found, key=lambda due: due.at)

    def _mapped(self) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
        from ministack.services import lambda_svc, sqs

        mappings = [
            mapping
            for _, _, mapping in lambda_svc._iter_all_esms()
            if mapping.get("Enabled", True) and ":sqs:" in mapping.get("EventSourceArn", "")
        ]
        queues = {queue["attributes"].get("QueueArn"): queue for queue in list(sqs._queues._data.values())}
        return [
            (mapping["EventSourceArn"].rpartition(":")[2], mapping, queues[mapping["EventSourceArn"]])
            for mapping in mappings
            if mapping["EventSourceArn"] in queues
        ]

    def _instants(self, mapping: dict[str, Any], queue: dict[str, Any], since: float) -> set[float]:
        """Return when something is there to take: with a batching window, when that is over."""
        window = float(mapping.get("MaximumBatchingWindowInSeconds") or 0)
        # One pass: a queue may hold tens of thousands.
        return {
            message["visible_at"] + window
            for message in list(queue["messages"])
            if message["visible_at"] + window > since
        }


def has_backlog(clock: VirtualClock) -> bool:
    """Tell whether a queue holds messages that its mapping would take now."""
    from ministack.services import lambda_svc

    ready = getattr(lambda_svc, "_sqs_batch_is_ready", None)
    now = clock.now()
    functions = {key[-1] for key in list(lambda_svc._functions._data)}
    return any(
        any(message["visible_at"] <= now for message in list(queue["messages"]))
        and (ready is None or ready(mapping, queue, now))
        and mapping["FunctionName"] in functions
        for _, mapping, queue in Queues(clock)._mapped()
    )


def _with_clock(application: AsgiCallable, clock: VirtualClock) -> AsgiCallable:
    async def application_with_clock(scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["path"] != PATH:
            await application(scope, receive, send)
            return
        status, answer = await _answer(scope, receive, clock)
        body = json.dumps(answer).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return application_with_clock


async def _answer(scope: Scope, receive: Any, clock: VirtualClock) -> tuple[int, dict[str, Any]]:
    query = {name: values[0] for name, values in parse_qs(scope["query_string"].decode()).items()}
    after = int(query.get("after", clock.logged))
    if scope["method"] == "POST":
        wanted = json.loads(await _body(receive))
        at = datetime.fromisoformat(wanted["at"]).timestamp()
        # In a thread: what is due may call back into the server, whose loop must go on.
        await asyncio.to_thread(_put_back if wanted.get("back") else VirtualClock.advance, clock, at)
    elif "quiet_within" in query:
        quiet = await asyncio.to_thread(_wait_until_quiet, clock, float(query["quiet_within"]))
        if not quiet:
            return 503, {
                "error": f"{clock.running or 'some'} pieces of work still run",
                **_state(clock, after),
            }
    return 200, await asyncio.to_thread(_state, clock, after)


def _put_back(clock: VirtualClock, at: float) -> None:
    """Put the clock back, and end warm functions: what they remember is of a time to come.

    Metrics of that time are forgotten; they would count again when it comes again.
    """
    from ministack.core import lambda_runtime
    from ministack.services import cloudwatch

    clock.put_back(at)
    for points in list(cloudwatch._metrics._data.values()):
        points[:] = [point for point in points if point["Timestamp"] <= at]
    with lambda_runtime._lock:
        warm = [worker for workers in lambda_runtime._workers.values() for worker in workers]
        lambda_runtime._workers.clear()
    # Nobody gets them any more; to delete the files of their layers takes seconds.
    threading.Thread(target=lambda_runtime.kill_workers, args=(warm,), daemon=True).start()


def _wait_until_quiet(clock: VirtualClock, seconds: float) -> bool:
    """Wait until nothing runs and no mapping has anything to take."""
    import time

    deadline = time.monotonic() + seconds
    while clock.wait_until_quiet(deadline - time.monotonic()):
        if not has_backlog(clock):
            return True
        if time.monotonic() > deadline:
            break
        # The mapping pauses after a failure, by the machine's clock.
        time.sleep(0.01)
    return False


def _state(clock: VirtualClock, after: int) -> dict[str, Any]:
    due = clock.next_due()
    return {
        "now": exact_iso(clock.now()),
        "offset_seconds": clock.offset,
        "running": clock.running,
        "next_due": due.describe() if due else None,
        "fell_due": [due.describe() for due in clock.fell_due(after)],
        "logged": clock.logged,
    }


async def _body(receive: Any) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body
