"""The one place that finds what runs in Lambda: our code, and the third-party code beneath it."""

import json
from importlib.util import find_spec
from pathlib import Path

from aws_cdk import AssetHashType, IgnoreMode
from aws_cdk import aws_lambda as lambda_

RUNTIME_PACKAGE = "sms_engagement_runtime"
"""Import name of the Lambda code."""

PYTHON_RUNTIME = lambda_.Runtime.PYTHON_3_13
"""3.14 starts 27 % slower (measured); the layer's compiled wheels fit this minor version only."""

_LAYER_FOLDER = Path(__file__).parent / "runtime_layer"


_SHARED = "channel"
"""What every capability imports; none imports another one."""


def runtime_code(handler: str) -> lambda_.Code:
    """Return our Lambda code as an asset: what a handler's capability needs, and no other capability.

    The asset's root is the *parent* of the installed package, so that handlers keep their import path. The
    ignore list keeps one folder of it: the hash is the same from source, editable and wheel installs.

    Parameters
    ----------
    handler
        Module below the runtime package, as ``channel.handlers.router``.
    """
    spec = find_spec(RUNTIME_PACKAGE)
    if spec is None or spec.origin is None:
        msg = f"{RUNTIME_PACKAGE} is not installed; install the wheel `sms-engagement`, or `pip install -e .`"
        raise ModuleNotFoundError(msg, name=RUNTIME_PACKAGE)
    package = Path(spec.origin).parent
    kept = sorted({_SHARED, handler.partition(".")[0]})
    return lambda_.Code.from_asset(
        str(package.parent),
        ignore_mode=IgnoreMode.GIT,
        exclude=[
            "/*",
            f"!/{package.name}",
            f"/{package.name}/*/",
            *(f"!/{package.name}/{name}/" for name in kept),
            "__pycache__",
            "*.pyc",
            ".*",
            "py.typed",
        ],
    )


def layer_code(architecture: lambda_.Architecture) -> lambda_.Code:
    """Return the prebuilt dependency layer of an architecture as an asset.

    Raises
    ------
    FileNotFoundError
        A checkout whose layer was never built.
    """
    archive = _LAYER_FOLDER / f"{architecture.name}.zip"
    manifest = _LAYER_FOLDER / "manifest.json"
    if not archive.is_file() or not manifest.is_file():
        msg = (
            f"the dependency layer for {architecture.name} is not built; "
            f"run `python build_layer.py` in {_LAYER_FOLDER.parents[2]}"
        )
        raise FileNotFoundError(msg)
    digest: str = json.loads(manifest.read_text(encoding="utf-8"))["layers"][architecture.name]
    # The bytes of a zip depend on the zlib that wrote it; its content does not.
    return lambda_.Code.from_asset(str(archive), asset_hash=digest, asset_hash_type=AssetHashType.CUSTOM)
