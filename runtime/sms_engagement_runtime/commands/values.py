"""Values of options, read for argparse."""

import argparse
from datetime import UTC, date, datetime


def day(text: str) -> date:
    """Read ``2026-11-21``."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no day; write it like 2026-11-21") from None


def moment(text: str) -> datetime:
    """Read ``2026-11-21T17:00:00Z``; without a zone it is UTC."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time; write it like 2026-11-21T17:00:00Z") from None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def positive(text: str) -> int:
    """Read a whole number from one on."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return int(text)
