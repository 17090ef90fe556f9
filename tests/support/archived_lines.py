"""Lines of the archive as an object."""

from collections.abc import Iterable

from sms_engagement_runtime.sms_analytics_pipeline.adapters.archive_json import (
    ArchiveLine,
    add_line,
    compressed,
)


def packed(lines: Iterable[ArchiveLine]) -> bytes:
    content = bytearray()
    for line in lines:
        add_line(line, content)
    return compressed(content)
