"""Each right of each function is needed: without it the embedded cloud refuses a request that was made.

Runs last, since what it looks at is what all other tests of the cloud made functions do; a run of some of
them leaves it out. A new function and a new right are looked at by themselves. One that no test makes use of
fails here: it wants a flow that takes its path, or a reason in `tests/support/rights.py`, or it goes.
"""

import pytest

from sms_local.testing import Cloud
from tests.support import rights


@pytest.fixture(scope="module")
def granted(running_cloud: Cloud) -> list[rights.Statement]:
    """Return the statements of all functions that are deployed."""
    found = rights.statements(running_cloud)
    assert len({statement.handler for statement in found}) > 20
    return found


@pytest.mark.usefixtures("_whole_cloud")
def test_a_request_is_refused_without_each_right_of_each_function(
    running_cloud: Cloud, granted: list[rights.Statement]
) -> None:
    recorded = rights.record(running_cloud)

    never_needed = rights.never_needed(granted, recorded)

    assert not never_needed, "\n".join(never_needed)


@pytest.mark.usefixtures("_whole_cloud")
def test_no_function_asks_for_what_it_may_not_do(running_cloud: Cloud) -> None:
    assert rights.record(running_cloud)["refused"] == []


def test_every_reason_is_about_a_right_that_a_function_has(granted: list[rights.Statement]) -> None:
    assert rights.reasons_without_a_right(granted) == []
