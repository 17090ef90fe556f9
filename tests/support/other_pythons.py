"""Interpreters of this machine, by version."""

import os
import shutil
import subprocess
import sys
from pathlib import Path


def find_python(version: str) -> Path | None:
    """Return an interpreter of a version, as ``3.12``; None where the machine has none that runs."""
    home, found = Path.home(), shutil.which(f"python{version}")
    # Where the search path has a shim of pyenv, the versions lie beside its folder, whatever the home is.
    pyenvs = [home / ".pyenv", *([] if found is None else [Path(found).parents[1]])]
    candidates = [
        sys.executable,
        found,
        *(
            each
            for pyenv in pyenvs
            for each in sorted(pyenv.glob(f"versions/{version}.*/bin/python{version}"))
        ),
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
