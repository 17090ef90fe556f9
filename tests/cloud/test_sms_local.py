"""`sms-local`: what it starts it ends, and what goes wrong it says in one sentence."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sms_local.places import HOST, Places
from sms_local.testing import Cloud, eventually, free_port_base, sms_local

_PROC = Path("/proc")


def left_running(places: Places) -> list[str]:
    """Command lines of processes that belong to the cloud of these ports."""
    traces = [str(port).encode() for port in places.ports.values()] + [places.folder.name.encode()]
    found = []
    for process in _PROC.iterdir():
        if not process.name.isdecimal() or int(process.name) == os.getpid():
            continue
        try:
            command = (process / "cmdline").read_bytes()
            environment = (process / "environ").read_bytes()
        except OSError:
            continue
        if any(trace in command or b":" + trace in environment for trace in traces):
            found.append(command.replace(b"\0", b" ").decode(errors="replace").strip())
    return [command for command in found if command]


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


@pytest.fixture
def places() -> Iterator[Places]:
    chosen = Places(port_base=free_port_base())
    yield chosen
    sms_local("down", "--port-base", str(chosen.port_base))


def assert_one_sentence(answer: subprocess.CompletedProcess[str]) -> None:
    assert answer.returncode == 1
    assert len(answer.stderr.strip().splitlines()) == 1, answer.stderr
    assert answer.stderr.startswith("sms-local: ")
    assert "Traceback" not in answer.stdout + answer.stderr


def assert_nothing_left(places: Places) -> None:
    if _PROC.is_dir():
        assert left_running(places) == []
    assert not any(is_listening(port) for port in places.ports.values())
    assert not places.record.exists()


def test_where_nothing_is_up_a_shell_goes_on_to_no_other_account(places: Places) -> None:
    answer = sms_local("environment", "--port-base", str(places.port_base))

    assert_one_sentence(answer)
    evaluated = subprocess.run(
        ["bash", "-c", 'eval "$1" && echo went on', "bash", answer.stdout],
        capture_output=True,
        text=True,
        check=False,
    )
    assert evaluated.stdout == ""


@pytest.mark.parametrize("offset", [0, 1, 2])
def test_a_port_in_use_is_named_and_nothing_is_started(places: Places, offset: int) -> None:
    with socket.socket() as taken:
        taken.bind((HOST, places.port_base + offset))
        taken.listen()

        answer = sms_local("up", "--port-base", str(places.port_base))

    assert_one_sentence(answer)
    assert f"port {places.port_base + offset}" in answer.stderr
    assert "--port-base" in answer.stderr
    assert_nothing_left(places)


def test_a_missing_node_is_named_and_nothing_is_left(places: Places) -> None:
    environment = {**os.environ, "SMS_LOCAL_NODE": "/nowhere/node"}

    answer = sms_local("up", "--port-base", str(places.port_base), env=environment)

    assert_one_sentence(answer)
    assert "Node is missing" in answer.stderr
    assert "/nowhere/node" in answer.stderr
    assert_nothing_left(places)


def test_a_failed_deployment_names_its_cause_and_nothing_is_left(places: Places) -> None:
    # Without this patch the emulator knows no AWS::SMSVOICE::* types; the first of them fails the stack.
    answer = sms_local("up", "--port-base", str(places.port_base), "--without", "sms_voice_resources")

    assert_one_sentence(answer)
    assert "cdk deploy failed" in answer.stderr
    assert "AWS::SMSVOICE::" in answer.stderr
    assert_nothing_left(places)


def test_a_process_that_crashes_during_the_start_is_named_and_nothing_is_left(places: Places) -> None:
    command = [sys.executable, "-m", "sms_local", "up", "--port-base", str(places.port_base)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as up:
        assert up.stdout is not None
        while "simulator answer" not in (line := up.stdout.readline()):
            assert line, "it ended before the emulator answered"
        services = json.loads(places.record.read_text())["services"]
        [carrier] = [one["identity"]["pid"] for one in services if one["name"] == "carrier simulator"]

        os.kill(carrier, signal.SIGKILL)

        _, said = up.communicate(timeout=120)

    assert up.returncode == 1
    assert "the carrier simulator stopped (signal 9)" in said
    assert len(said.strip().splitlines()) == 1
    assert_nothing_left(places)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_start_leaves_nothing(places: Places, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "sms_local", "up", "--port-base", str(places.port_base)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as up:
        assert up.stdout is not None
        while "simulator answer" not in (line := up.stdout.readline()):
            assert line, "it ended before the emulator answered"

        up.send_signal(number)

        _, said = up.communicate(timeout=120)

    assert up.returncode == 130
    assert "nothing is left running" in said
    assert_nothing_left(places)


def test_what_the_demo_started_ends_with_ctrl_c(places: Places) -> None:
    base = ("--port-base", str(places.port_base))
    command = [sys.executable, "-m", "sms_local", "demo", *base]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        while "Ready" not in (line := demo.stdout.readline()):
            assert line, demo.stderr and demo.stderr.read()
        assert sms_local("status", *base).returncode == 0
        again = sms_local("up", *base)
        assert (again.returncode, again.stderr) == (0, "")
        assert "up already" in again.stdout

        # Twice, as a terminal and `uv run` send it both, and once more for the impatient.
        for _ in range(3):
            demo.send_signal(signal.SIGINT)
            time.sleep(0.05)

        demo.communicate(timeout=120)

    assert demo.returncode == 0
    assert_nothing_left(places)
    status = sms_local("status", *base)
    assert_one_sentence(status)
    assert "no embedded cloud is up" in status.stderr


def test_status_names_a_process_that_stopped_and_down_leaves_nothing(places: Places) -> None:
    base = ("--port-base", str(places.port_base))
    started = sms_local("up", *base, "--no-iam")
    assert started.returncode == 0, started.stderr
    # Lambda workers of the form and of the custom resource live on.
    if _PROC.is_dir():
        assert len(left_running(places)) > 3
    services = json.loads(places.record.read_text())["services"]
    [page] = [one["identity"]["pid"] for one in services if one["name"] == "phone page"]
    os.kill(page, signal.SIGKILL)

    def complaint() -> subprocess.CompletedProcess[str] | None:
        answer = sms_local("status", *base)
        return answer if answer.returncode else None

    status = eventually(complaint, what="the end of the phone page")
    first, second = sms_local("down", *base), sms_local("down", *base)

    assert_one_sentence(status)
    assert "the phone page has stopped" in status.stderr
    assert (first.returncode, second.returncode) == (0, 0)
    assert "Nothing was running" in second.stdout
    assert_nothing_left(places)
    assert_one_sentence(sms_local("outputs", *base))


def test_outputs_are_json_that_leads_to_what_answers(running_cloud: Cloud) -> None:
    outputs = running_cloud.outputs

    assert outputs["urls"]["review_form"] == f"{running_cloud.places.front_door}/review"
    assert running_cloud.door.get(outputs["urls"]["review_form"]).status_code in (400, 403)
    assert running_cloud.door.get(outputs["phone_url"]).status_code == 200
    assert outputs["origination"] == "+12065550100"
    tables = set(running_cloud.dynamodb.list_tables()["TableNames"])
    assert set(outputs["tables"].values()) <= tables
    assert {"customers", "reviews", "review_requests", "messages", "contacts"} <= outputs["tables"].keys()
    assert outputs["secrets"]["review_token"].startswith("arn:aws:secretsmanager:")
    assert outputs["bus"].startswith("arn:aws:events:")


def test_reset_empties_data_and_keeps_the_stacks(cloud: Cloud) -> None:
    cloud.broadcast()
    cloud.text_from("+14045550101", "STOP")
    eventually(lambda: len(cloud.texts("+14045550101")) == 2, what="the confirmation")

    cloud.reset()

    assert cloud.texts() == []
    assert [cloud.rows(table) for table in ("reviews", "review_requests", "messages")] == [[], [], []]
    assert len(cloud.rows("customers")) == 8
    state = cloud.door.get("/api/state").json()
    assert state["run"]["latest"] is None
    assert all(phone["bubbles"] == [] for phone in state["phones"])
    assert cloud.broadcast()["outcomes"]["ACCEPTED"] == 6
