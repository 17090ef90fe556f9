"""Checks a request against the input shape of the service model, as the service does before anything else.

botocore's client checks types and required members only; lengths, patterns, enumerations and ranges are
refused by the service, so a simulator that skipped them would let through what AWS refuses.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, cast

from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape

from sms_local.carrier.errors import ServiceError, validation_error
from sms_local.carrier.service_model import service_model


class Fault(Enum):
    """Why a member is refused: it is not there, or it is not allowed as it is."""

    MISSING = "MISSING_PARAMETER"
    INVALID = "INVALID_PARAMETER"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong with a request: `field` is a dotted path such as ``Context.campaign``."""

    field: str
    fault: Fault
    message: str


def check_request(operation: str, request: object) -> None:
    """Raise the service's ``ValidationException`` unless `request` fits the input shape of `operation`."""
    shape = service_model().operation_model(operation).input_shape
    if shape is None:
        return
    problems = list(problems_of(shape, request))
    if problems:
        raise _refusal(problems)


def _refusal(problems: list[Problem]) -> ServiceError:
    # The service gives one reason for a request; a missing member explains more than a malformed one.
    missing = any(problem.fault is Fault.MISSING for problem in problems)
    fault = Fault.MISSING if missing else Fault.INVALID
    return validation_error(
        fault.value,
        "; ".join(f"{problem.field or 'request'} {problem.message}" for problem in problems),
        fields=[(problem.field, problem.message) for problem in problems],
    )


def problems_of(shape: Shape, value: object, path: str = "") -> Iterator[Problem]:
    """Yield what is wrong with `value` as an instance of `shape`. Messages never repeat the value."""
    match shape:
        case StructureShape():
            yield from _structure(shape, value, path)
        case MapShape():
            yield from _map(shape, value, path)
        case ListShape():
            yield from _list(shape, value, path)
        case StringShape():
            yield from _string(shape, value, path)
        case _:
            yield from _scalar(shape, value, path)


def _structure(shape: StructureShape, value: object, path: str) -> Iterator[Problem]:
    if not isinstance(value, Mapping):
        yield _invalid(path, "must be an object")
        return
    for name in shape.required_members:
        if value.get(name) is None:
            yield Problem(field=_join(path, name), fault=Fault.MISSING, message="is required")
    for name, member in value.items():
        if name not in shape.members:
            yield _invalid(_join(path, name), "is not a member of the request")
        elif member is not None:
            yield from problems_of(shape.members[name], member, _join(path, name))


def _map(shape: MapShape, value: object, path: str) -> Iterator[Problem]:
    if not isinstance(value, Mapping):
        yield _invalid(path, "must be an object")
        return
    yield from _range(shape, len(value), path, " entries")
    for key, item in value.items():
        yield from problems_of(shape.key, key, path)
        yield from problems_of(shape.value, item, _join(path, key))


def _list(shape: ListShape, value: object, path: str) -> Iterator[Problem]:
    if not isinstance(value, list):
        yield _invalid(path, "must be a list")
        return
    yield from _range(shape, len(value), path, " items")
    for index, item in enumerate(value):
        yield from problems_of(shape.member, item, f"{path}[{index}]")


def _string(shape: StringShape, value: object, path: str) -> Iterator[Problem]:
    if not isinstance(value, str):
        yield _invalid(path, "must be a string")
        return
    if shape.enum:
        if value not in shape.enum:
            yield _invalid(path, f"must be one of {', '.join(shape.enum)}")
        return
    yield from _range(shape, len(value), path, " characters")
    pattern = _constraints(shape).get("pattern")
    if pattern is not None and not re.fullmatch(pattern, value):
        yield _invalid(path, f"must match {pattern}")


def _scalar(shape: Shape, value: object, path: str) -> Iterator[Problem]:
    match shape.type_name:
        case "integer" | "long":
            if not isinstance(value, int) or isinstance(value, bool):
                yield _invalid(path, "must be an integer")
            else:
                yield from _range(shape, value, path, "")
        case "boolean":
            if not isinstance(value, bool):
                yield _invalid(path, "must be true or false")
        case "timestamp":
            if not isinstance(value, int | float) or isinstance(value, bool):
                yield _invalid(path, "must be seconds since the epoch")
        case other:
            raise NotImplementedError(f"no simulated operation has a member of type {other}")


def _range(shape: Shape, size: int, path: str, unit: str) -> Iterator[Problem]:
    constraints = _constraints(shape)
    low, high = constraints.get("min"), constraints.get("max")
    if low is not None and size < low:
        yield _invalid(path, f"must be at least {low}{unit}")
    if high is not None and size > high:
        yield _invalid(path, f"must be at most {high}{unit}")


def _constraints(shape: Shape) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", shape.metadata)


def _invalid(path: str, message: str) -> Problem:
    return Problem(field=path, fault=Fault.INVALID, message=message)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
