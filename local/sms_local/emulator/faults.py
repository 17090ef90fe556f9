"""Which of the things that happen in the emulated cloud go wrong: plain decisions, drawn from a seed.

AWS promises none of what these faults take away: deliveries to functions happen at least once, queues have
no order, a batch is as long as it happens to be, calls are throttled, and an execution environment may end at
any moment.
"""

import random
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Self

FAULTS_PATH: Final = "/_sms_local/faults"

CRASH_WITHIN_CALLS: Final = 12
"""A function that is killed is so before one of its first so many calls of AWS, or else before it answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What share of things goes wrong, each 0 to 1.

    Attributes
    ----------
    seed
        Of all draws: the n-th thing of a kind has the same fate in every run.
    duplicate
        Of deliveries to a function by a queue, a stream, or the bus: the function gets it twice.
    reorder
        Of batches: those of a queue are shuffled, those of a stream come in two parts.
    service_throttle
        Of the functions' calls of DynamoDB and Step Functions: throttled.
    function_crash
        Of invocations: the function's process ends before or after one of its calls, without an answer.
    """

    seed: int = 0
    duplicate: float = 0.0
    reorder: float = 0.0
    service_throttle: float = 0.0
    function_crash: float = 0.0

    def changed(self, fields: Mapping[str, Any]) -> Self:
        """Return these with some replaced.

        Raises
        ------
        ValueError
            A field is unknown, or its value is not what it must be; the message is one sentence.
        """
        if not isinstance(fields, Mapping):
            msg = f"the faults must be an object of {', '.join(asdict(self))}, got {fields!r}"
            raise ValueError(msg)
        unknown = sorted(set(fields) - set(asdict(self)))
        if unknown:
            msg = f"unknown fault {', '.join(unknown)}; known are {', '.join(asdict(self))}"
            raise ValueError(msg)
        for name, value in fields.items():
            is_number = isinstance(value, int if name == "seed" else int | float)
            if not is_number or isinstance(value, bool) or not (name == "seed" or 0 <= value <= 1):
                allowed = "a whole number" if name == "seed" else "a number from 0 to 1"
                msg = f"{name} must be {allowed}, got {value!r}"
                raise ValueError(msg)
        return replace(self, **fields)


class Draws:
    """Decides, kind by kind, and counts what it did. May be used from several threads.

    Attributes
    ----------
    done
        How often each fault has happened since they were last set.
    """

    def __init__(self, faults: Faults | None = None) -> None:
        self._lock = threading.Lock()
        self.set(faults or Faults())

    def set(self, faults: Faults) -> None:
        """Begin anew with other faults."""
        with self._lock:
            self.faults = faults
            self.done: Counter[str] = Counter()
            self._random: dict[str, random.Random] = {}

    def happens(self, kind: str, share: float) -> bool:
        """Tell whether the next thing of a kind goes wrong."""
        if not share:
            return False
        with self._lock:
            if self._of(kind).random() >= share:
                return False
            self.done[kind] += 1
            return True

    def between(self, kind: str, high: float) -> float:
        """Return the next number from 0 to `high`."""
        with self._lock:
            return self._of(kind).uniform(0, high)

    def crash_after(self) -> int | None:
        """Return after how many calls the next invocation's process ends; None when it does not."""
        if not self.happens("function_crash", self.faults.function_crash):
            return None
        with self._lock:
            return self._of("crash_after").randrange(CRASH_WITHIN_CALLS)

    def shuffled[T](self, things: list[T]) -> list[T]:
        """Return them in another order."""
        with self._lock:
            return self._of("shuffle").sample(things, k=len(things))

    def describe(self) -> dict[str, Any]:
        """Return what is set, and under `done` how often each has happened."""
        with self._lock:
            return {**asdict(self.faults), "done": dict(self.done)}

    def _of(self, kind: str) -> random.Random:
        if kind not in self._random:
            # Chance that a seed repeats, not a secret.
            self._random[kind] = random.Random(f"{self.faults.seed} {kind}")  # noqa: S311
        return self._random[kind]
