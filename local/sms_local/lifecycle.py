"""Bring an embedded cloud up, tell how it is, take it down.

Stages of a start, each said in one sentence with the seconds since the beginning: emulator and carrier
simulator answer; templates are synthesized and the emulator's account is bootstrapped (side by side); the
stacks are deployed; people are loaded; the phone page and, through it, the review form answer. An empty one
has no stacks and no people: it is for an app of one's own. Whatever fails, everything that was started is
ended.
"""

import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from sms_local import aws, deploy, emulator, outputs, people
from sms_local.failures import LocalCloudError
from sms_local.places import HOST, PROJECT_ROOT, REGION, Places
from sms_local.processes import end_all, identify, start
from sms_local.record import CloudRecord, Service, exclusive, forget_record, read_record, write_record
from sms_local.subscribers import load_subscribers

type Say = Callable[[str], None]

_ANSWER_SECONDS = 60.0
#: A deployment takes half a minute, but an hour where a custom resource does not answer.
_TOOL_SECONDS = 240.0
_POLL_SECONDS = 0.05
#: For runs of many people, on a machine of a few cores.
_INVOCATIONS_AT_ONCE = 6
_WITHOUT_APP = ("cdk bootstrap",)
_START_HOUR = 17


def bring_up(
    places: Places,
    *,
    iam: bool,
    without: Sequence[str],
    say: Say,
    clock_start: datetime | None = None,
    parts_per_second: int | None = None,
    is_empty: bool = False,
) -> bool:
    """Start an embedded cloud and return when all of it answers.

    Parameters
    ----------
    places
        Where it listens.
    iam
        Whether the emulator enforces IAM policies.
    without
        Patches of the emulator to leave out, to see what they are for.
    say
        Takes one sentence a stage.
    clock_start
        Where virtual time begins, aware; the next 17:00 UTC when left out, when all of the United States is
        awake and nobody's quiet hours are near.
    parts_per_second
        Of the simulated number, for runs of many people; the stage's own when left out.
    is_empty
        Deploy nothing: the account is bootstrapped, and the stage ``local`` is left out.

    Returns
    -------
    bool
        False when it was up already and nothing was done.

    Raises
    ------
    LocalCloudError
        When it cannot be started; nothing of it is left running.
    """
    with exclusive(places):
        record = read_record(places)
        if record is not None and record.is_ready and not record.stopped:
            return False
        if record is not None:
            end_all(record.leaders, mark=record.mark)
            forget_record(places)
        _require_free_ports(places)
        toolchain = deploy.find_toolchain()
        shutil.rmtree(places.folder / "state", ignore_errors=True)
        for log in places.folder.glob("*.log"):
            log.unlink()
        places.outputs.unlink(missing_ok=True)
        start = clock_start or next_start(datetime.now(UTC))
        record = CloudRecord(mark=secrets.token_hex(16), iam=iam, clock_start=start)
        starting = _Start(places=places, record=record)
        try:
            _carry_out(
                starting, toolchain, without, say, parts_per_second=parts_per_second, is_empty=is_empty
            )
        except BaseException:
            starting.end()
            raise
    return True


def next_start(now: datetime) -> datetime:
    """Return the next 17:00 UTC, `now` itself if it is that."""
    today = now.astimezone(UTC).replace(hour=_START_HOUR, minute=0, second=0, microsecond=0)
    return today if today >= now else today + timedelta(days=1)


def take_down(places: Places) -> bool:
    """End everything of an embedded cloud; return whether there was anything.

    Raises
    ------
    LocalCloudError
        When something could not be ended; the message names it.
    """
    record = read_record(places)
    if record is None:
        return False
    left = end_all(record.leaders, mark=record.mark)
    if left:
        numbers = ", ".join(str(one.pid) for one in left)
        msg = f"could not end the processes {numbers}; end them by hand"
        raise LocalCloudError(msg)
    forget_record(places)
    return True


def explain_status(places: Places) -> str | None:
    """Return why the embedded cloud is not ready, in one sentence; None when it is."""
    record = read_record(places)
    if record is None:
        return f"no embedded cloud is up on port {places.port_base}; start it with `sms-local up`"
    if record.stopped:
        name = record.stopped[0]
        return f"the {name} has stopped: {_last_line(places.log(name))}"
    if not record.is_ready:
        return f"the embedded cloud on port {places.port_base} is still starting"
    for name, url in _health(places).items():
        if not _answers(url):
            return f"the {name} runs but does not answer at {url}"
    return None


def wait_for_a_stop(places: Places) -> str:
    """Block while everything runs; return the name of the first process that stopped."""
    while True:
        record = read_record(places)
        if record is None:
            return "embedded cloud"
        if record.stopped:
            return record.stopped[0]
        time.sleep(0.5)


@dataclass(slots=True, kw_only=True)
class _Start:
    """A start under way: what was started so far."""

    places: Places
    record: CloudRecord
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def launch(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start one process of the cloud and note it before anything else happens."""
        # Noted before, so that a command killed between the two lines leaves its mark for `sms-local down`.
        write_record(self.places, self.record)
        process = start(
            command,
            log=self.places.log(name),
            environment=environment,
            mark=self.record.mark,
            folder=PROJECT_ROOT,
        )
        self.processes[name] = process
        identity = identify(process.pid)
        if identity is not None:
            self.record = self.record.with_service(Service(name=name, identity=identity))
            write_record(self.places, self.record)

    def run(self, tools: Mapping[str, Sequence[str]], environment: Mapping[str, str]) -> None:
        """Run the named commands side by side to their end, while the cloud's processes are watched.

        Raises
        ------
        LocalCloudError
            With the cause from its log, when one of them fails.
        """
        running = {
            name: start(
                command,
                log=self.places.log(name),
                environment=environment,
                mark=self.record.mark,
                # In a folder with the app's cdk.json the CLI would synthesize the app even for what needs
                # none of it, and two clouds that start at once would find the output folder locked.
                folder=self.places.folder if name in _WITHOUT_APP else PROJECT_ROOT,
            )
            for name, command in tools.items()
        }
        deadline = time.monotonic() + _TOOL_SECONDS
        while running:
            for name, process in list(running.items()):
                code = process.poll()
                if code is None:
                    continue
                del running[name]
                if code != 0:
                    log = self.places.log(name)
                    self.watch()
                    msg = f"{name} failed: {deploy.cause(log.read_text(errors='replace'))} (all of it: {log})"
                    raise LocalCloudError(msg)
            self.watch()
            if time.monotonic() > deadline:
                name = next(iter(running))
                log = self.places.log(name)
                said = deploy.emulator_error(self.places)
                msg = (
                    f"{name} took longer than {_TOOL_SECONDS:.0f} s and was ended; {said} (all of it: {log})"
                )
                raise LocalCloudError(msg)
            time.sleep(_POLL_SECONDS)

    def await_answer(self, name: str, url: str) -> None:
        """Wait until `url` answers.

        Raises
        ------
        LocalCloudError
            When its process stops, or does not answer in time.
        """
        self._await(lambda: _answers(url), f"the {name} did not answer at {url}", self.places.log(name))

    def await_file(self, name: str, path: Path) -> None:
        """Wait until a process has written a file that others read; raises as `await_answer`."""
        self._await(path.is_file, f"the {name} did not write {path}", self.places.log(name))

    def _await(self, condition: Callable[[], bool], failure: str, log: Path) -> None:
        deadline = time.monotonic() + _ANSWER_SECONDS
        while not condition():
            self.watch()
            if time.monotonic() > deadline:
                msg = f"{failure} in {_ANSWER_SECONDS:.0f} s (see {log})"
                raise LocalCloudError(msg)
            time.sleep(_POLL_SECONDS)

    def watch(self) -> None:
        """Raise LocalCloudError when a process of the cloud has stopped."""
        for name, process in self.processes.items():
            code = process.poll()
            if code is not None:
                how = f"signal {-code}" if code < 0 else f"exit code {code}"
                msg = f"the {name} stopped ({how}): {_last_line(self.places.log(name))}"
                raise LocalCloudError(msg)

    def end(self) -> None:
        """End everything that was started."""
        end_all(self.record.leaders, mark=self.record.mark)
        for process in self.processes.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=1)
        forget_record(self.places)


def _carry_out(
    starting: _Start,
    toolchain: deploy.Toolchain,
    without: Sequence[str],
    say: Say,
    *,
    parts_per_second: int | None,
    is_empty: bool,
) -> None:
    places = starting.places
    prepare(say)
    starting.launch(
        "emulator",
        emulator.command(
            port=places.ports["emulator"],
            carrier_url=places.carrier_endpoint,
            state_dir=places.folder / "state",
            iam=starting.record.iam,
            clock_start=starting.record.clock_start,
            without=without,
            invocations_at_once=None if parts_per_second is None else _INVOCATIONS_AT_ONCE,
        ),
        emulator.environment(),
    )
    clock = places.folder / "state" / emulator.OFFSET_FILE
    starting.await_file("emulator", clock)
    starting.launch(
        "carrier simulator",
        [
            *(sys.executable, "-m", "sms_local.carrier"),
            *("--port", str(places.ports["carrier simulator"]), "--aws-endpoint", places.aws_endpoint),
            *("--clock-offset-file", str(clock)),
            *(() if parts_per_second is None else ("--parts-per-second", str(parts_per_second))),
        ],
        _tool_environment(),
    )
    for name in ("emulator", "carrier simulator"):
        starting.await_answer(name, _health(places)[name])
    enforced = "IAM policies enforced" if starting.record.iam else "IAM policies not enforced"
    begun = f"{starting.record.clock_start:%Y-%m-%d %H:%M} UTC"
    say(f"Emulator and carrier simulator answer ({enforced}); it is {begun} there")

    cdk = deploy.environment(toolchain, places)
    bootstrap = {"cdk bootstrap": deploy.bootstrap_command(toolchain)}
    if is_empty:
        starting.run(bootstrap, cdk)
        say("The account is bootstrapped; nothing is deployed")
    else:
        synth = deploy.synth_command(toolchain, places, parts_per_second=parts_per_second)
        starting.run({**bootstrap, "cdk synth": synth}, cdk)
        say("The CDK app is synthesized and the account is bootstrapped")
        starting.run({"cdk deploy": deploy.deploy_command(toolchain, places)}, cdk)
    composed = outputs.compose(outputs.describe_stacks(places), places)
    places.outputs.write_text(json.dumps(composed, indent=2, ensure_ascii=False) + "\n")
    if composed["stacks"]:
        say(f"Deployed {' and '.join(composed['stacks'])}")

    customers = composed["tables"].get("customers")
    clients = aws.Clients(places.aws_endpoint)
    if customers is not None:
        say(f"Loaded {people.load_people(clients('dynamodb'), customers)} demo people")
    subscribed = load_subscribers(composed, clients)
    if subscribed:
        say(f"{subscribed} of them are subscribers")
    starting.launch(
        "phone page",
        [sys.executable, "-m", "sms_local.phone", "--port-base", str(places.port_base)],
        _tool_environment(),
    )
    starting.await_answer("phone page", _health(places)["phone page"])
    has_form = "review_form" in composed["urls"]
    if has_form:
        starting.await_answer("review form", composed["urls"]["review_form"])
    starting.record = replace(starting.record, is_ready=True)
    write_record(places, starting.record)
    say("The phones and the review form answer" if has_form else "The phones answer")


def prepare(say: Say) -> None:
    """Make the emulator's environment and the layer of the Lambda functions, where they are not there yet."""
    try:
        emulator.emulator_venv()
    except emulator.EmulatorEnvironmentError as error:
        raise LocalCloudError(str(error)) from error
    deploy.build_layer()
    say("The emulator's environment and the Lambda layer are there")


def _health(places: Places) -> dict[str, str]:
    return {
        "emulator": f"{places.aws_endpoint}/_ministack/health",
        "carrier simulator": f"{places.carrier_endpoint}/control/health",
        "phone page": f"{places.front_door}/health",
    }


def _answers(url: str) -> bool:
    """Tell whether something there is able to answer (a refusal is an answer, a failure is none)."""
    try:
        return httpx.get(url, timeout=20.0, trust_env=False).status_code < 500
    except httpx.TransportError:
        return False


def _require_free_ports(places: Places) -> None:
    for name, port in places.ports.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError as error:
                msg = (
                    f"port {port}, for the {name}, is in use by another program ({error.strerror}); "
                    "end it or choose another `--port-base`"
                )
                raise LocalCloudError(msg) from error


def _tool_environment() -> dict[str, str]:
    """Return the environment of our own processes, without what could redirect their requests."""
    kept = {name: os.environ[name] for name in ("HOME", "PATH", "LANG", "TMPDIR") if name in os.environ}
    return {
        **kept,
        **aws.CREDENTIALS,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "PYTHONUNBUFFERED": "1",
    }


def _last_line(log: Path) -> str:
    try:
        lines = log.read_text(errors="replace").strip().splitlines()
    except FileNotFoundError:
        lines = []
    said = lines[-1].strip() if lines else "it printed nothing"
    return f"{said} (all of it: {log})"


def outputs_of(places: Places) -> dict[str, Any]:
    """Return the outputs of a cloud that is up; of one that was started empty, of what is deployed by now.

    Raises
    ------
    LocalCloudError
        When it is not ready.
    """
    problem = explain_status(places)
    if problem is not None:
        raise LocalCloudError(problem)
    noted = outputs.read_outputs(places)
    return noted if noted["stacks"] else outputs.compose(outputs.describe_stacks(places), places)
