"""Build the dependency layer of the Lambda functions from ``uv.lock``: one zip an architecture.

``python build_layer.py`` builds what is missing or out of date and prints where it lies. The build hook of
the wheel and of editable installs calls the same function, so synthesis needs neither network nor pip.

The files land in ``constructs/sms_engagement/runtime_layer/``: ``arm64.zip``, ``x86_64.zip`` and
``manifest.json``, which says what they were built from. boto3 is left out, since Lambda brings it.
"""

import argparse
import hashlib
import importlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

PLATFORMS: Final = {"arm64": "aarch64-manylinux2014", "x86_64": "x86_64-manylinux2014"}
"""Lambda's name of an architecture, and the wheels that run there (Amazon Linux 2023 has a newer glibc)."""

PYTHON_VERSION: Final = "3.13"
"""That of the functions; compiled wheels fit one minor version only."""

LAYER_FOLDER: Final = Path("constructs", "sms_engagement", "runtime_layer")
"""Where the layer lies in a checkout; the wheel ships the same folder."""

# A different recipe makes a different layer from the same lock.
_RECIPE: Final = "1"

# Lambda has boto3, and the functions never import the CDK.
_NOT_IN_LAMBDA: Final = ("boto3", "botocore", "aws-cdk-lib", "constructs")

# Geocoding and carrier names are 20 of the 23 MB of `phonenumbers`, and nothing here asks for them.
_PRUNED_FOLDERS: Final = frozenset({"__pycache__", "bin", "geodata", "carrierdata", "wrapt-stubs"})
_PRUNED_FILES: Final = frozenset(
    {"RECORD", "INSTALLER", "REQUESTED", "WHEEL", "top_level.txt", "py.typed", ".lock"}
)
_PRUNED_MODULES: Final = frozenset({"phonenumbers/geocoder.py", "phonenumbers/carrier.py"})

# The earliest instant of the zip format: the same files give the same bytes.
_ZIP_EPOCH: Final = (1980, 1, 1, 0, 0, 0)


class LayerBuildError(RuntimeError):
    """The layer cannot be built; the message is one sentence that says what to do."""


def build(root: Path, *, architectures: Sequence[str] = tuple(PLATFORMS)) -> Path:
    """Build the layer where it is missing or was built from another lock.

    Parameters
    ----------
    root
        The project: a checkout or an unpacked source distribution, with its ``uv.lock``.
    architectures
        Keys of :data:`PLATFORMS`.

    Returns
    -------
    The folder of the zips.

    Raises
    ------
    LayerBuildError
        uv is missing, or failed; its own message is quoted.
    """
    if is_current(root):
        return root / LAYER_FOLDER
    uv = find_uv(root)
    requirements = _export(uv, root)
    key = _key(requirements)
    folder = root / LAYER_FOLDER
    manifest = read_manifest(folder)
    built: dict[str, str] = manifest.get("layers", {}) if manifest.get("key") == key else {}
    for architecture in architectures:
        archive = folder / f"{architecture}.zip"
        if architecture not in built or not archive.is_file():
            folder.mkdir(parents=True, exist_ok=True)
            built[architecture] = _build_one(uv, requirements, PLATFORMS[architecture], archive)
    written = {
        "key": key,
        "layers": built,
        "lock": lock_digest(root),
        "python": PYTHON_VERSION,
        "recipe": _RECIPE,
    }
    if written != manifest:
        _replace(folder / "manifest.json", (json.dumps(written, indent=2, sort_keys=True) + "\n").encode())
    return folder


def is_current(root: Path) -> bool:
    """Say whether both layers of a checkout were built from its lock as it is, without asking uv."""
    folder = root / LAYER_FOLDER
    manifest = read_manifest(folder)
    return (
        manifest.get("recipe") == _RECIPE
        and manifest.get("lock") == lock_digest(root)
        and manifest["layers"].keys() == PLATFORMS.keys()
        and all((folder / f"{architecture}.zip").is_file() for architecture in PLATFORMS)
    )


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return what a layer was built from, or ``{}``.

    Its keys: ``key``, ``lock``, ``python``, ``recipe``, and ``layers`` with a digest of the content by
    architecture.
    """
    path = folder / "manifest.json"
    if not path.is_file():
        return {}
    manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return manifest


def lock_digest(root: Path) -> str:
    """SHA-256 of the lock file."""
    return hashlib.sha256((root / "uv.lock").read_bytes()).hexdigest()


def find_uv(root: Path) -> str:
    """Return the uv of this environment, of the path, or of the Makefile.

    Raises
    ------
    LayerBuildError
        There is none.
    """
    try:
        # In an isolated build uv is a requirement of the build, and its folder of programs not on the path.
        uv = importlib.import_module("uv")
        return str(uv.find_uv_bin())
    except (ModuleNotFoundError, FileNotFoundError):
        # `uv run` names itself in UV.
        found = (
            os.environ.get("UV") or shutil.which("uv") or shutil.which(root / ".tools" / "uv" / "bin" / "uv")
        )
    if found is None:
        msg = "uv is missing, which builds the dependency layer; run `pip install uv`, then this again"
        raise LayerBuildError(msg)
    return str(found)


def _export(uv: str, root: Path) -> str:
    """Return the pinned and hashed requirements of the ``runtime`` extra, less what Lambda brings."""
    pruned = [argument for name in _NOT_IN_LAMBDA for argument in ("--prune", name)]
    return _run(
        uv,
        "export",
        "--project",
        str(root),
        "--frozen",
        "--quiet",
        "--no-header",
        "--no-annotate",
        "--package",
        "sms-engagement",
        "--extra",
        "runtime",
        "--no-dev",
        "--no-emit-workspace",
        *pruned,
    )


def _key(requirements: str) -> str:
    return hashlib.sha256("\n".join((_RECIPE, PYTHON_VERSION, requirements)).encode()).hexdigest()


def _build_one(uv: str, requirements: str, platform: str, archive: Path) -> str:
    with tempfile.TemporaryDirectory() as scratch:
        pinned = Path(scratch, "requirements.txt")
        pinned.write_text(requirements, encoding="utf-8")
        target = Path(scratch, "python")
        _run(
            uv,
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--require-hashes",
            "--only-binary",
            ":all:",
            "--no-compile-bytecode",
            "--link-mode",
            "copy",
            "--python",
            sys.executable,
            "--python-platform",
            platform,
            "--python-version",
            PYTHON_VERSION,
            "--target",
            str(target),
            "--requirement",
            str(pinned),
        )
        files = sorted((path.relative_to(target).as_posix(), path) for path in _shipped(target))
        _replace(archive, _zipped(files, Path(scratch, "layer.zip")))
        return _content_digest(files)


def _shipped(target: Path) -> Iterator[Path]:
    for path in target.rglob("*"):
        relative = path.relative_to(target)
        if (
            path.is_file()
            and path.suffix != ".pyi"
            and not _PRUNED_FOLDERS.intersection(relative.parts)
            and path.name not in _PRUNED_FILES
            and relative.as_posix() not in _PRUNED_MODULES
        ):
            yield path


def _zipped(files: Sequence[tuple[str, Path]], archive: Path) -> bytes:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as zipped:
        for name, path in files:
            # Lambda puts `python/` of every layer on the path.
            entry = zipfile.ZipInfo(f"python/{name}", date_time=_ZIP_EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            zipped.writestr(entry, path.read_bytes())
    return archive.read_bytes()


def _content_digest(files: Sequence[tuple[str, Path]]) -> str:
    """Digest of names and contents: zlib versions differ in the compressed bytes of the same file."""
    digest = hashlib.sha256()
    for name, path in files:
        digest.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def _replace(path: Path, content: bytes) -> None:
    """Write a file in one step, so that two builds at once leave a whole one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as scratch:
        scratch.write(content)
    Path(scratch.name).chmod(0o644)
    Path(scratch.name).replace(path)


def _run(*command: str) -> str:
    # An active virtual environment is not where the layer's packages belong.
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    finished = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)  # noqa: S603 - arguments are ours
    if finished.returncode != 0:
        msg = f"the dependency layer could not be built: {finished.stderr.strip() or finished.stdout.strip()}"
        raise LayerBuildError(msg)
    return finished.stdout


def main() -> int:
    """Build, and print where the layer lies."""
    parser = argparse.ArgumentParser(description="Build the dependency layer of the Lambda functions.")
    parser.add_argument("--architecture", choices=sorted(PLATFORMS), action="append")
    arguments = parser.parse_args()
    try:
        folder = build(
            Path(__file__).resolve().parent, architectures=arguments.architecture or tuple(PLATFORMS)
        )
    except LayerBuildError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{folder}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
