"""Events of an HTTP API, payload format 2.0, as API Gateway makes them."""

from base64 import b64encode
from typing import Any
from urllib.parse import urlencode


def api_event(
    route: str,
    *,
    token: str | None = None,
    query: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
    body: str | bytes | None = None,
    is_base64: bool = False,
    review_id: str | None = None,
    user_arn: str | None = None,
    source_ip: str = "192.0.2.1",
) -> dict[str, Any]:
    """One request: ``route`` as declared, ``GET /r/{token}``; bytes as body go as base64.

    Parameters
    ----------
    review_id
        The ``{id}`` of the path.
    user_arn
        Who signed it, where the route has the IAM authoriser.
    """
    method, path = route.split(" ")
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": route,
        "rawPath": path.replace("{token}", token or ""),
        "rawQueryString": urlencode(query or {}),
        "headers": {"host": "r.example.com", **(headers or {})},
        "requestContext": {
            "http": {"method": method, "path": path, "sourceIp": source_ip},
            "requestId": "api-request",
        },
        "isBase64Encoded": is_base64 or isinstance(body, bytes),
    }
    if query:
        event["queryStringParameters"] = query
    if token is not None:
        event["pathParameters"] = {"token": token}
    if review_id is not None:
        event["pathParameters"] = {"id": review_id}
    if user_arn is not None:
        event["requestContext"]["authorizer"] = {"iam": {"userArn": user_arn, "accountId": "111122223333"}}
    if body is not None:
        event["body"] = b64encode(body).decode() if isinstance(body, bytes) else body
    return event
