"""``import-events``: records of earlier systems, given to ingest line by line."""

from __future__ import annotations

import argparse
import gzip
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, Protocol
from urllib.parse import urlsplit

from sms_engagement_runtime.channel.adapters import clients
from sms_engagement_runtime.channel.adapters.aws_errors import ServiceCallError, service_call
from sms_engagement_runtime.channel.adapters.clock import SystemClock
from sms_engagement_runtime.channel.adapters.instants import to_milliseconds
from sms_engagement_runtime.channel.domain.delivery import loads
from sms_engagement_runtime.commands.exits import ExitStatus, end, fail
from sms_engagement_runtime.commands.progress import Progress
from sms_engagement_runtime.commands.streaming import queue_client
from sms_engagement_runtime.sms_analytics_pipeline.adapters.archive_reader import fetched_object
from sms_engagement_runtime.sms_analytics_pipeline.domain.events import MAX_EVENT_BYTES, SetAside
from sms_engagement_runtime.sms_analytics_pipeline.domain.reading import read

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import SendMessageBatchRequestEntryTypeDef

MOST_TOLD: Final = 1_000
"""So many lines that cannot be read are named; of the others the number is told."""

_MOST_MESSAGES: Final = 10
_MOST_BYTES: Final = 200 * 1024
"""Of one ``SendMessageBatch``, short of the 256 KB that all Regions take (Amazon SQS, *Quotas*)."""

_ATTEMPTS: Final = 5
_GZIP_MAGIC: Final = b"\x1f\x8b"


class LineSource(Protocol):
    """A file that is read by lines."""

    def readline(self, size: int, /) -> bytes:
        """Return the next line, or so much of it."""
        ...


@dataclass(slots=True)
class _Imported:
    """How far an import came.

    Attributes
    ----------
    next_line
        The first line, counted from one, that is not done.
    """

    next_line: int = 1
    sent: int = 0
    unreadable: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    lines: list[dict[str, object]] = field(default_factory=list)

    def set_aside(self, number: int, reason: SetAside) -> None:
        self.unreadable += 1
        self.reasons[reason] += 1
        if len(self.lines) < MOST_TOLD:
            self.lines.append({"line": number, "reason": reason})


def import_events(options: argparse.Namespace) -> ExitStatus:
    """Send the records of a file to the ingest queue."""
    imported = _Imported(next_line=options.from_line)
    problem = None
    try:
        with _opened(options.file, options.endpoint_url) as lines:
            _send_all(lines, options, imported)
    except KeyboardInterrupt:
        problem = "interrupted"
    except ServiceCallError as error:
        problem = str(error)
    except (OSError, EOFError) as error:
        problem = f"the file could not be read: {type(error).__name__}"
    report: dict[str, object] = {
        "command": "import-events",
        "dry_run": options.dry_run,
        "sent": imported.sent,
        "unreadable": imported.unreadable,
        "reasons": dict(imported.reasons),
        "lines": imported.lines,
        "next_line": imported.next_line,
    }
    end(report, is_done=True)
    if problem is not None:
        return fail(f"{problem}; go on with --from-line {imported.next_line}")
    # Records of other channels are no fault of a file.
    is_whole = imported.unreadable == imported.reasons[SetAside.NOT_A_TEXT]
    return ExitStatus.DONE if is_whole else ExitStatus.FAILED


@contextmanager
def _opened(name: str, endpoint_url: str | None) -> Iterator[LineSource]:
    """Open a file, or an object of S3, gzipped or not."""
    content: IO[bytes]
    if name.startswith("s3://"):
        place = urlsplit(name)
        content = fetched_object(
            clients.s3_client(endpoint_url), bucket=place.netloc, key=place.path.removeprefix("/")
        )
    else:
        content = Path(name).open("rb")  # noqa: SIM115 - closed below
    with content:
        is_packed = content.read(2) == _GZIP_MAGIC
        content.seek(0)
        if not is_packed:
            yield content
            return
        with gzip.GzipFile(fileobj=content, mode="rb") as unpacked:
            yield unpacked


def _send_all(lines: LineSource, options: argparse.Namespace, imported: _Imported) -> None:
    sender = None
    if not options.dry_run:
        sender = _Sender(queue_client(options.endpoint_url), url=options.queue_url, rate=options.rate)
    batch: list[str] = []
    size = number = 0

    def flush(next_line: int) -> None:
        if batch and sender is not None:
            sender.send(batch)
        imported.sent += len(batch)
        imported.next_line = next_line
        batch.clear()

    with Progress("importing lines") as progress:
        for number, line in enumerate(_lines(lines), 1):
            progress.advance()
            if number < options.from_line or not line.strip():
                continue
            body = _body(line)
            if isinstance(body, SetAside):
                imported.set_aside(number, body)
                continue
            length = len(body.encode())
            if len(batch) == _MOST_MESSAGES or size + length > _MOST_BYTES:
                flush(number)
                size = 0
            batch.append(body)
            size += length
        flush(max(number + 1, options.from_line))


def _lines(content: LineSource) -> Iterator[bytes]:
    """Give the lines; of one that is longer than any event, the beginning."""
    longest = MAX_EVENT_BYTES + 2
    while line := content.readline(longest):
        rest = line
        while len(rest) == longest and not rest.endswith(b"\n"):
            rest = content.readline(longest)
        yield line


def _body(line: bytes) -> str | SetAside:
    """Return a line as it is sent; or why ingest could not read it."""
    if len(line) > MAX_EVENT_BYTES:
        return SetAside.TOO_LARGE
    try:
        text = line.decode().strip()
        payload = loads(text)
    except (ValueError, RecursionError):
        return SetAside.NOT_JSON
    drafts = read(payload, received_at_ms=to_milliseconds(SystemClock().now()))
    if isinstance(drafts, SetAside):
        return drafts
    # The two characters that JSON may hold as they are and a message may not (Amazon SQS, *SendMessage*).
    return text.replace("\ufffe", "\\ufffe").replace("\uffff", "\\uffff")


class _Sender:
    """Sends to a queue, no faster than so many messages a second."""

    def __init__(self, sqs: SQSClient, *, url: str, rate: int) -> None:
        self._sqs = sqs
        self._url = url
        self._rate = rate
        self._due = time.monotonic()

    def send(self, bodies: Sequence[str]) -> None:
        """Send up to ten messages.

        Raises
        ------
        ServiceCallError
            Some could not be sent, or may not have been. What is sent twice is ingested once.
        """
        now = time.monotonic()
        if self._due > now:
            time.sleep(self._due - now)
        self._due = max(self._due, now) + len(bodies) / self._rate
        left: list[SendMessageBatchRequestEntryTypeDef] = [
            {"Id": str(number), "MessageBody": body} for number, body in enumerate(bodies)
        ]
        for attempt in range(_ATTEMPTS):
            if attempt:
                time.sleep(2**attempt / 10)
            with service_call("sqs:SendMessageBatch"):
                answer = self._sqs.send_message_batch(QueueUrl=self._url, Entries=left)
            failed = {each["Id"] for each in answer.get("Failed", [])}
            left = [entry for entry in left if entry["Id"] in failed]
            if not left:
                return
        raise ServiceCallError("sqs:SendMessageBatch: messages were not taken")
