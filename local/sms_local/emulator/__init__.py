"""The embedded AWS: MiniStack in an environment of its own, with the patches this product needs.

Imported both by the project, to start the emulator, and by the emulator's process itself, so this module
imports the standard library only.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
ENVIRONMENT_PROJECT = REPOSITORY / "local" / "emulator_env"
LAUNCHER = Path(__file__).resolve().parent / "launch.py"

OFFSET_FILE = "clock-offset"
"""In the state directory: how far virtual time is ahead of the machine's, as decimal text of seconds."""

KEPT_VARIABLES = ("LANG", "LC_ALL", "TZ", "SSL_CERT_FILE")


class EmulatorEnvironmentError(Exception):
    """The emulator's virtual environment cannot be made. The message is one sentence for a person."""


def emulator_venv() -> Path:
    """Make the emulator's virtual environment, or refresh it when its lock file changed.

    The project's own environment holds the libraries of the Lambda layer. MiniStack runs Lambda code with its
    own interpreter, so in a shared environment a library that the layer lacks would not be missed.

    Returns
    -------
    Path
        Directory of the environment, ``.local/emulator-venv`` in the repository.

    Raises
    ------
    EmulatorEnvironmentError
        When ``uv`` is not installed or cannot install the locked packages.
    """
    directory = REPOSITORY / ".local" / "emulator-venv"
    stamp = directory / "installed-lock"
    digest = hashlib.sha256((ENVIRONMENT_PROJECT / "uv.lock").read_bytes()).hexdigest()
    if stamp.is_file() and stamp.read_text() == digest and (directory / "bin" / "python").exists():
        return directory
    uv = _uv()
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    environment["UV_PROJECT_ENVIRONMENT"] = str(directory)
    try:
        subprocess.run(
            [uv, "sync", "--frozen", "--quiet", "--project", str(ENVIRONMENT_PROJECT)],
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        )
    except FileNotFoundError as error:
        message = "uv is needed to install the emulator and was not found; run make setup"
        raise EmulatorEnvironmentError(message) from error
    except subprocess.CalledProcessError as error:
        cause = error.stderr.strip().splitlines()[-1:] or ["no reason given"]
        message = f"uv could not install the emulator: {cause[0]}"
        raise EmulatorEnvironmentError(message) from error
    stamp.write_text(digest)
    return directory


def _uv() -> str:
    """Find uv: the one this runs under, the repository's own, or the one on the path."""
    if running_under := os.environ.get("UV"):
        return running_under
    own = REPOSITORY / ".tools" / "uv" / "bin" / "uv"
    return str(own) if own.is_file() else shutil.which("uv") or "uv"


def command(
    *,
    port: int,
    carrier_url: str,
    state_dir: Path,
    iam: bool = True,
    persist: bool = False,
    clock_start: datetime | None = None,
    without: Sequence[str] = (),
    invocations_at_once: int | None = None,
) -> list[str]:
    """Tell the command that runs the emulator in the foreground; run it in :func:`environment`.

    Parameters
    ----------
    port
        Port on 127.0.0.1; ``GET /_ministack/health`` answers 200 once it serves.
    carrier_url
        Base URL of the carrier simulator, which plays ``sms-voice``. It need not be up yet.
    state_dir
        The only directory that the emulator writes to; holds ``emulator.log``.
    iam
        Whether requests are authorised as on AWS.
    persist
        Whether the state survives an orderly end (SIGTERM).
    clock_start
        Aware; where virtual time begins, unless a kept state knows it. Now when left out.
    without
        Names of patches to leave out.
    invocations_at_once
        How many functions run at the same time; the others wait. No limit when left out.
    """
    words = [str(emulator_venv() / "bin" / "python"), "-I", str(LAUNCHER), "--port", str(port)]
    words += ["--carrier-url", carrier_url, "--state-dir", str(state_dir)]
    words += [] if iam else ["--no-iam"]
    words += ["--persist"] if persist else []
    words += ["--clock-start", clock_start.isoformat()] if clock_start else []
    words += ["--invocations-at-once", str(invocations_at_once)] if invocations_at_once else []
    return [*words, "--without", *without] if without else words


def environment() -> dict[str, str]:
    """Tell the variables that the emulator's process needs, and no others.

    ``PATH`` leads to Node, which runs the CDK's own custom resources, first to the one beside this
    interpreter.
    """
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    own_tools = str(Path(sys.executable).parent)
    return kept | {"PATH": os.pathsep.join([own_tools, os.environ.get("PATH", os.defpath)])}
