"""Texts that replace the standard ones: files of a layer, since a function's environment holds 4 KB."""

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, Final

PACKAGE: Final = "sms_engagement_texts"
"""Folder of the layer, on the import path of a function that has it."""


def load_texts(name: str) -> Mapping[str, Any] | None:
    """Read the texts of a capability; None where nothing replaces the standard ones.

    Raises
    ------
    ValueError
        The file is no JSON object: the layer is not ours.
    """
    try:
        written = files(PACKAGE).joinpath(f"{name}.json").read_text(encoding="utf-8")
    except (ModuleNotFoundError, FileNotFoundError):
        return None
    texts = json.loads(written)
    if not isinstance(texts, dict):
        msg = f"{PACKAGE}/{name}.json must hold an object, got {type(texts).__name__}"
        raise ValueError(msg)
    return texts
