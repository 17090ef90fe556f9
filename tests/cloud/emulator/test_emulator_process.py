"""How the emulator starts, what it shuts out, and how it ends."""

import json
import subprocess
import tempfile
from pathlib import Path

from sms_local import emulator

HANDLER_PID = "import os\ndef handler(event, context):\n    return os.getpid()\n"

HANDLER_ENVIRONMENT = "import os\ndef handler(event, context):\n    return dict(os.environ)\n"

HANDLER_IMPORTS = """
import importlib
def handler(event, context):
    found = []
    for name in event["modules"]:
        try:
            importlib.import_module(name)
            found.append(name)
        except ImportError:
            pass
    return found
"""

LAYER_LIBRARIES = ["msgspec", "phonenumbers", "aws_lambda_powertools", "aws_xray_sdk", "tzdata"]
PROJECT_LIBRARIES = [
    "sms_engagement",
    "sms_engagement_runtime",
    "sms_local",
    "aws_cdk",
    "starlette",
    "pytest",
]


def process_exists(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_a_port_in_use_ends_the_start_with_one_sentence(patched, tmp_path):
    command = emulator.command(port=patched.port, carrier_url="http://127.0.0.1:1", state_dir=tmp_path)

    ended = subprocess.run(command, env=emulator.environment(), capture_output=True, text=True, timeout=60)

    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr.count("\n") == 1
    assert f"127.0.0.1:{patched.port}" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_patch_ends_the_start_with_one_sentence(tmp_path):
    command = emulator.command(
        port=4639, carrier_url="http://127.0.0.1:1", state_dir=tmp_path, without=["no_such"]
    )

    ended = subprocess.run(command, env=emulator.environment(), capture_output=True, text=True, timeout=60)

    assert ended.returncode == 1
    assert "there is no patch no_such" in ended.stderr
    assert "Traceback" not in ended.stderr


DEAF = """
import subprocess, sys
PROGRAM = "import time, signal as s; s.signal(s.SIGTERM, s.SIG_IGN); print(flush=True); time.sleep(300)"
def handler(event, context):
    started = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE)
    started.stdout.readline()
    return started.pid
"""


def test_sigterm_ends_it_and_every_lambda_worker(start, eventually):
    with start() as running:
        quiet = running.invoke(running.function(HANDLER_PID))
        stubborn = running.invoke(
            running.function(
                "import os, signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
                "def handler(event, context):\n    return os.getpid()\n"
            )
        )
        forked = running.invoke(
            running.function(
                "import subprocess\ndef handler(event, context):\n"
                "    return subprocess.Popen(['sleep', '300']).pid\n"
            )
        )
        deaf = running.invoke(running.function(DEAF))
        processes = (quiet, stubborn, forked, deaf)
        assert all(process_exists(pid) for pid in processes)

        running.process.terminate()
        running.process.wait(60)

        # Killed with it, and on a busy machine a moment after it.
        eventually(lambda: not any(process_exists(pid) for pid in processes))


def test_it_ends_at_once_and_in_order_while_a_function_hangs(start):
    with start() as running:
        hanging = running.function(
            "import time\ndef handler(event, context):\n    time.sleep(600)\n", Timeout=600
        )
        running.client("lambda").invoke(FunctionName=hanging, InvocationType="Event")

        running.process.terminate()

        assert running.process.wait(60) == 0


def test_it_ends_at_once_and_in_order_while_a_custom_resource_is_waited_for(start, eventually):
    with start() as running:
        function = running.function("def handler(event, context):\n    return None\n")
        arn = running.client("lambda").get_function(FunctionName=function)["Configuration"]["FunctionArn"]
        resource = {"Type": "Custom::Silent", "Properties": {"ServiceToken": arn}}
        cloudformation = running.client("cloudformation")
        cloudformation.create_stack(
            StackName="waits", TemplateBody=json.dumps({"Resources": {"Custom": resource}})
        )
        eventually(
            lambda: any(
                event["ResourceType"] == "Custom::Silent"
                for event in cloudformation.describe_stack_events(StackName="waits")["StackEvents"]
            )
        )

        running.process.terminate()

        assert running.process.wait(60) == 0


def test_it_listens_on_loopback_only(patched):
    listening = {
        local
        for table in ("/proc/net/tcp", "/proc/net/tcp6")
        for _, local, _, state, *_ in map(str.split, Path(table).read_text().splitlines()[1:])
        if state == "0A" and int(local.rpartition(":")[2], 16) == patched.port
    }

    assert listening == {f"0100007F:{patched.port:04X}"}


def test_nothing_of_the_callers_environment_reaches_a_function(start):
    caller = {
        "HOME": "/home/somebody",
        "AWS_PROFILE": "production",
        "AWS_SESSION_TOKEN": "secret",
        "PYTHONPATH": str(emulator.REPOSITORY),
        "AWS_ENDPOINT_URL_PINPOINT_SMS_VOICE_V2": "http://127.0.0.1:1",
        "SOME_SECRET": "secret",
    }
    with start(caller=caller) as running:
        variables = running.invoke(
            running.function(HANDLER_ENVIRONMENT, Environment={"Variables": {"OWN": "yes"}})
        )

    assert variables.keys().isdisjoint({*caller, "VIRTUAL_ENV"} - {"AWS_SESSION_TOKEN", "HOME"})
    assert variables["HOME"].startswith(str(running.state_dir))
    assert variables["AWS_SESSION_TOKEN"] != "secret"
    assert variables["OWN"] == "yes"
    assert variables["LAMBDA_TASK_ROOT"].startswith(str(running.state_dir))


def test_a_function_finds_libraries_in_its_layer_and_nowhere_else(patched, package):
    layer = patched.client("lambda").publish_layer_version(
        LayerName="libraries",
        Content={"ZipFile": package({"python/phonenumbers/__init__.py": "", "python/only_in_layer.py": ""})},
    )
    bare = patched.function(HANDLER_IMPORTS)
    layered = patched.function(HANDLER_IMPORTS, Layers=[layer["LayerVersionArn"]])
    asked = {"modules": [*LAYER_LIBRARIES, *PROJECT_LIBRARIES, "only_in_layer", "boto3"]}

    assert patched.invoke(bare, asked) == ["boto3"]
    assert patched.invoke(layered, asked) == ["phonenumbers", "only_in_layer", "boto3"]


def test_it_writes_into_its_state_directory_only(start):
    before = set(Path(tempfile.gettempdir()).glob("ministack*"))
    with start() as running:
        running.invoke(running.function(HANDLER_PID))
        running.client("s3").create_bucket(Bucket="bucket")
        running.client("s3").put_object(Bucket="bucket", Key="key", Body=b"body")

        assert (running.state_dir / "emulator.log").is_file()
    assert set(Path(tempfile.gettempdir()).glob("ministack*")) == before


def test_state_survives_an_orderly_end_when_asked_to(start):
    with start(persist=True) as running:
        running.client("s3").create_bucket(Bucket="kept")
        running.client("s3").put_object(Bucket="kept", Key="key", Body=b"body")
    with start(persist=True) as running:
        assert running.client("s3").get_object(Bucket="kept", Key="key")["Body"].read() == b"body"


def test_the_environment_for_the_emulator_is_small():
    assert emulator.environment().keys() <= {*emulator.KEPT_VARIABLES, "PATH"}
