"""How often somebody without a key may have a secret read, on a clock that is told what time it is."""

from hypothesis import given
from hypothesis import strategies as st

from sms_engagement_runtime.channel.domain.rereads import AT_ONCE, SECONDS_FOR_ONE, RereadAllowance


class Ticker:
    def __init__(self) -> None:
        self.seconds = 5000.0

    def __call__(self) -> float:
        return self.seconds


def test_three_are_allowed_at_once_and_one_more_every_ten_seconds() -> None:
    ticker = Ticker()
    allowance = RereadAllowance(ticker)

    assert [allowance.take() for _ in range(5)] == [True, True, True, False, False]
    ticker.seconds += 9.9
    assert allowance.take() is False
    ticker.seconds += 0.2
    assert [allowance.take(), allowance.take()] == [True, False]


def test_a_long_quiet_time_saves_up_no_more_than_three() -> None:
    ticker = Ticker()
    allowance = RereadAllowance(ticker)
    ticker.seconds += 86400.0

    assert [allowance.take() for _ in range(5)] == [True, True, True, False, False]


def test_who_comes_alone_is_always_allowed() -> None:
    ticker = Ticker()
    allowance = RereadAllowance(ticker)

    for _ in range(100):
        assert allowance.take()
        ticker.seconds += SECONDS_FOR_ONE


@given(st.lists(st.floats(min_value=0.0, max_value=30.0), max_size=200))
def test_no_rhythm_of_forged_ones_gets_more_than_the_rate(pauses: list[float]) -> None:
    ticker = Ticker()
    allowance = RereadAllowance(ticker)
    taken = 0

    for pause in pauses:
        ticker.seconds += pause
        taken += allowance.take()

    # Half a reading for what adding floats loses.
    assert taken <= AT_ONCE + sum(pauses) / SECONDS_FOR_ONE + 0.5
