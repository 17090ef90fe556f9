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
    time-out begins; who came first gets the next. Where none has ended for long, who waits goes on without
    one: functions that wait for other ones may hold all of them. Comes after the patches that rewrite that
    function.
"""

import threading
from collections import deque
from typing import Any, Final

from sms_local.emulator.patches._pinned import PatchSettings, require

PATIENCE_SECONDS: Final = 60.0
"""How long none may end; longer than nearly all functions here may run."""


def apply(settings: PatchSettings) -> None:
    """Let invocations take turns."""
    from ministack.services import lambda_svc

    require(holds=hasattr(lambda_svc, "_execute_function_warm"), what="lambda_svc._execute_function_warm")
    if settings.invocations_at_once is not None:
        lambda_svc._execute_function_warm = in_turn(
            lambda_svc._execute_function_warm, settings.invocations_at_once
        )


class Turns:
    """Slots that are given in the order in which they were asked for."""

    def __init__(self, slots: int, *, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._lock = threading.Lock()
        self._free = slots
        self._waiting: deque[threading.Event] = deque()
        self._ended = 0
        self._patience_seconds = patience_seconds

    def take(self) -> bool:
        """Wait for a slot; return whether there is one for the caller, who then has to give it back."""
        with self._lock:
            if self._free:
                self._free -= 1
                return True
            given, seen = threading.Event(), self._ended
            self._waiting.append(given)
        while not given.wait(self._patience_seconds):
            with self._lock:
                if given.is_set():
                    return True
                if self._ended == seen:
                    self._waiting.remove(given)
                    return False
                seen = self._ended
        return True

    def give_back(self) -> None:
        """Give the slot to who has waited longest."""
        with self._lock:
            self._ended += 1
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._free += 1


def in_turn(execute: Any, slots: int, *, patience_seconds: float = PATIENCE_SECONDS) -> Any:
    """Wrap what runs an invocation, so that at most `slots` of them run at once."""
    turns = Turns(slots, patience_seconds=patience_seconds)

    def execute_in_turn(*arguments: Any, **options: Any) -> Any:
        has_slot = turns.take()
        try:
            return execute(*arguments, **options)
        finally:
            if has_slot:
                turns.give_back()

    return execute_in_turn
