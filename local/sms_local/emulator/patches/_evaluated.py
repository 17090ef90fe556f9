"""Which resource IAM evaluates for a request, where MiniStack cannot tell."""

from collections.abc import Callable, Mapping
from typing import Any

from sms_local.emulator.patches._pinned import require

type Headers = Mapping[str, str]

type ResourceOf = Callable[[str, Headers, bytes, str, str], str | None]
"""Takes service, headers, body, Region and account; None where MiniStack tells itself."""


def evaluate_resource(iam_actions: Any, resource_of: ResourceOf) -> None:
    """Let a function be asked before MiniStack's own.

    Raises
    ------
    PatchMismatchError
        ``iam_actions.extract_resource_arn`` is not there.
    """
    require(holds=hasattr(iam_actions, "extract_resource_arn"), what="iam_actions.extract_resource_arn")
    original = iam_actions.extract_resource_arn

    def extract_resource_arn(
        service: str,
        method: str,
        path: str,
        headers: Headers,
        body: bytes,
        query: Any,
        region: str,
        account_id: str,
    ) -> Any:
        found = resource_of(service, headers, body, region, account_id)
        return found or original(service, method, path, headers, body, query, region, account_id)

    iam_actions.extract_resource_arn = extract_resource_arn
