"""A pytest plugin that keeps what the functions log while other tests run: one JSON object a line.

``pytest -p tests.support.log_recorder`` with ``LOG_RECORDER_FILE`` writes ``{"handler", "line"}`` there for
each line, of the logger, of metrics and of the functions without Powertools alike, as it would reach the log.
The handler is the module of the function that was running, as ``channel.handlers.router``.
"""

import builtins
import json
import logging
import os
import re
import sys
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any

import pytest

from sms_engagement_runtime import http_api

_file = Path(os.environ["LOG_RECORDER_FILE"])
_handler = re.compile(r"sms_engagement_runtime\.(\w+\.handlers\.\w+)")


def _keep(text: str) -> None:
    lines = [line for line in text.splitlines() if line.startswith("{")]
    handler = _running() if lines else None
    if handler is not None:
        with _file.open("a", encoding="utf-8") as out:
            out.writelines(json.dumps({"handler": handler, "line": line}) + "\n" for line in lines)


def _running() -> str | None:
    """Return the function that is running; the innermost, since the tests' bus calls one from another."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        # Metrics are flushed when the handler has returned, by what Powertools has around it.
        around = getattr(frame.f_locals.get("lambda_handler"), "__module__", "")
        for module in (around, frame.f_globals.get("__name__", "")):
            if matched := _handler.fullmatch(module):
                return matched[1]
        frame = frame.f_back
    return None


class _StandardOutput:
    """Keeps what is written, and hands it to what standard output is at that moment."""

    def write(self, text: str) -> int:
        _keep(text)
        return sys.stdout.write(text)

    def flush(self) -> None:
        sys.stdout.flush()


@pytest.hookimpl(tryfirst=True)
def pytest_configure() -> None:
    """Put the recorder between the functions and their log."""
    print_line, emit = builtins.print, logging.StreamHandler.emit

    def printed(*values: Any, **options: Any) -> None:
        _keep(" ".join(map(str, values)))
        print_line(*values, **options)

    def emitted(handler: Any, record: logging.LogRecord) -> None:
        emit(handler, record)
        if record.name != "root":
            _keep(handler.format(record))

    builtins.print = printed
    logging.StreamHandler.emit = emitted  # type: ignore[method-assign]
    http_api.sys = SimpleNamespace(stdout=_StandardOutput())  # type: ignore[attr-defined]
