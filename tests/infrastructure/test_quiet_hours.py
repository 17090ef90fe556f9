"""``QuietHours``: what it refuses when it is written, and what the functions get of it."""

import json

import pytest

from sms_engagement import QuietHours
from sms_engagement_runtime.channel.domain.quiet_hours import DEFAULT, QuietHoursPolicy
from sms_engagement_runtime.channel.domain.state_rules import Window


def test_the_default_is_the_policy_that_functions_have_without_it():
    assert QuietHoursPolicy.from_settings(json.loads(QuietHours().to_settings())) == DEFAULT


def test_settings_are_what_was_written():
    hours = QuietHours(allowed_from="09:30", allowed_until="18:00", weekends=False, state_rules=False)

    assert hours.to_settings() == '{"from":"09:30","until":"18:00","weekends":false,"stateRules":false}'
    assert QuietHoursPolicy.from_settings(json.loads(hours.to_settings())) == QuietHoursPolicy(
        window=Window(570, 1080), weekends=False, state_rules=False
    )


# Each message has the value, what is allowed, and what to do.
@pytest.mark.parametrize(
    ("options", "value", "allowed", "remedy"),
    [
        ({"allowed_from": "8:00"}, "allowed_from .* got '8:00'", "'00:00' to '24:00'", "write HH:MM"),
        ({"allowed_from": "08:00 am"}, "got '08:00 am'", "'00:00' to '24:00'", "write HH:MM"),
        ({"allowed_until": "25:00"}, "allowed_until .* got '25:00'", "'00:00' to '24:00'", "write HH:MM"),
        ({"allowed_until": 21}, "allowed_until .* got 21;", "'00:00' to '24:00'", "write HH:MM"),
        (
            {"allowed_from": "21:00", "allowed_until": "08:00"},
            "got '21:00' until '08:00'",
            "later on the same day",
            "use a later allowed_until",
        ),
        ({"allowed_until": "08:00"}, "got '08:00' until '08:00'", "later on", "use a later allowed_until"),
        ({"allowed_from": "24:00"}, "got '24:00' until '21:00'", "later on", "use a later allowed_until"),
        ({"weekends": "no"}, "weekends .* got 'no'", "True or False", "leave it out"),
        ({"state_rules": None}, "state_rules .* got None", "True or False", "leave it out"),
        (
            {"allowed_from": "20:00", "allowed_until": "22:00"},
            "20:00–22:00",
            "US-CT, whose law allows 09:00–20:00 ",
            "or set state_rules=False",
        ),
    ],
)  # fmt: skip
def test_refuses(options, value, allowed, remedy):
    for part in (value, allowed, remedy):
        with pytest.raises(ValueError, match=part):
            QuietHours(**options)


def test_late_hours_are_for_channels_that_send_to_other_countries():
    assert QuietHours(allowed_from="20:00", allowed_until="22:00", state_rules=False)


def test_the_whole_day_may_be_allowed():
    settings = QuietHours(allowed_from="00:00", allowed_until="24:00").to_settings()

    assert QuietHoursPolicy.from_settings(json.loads(settings)).window == Window(0, 1440)
