"""`sms-local faults`: the carrier's switches, and through them the cloud's, from the command line."""

import pytest

from sms_local.failures import LocalCloudError
from sms_local.faults import FAULTS, switch_faults


@pytest.fixture
def endpoint(start_carrier, cloud_switches):
    return start_carrier(cloud_faults=cloud_switches).url


def test_every_switch_can_be_set_and_is_read_back(endpoint):
    wanted = {name: 3 if kind is int else 0.5 for name, (kind, _) in FAULTS.items()}

    assert switch_faults(endpoint, wanted) == {**wanted, "done": {}}


def test_what_is_not_named_stays_unless_it_is_cleared(endpoint):
    switch_faults(endpoint, {"duplicate": 0.5, "function_crash": 0.25})

    assert switch_faults(endpoint, {"reorder": 1})["duplicate"] == 0.5
    cleared = switch_faults(endpoint, {"delay": 9}, is_cleared=True)
    assert {name: value for name, value in cleared.items() if value} == {"delay": 9}


def test_a_value_that_is_refused_is_said_in_a_sentence(endpoint):
    with pytest.raises(LocalCloudError, match="`duplicate` must be between 0 and 1"):
        switch_faults(endpoint, {"duplicate": 2})


def test_a_carrier_that_does_not_answer_is_said_in_a_sentence():
    with pytest.raises(LocalCloudError, match="the carrier simulator does not answer"):
        switch_faults("http://127.0.0.1:9", {})
