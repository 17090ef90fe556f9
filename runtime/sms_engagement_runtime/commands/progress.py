"""How far a command is: a bar on a terminal, and a line now and then anywhere else."""

import sys
from types import TracebackType
from typing import Final, Self, TextIO

_WIDTH: Final = 30
_STEPS: Final = 10
"""Lines that are written where there is no terminal."""


class Progress:
    """Tells on standard error how far something is.

    Parameters
    ----------
    label
        What is being done.
    total
        How much it is in all; 0 where nobody knows.
    """

    def __init__(self, label: str, total: int = 0, *, stream: TextIO | None = None) -> None:
        self._label = label
        self._total = total
        self._done = 0
        self._told = -1
        self._stream = sys.stderr if stream is None else stream
        self._is_terminal = self._stream.isatty()

    def __enter__(self) -> Self:
        self._tell()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._is_terminal:
            self._stream.write("\n")

    def advance(self, amount: int = 1) -> None:
        """So much more is done."""
        self._done += amount
        self._tell()

    def _tell(self) -> None:
        if not self._total:
            # Each time twice as much.
            if (step := self._done.bit_length()) != self._told:
                self._write(step, f"{self._label}: {self._done:,}")
            return
        share = min(self._done / self._total, 1.0)
        step = int(share * (100 if self._is_terminal else _STEPS))
        if step == self._told:
            return
        bar = "#" * int(share * _WIDTH)
        bar = f" [{bar:<{_WIDTH}}]" if self._is_terminal else ""
        self._write(step, f"{self._label}:{bar} {share:4.0%}")

    def _write(self, step: int, text: str) -> None:
        self._told = step
        self._stream.write(f"\r{text}" if self._is_terminal else f"{text}\n")
        self._stream.flush()


def say(sentence: str) -> None:
    """Write a sentence to standard error."""
    print(sentence, file=sys.stderr)
