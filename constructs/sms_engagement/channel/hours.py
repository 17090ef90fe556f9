"""The hours in which promotional texts go out."""

import json
from dataclasses import dataclass

from sms_engagement_runtime.channel.domain.quiet_hours import QuietHoursPolicy, minute_of_day
from sms_engagement_runtime.channel.domain.state_rules import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class QuietHours:
    """When promotional texts may go out, at the recipient's own wall clock.

    A text that falls into quiet hours waits for the next allowed hour, or is dropped where it would be of no
    use by then. Transactional texts and replies are exempt. Where several time zones are possible for a
    recipient, it must be an allowed hour in all of them.

    Attributes
    ----------
    allowed_from, allowed_until
        Times of day, ``HH:MM`` of 24 hours; the minute `allowed_until` is outside, ``24:00`` the end of the
        day. By default 08:00 to 21:00, the federal rule of the USA for telephone solicitations. Source:
        47 CFR 64.1200(c)(1). Wider hours are lawful in few places: ask before you set them.
    weekends
        Whether texts go out on Saturdays and Sundays.
    state_rules
        Narrow the hours by the stricter law of US states, for numbers with their area codes: Connecticut,
        Florida, Maryland, Oklahoma, Texas and Washington. They are listed with their sources in
        ``sms_engagement_runtime.channel.domain.state_rules``.

    Raises
    ------
    ValueError
        A time that is none, hours that are empty or end before they begin, or hours of which a state's rules
        leave nothing.
    """

    allowed_from: str = "08:00"
    allowed_until: str = "21:00"
    weekends: bool = True
    state_rules: bool = True

    def __post_init__(self) -> None:
        begin = _minute("allowed_from", self.allowed_from)
        end = _minute("allowed_until", self.allowed_until)
        if begin >= end:
            msg = (
                f"allowed_until must be later on the same day than allowed_from, so that hours are left; got "
                f"{self.allowed_from!r} until {self.allowed_until!r}; "
                f"use a later allowed_until, as '21:00', up to '24:00', the end of the day"
            )
            raise ValueError(msg)
        for name, flag in (("weekends", self.weekends), ("state_rules", self.state_rules)):
            if not isinstance(flag, bool):
                msg = f"{name} must be True or False, got {flag!r}; leave it out for True"
                raise ValueError(msg)
        try:
            QuietHoursPolicy(window=Window(begin, end), weekends=self.weekends, state_rules=self.state_rules)
        except ValueError as error:
            msg = (
                f"{error}; move allowed_from or allowed_until, or set state_rules=False if no text goes there"
            )
            raise ValueError(msg) from error

    def to_settings(self) -> str:
        """Return the environment variable ``QUIET_HOURS`` of the functions that send, as JSON."""
        return json.dumps(
            {
                "from": self.allowed_from,
                "until": self.allowed_until,
                "weekends": self.weekends,
                "stateRules": self.state_rules,
            },
            separators=(",", ":"),
        )


def _minute(name: str, text: str) -> int:
    try:
        return minute_of_day(text)
    except ValueError as error:
        msg = f"{name} must be a time of day from '00:00' to '24:00', got {text!r}; write HH:MM, as '08:00'"
        raise ValueError(msg) from error
