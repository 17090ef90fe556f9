"""A handler that logs nothing is answered at once, and what it logged belongs to its own invocation.

Reason
    Every quiet invocation of a warm function takes 50 ms longer than it should: a form page that AWS serves
    in milliseconds feels slow, and a throughput test measures the emulator. A metric that is a log line must
    not wait for a next invocation that never comes.
AWS
    Logs are shipped beside the invocation, not before its answer, and none is left behind.
    https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
MiniStack 1.5.33
    After each invocation waits up to 50 ms for a first line on the worker's standard error, and takes a line
    that comes later for one of the next invocation.
Hook
    A Python worker ends what an invocation logged with a mark, before its answer;
    ``Worker._drain_stderr_bounded`` reads up to it. Of a Node.js worker, which has no mark, it waits for less
    long.
"""

import functools
import queue
import time
from typing import Any, Final

from sms_local.emulator.patches._pinned import PatchSettings, require

MARK: Final = "\x1e"
"""Ends the lines of an invocation: the record separator, which nobody logs."""

MARK_SECONDS: Final = 0.25
"""How long the mark may be under way; it is in the pipe already, unless the worker has died."""

FIRST_LINE_SECONDS: Final = 0.003
"""Long enough for a line already written to cross the pipe; a handler's own lines come before its answer."""

IDLE_SECONDS: Final = 0.002

ANSWER: Final = "        _real_stdout.flush()\n\nrun()"


def apply(_: PatchSettings) -> None:
    """Mark the end of an invocation's log lines, and wait for it."""
    from ministack.core import lambda_runtime
    from ministack.core.lambda_runtime import Worker

    where = "_drain_stderr_bounded"
    require(holds=hasattr(Worker, where), what=f"lambda_runtime.Worker.{where}")
    drain = Worker._drain_stderr_bounded
    script = lambda_runtime._PYTHON_WORKER_SCRIPT
    require(holds=script.count(ANSWER) == 1, what="answer in lambda_runtime._PYTHON_WORKER_SCRIPT")
    mark = f"        sys.__stderr__.write({MARK + '\n'!r})\n        sys.__stderr__.flush()\n"
    lambda_runtime._PYTHON_WORKER_SCRIPT = script.replace(ANSWER, mark + ANSWER)
    drain_unmarked = functools.partial(drain, first_line_wait=FIRST_LINE_SECONDS, idle_confirm=IDLE_SECONDS)

    def drain_to_mark(worker: Any) -> str:
        if not str(worker.config.get("Runtime", "python")).startswith("python"):
            return str(drain_unmarked(worker))
        return "\n".join(lines_to_mark(worker._stderr_queue))

    Worker._drain_stderr_bounded = drain_to_mark


def lines_to_mark(lines: "queue.Queue[str]") -> list[str]:
    """Take the lines of one invocation; what is there, when its mark does not come."""
    taken: list[str] = []
    deadline = time.monotonic() + MARK_SECONDS
    while True:
        try:
            line = lines.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            return taken
        if not line.endswith(MARK):
            taken.append(line)
            continue
        # What was printed last may have had no end of line.
        return [*taken, line.removesuffix(MARK)] if line != MARK else taken
