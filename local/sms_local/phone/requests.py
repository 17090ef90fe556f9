"""What every request of the page has in common."""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response


async def json_object(request: Request) -> dict[str, Any]:
    """Return the body; an empty object for whatever is none."""
    try:
        wanted = await request.json()
    except ValueError:
        return {}
    return wanted if isinstance(wanted, dict) else {}


def problem(sentence: str, status: int) -> Response:
    """Return a refusal that the page says as it is."""
    return JSONResponse({"problem": sentence}, status_code=status)
