"""Typed settings of a Lambda function, read from its environment once.

A handler describes what it needs as a frozen dataclass; :func:`load` fills it. What is missing or malformed
is named at the first start, not at the first customer.
"""

import json
import os
import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields
from typing import Any, Union, cast, get_args, get_origin, get_type_hints


class SettingsError(RuntimeError):
    """An environment variable is missing or cannot be read as its field's type."""


def load[T](cls: type[T], environ: Mapping[str, str] | None = None) -> T:
    """Fill a dataclass from environment variables.

    Parameters
    ----------
    cls
        A dataclass; the field ``contacts_table`` is read from ``CONTACTS_TABLE``. Field types: ``str``,
        ``int``, ``bool`` (``true``/``false``), ``frozenset[str]`` (comma-separated), ``Mapping[str, …]`` (a
        JSON object); each may be ``X | None``.
    environ
        Defaults to the process environment.

    Returns
    -------
    The filled dataclass. A variable that is absent or empty takes the field's default.

    Raises
    ------
    SettingsError
        A variable without default is absent or empty, or its text is malformed. The sentence names the
        variable, never its value.
    """
    source = os.environ if environ is None else environ
    hints = get_type_hints(cls)
    values = {
        field.name: _read(field, hints[field.name], source)
        for field in fields(cast("type[Any]", cls))
        if field.init
    }
    return cls(**values)


def variable_name(field_name: str) -> str:
    """Name of the environment variable that fills a field."""
    return field_name.upper()


def _read(field: Field[Any], hint: Any, source: Mapping[str, str]) -> Any:
    name = variable_name(field.name)
    text = source.get(name, "").strip()
    if not text:
        return _default(field, name)
    kind = _without_none(hint)
    parse = _PARSERS.get(get_origin(kind) or kind)
    if parse is None:
        raise SettingsError(f"{name}: fields of type {kind} cannot be read from the environment")
    try:
        return parse(text)
    except ValueError as error:
        # The text may be a secret put in the wrong variable, so only its name is shown.
        raise SettingsError(f"environment variable {name} must be {_WANTED[parse]}") from error


def _default(field: Field[Any], name: str) -> Any:
    if field.default is not MISSING:
        return field.default
    if field.default_factory is not MISSING:
        return field.default_factory()
    raise SettingsError(f"environment variable {name} is missing or empty")


def _without_none(hint: Any) -> Any:
    if get_origin(hint) in {Union, types.UnionType}:
        kinds = [kind for kind in get_args(hint) if kind is not type(None)]
        if len(kinds) == 1:
            return kinds[0]
    return hint


def _boolean(text: str) -> bool:
    match text.lower():
        case "true":
            return True
        case "false":
            return False
    raise ValueError("not a boolean")


def _comma_separated(text: str) -> frozenset[str]:
    return frozenset(part.strip() for part in text.split(",") if part.strip())


def _json_object(text: str) -> Mapping[str, Any]:
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return types.MappingProxyType(value)


_PARSERS: Mapping[Any, Callable[[str], Any]] = {
    str: str,
    int: int,
    bool: _boolean,
    frozenset: _comma_separated,
    Mapping: _json_object,
}
_WANTED: Mapping[Callable[[str], Any], str] = {
    int: "a whole number",
    _boolean: "true or false",
    _json_object: "a JSON object",
}
