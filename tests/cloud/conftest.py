"""Tests of the whole product in the embedded cloud; the `cloud` fixture is of `sms_local.testing`."""

import gc
import warnings
from pathlib import Path

import pytest

from sms_local.testing import Cloud
from tests.support.cloud_drive import lift_pause, replace_customers


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.cloud)
            item.add_marker(pytest.mark.timeout(900))
            # A command that runs in the test's process leaves its clients to the collector, whose time is any
            # later test's.
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"))
    # What all others made the cloud do is what it looks at.
    items.sort(key=lambda item: item.path == here / "test_least_privilege.py")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    # The same of the last test, whose time is nobody's: it would end a run in which all passed with an error.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "unclosed <socket", ResourceWarning)
        gc.collect()


@pytest.fixture
def _whole_cloud(request: pytest.FixtureRequest) -> None:
    """Leave a test out unless all tests of the cloud ran before it, and none failed."""
    ran = {item.path for item in request.session.items}
    if left_out := [path.name for path in Path(__file__).parent.glob("test_*.py") if path not in ran]:
        pytest.skip(
            f"looks at what all tests of the cloud did, and {len(left_out)} files are not in this run"
        )
    if request.session.testsfailed:
        pytest.skip("looks at what all tests of the cloud did, and some failed")


@pytest.fixture
def quiet_cloud(running_cloud: Cloud) -> Cloud:
    """Leave the embedded cloud without customers, texts, scripted outcomes, faults and a pause.

    Quicker than `cloud`, which empties everything: what earlier tests stored of their own phones stays, so
    that a test of it uses new ones.
    """
    running_cloud.carrier.delete("/control/messages").raise_for_status()
    replace_customers(running_cloud, [])
    lift_pause(running_cloud)
    return running_cloud
