"""A layer of texts: what replaces the standard ones has no room in the 4 KB of a function's environment."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from sms_engagement._runtime_code import PYTHON_RUNTIME

# On a function's import path (Lambda, *Packaging your layer content*).
_FOLDER: Final = Path("python", "sms_engagement_texts")

# Context key of `cdk synth --no-staging` (CDK, cx-api).
_STAYS: Final = "aws:cdk:disable-asset-staging"

_NAME: Final = re.compile(r"[a-z][a-z0-9_-]*")


def text_layer(scope: Construct, id: str, texts: Mapping[str, Any]) -> lambda_.LayerVersion:
    """Return a layer of texts, which functions read by name (``channel.adapters.text_files``).

    Made once a scope and id, however many functions have it. The same texts give the same asset in whichever
    order they are given.

    Parameters
    ----------
    texts
        Name to anything that JSON holds.

    Raises
    ------
    ValueError
        A name is no file name.
    """
    existing = scope.node.try_find_child(id)
    if isinstance(existing, lambda_.LayerVersion):
        return existing
    for name in texts:
        if not _NAME.fullmatch(name):
            msg = f"names of texts must be lower-case letters, digits, _ and -, a letter first, got {name!r}"
            raise ValueError(msg)
    # An asset is copied when it is made, unless somebody asked for assets to stay where they are.
    is_copied = not scope.node.try_get_context(_STAYS)
    with TemporaryDirectory(prefix="sms-engagement-texts-", delete=is_copied) as folder:
        target = Path(folder) / _FOLDER
        target.mkdir(parents=True)
        for name, content in texts.items():
            file = target / f"{name}.json"
            file.write_text(_written(content), encoding="utf-8")
            # Whatever the mask of whoever synthesizes: functions read it as a user of their own.
            file.chmod(0o644)
        return lambda_.LayerVersion(
            scope,
            id,
            code=lambda_.Code.from_asset(folder),
            compatible_runtimes=[PYTHON_RUNTIME],
            description="Texts that replace the standard ones",
        )


def _written(content: object) -> str:
    return json.dumps(content, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
