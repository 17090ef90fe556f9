"""Calls to AWS that fail, whichever client makes them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from botocore.client import BaseClient
from botocore.exceptions import ClientError


@contextmanager
def failing(
    operation: str, error: str | Exception = "ThrottlingException", *, times: int = 1000
) -> Iterator[None]:
    """Have an operation fail so many times, without being done.

    Answers of AWS may quote the request, so the text of this one holds what must be in no log.
    """
    real = BaseClient._make_api_call
    left = times

    def call(self: BaseClient, name: str, arguments: Any) -> Any:
        nonlocal left
        if name == operation and left > 0:
            left -= 1
            if isinstance(error, Exception):
                raise error
            raise ClientError({"Error": {"Code": error, "Message": "+12025550123 John Doe"}}, name)
        return real(self, name, arguments)

    with patch.object(BaseClient, "_make_api_call", call):
        yield
