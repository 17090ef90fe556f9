"""What every test relies on: no folder that shadows a library, and no way to reach a real AWS account."""

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["sms_local.testing"]

_SOURCE_ROOTS = ("constructs", "runtime")
_ROOT = Path(__file__).resolve().parent.parent

for _name in _SOURCE_ROOTS:
    if (_ROOT / _name / "__init__.py").exists():
        # aws/aws-cdk#19301: the folder would hide the library of that name from `import aws_cdk`.
        pytest.exit(f"delete {_name}/__init__.py: {_name}/ is a source root, not a package", returncode=2)

# At import, since handlers make their clients when they are imported.
os.environ.update(
    AWS_ACCESS_KEY_ID="test",
    AWS_SECRET_ACCESS_KEY="test",
    AWS_SESSION_TOKEN="test",
    AWS_DEFAULT_REGION="us-east-1",
    AWS_REGION="us-east-1",
    AWS_EC2_METADATA_DISABLED="true",
    AWS_CONFIG_FILE=os.devnull,
    AWS_SHARED_CREDENTIALS_FILE=os.devnull,
    POWERTOOLS_SERVICE_NAME="tests",
    POWERTOOLS_TRACE_DISABLED="true",
    # A company's proxy knows neither this machine's own servers nor names that must not resolve.
    NO_PROXY="127.0.0.1,localhost,.invalid",
    no_proxy="127.0.0.1,localhost,.invalid",
)
for _name in ("AWS_PROFILE", "AWS_ENDPOINT_URL"):
    os.environ.pop(_name, None)

# Each synthesis leaves an assembly among the temporary files, and a run of all tests makes a thousand.
_LEFT_BY_TOOLS = tempfile.mkdtemp(prefix="sms-tests-")
os.environ["TMPDIR"] = _LEFT_BY_TOOLS
atexit.register(shutil.rmtree, _LEFT_BY_TOOLS, ignore_errors=True)

# The machine may be busy with other work: a slow example is no failure. And the examples are the same in each
# run, without those of earlier ones: what fails, fails for everybody.
settings.register_profile(
    "repository",
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("repository")


@pytest.fixture(scope="session")
def wheel_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as it is released."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)],
        cwd=_ROOT,
        check=True,
        capture_output=True,
    )
    (path,) = folder.glob("*.whl")
    return path


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Quick tests first, so that a mistake shows soon; those in a browser last. None hangs for ever.

    Playwright keeps an event loop running in this thread until the browser is closed, and nothing else can
    run one meanwhile.
    """
    for item in items:
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(300))
    items.sort(key=lambda item: 2 * ("browser" in item.keywords) + ("cloud" in item.keywords))
