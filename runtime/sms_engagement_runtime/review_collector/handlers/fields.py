"""The fields of a posted form or JSON object, whichever way they come."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

from sms_engagement_runtime.http_api import UndecodableBodyError
from sms_engagement_runtime.review_collector.domain.reviews import REPEATED
from sms_engagement_runtime.review_collector.handlers.web import Request

MAX_BODY_LENGTH: Final = 64 * 1024
"""Bytes. 5,000 characters take 60,000 at the most: twelve each, percent-encoded or as JSON escapes."""

_MAX_FIELDS: Final = 20
_FORM: Final = "application/x-www-form-urlencoded"
_JSON: Final = "application/json"
_UTF_8: Final = ("", "utf-8", "utf8", "us-ascii")

type Fields = Mapping[str, object]
"""Name to value; `REPEATED` where a name came more than once."""


class BodyTooLargeError(ValueError):
    """The body is longer than `MAX_BODY_LENGTH`; answered 413."""


class UnsupportedTypeError(ValueError):
    """The body is neither a form nor JSON, or not in UTF-8; answered 415."""


class MalformedBodyError(ValueError):
    """The body is not what it says it is; answered 400."""


def is_json(request: Request) -> bool:
    """Tell whether the body says that it is JSON."""
    return _media_type(request)[0] == _JSON


def read_fields(request: Request) -> Fields:
    """Read the body.

    Raises
    ------
    BodyTooLargeError, UnsupportedTypeError, MalformedBodyError
        In this order: what is too long is not looked at.
    """
    try:
        body = request.body(MAX_BODY_LENGTH)
    except UndecodableBodyError as error:
        raise MalformedBodyError(str(error)) from error
    if body is None:
        raise BodyTooLargeError
    media_type, charset = _media_type(request)
    if media_type not in (_FORM, _JSON) or charset not in _UTF_8:
        raise UnsupportedTypeError
    try:
        return _json_fields(body) if media_type == _JSON else _form_fields(body)
    # A deep enough nesting of brackets exhausts the parser's stack.
    except (ValueError, RecursionError):
        raise MalformedBodyError("the body is not what its type says") from None


def _form_fields(body: bytes) -> Fields:
    pairs = parse_qsl(
        body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MAX_FIELDS
    )
    return _once(pairs)


def _json_fields(body: bytes) -> Fields:
    value = json.loads(body.decode("utf-8-sig"), object_pairs_hook=_once, parse_constant=_refuse_constant)
    if not isinstance(value, dict):
        raise MalformedBodyError("not an object")
    return value


def _once(pairs: Iterable[tuple[str, Any]]) -> dict[str, object]:
    fields: dict[str, object] = {}
    for name, value in pairs:
        fields[name] = REPEATED if name in fields else value
    return fields


def _refuse_constant(name: str) -> object:
    # `NaN` and `Infinity` are no JSON, but Python reads them.
    raise MalformedBodyError(name)


def _media_type(request: Request) -> tuple[str, str]:
    media_type, *parameters = (request.header("content-type") or "").lower().split(";")
    charset = next(
        (
            value.strip().strip('"')
            for name, _, value in (text.partition("=") for text in parameters)
            if name.strip() == "charset"
        ),
        "",
    )
    return media_type.strip(), charset
