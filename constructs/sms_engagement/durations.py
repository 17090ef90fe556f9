"""Durations of props: checked at synthesis, and handed to the domain."""

from datetime import timedelta

from aws_cdk import Duration


def check_duration(name: str, value: Duration, shortest: Duration, longest: Duration) -> None:
    """Refuse a duration outside its range.

    Raises
    ------
    ValueError
        Naming the duration, what was given and what is allowed. Unresolved tokens pass.
    """
    if value.is_unresolved():
        return
    if not shortest.to_seconds() <= value.to_seconds() <= longest.to_seconds():
        msg = (
            f"{name} must be between {shortest.to_human_string()} and {longest.to_human_string()}, "
            f"got {value.to_human_string()}; leave it out for the default"
        )
        raise ValueError(msg)


def span(duration: Duration) -> timedelta:
    """Return a duration as the domain has it."""
    return timedelta(seconds=duration.to_seconds())
