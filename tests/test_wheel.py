"""The wheel holds everything that it needs: code, state machines, and the layer of both architectures."""

import hashlib
import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import build_layer

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = (ROOT / "constructs" / "sms_engagement", ROOT / "runtime" / "sms_engagement_runtime")
LAYER = "sms_engagement/runtime_layer"

CODE_LIMIT = 512 * 1024
ZIP_LIMIT = 4 * 1024 * 1024
UNZIPPED_LIMIT = 30 * 1024 * 1024


@pytest.fixture(scope="session")
def wheel(wheel_path: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(wheel_path)


@pytest.fixture(scope="session", params=sorted(build_layer.PLATFORMS))
def layer(request: pytest.FixtureRequest, wheel: zipfile.ZipFile) -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(wheel.read(f"{LAYER}/{request.param}.zip")))


def test_every_source_and_every_state_machine_ships(wheel: zipfile.ZipFile) -> None:
    sources = {
        path.relative_to(package.parent).as_posix()
        for package in PACKAGES
        for path in package.rglob("*")
        if path.suffix in {".py", ".json", ".typed", ".html", ".css", ".js"}
    }

    assert sources <= set(wheel.namelist())
    assert {
        "sms_engagement/appointment_follow_up/follow_up.asl.json",
        "sms_engagement/channel/broadcast.asl.json",
        "sms_engagement/channel/later.asl.json",
        "sms_engagement_runtime/appointment_follow_up/handlers/webhook.py",
    } <= sources


_ANOTHER_PROJECT = """
import json
from pathlib import Path

import aws_cdk as cdk
import sms_engagement
from sms_engagement import AppointmentFollowUp, ReviewCollector, SmsChannel

app = cdk.App(analytics_reporting=False)
stack = cdk.Stack(app, "Theirs", env=cdk.Environment(account="111122223333", region="us-east-1"))
number = "arn:aws:sms-voice:us-east-1:111122223333:phone-number/phone-0123456789abcdef"
channel = SmsChannel(stack, "Channel", origination_identity=number)
ReviewCollector(stack, "Reviews", channel=channel)
texts = {"confirmation": {"en": "See you {{time}}? 1 to confirm"}}
AppointmentFollowUp(stack, "Appointments", channel=channel, texts=texts)
template = app.synth().get_stack_by_name("Theirs").template
print(json.dumps({
    "from": str(Path(sms_engagement.__file__).parents[1]),
    "machines": sum(
        one["Type"] == "AWS::StepFunctions::StateMachine" for one in template["Resources"].values()
    ),
}))
"""


def test_another_project_can_use_it(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    wheel.extractall(tmp_path / "site")

    finished = subprocess.run(
        [sys.executable, "-c", _ANOTHER_PROJECT],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site"), "CDK_OUTDIR": str(tmp_path / "out")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert finished.returncode == 0, finished.stderr
    report = json.loads(finished.stdout.splitlines()[-1])
    assert report["from"] == str(tmp_path / "site")
    # The channel's comparison; a broadcast and what waits, of reviews; an appointment and what waits, of
    # appointments.
    assert report["machines"] == 5


def test_nothing_else_ships(wheel: zipfile.ZipFile) -> None:
    roots = {name.partition("/")[0] for name in wheel.namelist()}

    assert {root for root in roots if not root.endswith(".dist-info")} == {
        "sms_engagement",
        "sms_engagement_runtime",
    }
    assert not [name for name in wheel.namelist() if name.endswith(".pyc")]


def test_the_layers_are_those_of_the_lock(wheel: zipfile.ZipFile) -> None:
    manifest = json.loads(wheel.read(f"{LAYER}/manifest.json"))

    assert manifest["lock"] == hashlib.sha256((ROOT / "uv.lock").read_bytes()).hexdigest()
    assert manifest["layers"].keys() == build_layer.PLATFORMS.keys()


def test_a_layer_is_small(layer: zipfile.ZipFile) -> None:
    assert sum(entry.compress_size for entry in layer.infolist()) <= ZIP_LIMIT
    assert sum(entry.file_size for entry in layer.infolist()) <= UNZIPPED_LIMIT


def test_the_code_of_the_functions_is_small(wheel: zipfile.ZipFile) -> None:
    """A function's code is its own capability, the channel, and what lies above them."""
    sizes: dict[str, int] = {}
    for entry in wheel.infolist():
        package, _, path = entry.filename.partition("/")
        if package == "sms_engagement_runtime":
            capability = path.partition("/")[0] if "/" in path else "channel"
            sizes[capability] = sizes.get(capability, 0) + entry.compress_size

    assert {"channel", "journeys", "review_collector", "sms_analytics_pipeline"} <= sizes.keys()
    assert all(sizes["channel"] + size <= CODE_LIMIT for name, size in sizes.items() if name != "channel")


def test_a_layer_has_the_libraries_and_not_what_lambda_brings(layer: zipfile.ZipFile) -> None:
    packages = {name.split("/")[1] for name in layer.namelist()}

    assert all(name.startswith("python/") for name in layer.namelist())
    assert {"aws_lambda_powertools", "msgspec", "phonenumbers", "tzdata"} <= packages
    assert not packages & {"boto3", "botocore", "aws_cdk", "constructs", "jsii", "bin", "sms_engagement"}


def test_a_layer_has_time_zones_of_numbers_but_no_places_and_carriers(layer: zipfile.ZipFile) -> None:
    folders = {name.split("/")[2] for name in layer.namelist() if name.startswith("python/phonenumbers/")}

    assert {"data", "tzdata", "timezone.py"} <= folders
    assert not folders & {"geodata", "carrierdata", "geocoder.py", "carrier.py"}


def test_a_layer_keeps_the_licences(layer: zipfile.ZipFile) -> None:
    packages = {name.split("/")[1] for name in layer.namelist() if ".dist-info/" in name}
    licensed = {name.split("/")[1] for name in layer.namelist() if "LICEN" in name.upper()}

    assert packages == licensed


@pytest.mark.parametrize(("architecture", "machine"), [("arm64", "aarch64"), ("x86_64", "x86_64")])
def test_compiled_code_is_for_the_architecture(
    wheel: zipfile.ZipFile, architecture: str, machine: str
) -> None:
    layer = zipfile.ZipFile(io.BytesIO(wheel.read(f"{LAYER}/{architecture}.zip")))
    compiled = [name for name in layer.namelist() if name.endswith(".so")]

    assert compiled
    assert all(f"-313-{machine}-" in name for name in compiled)


def test_the_same_lock_gives_the_same_layer(tmp_path: Path) -> None:
    """Not the same bytes, since zlibs differ, but the same content under the same digest."""
    for name in ("pyproject.toml", "uv.lock"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    (tmp_path / "local").mkdir()
    (tmp_path / "local" / "pyproject.toml").write_bytes((ROOT / "local" / "pyproject.toml").read_bytes())

    folder = build_layer.build(tmp_path, architectures=["arm64"])

    here = build_layer.read_manifest(ROOT / build_layer.LAYER_FOLDER)
    assert build_layer.read_manifest(folder)["layers"]["arm64"] == here["layers"]["arm64"]


def test_a_second_build_changes_nothing_and_needs_no_uv(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = ROOT / build_layer.LAYER_FOLDER
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("UV", raising=False)

    build_layer.build(ROOT)

    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_a_missing_uv_is_told_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("UV", raising=False)
    monkeypatch.setitem(sys.modules, "uv", None)

    with pytest.raises(build_layer.LayerBuildError, match=r"uv is missing.*run `pip install uv`"):
        build_layer.find_uv(tmp_path)


def test_a_failed_build_is_told_with_its_cause(tmp_path: Path) -> None:
    with pytest.raises(
        build_layer.LayerBuildError, match=r"layer could not be built: error: No .pyproject\.toml"
    ):
        build_layer.build(tmp_path)
