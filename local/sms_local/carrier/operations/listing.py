"""What every ``Describe`` and ``List`` operation does: filters and pages."""

import base64
import binascii
from collections.abc import Iterable, Mapping
from typing import Any, Final

from sms_local.carrier.errors import validation_error

_DEFAULT_PAGE: Final = 100


def page(member: str, items: Iterable[dict[str, Any]], request: Mapping[str, Any]) -> dict[str, Any]:
    """Return one page of `items` under the name `member`, with ``NextToken`` where more follow.

    ``Filters`` of the request are applied first: an item passes when it has, for every filter, one of its
    values.

    Raises
    ------
    ServiceError
        ``ValidationException``, ``INVALID_NEXT_TOKEN``.
    """
    passing = [item for item in items if _passes(item, request.get("Filters", ()))]
    start = _decode(request["NextToken"]) if "NextToken" in request else 0
    end = start + request.get("MaxResults", _DEFAULT_PAGE)
    answer: dict[str, Any] = {member: passing[start:end]}
    if end < len(passing):
        answer["NextToken"] = base64.urlsafe_b64encode(str(end).encode()).decode()
    return answer


def _decode(token: str) -> int:
    try:
        return int(base64.urlsafe_b64decode(token.encode()).decode())
    except (binascii.Error, ValueError) as exc:
        raise validation_error("INVALID_NEXT_TOKEN", "NextToken is not one that was given out.") from exc


def _passes(item: Mapping[str, Any], filters: Iterable[Mapping[str, Any]]) -> bool:
    return all(not _values(item, wanted["Name"]).isdisjoint(wanted["Values"]) for wanted in filters)


def _values(item: Mapping[str, Any], filter_name: str) -> set[str]:
    """Return what `item` has under the name of a filter, as filters write it.

    ``message-type`` names ``MessageType`` or a list ``MessageTypes``; names of what an item contains, such as
    the event destinations of a configuration set, are looked for there.
    """
    member = "".join(word.capitalize() for word in filter_name.split("-"))
    values: set[str] = set()
    for name, value in item.items():
        elements = value if isinstance(value, list) else [value]
        if name in {member, f"{member}s", f"{member.removesuffix('y')}ies"}:
            values |= {str(each).lower() if isinstance(each, bool) else str(each) for each in elements}
        for each in elements:
            if isinstance(each, Mapping):
                values |= _values(each, filter_name)
    return values
