"""A handler that logs nothing is answered at once.

Reason
    Every quiet invocation of a warm function takes 50 ms longer than it should: a form page that AWS serves
    in milliseconds feels slow, and a throughput test measures the emulator.
AWS
    Logs are shipped beside the invocation, not before its answer.
    https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
MiniStack 1.5.33
    After each invocation waits up to 50 ms for a first line on the worker's standard error.
Hook
    ``Worker._drain_stderr_bounded`` gets shorter waits. A line that comes later is collected with the next
    invocation.
"""

import functools

from sms_local.emulator.patches._pinned import PatchSettings, require

FIRST_LINE_SECONDS = 0.003
"""Long enough for a line already written to cross the pipe; a handler's own lines come before its answer."""

IDLE_SECONDS = 0.002


def apply(_: PatchSettings) -> None:
    """Shorten the wait for log lines."""
    from ministack.core.lambda_runtime import Worker

    drain = getattr(Worker, "_drain_stderr_bounded", None)
    require(holds=drain is not None, what="lambda_runtime.Worker._drain_stderr_bounded")
    Worker._drain_stderr_bounded = functools.partialmethod(
        drain, first_line_wait=FIRST_LINE_SECONDS, idle_confirm=IDLE_SECONDS
    )
