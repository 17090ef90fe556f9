"""Workers of Python functions are forked from a process that has loaded the layer's AWS client.

Reason
    Half of what a cold start costs is loading boto3, the same for every function. A cloud in which hundreds
    of people do something at once, or in which functions are killed, does little else than start workers.
AWS
    Each environment has a processor of its own, and starts a function in a fraction of a second.
    https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
MiniStack 1.5.33
    Starts an interpreter for each worker.
Hook
    ``Worker._spawn`` asks the parent of all workers with the same layers (``worker_parent``) for a process
    instead of starting one. What is loaded before comes from the function's own layer, and nothing of it
    reads the environment when it is loaded. Linux only; elsewhere, and for other runtimes, all stays as it
    is. Comes after ``function_files``, whose folders of layers all workers share.
"""

import contextlib
import functools
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from sms_local.emulator import worker_parent
from sms_local.emulator.patches._pinned import PatchSettings, rewrite

_STARTS = """\
    self._proc = subprocess.Popen(
        [binary, worker_path],
"""

_FORKS = """\
    self._proc = (
        functools.partial(_forked, layers=layers_dirs)
        if runtime.startswith("python")
        else subprocess.Popen
    )(
        [binary, worker_path],
"""


def apply(_: PatchSettings) -> None:
    """Let workers be forked, where a process can stand for itself as a descriptor."""
    from ministack.core import lambda_runtime

    if not hasattr(os, "pidfd_open"):
        return
    vars(lambda_runtime).update(_forked=forked, functools=functools)
    rewrite(lambda_runtime.Worker, "_spawn", (_STARTS, _FORKS))


class ForkedProcess:
    """What ``subprocess.Popen`` is of a worker, of a process that another one has started."""

    def __init__(self, pid: int, descriptor: int, streams: Sequence[IO[str]]) -> None:
        self.pid = pid
        self.stdin, self.stdout, self.stderr = streams
        self._descriptor = descriptor
        weakref.finalize(self, os.close, descriptor)

    def poll(self) -> int | None:
        """Return None while it runs, and 0 afterwards: its status is its parent's to know."""
        return 0 if self._has_ended(0) else None

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended.

        Raises
        ------
        subprocess.TimeoutExpired
            It has not, within `timeout` seconds.
        """
        if not self._has_ended(timeout):
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
        return 0

    def terminate(self) -> None:
        """Ask it to end."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self._signal(signal.SIGKILL)

    def _has_ended(self, timeout: float | None) -> bool:
        poll = select.poll()  # not select.select, whose descriptors are below 1,024
        poll.register(self._descriptor, select.POLLIN)
        return bool(poll.poll(None if timeout is None else timeout * 1000))

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._descriptor, number)


class _Parent:
    """The process from which workers of one set of layers come; started with the first of them."""

    def __init__(self, layers: Sequence[str]) -> None:
        self._layers = layers
        self._lock = threading.Lock()
        self._connection: socket.socket | None = None

    def fork(self, request: Mapping[str, Any], streams: list[int]) -> tuple[int, int]:
        with self._lock:
            if self._connection is not None:
                # It may have been ended from outside.
                with contextlib.suppress(ConnectionError):
                    return worker_parent.send(self._connection, request, streams)
                self._connection.close()
            self._connection = self._start()
            return worker_parent.send(self._connection, request, streams)

    def _start(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        with theirs:
            subprocess.Popen(
                [sys.executable, "-B", str(Path(worker_parent.__file__)), *self._layers],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
            )
        return ours


_parents: dict[tuple[str, ...], _Parent] = {}


def forked(
    command: Sequence[str],
    *,
    layers: Sequence[str],
    cwd: str,
    env: Mapping[str, str],
    **_: Any,
) -> ForkedProcess:
    """Start ``[interpreter, script]`` as a worker, with pipes of text as its streams."""
    parent = _parents.setdefault(tuple(layers), _Parent(layers))
    theirs, ours = [], []
    for is_written in (True, False, False):
        reading, writing = os.pipe()
        theirs.append(reading if is_written else writing)
        ours.append(os.fdopen(writing if is_written else reading, "w" if is_written else "r", buffering=1))
    try:
        request = {"script": command[-1], "folder": cwd, "environment": dict(env)}
        pid, descriptor = parent.fork(request, theirs)
    finally:
        for stream in theirs:
            os.close(stream)
    return ForkedProcess(pid, descriptor, ours)
