"""Changing MiniStack in place, and stopping with a clear sentence where it is no longer what a patch expects.

MiniStack is plain Python: functions in modules and dictionaries that register them. A patch replaces a
function, adds a registry entry, or rewrites a few words of a function's source. All three depend on the
pinned version, so each patch states what it relies on through :func:`require` or :func:`rewrite`, and the
emulator refuses to start when that no longer holds: a gap that silently opens again is worse than one that
never was closed.
"""

import inspect
import linecache
import textwrap
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from sms_local.emulator.virtual_clock import VirtualClock

MINISTACK_VERSION = "1.5.33"
"""The version every patch was written and tested against, that of ``local/emulator_env/pyproject.toml``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchSettings:
    """What a patch may need to know about this emulator.

    Attributes
    ----------
    carrier_url
        Base URL of the carrier simulator's service API, e.g. ``http://127.0.0.1:4571``.
    clock
        The time of day of all services.
    invocations_at_once
        How many functions run at the same time; None for as many as are called.
    """

    carrier_url: str
    clock: VirtualClock = field(default_factory=VirtualClock)
    invocations_at_once: int | None = None


class PatchMismatchError(Exception):
    """MiniStack is not what a patch was written for. The message is one sentence for a person."""


def require(*, holds: bool, what: str) -> None:
    """Stop the start when the place that a patch changes is no longer there.

    Raises
    ------
    PatchMismatchError
        When ``holds`` is false; ``what`` names the missing place.
    """
    if not holds:
        message = (
            f"the emulator's patches are written for MiniStack {MINISTACK_VERSION}; this one has no {what}; "
            "install the pinned version or revise the patch"
        )
        raise PatchMismatchError(message)


def rewrite(owner: ModuleType | type, name: str, *replacements: tuple[str, str]) -> None:
    """Replace text in the source of ``owner.name`` and put the compiled result in its place.

    For changes in the middle of a long function, where wrapping the function cannot reach. Each replaced text
    must occur exactly once.

    Raises
    ------
    PatchMismatchError
        When the function, or a text to be replaced, is not there.
    """
    where = f"{owner.__name__}.{name}"
    require(holds=hasattr(owner, name), what=where)
    function = inspect.unwrap(getattr(owner, name))
    source = textwrap.dedent(inspect.getsource(function))
    for old, new in replacements:
        require(holds=source.count(old) == 1, what=f"{old.strip()!r} in {where}")
        source = source.replace(old, new)
    filename = f"<patched {where}>"
    # Registered so that tracebacks show the patched lines and a later patch can rewrite the same function
    # again.
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    namespace: dict[str, Any] = {}
    exec(compile(source, filename, "exec"), function.__globals__, namespace)  # noqa: S102 - our own source text
    setattr(owner, name, namespace[name])
