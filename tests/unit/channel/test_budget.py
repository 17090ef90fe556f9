from datetime import UTC, datetime, timedelta, timezone

import pytest

from sms_engagement_runtime.channel.domain.budget import SpendLimits, Unlimited, in_dollars, next_day

NOW = datetime(2026, 11, 21, 17, tzinfo=UTC)


@pytest.mark.parametrize(
    ("settings", "limits"),
    [
        ({}, SpendLimits()),
        ({"perDay": 5_000_000}, SpendLimits(per_day=5_000_000)),
        ({"perDay": 2, "perCampaign": 1}, SpendLimits(per_day=2, per_campaign=1)),
    ],
)
def test_settings(settings, limits):
    assert SpendLimits.from_settings(settings) == limits


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"perDay": 0}, "must be positive, got 0 millicents"),
        ({"perCampaign": -5}, "must be positive, got -5 millicents"),
        ({"perDay": "5"}, "perDay of a budget must be whole millicents, got '5'"),
        ({"perDay": 0.5}, "perDay of a budget must be whole millicents, got 0.5"),
        ({"perDay": True}, "must be whole millicents, got True"),
        ({"perWeek": 5}, "has perDay, perCampaign, got perWeek"),
    ],
)
def test_malformed_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        SpendLimits.from_settings(settings)


def test_without_a_budget_everything_may_be_spent():
    budget = Unlimited()

    assert budget.reserve("spring", 10, NOW) is None
    assert budget.give_back("spring", 10, NOW) is None
    assert budget.settle() is None


@pytest.mark.parametrize(
    ("now", "midnight"),
    [
        (NOW, datetime(2026, 11, 22, tzinfo=UTC)),
        (datetime(2026, 11, 22, tzinfo=UTC), datetime(2026, 11, 23, tzinfo=UTC)),
        (datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)),
        # Eleven in the evening of the 21st in New York.
        (
            datetime(2026, 11, 21, 23, tzinfo=timezone(timedelta(hours=-5))),
            datetime(2026, 11, 23, tzinfo=UTC),
        ),
    ],
)
def test_a_day_is_one_of_utc(now, midnight):
    assert next_day(now) == midnight


@pytest.mark.parametrize(
    ("millicents", "dollars"),
    [(0, "0.00"), (881, "0.01"), (4405, "0.04"), (100_000, "1.00"), (881_000_000_000, "8810000.00")],
)
def test_amounts_are_written_in_dollars(millicents, dollars):
    assert in_dollars(millicents) == dollars
