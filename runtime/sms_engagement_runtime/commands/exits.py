"""How a command ends."""

import json
import sys
from collections.abc import Mapping
from enum import IntEnum


class ExitStatus(IntEnum):
    """What a script can tell the ends apart by. argparse itself ends with 2."""

    DONE = 0
    FAILED = 1
    PAUSED = 3


def fail(sentence: str) -> ExitStatus:
    """Say on standard error what went wrong."""
    print(f"sms-engagement: {sentence}", file=sys.stderr)
    return ExitStatus.FAILED


def end(report: Mapping[str, object], *, is_done: bool) -> ExitStatus:
    """Write a report to standard output."""
    print(json.dumps(report, indent=2))
    return ExitStatus.DONE if is_done else ExitStatus.FAILED
