"""What a journey asks about a person when a text is due, and what is known about them then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class SubscriberState(StrEnum):
    """``subscription_status`` of a subscriber's row."""

    NEW = "NEW"
    PENDING = "PENDING"
    ACTIVE = "ACTIVE"
    OPTED_OUT = "OPTED_OUT"
    BOUNCED = "BOUNCED"


class ReplyKind(StrEnum):
    """What an answer to a text of a journey says."""

    POSITIVE = "POSITIVE"
    NEUTRAL = "NEUTRAL"
    NEGATIVE = "NEGATIVE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known about a person at one moment.

    Attributes
    ----------
    is_confirmed
        Whether they agreed to marketing texts.
    replies
        Kinds of all that they answered on this journey.
    state
        Of their row; None where it is none that we know.
    attributes
        Of their row: ``segment``, ``language`` and so on, texts only.
    """

    is_confirmed: bool = False
    replies: frozenset[ReplyKind] = frozenset()
    state: SubscriberState | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)


class _Combinable:
    """Conditions are joined by ``&``, ``|`` and ``~``."""

    __slots__ = ()

    def __and__(self: Condition, other: Condition) -> All:  # type: ignore[misc]  # of the union below only
        return All((self, other))

    def __or__(self: Condition, other: Condition) -> Any_:  # type: ignore[misc]  # of the union below only
        return Any_((self, other))

    def __invert__(self: Condition) -> Not:  # type: ignore[misc]  # of the union below only
        return Not(self)


@dataclass(frozen=True, slots=True)
class Confirmed(_Combinable):
    """The person agreed to marketing texts: by YES, by START, or on record where that is enough."""


@dataclass(frozen=True, slots=True)
class Replied(_Combinable):
    """The person answered a text of this journey, with whatever words, or confirmed."""


@dataclass(frozen=True, slots=True)
class RepliedPositively(_Combinable):
    """An answer was friendly, or confirmed."""


@dataclass(frozen=True, slots=True)
class RepliedNegatively(_Combinable):
    """An answer was a no. Whoever says so leaves the journey, so this is of use in a ``Goal`` only."""


@dataclass(frozen=True, slots=True, init=False)
class InState(_Combinable):
    """The subscriber's row has one of these states: ``InState("NEW", "PENDING")``.

    Attributes
    ----------
    states
        Members of `SubscriberState`, or their names.
    """

    states: frozenset[SubscriberState]

    def __init__(self, *states: str) -> None:
        if not states:
            raise ValueError("InState needs at least one state, as InState('ACTIVE')")
        unknown = set(states) - set(SubscriberState)
        if unknown:
            raise ValueError(f"InState knows {', '.join(SubscriberState)}, got {', '.join(sorted(unknown))}")
        object.__setattr__(self, "states", frozenset(map(SubscriberState, states)))


@dataclass(frozen=True, slots=True)
class HasAttribute(_Combinable):
    """An attribute of the subscriber's row has this value: ``HasAttribute("segment", "vip")``.

    Attributes
    ----------
    name, value
        Of the attribute, as the row has them; texts.
    """

    name: str
    value: str

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("HasAttribute needs the name of an attribute")


@dataclass(frozen=True, slots=True)
class All(_Combinable):
    """All of these hold: ``Confirmed() & HasAttribute("segment", "vip")``."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Any_(_Combinable):  # noqa: N801 - `Any` is the type
    """Any of these holds: ``Confirmed() | Replied()``."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not(_Combinable):
    """The condition does not hold: ``~Confirmed()``."""

    condition: Condition


type Condition = (
    Confirmed | Replied | RepliedPositively | RepliedNegatively | InState | HasAttribute | All | Any_ | Not
)

CONDITIONS = (
    Confirmed,
    Replied,
    RepliedPositively,
    RepliedNegatively,
    InState,
    HasAttribute,
    All,
    Any_,
    Not,
)
"""All of them, for a check at run time."""


def holds(condition: Condition, facts: Facts) -> bool:
    """Say whether a condition holds for a person."""
    match condition:
        case Confirmed():
            return facts.is_confirmed
        case Replied():
            return bool(facts.replies) or facts.is_confirmed
        case RepliedPositively():
            return ReplyKind.POSITIVE in facts.replies or facts.is_confirmed
        case RepliedNegatively():
            return ReplyKind.NEGATIVE in facts.replies
        case InState(states):
            return facts.state in states
        case HasAttribute(name, value):
            return facts.attributes.get(name) == value
        case All(conditions):
            return all(holds(one, facts) for one in conditions)
        case Any_(conditions):
            return any(holds(one, facts) for one in conditions)
        case Not(inner):
            return not holds(inner, facts)


_PLAIN: Mapping[str, Condition] = {
    "confirmed": Confirmed(),
    "replied": Replied(),
    "repliedPositively": RepliedPositively(),
    "repliedNegatively": RepliedNegatively(),
}


def condition_to_json(condition: Condition) -> dict[str, Any]:
    """Return a condition as the state machine holds it."""
    match condition:
        case InState(states):
            return {"states": sorted(states)}
        case HasAttribute(name, value):
            return {"attribute": name, "value": value}
        case All(conditions):
            return {"all": [condition_to_json(one) for one in conditions]}
        case Any_(conditions):
            return {"any": [condition_to_json(one) for one in conditions]}
        case Not(inner):
            return {"not": condition_to_json(inner)}
    return {"is": next(name for name, plain in _PLAIN.items() if plain == condition)}


def condition_from_json(value: Mapping[str, Any]) -> Condition:
    """Read what `condition_to_json` returned."""
    match value:
        case {"is": str(name)}:
            return _PLAIN[name]
        case {"states": states}:
            return InState(*states)
        case {"attribute": str(name), "value": str(wanted)}:
            return HasAttribute(name, wanted)
        case {"all": conditions}:
            return All(_each(conditions))
        case {"any": conditions}:
            return Any_(_each(conditions))
        case {"not": inner}:
            return Not(condition_from_json(inner))
    raise ValueError(f"no condition: {', '.join(value)}")


def _each(conditions: Sequence[Mapping[str, Any]]) -> tuple[Condition, ...]:
    return tuple(map(condition_from_json, conditions))
