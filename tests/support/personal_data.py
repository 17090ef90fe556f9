"""What must not be found in any log: phone numbers and message bodies of a payload."""

import json
from typing import Any


def personal_data(payload: Any) -> set[str]:
    """Every phone number and message body in a sample, however deep."""
    match payload:
        case dict():
            own = {payload.get("messageBody"), payload.get("originationNumber")} - {None}
            return own.union(*(personal_data(value) for value in payload.values()))
        case list():
            return set().union(*(personal_data(value) for value in payload))
        case str() if payload.startswith("+"):
            return {payload, payload[1:]}
        case str() if payload.lstrip().startswith("{"):
            return personal_data(json.loads(payload))
    return set()
