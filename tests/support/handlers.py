"""Imports Lambda handlers as Lambda does: once, with their environment set."""

import importlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from unittest.mock import patch


@contextmanager
def fresh_handler(module: str, environment: Mapping[str, str]) -> Iterator[ModuleType]:
    """A handler's module, imported anew with this environment; a former copy comes back after."""
    with patch.dict("os.environ", environment):
        former = sys.modules.pop(module, None)
        try:
            yield importlib.import_module(module)
        finally:
            sys.modules.pop(module, None)
            if former is not None:
                sys.modules[module] = former


@dataclass
class Context:
    """What Powertools reads of a Lambda context."""

    function_name: str = "function"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:111122223333:function:function"
    aws_request_id: str = "request"

    def get_remaining_time_in_millis(self) -> int:
        return 60_000
