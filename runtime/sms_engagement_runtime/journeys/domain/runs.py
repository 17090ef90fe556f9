"""One run of a journey: what it is started with, and what each of its moments hands to the engine."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from hashlib import sha256
from typing import Any, Final, Self

from sms_engagement_runtime.channel.domain.errors import PermanentError
from sms_engagement_runtime.journeys.domain.description import JourneyDefinition, check_value

MAX_SUBSCRIBER_IDS: Final = 1_000
"""People that one start may name; more are a segment. Every step carries them along."""

INPUT_KEYS: Final = frozenset(
    {"segment", "subscriberIds", "values", "campaign", "occasion", "reason", "dryRun"}
)
"""What a start may say."""

MAX_ID_LENGTH: Final = 100
"""Characters of a subscriber id; the channel's have 46."""

_CAMPAIGN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,29}")
_MAX_EXECUTION_NAME_LENGTH: Final = 80
"""Step Functions, *StartExecution*."""
_DIGEST_LENGTH: Final = 16
_ONCE: Final = "once"

MAX_TEXT_LENGTH: Final = 200
"""Characters of a segment, an occasion or a reason: each moment carries them along."""


class JourneyInputError(PermanentError):
    """A journey was started with something that it does not know. Nobody is texted."""


@dataclass(frozen=True, kw_only=True)
class StepRun:
    """One moment of one run: what the engine carries along as ``about``.

    Attributes
    ----------
    journey
        All of it.
    run_id
        Of the journey's run.
    number
        Of the moment, from 1.
    started_at
        When the journey's run started; aware UTC.
    first, previous
        Runs of the engine of the first moment and of the one before; None at the first.
    values
        What texts fill in.
    occasion
        With the text's name it makes the ledger key: the same occasion twice texts nobody twice.
    segment, subscriber_ids
        Whom the run is for; None for all.
    """

    journey: JourneyDefinition
    run_id: str
    number: int
    started_at: datetime
    occasion: str
    first: str | None = None
    previous: str | None = None
    values: Mapping[str, str] = field(default_factory=dict)
    segment: str | None = None
    subscriber_ids: Sequence[str] | None = None

    @cached_property
    def offsets(self) -> Sequence[timedelta]:
        """The moments of the journey."""
        return self.journey.offsets

    @property
    def at(self) -> timedelta:
        """How long after the start the moment is."""
        return self.offsets[self.number - 1]

    @property
    def is_last(self) -> bool:
        """Whether no moment comes after it."""
        return self.number == len(self.offsets)

    def to_json(self) -> dict[str, Any]:
        """Return what the engine carries along."""
        return {
            "journey": self.journey.to_json(),
            "run": self.run_id,
            "number": self.number,
            "step": {
                "startedAt": self.started_at.isoformat(),
                "occasion": self.occasion,
                "first": self.first,
                "previous": self.previous,
                "values": dict(self.values),
                "segment": self.segment,
                "subscriberIds": None if self.subscriber_ids is None else list(self.subscriber_ids),
            },
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any] | None) -> Self:
        """Read what `to_json` returned.

        Raises
        ------
        JourneyInputError
            The engine was started by hand: only a journey knows what a run is about.
        """
        try:
            if value is None:
                raise KeyError("about")
            step = value["step"]
            return cls(
                journey=JourneyDefinition.from_json(value["journey"]),
                run_id=value["run"],
                number=value["number"],
                started_at=datetime.fromisoformat(step["startedAt"]),
                occasion=step["occasion"],
                first=step["first"],
                previous=step["previous"],
                values=step["values"],
                segment=step["segment"],
                subscriber_ids=step["subscriberIds"],
            )
        except (KeyError, TypeError, ValueError) as error:
            raise JourneyInputError(
                "this state machine is the engine of journeys; start the journey's own state machine"
            ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedStep:
    """What the state machine does for one moment.

    Attributes
    ----------
    run_id
        Name of the engine's execution; the campaign id of its texts.
    starts_at
        When it is started.
    engine_input
        What with.
    """

    run_id: str
    starts_at: datetime
    engine_input: Mapping[str, Any]


def start(event: Mapping[str, Any], *, now: datetime, max_parts: int) -> Sequence[StartedStep]:
    """Read what a journey was started with, and say what its moments are.

    Parameters
    ----------
    event
        ``{"runId", "journey": JourneyDefinition.to_json(), "input": {"segment"?, "subscriberIds"?,
        "values"?, "campaign"?, "occasion"?, "reason"?, "dryRun"?}}``.

    Returns
    -------
    Sequence[StartedStep]
        In their order. A dry run has the first one only: the others depend on what people do.

    Raises
    ------
    JourneyInputError
        The input is anything else.
    """
    journey = JourneyDefinition.from_json(event["journey"])
    given = _checked(event.get("input"))
    run_id, is_dry = event["runId"], given.get("dryRun", False)
    values = _values(journey, given.get("values", {}), max_parts)
    occasion = _ONCE if journey.once else given.get("occasion") or run_id
    # All journeys on an engine start the same state machine, and runs of two of them may have one name. The
    # name of a journey has no underscore.
    prefix = f"{run_id}_{journey.name}"
    if "campaign" in given:
        prefix = f"{given['campaign']}-{prefix}"
    offsets = journey.offsets[:1] if is_dry else journey.offsets
    names = [_step_name(prefix, number) for number in range(1, len(offsets) + 1)]
    steps = []
    for number, (name, offset) in enumerate(zip(names, offsets, strict=True), start=1):
        about = StepRun(
            journey=journey,
            run_id=run_id,
            number=number,
            started_at=now,
            occasion=occasion,
            first=names[0] if number > 1 else None,
            previous=names[number - 2] if number > 1 else None,
            values=values,
            segment=given.get("segment"),
            # Later moments are for those whom the first one was for.
            subscriber_ids=given.get("subscriberIds") if number == 1 else None,
        )
        engine_input = {
            "reason": given.get("reason", ""),
            "dryRun": is_dry,
            "about": about.to_json(),
        }
        steps.append(
            StartedStep(run_id=name, starts_at=now if is_dry else now + offset, engine_input=engine_input)
        )
    return steps


def _checked(given: object) -> Mapping[str, Any]:
    if not isinstance(given, dict):
        raise JourneyInputError(
            f"the input must be a JSON object, got {type(given).__name__}; start with {{}}"
        )
    if unknown := given.keys() - INPUT_KEYS:
        raise JourneyInputError(
            f"the input is {', '.join(sorted(INPUT_KEYS))}, got {', '.join(sorted(unknown))}; "
            "leave out the rest"
        )
    for name in ("segment", "reason", "occasion"):
        if name in given and not isinstance(given[name], str):
            raise JourneyInputError(f"{name} must be a text; leave it out where there is none")
        if len(given.get(name, "")) > MAX_TEXT_LENGTH:
            raise JourneyInputError(
                f"{name} has {len(given[name])} characters, at most {MAX_TEXT_LENGTH} are allowed"
            )
    if "segment" in given and not given["segment"]:
        raise JourneyInputError("segment must not be empty; leave it out to text everybody")
    if not isinstance(given.get("dryRun", False), bool):
        raise JourneyInputError("dryRun must be true or false; leave it out to send")
    if "campaign" in given and not (
        isinstance(given["campaign"], str) and _CAMPAIGN.fullmatch(given["campaign"])
    ):
        raise JourneyInputError("campaign must be 1 to 30 letters, digits, hyphens and underscores")
    if "subscriberIds" in given:
        _check_ids(given["subscriberIds"])
    return given


def _check_ids(ids: object) -> None:
    is_list = isinstance(ids, list) and all(
        isinstance(one, str) and 1 <= len(one) <= MAX_ID_LENGTH for one in ids
    )
    if not isinstance(ids, list) or not is_list or not 1 <= len(ids) <= MAX_SUBSCRIBER_IDS:
        raise JourneyInputError(
            f"subscriberIds must be a list of 1 to {MAX_SUBSCRIBER_IDS} ids; name a segment for more"
        )


def _values(journey: JourneyDefinition, given: object, max_parts: int) -> Mapping[str, str]:
    if not isinstance(given, dict):
        raise JourneyInputError("values must be an object of texts; leave it out for the defaults")
    if unknown := given.keys() - journey.values.keys():
        known = ", ".join(sorted(journey.values)) or "none"
        raise JourneyInputError(f"the values are {known}, got {', '.join(sorted(unknown))}")
    values: dict[str, str] = {}
    for name, default in journey.values.items():
        value = given.get(name, default)
        if value is None:
            raise JourneyInputError(f"the value of {name} is missing; give it in values")
        try:
            values[name] = check_value(name, value)
        except ValueError as error:
            raise JourneyInputError(str(error)) from error
    if fault := next(journey.overlong(max_parts, values), None):
        raise JourneyInputError(f"with these values, {fault}")
    return values


def _step_name(prefix: str, number: int) -> str:
    suffix = f"-{number}"
    longest = _MAX_EXECUTION_NAME_LENGTH - len(suffix)
    if len(prefix) > longest:
        # Names that begin alike are told apart by what stands for the whole.
        digest = f"-{sha256(prefix.encode()).hexdigest()[:_DIGEST_LENGTH]}"
        prefix = prefix[: longest - len(digest)] + digest
    return prefix + suffix
