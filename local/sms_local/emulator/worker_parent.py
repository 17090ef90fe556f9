"""A process that has loaded a layer's AWS client, and from which workers of functions are forked.

Runs on the emulator's interpreter with nothing but the standard library and the layer. It has one thread and
no connection of its own, so that a fork is a copy that nothing else was about to change.

Started by ``patches.forked_workers`` with a socket as its standard input and the layer's folders as
arguments. Each request is a length of eight bytes, with the three standard streams of the worker as
attachments, and JSON of that length: ``{"script", "folder", "environment"}``. The answer is the worker's
number in eight bytes, with a descriptor that stands for the process as its attachment.
"""

import contextlib
import importlib
import json
import os
import runpy
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NoReturn

NUMBER_BYTES: Final = 8
STREAMS: Final = 3

LOADED: Final = ("boto3", "botocore.session", "botocore.client", "botocore.endpoint", "botocore.httpsession")
"""What takes most of a cold start, and reads nothing of a function's own environment when it is loaded."""


def main() -> int:
    """Fork workers until the emulator has ended."""
    connection = socket.socket(fileno=os.dup(0))
    _empty(0)
    _load([Path(folder) / "python" for folder in sys.argv[1:]])
    with contextlib.suppress(KeyboardInterrupt, ConnectionError):
        while (request := receive(connection)) is not None:
            _reap()
            _answer(connection, *request)
    return 0


def receive(connection: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """Return the next request and its streams, None where there will be none."""
    head, streams, _, _ = socket.recv_fds(connection, NUMBER_BYTES, STREAMS)
    if not head:
        return None
    head += _exactly(connection, NUMBER_BYTES - len(head))
    request: dict[str, Any] = json.loads(_exactly(connection, int.from_bytes(head)))
    return request, streams


def send(connection: socket.socket, request: Mapping[str, Any], streams: list[int]) -> tuple[int, int]:
    """Ask for a worker.

    Returns
    -------
    pid, descriptor
        The descriptor becomes readable when the process has ended.

    Raises
    ------
    ConnectionError
        The parent has ended.
    """
    body = json.dumps(request).encode()
    socket.send_fds(connection, [len(body).to_bytes(NUMBER_BYTES)], streams)
    connection.sendall(body)
    head, attached, _, _ = socket.recv_fds(connection, NUMBER_BYTES, 1)
    if not head or not attached:
        message = "the parent of workers has ended"
        raise ConnectionError(message)
    return int.from_bytes(head + _exactly(connection, NUMBER_BYTES - len(head))), attached[0]


def _answer(connection: socket.socket, request: Mapping[str, Any], streams: list[int]) -> None:
    pid = os.fork()
    if pid == 0:
        connection.close()
        _become(request, streams)
    for stream in streams:
        os.close(stream)
    # It cannot be another process: only this one could have reaped it.
    process = os.pidfd_open(pid)
    socket.send_fds(connection, [pid.to_bytes(NUMBER_BYTES)], [process])
    os.close(process)


def _become(request: Mapping[str, Any], streams: list[int]) -> NoReturn:
    """Be what ``python script`` would be."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    script = request["script"]
    # Its command line is its parent's: the open script is what tells of which function a process is.
    os.open(script, os.O_RDONLY)
    sys.argv = [script]
    sys.path.insert(0, str(Path(script).parent))
    status = 1
    try:
        runpy.run_path(script, run_name="__main__")
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - of a process that ends here
        sys.excepthook(*sys.exc_info())
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def _load(folders: list[Path]) -> None:
    """Load what the layer has of `LOADED`; a worker finds modules where its own start looks for them."""
    own = list(sys.path)
    sys.path[:0] = [str(folder) for folder in reversed(folders)]
    with contextlib.suppress(ImportError):
        for name in LOADED:
            importlib.import_module(name)
    sys.path[:] = own


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _empty(number: int) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, number)
    os.close(nothing)


def _exactly(connection: socket.socket, length: int) -> bytes:
    parts = bytearray()
    while len(parts) < length:
        part = connection.recv(length - len(parts))
        if not part:
            message = "the other side has ended in the middle of a message"
            raise ConnectionError(message)
        parts += part
    return bytes(parts)


if __name__ == "__main__":
    sys.exit(main())
