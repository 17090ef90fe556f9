"""When a run stops itself."""

import json

import pytest

from sms_engagement_runtime.channel.domain.broadcast.stop_rules import StopRules
from sms_engagement_runtime.channel.domain.campaign_counts import Counts


@pytest.mark.parametrize(
    ("delivered", "failed", "opted_out", "expected"),
    [
        (0, 0, 0, None),
        (100, 0, 0, None),
        (100, 0, 5, None),
        (100, 0, 6, "STOPPED_OPT_OUTS"),
        (95, 5, 0, None),
        (94, 6, 0, "STOPPED_FAILURES"),
        (0, 100, 0, "STOPPED_FAILURES"),
        # Who leaves says more than who is not reached.
        (50, 50, 10, "STOPPED_OPT_OUTS"),
        # Too few to conclude anything from.
        (0, 99, 99, None),
        (1000, 52, 0, None),
        (1000, 53, 0, "STOPPED_FAILURES"),
    ],
)
def test_the_limits_hold_from_a_hundred_texts_on(delivered, failed, opted_out, expected):
    counts = Counts(delivered=delivered, failed=failed, opted_out=opted_out)

    assert StopRules().broken_by(counts) == expected


def test_limits_can_be_such_that_nothing_breaks_them():
    rules = StopRules(max_opt_out_percent=100, min_delivery_percent=0)

    assert rules.broken_by(Counts(delivered=0, failed=1000, opted_out=1000)) is None


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"max_opt_out_percent": -1}, "max_opt_out_percent must be between 0 and 100, got -1"),
        ({"max_opt_out_percent": 101}, "max_opt_out_percent must be between 0 and 100, got 101"),
        ({"min_delivery_percent": 100.5}, "min_delivery_percent must be between 0 and 100, got 100.5"),
        ({"min_volume": 0}, "min_volume must be at least 1, got 0"),
    ],
)
def test_numbers_out_of_range_are_refused(values, sentence):
    with pytest.raises(ValueError, match=sentence):
        StopRules(**values)


def test_settings_are_read_as_they_are_written():
    rules = StopRules(max_opt_out_percent=2.5, min_delivery_percent=80, min_volume=500)

    assert StopRules.from_settings(json.loads(rules.to_settings())) == rules
    assert StopRules.from_settings({}) == StopRules()
