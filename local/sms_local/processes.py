"""Start background processes so that all of them, and theirs, can be found and ended again, and nothing else.

A process is told from a later one with the same number by the instant it started. What it started in turn
(Lambda workers of the emulator, the CDK app under the CDK CLI) is found by a mark in its environment, by its
session and by its parents, so that also a child that outlived its parent or made a session of its own is
ended.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

#: Environment variable that marks every process of one embedded cloud; inherited by whatever they start.
MARK_VARIABLE = "SMS_LOCAL_CLOUD"

_PROC = Path("/proc")
_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessIdentity:
    """One process, never another that got the same number later."""

    pid: int
    #: When it started, in whatever unit the system tells; only compared for equality.
    started: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    identity: ProcessIdentity
    parent: int
    session: int
    is_zombie: bool


def start(
    command: Sequence[str], *, log: Path, environment: Mapping[str, str], mark: str, folder: Path
) -> subprocess.Popen[bytes]:
    """Start `command` in a session of its own, so that a Ctrl-C meant for us does not reach it.

    Both output streams go to `log`; standard input is empty. The caller ends it with `end_all`.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**environment, MARK_VARIABLE: mark},
            cwd=folder,
            start_new_session=True,
        )


def identify(pid: int) -> ProcessIdentity | None:
    """Return the identity of a running process, None when there is none with that number."""
    entry = _read(pid)
    return None if entry is None or entry.is_zombie else entry.identity


def is_running(identity: ProcessIdentity) -> bool:
    """Tell whether this very process still runs (one that ended and was not yet reaped does not)."""
    return identify(identity.pid) == identity


def members(leaders: Iterable[ProcessIdentity], *, mark: str) -> set[ProcessIdentity]:
    """Return what runs of a cloud: its leaders, their sessions and descendants, and bearers of its mark."""
    table = {entry.identity.pid: entry for entry in _table() if not entry.is_zombie}
    alive = {leader.pid for leader in leaders if leader.pid in table and table[leader.pid].identity == leader}
    found = {pid for pid, entry in table.items() if entry.session in alive or _bears(pid, mark)} | alive
    while True:
        children = {pid for pid, entry in table.items() if entry.parent in found} - found
        if not children:
            break
        found |= children
    found -= {os.getpid(), *_ancestors(os.getpid(), table)}
    return {table[pid].identity for pid in found}


def end_all(
    leaders: Iterable[ProcessIdentity], *, mark: str, grace_seconds: float = 4.0
) -> set[ProcessIdentity]:
    """End all members of an embedded cloud: politely first, then by force.

    Returns
    -------
    set of ProcessIdentity
        What still runs after that; empty unless the system refused to end something.
    """
    known = members(leaders, mark=mark)

    def all_ended() -> bool:
        return not any(is_running(one) for one in known)

    _signal(known, signal.SIGTERM)
    wait_until(all_ended, seconds=grace_seconds)
    # Twice, since a process may start another between our look and our signal.
    for _ in range(2):
        known |= members(known, mark=mark)
        _signal(known, signal.SIGKILL)
        wait_until(all_ended, seconds=2.0)
    return {one for one in known | members(known, mark=mark) if is_running(one)}


def wait_until(condition: Callable[[], bool], *, seconds: float) -> bool:
    """Poll `condition` until it holds or the time is over; return whether it held."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _signal(identities: Iterable[ProcessIdentity], number: signal.Signals) -> None:
    for identity in identities:
        if is_running(identity):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(identity.pid, number)


def _ancestors(pid: int, table: Mapping[int, _Entry]) -> Iterable[int]:
    while pid in table and table[pid].parent > 0:
        pid = table[pid].parent
        yield pid


def _bears(pid: int, mark: str) -> bool:
    """Tell whether the environment of a process holds the mark (Linux; sessions and parents do elsewhere)."""
    try:
        environment = (_PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return False
    return f"{MARK_VARIABLE}={mark}".encode() in environment.split(b"\0")


def _table() -> Iterable[_Entry]:
    if not _PROC.is_dir():
        return _parse_ps(_ps("-A"))
    pids = (int(path.name) for path in _PROC.iterdir() if path.name.isdecimal())
    return [entry for entry in map(_read, pids) if entry is not None]


def _read(pid: int) -> _Entry | None:
    if not _PROC.is_dir():
        return next(iter(_parse_ps(_ps("-p", str(pid)))), None)
    try:
        line = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    return _parse_stat(pid, line)


def _parse_stat(pid: int, line: str) -> _Entry:
    # proc(5): the command, field 2, may hold blanks and brackets; state is field 3, ppid 4, session 6,
    # starttime 22.
    fields = line.rpartition(")")[2].split()
    return _Entry(
        identity=ProcessIdentity(pid=pid, started=fields[19]),
        parent=int(fields[1]),
        session=int(fields[3]),
        is_zombie=fields[0] in ("Z", "X"),
    )


def _ps(*selection: str) -> str:
    # macOS has no /proc. Every leader is the leader of its process group as well, so the group stands for the
    # session.
    command = ["ps", *selection, "-o", "pid=,ppid=,pgid=,state=,lstart="]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    ).stdout


def _parse_ps(listing: str) -> list[_Entry]:
    entries = []
    for line in listing.splitlines():
        pid, parent, group, state, started = line.split(maxsplit=4)
        entries.append(
            _Entry(
                identity=ProcessIdentity(pid=int(pid), started=started.strip()),
                parent=int(parent),
                session=int(group),
                is_zombie=state.startswith("Z"),
            )
        )
    return entries
