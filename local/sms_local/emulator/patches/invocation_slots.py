"""At most so many invocations run at once, where that is asked for; the others wait for their turn.

Reason
    Hundreds of people at once start dozens of workers of one function, each with its own interpreter and
    its own boto3. On two cores none of them gets anywhere within its time-out, all are killed, and all start
    again.
AWS
    Each has a processor of its own. A limit is a function's or an account's; a call above it is throttled.
    https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html
MiniStack 1.5.33
    Starts a worker for each invocation that finds none idle.
Hook
    ``lambda_svc._execute_function_warm`` waits for a slot before it takes a worker, and so before the
    time-out begins. Who has waited for long goes on without one: a function that waits for another one may
    hold the last. Comes after the patches that rewrite that function.
"""

import threading
from typing import Any, Final

from sms_local.emulator.patches._pinned import PatchSettings, require

PATIENCE_SECONDS: Final = 60.0
"""How long to wait for a slot; longer than nearly all functions here may run."""


def apply(settings: PatchSettings) -> None:
    """Let invocations take turns."""
    from ministack.services import lambda_svc

    require(holds=hasattr(lambda_svc, "_execute_function_warm"), what="lambda_svc._execute_function_warm")
    if settings.invocations_at_once is not None:
        lambda_svc._execute_function_warm = in_turn(
            lambda_svc._execute_function_warm, settings.invocations_at_once
        )


def in_turn(execute: Any, slots: int, *, patience_seconds: float = PATIENCE_SECONDS) -> Any:
    """Wrap what runs an invocation, so that at most `slots` of them run at once."""
    free = threading.BoundedSemaphore(slots)

    def execute_in_turn(*arguments: Any, **options: Any) -> Any:
        has_slot = free.acquire(timeout=patience_seconds)
        try:
            return execute(*arguments, **options)
        finally:
            if has_slot:
                free.release()

    return execute_in_turn
