"""What a journey is: its steps, checked when they are written down, and as JSON for the state machine.

A journey is a list of steps that one person goes through from the top: ``Send`` a text, ``Wait`` since the
text before, ``Branch`` by what is known when the next text is due, leave when a ``Goal`` is reached, or
``Exit``. It says nothing about how many people there are: all of them go through it together, each by their
own clock.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, Protocol, Self

from sms_engagement_runtime.channel.domain.encoding import measure, normalise
from sms_engagement_runtime.channel.domain.gate import MessageClass
from sms_engagement_runtime.channel.domain.named_texts import NamedTexts
from sms_engagement_runtime.journeys.domain.conditions import (
    CONDITIONS,
    Condition,
    SubscriberState,
    condition_from_json,
    condition_to_json,
)

LONGEST_WAIT: Final = timedelta(days=365)
"""An execution of a state machine lives for a year (Step Functions, quotas). The construct allows less: as
long as an engine keeps who entered."""

MAX_STEPS: Final = 20
"""Moments at which texts of one journey may be due; each is a run of the broadcast engine."""

MAX_VALUE_LENGTH: Final = 40
"""Characters of a value that is filled in, as a code or a discount."""

_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,39}")
_PLACEHOLDER_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")
_UNKNOWN_VALUE: Final = "W" * 12
"""Stands in a check for a value that only the start of a run brings."""


class Seconds(Protocol):
    """A duration of the CDK."""

    def to_seconds(self) -> int | float:
        """Return it in seconds."""
        ...


@dataclass(frozen=True, slots=True)
class Send:
    """Text the person.

    Parameters
    ----------
    name
        Of the text, once in the journey: lower-case letters, digits and hyphens. It is part of what keeps the
        text from being sent twice, so a text that is worded anew keeps its name.
    text
        With ``{{name}}`` and the journey's values; one text for all, or one by locale with ``en`` among them.
        A person's name that is missing or does not fit into one part is left out: ``Hi, use code …``.
    asks_to_confirm
        Whether it asks for a YES: the person is pending from then on. Other texts only go to who agreed.
    at_preferred_time
        Whether it waits for the hour that the person prefers (``attributes.preferred_time``, ``HH:MM``).
    message_class
        ``PROMOTIONAL``, bound by quiet hours, frequency cap and budget; ``TRANSACTIONAL`` for what is no
        advertisement.

    Raises
    ------
    ValueError
        The name or a text is malformed, there is no English text, or a text that asks is transactional.
    """

    name: str
    text: str | Mapping[str, str]
    asks_to_confirm: bool = field(default=False, kw_only=True)
    at_preferred_time: bool = field(default=False, kw_only=True)
    message_class: MessageClass = field(default=MessageClass.PROMOTIONAL, kw_only=True)

    def __post_init__(self) -> None:
        _check_name("name of a text", self.name)
        if self.message_class is MessageClass.REPLY:
            raise ValueError(f"{self.name}: a journey's text is PROMOTIONAL or TRANSACTIONAL, got REPLY")
        if self.asks_to_confirm and not self.message_class.is_promotional:
            raise ValueError(f"{self.name}: a text that asks to confirm is PROMOTIONAL; leave out the class")

    @property
    def texts(self) -> Mapping[str, str]:
        """Locale to text."""
        return {"en": self.text} if isinstance(self.text, str) else self.text


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait, counted from the person's own text before.

    Attributes
    ----------
    duration
        A `timedelta` or a CDK ``Duration``: more than nothing, at most 365 days.
    """

    duration: timedelta | Seconds

    def __post_init__(self) -> None:
        span = self.duration
        if not isinstance(span, timedelta):
            span = timedelta(seconds=span.to_seconds())
        if not timedelta(0) < span <= LONGEST_WAIT:
            raise ValueError(f"a Wait is longer than 0 and at most 365 days, got {span}")
        object.__setattr__(self, "duration", span)

    @property
    def span(self) -> timedelta:
        """The duration."""
        assert isinstance(self.duration, timedelta)
        return self.duration


@dataclass(frozen=True, slots=True)
class Branch:
    """Go one way or the other, as things stand at the moment of the next text; decided once a person.

    Attributes
    ----------
    on
        What is asked: one condition, or several joined by ``&``, ``|`` and ``~``.
    then, otherwise
        Steps where it holds, and where it does not.
    """

    on: Condition
    then: Sequence[Step]
    otherwise: Sequence[Step] = ()

    def __post_init__(self) -> None:
        _check_condition("Branch", self.on)


@dataclass(frozen=True, slots=True)
class Goal:
    """Leave the journey as soon as this holds: looked at before every text that comes after it.

    Attributes
    ----------
    condition
        What has to hold.
    """

    condition: Condition

    def __post_init__(self) -> None:
        _check_condition("Goal", self.condition)


@dataclass(frozen=True, slots=True)
class Exit:
    """Leave the journey here."""


type Step = Send | Wait | Branch | Goal | Exit


@dataclass(frozen=True, slots=True, kw_only=True)
class JourneyDefinition:
    """A journey.

    Parameters
    ----------
    name
        Lower-case letters, digits and hyphens; ``journey_id`` of every text.
    steps
        From the first to the last.
    audience
        States of the subscribers who may enter it.
    once
        Whether a person gets its texts once ever, whatever the run. Otherwise once a run.
    values
        What texts fill in beside ``{{name}}``, with its default; None where each run has to bring it.

    Raises
    ------
    ValueError
        A text has an unknown placeholder, a name comes twice, two texts follow one another without a Wait,
        there is no text or there are too many moments of texts, or it takes over a year.
    """

    name: str
    steps: Sequence[Step]
    audience: frozenset[SubscriberState] = frozenset({SubscriberState.ACTIVE})
    once: bool = False
    values: Mapping[str, str | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_name("name of a journey", self.name)
        if not self.audience:
            raise ValueError(f"journey {self.name}: the audience needs at least one state")
        for name, value in self.values.items():
            if name == "name" or not _PLACEHOLDER_NAME.fullmatch(name):
                raise ValueError(
                    f"journey {self.name}: a value is named by lower-case letters, digits and underscores, "
                    f"and 'name' is the person's, got {name!r}"
                )
            if value is not None:
                check_value(name, value)
        sends = list(self.sends)
        if not sends:
            raise ValueError(f"journey {self.name} has no Send; it would text nobody")
        names = [send.name for send in sends]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(
                f"journey {self.name}: each text has a name of its own, got {', '.join(twice)} twice"
            )
        for send in sends:
            try:
                NamedTexts(send.texts, others=tuple(self.values))
            except ValueError as error:
                raise ValueError(f"journey {self.name}, text {send.name}: {error}") from error
        if len(self.offsets) > MAX_STEPS:
            raise ValueError(
                f"journey {self.name} has texts at {len(self.offsets)} moments, "
                f"at most {MAX_STEPS} are allowed"
            )

    @property
    def sends(self) -> Iterator[Send]:
        """All texts, in the order in which they are written down."""
        return _sends(self.steps)

    @property
    def offsets(self) -> Sequence[timedelta]:
        """When texts may be due, counted from the start, for whomever: the moments of the journey."""
        found: set[timedelta] = set()
        _ends(self.name, self.steps, {(timedelta(0), False)}, found)
        return sorted(found)

    def overlong(self, max_parts: int, values: Mapping[str, str] | None = None) -> Iterator[str]:
        """Name the texts that take more message parts than allowed, each with what to do about it."""
        given = {name: value or _UNKNOWN_VALUE for name, value in self.values.items()} | dict(values or {})
        for send in self.sends:
            named = NamedTexts(send.texts, others=tuple(self.values))
            for locale in send.texts:
                body = named.render(locale=locale, first_name=None, **given).body
                parts = measure(normalise(body)).parts
                if parts > max_parts:
                    yield (
                        f"journey {self.name}, text {send.name} ({locale}) takes {parts} message parts, at "
                        f"most {max_parts} are allowed; make it shorter, or leave out letters outside GSM"
                    )

    def to_json(self) -> dict[str, Any]:
        """Return the journey as the state machine holds it."""
        return {
            "name": self.name,
            "audience": sorted(self.audience),
            "once": self.once,
            "values": dict(self.values),
            "steps": [_step_to_json(step) for step in self.steps],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` returned."""
        return cls(
            name=value["name"],
            audience=frozenset(map(SubscriberState, value["audience"])),
            once=value["once"],
            values=value["values"],
            steps=_steps_from_json(value["steps"]),
        )


def check_value(name: str, value: object) -> str:
    """Return a value that texts can hold.

    Raises
    ------
    ValueError
        It is no text, it is blank or too long, or it has braces or a line break in it.
    """
    if (
        not isinstance(value, str)
        or not value.strip()
        or len(value) > MAX_VALUE_LENGTH
        or any(character in "{}" or not character.isprintable() for character in value)
    ):
        raise ValueError(
            f"the value of {name} must be a text of 1 to {MAX_VALUE_LENGTH} characters in one line, "
            "without braces"
        )
    return value


def _check_name(what: str, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"the {what} is 1 to 40 lower-case letters, digits and hyphens, a letter first, got {name!r}"
        )


def _check_condition(of: str, condition: object) -> None:
    if not isinstance(condition, CONDITIONS):
        raise ValueError(f"a {of} needs a condition, as Confirmed(), got {condition!r}")


def _sends(steps: Sequence[Step]) -> Iterator[Send]:
    for step in steps:
        if isinstance(step, Send):
            yield step
        elif isinstance(step, Branch):
            yield from _sends(step.then)
            yield from _sends(step.otherwise)


type _Place = tuple[timedelta, bool]
"""How long after the start, and whether a text was sent at that moment."""


def _ends(name: str, steps: Sequence[Step], places: set[_Place], found: set[timedelta]) -> set[_Place]:
    """Go through steps from every place where a person may be; return where they may be after them."""
    for step in steps:
        match step:
            case Wait():
                places = {(at + step.span, False) for at, _ in places}
            case Send():
                if any(has_sent for _, has_sent in places):
                    raise ValueError(
                        f"journey {name}: text {step.name} comes at once after another one; put a Wait "
                        "between them"
                    )
                places = {(at, True) for at, _ in places}
                found |= {at for at, _ in places}
            case Branch():
                places = _ends(name, step.then, places, found) | _ends(name, step.otherwise, places, found)
            case Exit():
                places = set()
    if any(at > LONGEST_WAIT for at, _ in places) or any(at > LONGEST_WAIT for at in found):
        raise ValueError(f"journey {name} takes over a year; all its Waits together are at most 365 days")
    return places


def _step_to_json(step: Step) -> dict[str, Any]:
    match step:
        case Send():
            value: dict[str, Any] = {"send": step.name, "texts": dict(step.texts)}
            if step.asks_to_confirm:
                value["asksToConfirm"] = True
            if step.at_preferred_time:
                value["atPreferredTime"] = True
            if not step.message_class.is_promotional:
                value["messageClass"] = step.message_class.value
            return value
        case Wait():
            return {"wait": step.span.total_seconds()}
        case Branch():
            return {
                "branch": condition_to_json(step.on),
                "then": [_step_to_json(one) for one in step.then],
                "otherwise": [_step_to_json(one) for one in step.otherwise],
            }
        case Goal():
            return {"goal": condition_to_json(step.condition)}
        case Exit():
            return {"exit": True}


def _steps_from_json(values: Sequence[Mapping[str, Any]]) -> tuple[Step, ...]:
    return tuple(map(_step_from_json, values))


def _step_from_json(value: Mapping[str, Any]) -> Step:
    match value:
        case {"send": str(name), "texts": texts}:
            return Send(
                name,
                texts,
                asks_to_confirm=value.get("asksToConfirm", False),
                at_preferred_time=value.get("atPreferredTime", False),
                message_class=MessageClass(value.get("messageClass", MessageClass.PROMOTIONAL)),
            )
        case {"wait": seconds}:
            return Wait(timedelta(seconds=float(seconds)))
        case {"branch": condition, "then": then, "otherwise": otherwise}:
            return Branch(condition_from_json(condition), _steps_from_json(then), _steps_from_json(otherwise))
        case {"goal": condition}:
            return Goal(condition_from_json(condition))
        case {"exit": True}:
            return Exit()
    raise ValueError(f"no step of a journey: {', '.join(value)}")
