"""An HTTP server that misbehaves on purpose and counts the requests that arrive at its socket."""

import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Thread

type Behaviour = Callable[[socket.socket], None]


def answer(status: str, body: str = "{}", *headers: str) -> Behaviour:
    """Answer every request, with ``status`` as in ``"400 Bad Request"``."""
    payload = body.encode()
    head = "\r\n".join(
        (
            f"HTTP/1.1 {status}",
            "content-type: application/x-amz-json-1.0",
            f"content-length: {len(payload)}",
            *headers,
        )
    )

    def act(connection: socket.socket) -> None:
        connection.sendall(f"{head}\r\n\r\n".encode() + payload)

    return act


def drop(connection: socket.socket) -> None:
    """Close the connection without an answer."""
    connection.shutdown(socket.SHUT_RDWR)


def cut_off(connection: socket.socket) -> None:
    """Close the connection in the middle of a good answer."""
    connection.sendall(b'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"MessageId": "m-')
    connection.shutdown(socket.SHUT_RDWR)


def reset_when_reused(behaviour: Behaviour) -> Behaviour:
    """Behave so for the first request of a connection; where it is used again, it has ended long ago."""
    used: set[socket.socket] = set()

    def act(connection: socket.socket) -> None:
        if connection not in used:
            used.add(connection)
            behaviour(connection)
            return
        # Without lingering the kernel answers with RST.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()

    return act


class RawHttpServer:
    """Listens on loopback; ``requests`` are the bodies that arrived. Use as a context manager.

    ``hang`` as behaviour never answers; the connection ends when the server is closed.
    """

    def __init__(self, behaviour: Behaviour | None = None):
        self._closing = Event()
        self._behaviour = behaviour or self._hang
        self.requests: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = Thread(target=self._accept, daemon=True)
        self._connections: list[socket.socket] = []
        self._serving: list[Thread] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> "RawHttpServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        # Wakes the accept call; closing the listener alone would not.
        with suppress(OSError), socket.create_connection(self._listener.getsockname(), timeout=1):
            pass
        self._thread.join()
        self._listener.close()
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._serving:
            thread.join()

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            if self._closing.is_set():
                connection.close()
                return
            self._connections.append(connection)
            thread = Thread(target=self._serve, args=(connection,), daemon=True)
            thread.start()
            self._serving.append(thread)

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.settimeout(5)
            while (body := _read_request(connection)) is not None:
                self.requests.append(body)
                self._behaviour(connection)

    def _hang(self, _: socket.socket) -> None:
        self._closing.wait()


def _read_request(connection: socket.socket) -> bytes | None:
    """Body of the next request, None at the end of the connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = connection.recv(65536)
        if not chunk:
            return None
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        (
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length:")
        ),
        0,
    )
    while len(body) < length:
        chunk = connection.recv(65536)
        if not chunk:
            return None
        body += chunk
    return body
