"""Answers to everybody: JSON that any site may read from a browser."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from sms_engagement_runtime.http_api import STRICT_TRANSPORT_SECURITY, Response

_HEADERS: Final = {
    "access-control-allow-origin": "*",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "content-type": "application/json; charset=utf-8",
    "strict-transport-security": STRICT_TRANSPORT_SECURITY,
    "x-content-type-options": "nosniff",
}


def public_answer(
    status: int, content: Mapping[str, Any], *, cache: str = "no-store", is_head: bool = False
) -> Response:
    """Answer with JSON; to HEAD the headers alone (RFC 9110 §9.3.2)."""
    return {
        "statusCode": status,
        "headers": _HEADERS | {"cache-control": cache},
        "body": "" if is_head else json.dumps(content, ensure_ascii=False),
    }
