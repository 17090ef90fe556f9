"""What the functions write to their logs, as it is written."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO

from sms_engagement_runtime.observability import logger


@contextmanager
def captured_logs() -> Iterator[StringIO]:
    """Finished log lines, after masking. Metrics are printed to standard output, not here."""
    lines = StringIO()
    handler = logger.registered_handler
    former = handler.setStream(lines)
    try:
        yield lines
    finally:
        handler.setStream(former)
