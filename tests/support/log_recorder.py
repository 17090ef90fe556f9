"""A pytest plugin that keeps what the functions log while other tests run: one JSON object a line.

``pytest -p tests.support.log_recorder`` with ``LOG_RECORDER_FILE`` writes ``{"test", "line"}`` there for each
line, of the logger, of metrics and of the functions without Powertools alike, as it would reach the log.
"""

import builtins
import json
import logging
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sms_engagement_runtime import http_api

_test = {"id": ""}
_file = Path(os.environ["LOG_RECORDER_FILE"])


def _keep(text: str) -> None:
    for line in text.splitlines():
        if line.startswith("{") and _test["id"]:
            with _file.open("a", encoding="utf-8") as out:
                out.write(json.dumps({"test": _test["id"], "line": line}) + "\n")


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


def pytest_runtest_logstart(nodeid: str) -> None:
    """Note which test runs."""
    _test["id"] = nodeid
