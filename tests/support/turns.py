"""Two actors take turns: every interleaving of their calls can be played, and played again.

Each actor runs in a thread of its own, of which one runs at a time: before each call of a port it hands over
to whoever the schedule says. So a race is a list of turns, and no matter of luck or of the machine's speed.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice, repeat

_PATIENCE_SECONDS = 30


class Turns:
    """Plays actors by a schedule: who makes the next call. After the last one each runs to its own end."""

    def __init__(self, schedule: Sequence[int]) -> None:
        self._schedule = iter(schedule)
        self._batons: list[threading.Semaphore] = []
        self._is_over: list[bool] = []
        self._errors: list[BaseException] = []
        self._actor = threading.local()
        self._done = threading.Event()
        self.calls: list[int] = []

    def wrap[T](self, port: T) -> T:
        return _Handing(port, self)  # type: ignore[return-value]

    def play(self, *actors: Callable[[], object]) -> None:
        """Run the actors to their ends; what one of them raises is raised here."""
        self._batons = [threading.Semaphore(0) for _ in actors]
        self._is_over = [False] * len(actors)
        self.calls = [0] * len(actors)
        threads = [
            threading.Thread(target=self._run, args=(number, actor), daemon=True)
            for number, actor in enumerate(actors)
        ]
        for thread in threads:
            thread.start()
        self._hand_over()
        assert self._done.wait(_PATIENCE_SECONDS), "the actors wait for each other"
        for thread in threads:
            thread.join(_PATIENCE_SECONDS)
        if self._errors:
            raise self._errors[0]

    def pause(self) -> None:
        """Hand over, and go on when it is this actor's turn again."""
        number = getattr(self._actor, "number", None)
        if number is None:
            # Whoever arranges and looks is no actor.
            return
        self.calls[number] += 1
        if self._hand_over(by=number):
            return
        assert self._batons[number].acquire(timeout=_PATIENCE_SECONDS)

    def _run(self, number: int, actor: Callable[[], object]) -> None:
        self._actor.number = number
        assert self._batons[number].acquire(timeout=_PATIENCE_SECONDS)
        try:
            actor()
        except BaseException as error:  # noqa: BLE001 - it is raised by play
            self._errors.append(error)
        self._is_over[number] = True
        self._hand_over()

    def _hand_over(self, by: int | None = None) -> bool:
        """Say whether it is the turn of `by` again; else whoever it is goes on."""
        running = [number for number, is_over in enumerate(self._is_over) if not is_over]
        if not running:
            self._done.set()
            return False
        following = next((number for number in self._schedule if number in running), running[0])
        if following == by:
            return True
        self._batons[following].release()
        return False


class _Handing:
    def __init__(self, port: object, turns: Turns) -> None:
        self._port = port
        self._turns = turns

    def __getattr__(self, name: str) -> object:
        attribute = getattr(self._port, name)
        if not callable(attribute):
            return attribute

        def call(*args: object, **kwargs: object) -> object:
            self._turns.pause()
            return attribute(*args, **kwargs)

        return call


def schedules(first: int, second: int, *, count: int) -> list[tuple[int, ...]]:
    """Different schedules of two actors that make so many calls each, and the start of each of them.

    First all with one change from actor to actor and back, or the first thereof to spread evenly; then random
    ones, the same in each run.
    """
    few_changes = [
        (*repeat(one, before), *repeat(other, meanwhile), *repeat(one, calls - before), *repeat(other, rest))
        for one, other, calls, others in ((0, 1, first + 1, second + 1), (1, 0, second + 1, first + 1))
        for before in range(calls + 1)
        for meanwhile in range(others + 1)
        for rest in (others - meanwhile,)
    ]
    distinct = list(dict.fromkeys(few_changes))
    step = max(1, len(distinct) * 4 // (count * 3))
    turns = list(chain(repeat(0, first + 1), repeat(1, second + 1)))
    chosen = dict.fromkeys(chain(distinct[::step], islice(_shuffled(turns), count * 3)))
    return list(chosen)[:count]


def _shuffled(turns: list[int]) -> Iterator[tuple[int, ...]]:
    dealer = random.Random(1)
    while True:
        dealer.shuffle(turns)
        yield tuple(turns)
