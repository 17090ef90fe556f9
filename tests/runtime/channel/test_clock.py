"""The clock of decisions: the machine's, or one that a file moves."""

from datetime import UTC, datetime, timedelta

import pytest

from sms_engagement_runtime.channel.adapters.clock import ClockSettings, build_clock
from sms_engagement_runtime.settings import SettingsError

A_WEEK = timedelta(days=7)


def between(moved_by, now):
    before = datetime.now(UTC) + moved_by
    found = now()
    return before <= found <= datetime.now(UTC) + moved_by


def test_machine_s_clock_unless_told_otherwise(monkeypatch):
    monkeypatch.delenv("CLOCK", raising=False)

    clock = build_clock()

    assert clock.now().tzinfo is UTC
    assert between(timedelta(0), clock.now)


def test_virtual_clock_follows_its_file_while_the_process_lives(tmp_path, monkeypatch):
    offset = tmp_path / "offset"
    monkeypatch.setenv("CLOCK", "virtual")
    monkeypatch.setenv("CLOCK_OFFSET_FILE", str(offset))
    clock = build_clock()

    offset.write_text("12.5")
    assert between(timedelta(seconds=12.5), clock.now)
    offset.write_text(str(A_WEEK.total_seconds()))
    assert between(A_WEEK, clock.now)

    assert clock.now().tzinfo is UTC


def test_virtual_clock_without_its_file_is_an_error_and_never_the_real_time(tmp_path):
    clock = build_clock(ClockSettings(clock="virtual", clock_offset_file=str(tmp_path / "none")))

    with pytest.raises(FileNotFoundError):
        clock.now()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (ClockSettings(clock="virtual"), "CLOCK virtual needs CLOCK_OFFSET_FILE"),
        (ClockSettings(clock="Virtual"), "CLOCK must be system or virtual"),
    ],
)
def test_unusable_settings_stop_the_start(settings, sentence):
    with pytest.raises(SettingsError, match=sentence):
        build_clock(settings)
