"""Background processes are found and ended with all that they started, and nothing else is."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sms_local import processes
from sms_local.processes import ProcessIdentity, end_all, identify, is_running, members, start, wait_until

MARK = f"test-{os.getpid()}"

#: Starts a child, tells its number, and waits; with `setsid` the child leaves the session.
_PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session={setsid})
print(child.pid, flush=True)
time.sleep(60)
"""
_STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(60)
"""


def _start(tmp_path: Path, program: str, *, mark: str = MARK) -> tuple[subprocess.Popen[bytes], str]:
    log = tmp_path / "log"
    process = start(
        [sys.executable, "-c", program], log=log, environment=dict(os.environ), mark=mark, folder=tmp_path
    )
    assert wait_until(lambda: log.read_text().endswith("\n"), seconds=60)
    return process, log.read_text().strip()


@pytest.fixture
def started(tmp_path: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    running: list[subprocess.Popen[bytes]] = []
    yield running
    for process in running:
        process.kill()
        process.wait()


@pytest.mark.parametrize("setsid", [False, True])
def test_ending_a_process_ends_what_it_started(
    tmp_path: Path, started: list[subprocess.Popen[bytes]], setsid: bool
) -> None:
    parent, child = _start(tmp_path, _PARENT.format(setsid=setsid))
    started.append(parent)
    leader = identify(parent.pid)
    assert leader is not None

    left = end_all([leader], mark=MARK)

    assert left == set()
    assert identify(int(child)) is None


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="only Linux shows the environment of processes")
def test_a_child_that_outlived_its_parent_is_found_by_its_mark(
    tmp_path: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    mark = f"{MARK}-orphan"
    parent, child = _start(tmp_path, _PARENT.format(setsid=True), mark=mark)
    started.append(parent)
    parent.kill()
    parent.wait()

    left = end_all([], mark=mark)

    assert left == set()
    assert identify(int(child)) is None


def test_a_process_that_ignores_the_polite_signal_is_ended_by_force(
    tmp_path: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    process, _ = _start(tmp_path, _STUBBORN)
    started.append(process)
    leader = identify(process.pid)
    assert leader is not None

    left = end_all([leader], mark=MARK, grace_seconds=0.2)

    assert left == set()
    assert process.wait(timeout=60) == -9


def test_a_later_process_with_the_same_number_is_left_alone(
    tmp_path: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    process, _ = _start(tmp_path, _STUBBORN, mark="another cloud")
    started.append(process)
    recycled = ProcessIdentity(pid=process.pid, started="long ago")

    end_all([recycled], mark=MARK, grace_seconds=0.1)

    assert process.poll() is None
    assert not is_running(recycled)


def test_a_process_that_ended_but_was_not_reaped_does_not_run(tmp_path: Path) -> None:
    process = start(
        [sys.executable, "-c", ""], log=tmp_path / "log", environment={}, mark=MARK, folder=tmp_path
    )
    identity = ProcessIdentity(pid=process.pid, started="unknown")

    assert wait_until(lambda: identify(process.pid) is None, seconds=60)
    assert not is_running(identity)
    process.wait()


def test_our_own_parents_are_never_members() -> None:
    parent = identify(os.getppid())
    assert parent is not None

    found = members([parent], mark=MARK)

    assert parent not in found
    assert identify(os.getpid()) not in found


def test_a_command_with_blanks_and_brackets_is_read_right() -> None:
    line = "77 (a ) b) S 5 6 7 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 4711 1 1"

    entry = processes._parse_stat(77, line)

    assert (entry.parent, entry.session, entry.identity.started) == (5, 7, "4711")


def test_the_listing_of_ps_is_read_where_there_is_no_proc() -> None:
    listing = (
        "  77     5     7 Ss   Sat Nov 21 02:13:00 2026\n  78    77     7 Z    Sat Nov 21 02:14:00 2026\n"
    )

    running, zombie = processes._parse_ps(listing)

    assert (running.parent, running.session, running.is_zombie) == (5, 7, False)
    assert running.identity.started == "Sat Nov 21 02:13:00 2026"
    assert zombie.is_zombie
