"""Interpreters of this machine, by version."""

import os
import shutil
import subprocess
import sys
from pathlib import Path


def find_python(version: str) -> Path | None:
    """Return an interpreter of a version, as ``3.12``; None where the machine has none that runs."""
    home = Path.home()
    candidates = [
        sys.executable,
        shutil.which(f"python{version}"),
        *sorted(home.glob(f".pyenv/versions/{version}.*/bin/python{version}")),
        *sorted(home.glob(f".local/share/uv/python/cpython-{version}.*/bin/python{version}")),
    ]
    for candidate in candidates:
        if candidate and _version(str(candidate)) == version:
            return Path(candidate)
    return None


def _version(python: str) -> str | None:
    program = "import sys; print('%d.%d' % sys.version_info[:2])"
    # A shim of pyenv for a version that is not chosen here exists and does not run; one that is chosen does.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    finished = subprocess.run(
        [python, "-c", program], capture_output=True, text=True, check=False, env=environment
    )
    return finished.stdout.strip() if finished.returncode == 0 else None
