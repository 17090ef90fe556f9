"""The life of a subscriber: one transition table, and the fold of what happened through it.

``TRANSITIONS`` is all of it: status x happening -> status. What happened is folded in the order of its own
time, whenever it came to be known, so the status is the same in whatever order events arrive.

Two statuses are held side by side. The *standing* is what the person wants: it knows nothing of texts that
failed. The *status* is the standing, or BOUNCED while the number does not take texts. So whatever proves that
the number is alive again brings back the standing, with what the person said meanwhile in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class SubscriptionStatus(StrEnum):
    """Where a subscriber stands."""

    NEW = "NEW"
    """Known to us; has not asked for anything."""
    PENDING = "PENDING"
    """Was asked to confirm, and has not answered that yet."""
    ACTIVE = "ACTIVE"
    """Opted in."""
    OPTED_OUT = "OPTED_OUT"
    """Wants no texts. Only START leaves this."""
    BOUNCED = "BOUNCED"
    """The number does not take texts."""


class Happening(StrEnum):
    """What can happen to a subscriber. Things of the same instant happen in this order: an opt-out wins."""

    TEXTED = "TEXTED"
    """A text to the number is on its way, or has ended."""
    ENTERED = "ENTERED"
    """Somebody wrote the row as ACTIVE by hand."""
    ASKED_TO_CONFIRM = "ASKED_TO_CONFIRM"
    """A text asked whether they want texts."""
    FAILED = "FAILED"
    """A text did not arrive, which may pass. The third in a row, with nothing delivered or answered since,
    counts as FAILED_FOR_GOOD."""
    FAILED_FOR_GOOD = "FAILED_FOR_GOOD"
    """A text did not arrive, and no other one to this number will."""
    DELIVERED = "DELIVERED"
    """A text arrived."""
    PENDING_EXPIRED = "PENDING_EXPIRED"
    """Nobody confirmed for thirty days after the question. Follows from the time alone."""
    RESPONDED = "RESPONDED"
    """An inbound text came, whatever it says. What it says happens after it, at the same instant."""
    CONFIRMED = "CONFIRMED"
    """They answered YES, or another word for it."""
    STARTED = "STARTED"
    """They wrote START."""
    OPTED_OUT = "OPTED_OUT"
    """They wrote STOP or another opt-out, say that the number is not theirs, or are on the opt-out list."""


class AsBefore:
    """Target of a cell: the standing, as if no text had failed."""

    def __repr__(self) -> str:
        return "AS_BEFORE"


AS_BEFORE: Final = AsBefore()

STRIKES: Final = 3
"""So many texts in a row that did not arrive mean that none will: a phone is off for days now and then, and
so is a carrier."""

PENDING_FOR: Final = 30 * 24 * 3_600_000
"""How long a question to confirm waits for its YES, in milliseconds. Later, YES answers something else."""

_NEW, _PENDING, _ACTIVE, _OPTED_OUT, _BOUNCED = SubscriptionStatus
_TARGETS: Final[Mapping[Happening, tuple[SubscriptionStatus | AsBefore, ...]]] = {
    #                              NEW         PENDING     ACTIVE      OPTED_OUT   BOUNCED
    Happening.TEXTED:            (_NEW,       _PENDING,   _ACTIVE,    _OPTED_OUT, _BOUNCED),
    Happening.ENTERED:           (_ACTIVE,    _ACTIVE,    _ACTIVE,    _OPTED_OUT, _BOUNCED),
    Happening.ASKED_TO_CONFIRM:  (_PENDING,   _PENDING,   _ACTIVE,    _OPTED_OUT, _BOUNCED),
    Happening.FAILED:            (_NEW,       _PENDING,   _ACTIVE,    _OPTED_OUT, _BOUNCED),
    Happening.FAILED_FOR_GOOD:   (_BOUNCED,   _BOUNCED,   _BOUNCED,   _OPTED_OUT, _BOUNCED),
    Happening.DELIVERED:         (_NEW,       _PENDING,   _ACTIVE,    _OPTED_OUT, AS_BEFORE),
    Happening.PENDING_EXPIRED:   (_NEW,       _NEW,       _ACTIVE,    _OPTED_OUT, _BOUNCED),
    Happening.RESPONDED:         (_NEW,       _PENDING,   _ACTIVE,    _OPTED_OUT, AS_BEFORE),
    Happening.CONFIRMED:         (_NEW,       _ACTIVE,    _ACTIVE,    _OPTED_OUT, _BOUNCED),
    Happening.STARTED:           (_ACTIVE,    _ACTIVE,    _ACTIVE,    _ACTIVE,    _ACTIVE),
    Happening.OPTED_OUT:         (_OPTED_OUT, _OPTED_OUT, _OPTED_OUT, _OPTED_OUT, _OPTED_OUT),
}  # fmt: skip

TRANSITIONS: Final[Mapping[SubscriptionStatus, Mapping[Happening, SubscriptionStatus | AsBefore]]] = (
    MappingProxyType(
        {
            status: MappingProxyType({happening: _TARGETS[happening][column] for happening in Happening})
            for column, status in enumerate(SubscriptionStatus)
        }
    )
)
"""Status x happening -> status. Every cell is there; ``docs/subscribers.md`` prints it."""

_ORDER: Final = {happening: number for number, happening in enumerate(Happening)}
_FAILURES: Final = frozenset({Happening.FAILED, Happening.FAILED_FOR_GOOD})


@dataclass(slots=True)
class Life:
    """What the fold comes to.

    Attributes
    ----------
    opted_in_at
        Epoch milliseconds of the latest word that opted in: START, or a YES that made a PENDING one ACTIVE.
    pending_since
        Since when the standing is PENDING.
    strikes
        Texts in a row that did not arrive.
    """

    status: SubscriptionStatus = SubscriptionStatus.NEW
    standing: SubscriptionStatus = SubscriptionStatus.NEW
    opted_in_at: int | None = None
    pending_since: int | None = None
    strikes: int = 0


def fold(happened: Iterable[tuple[int, Happening]], *, until: int) -> Life:
    """Lead a subscriber from NEW through all that happened.

    Parameters
    ----------
    happened
        Epoch milliseconds and what happened, in any order. PENDING_EXPIRED may be left out: time alone tells.
    until
        Up to when the time runs, in epoch milliseconds.
    """
    life = Life()
    for at, happening in sorted(happened, key=_in_time):
        _let_pass(life, at)
        if happening is not Happening.PENDING_EXPIRED:
            _happen(life, happening, at)
    _let_pass(life, until)
    return life


def _in_time(entry: tuple[int, Happening]) -> tuple[int, int]:
    return entry[0], _ORDER[entry[1]]


def _let_pass(life: Life, now: int) -> None:
    since = life.pending_since
    if since is not None and now >= since + PENDING_FOR:
        _happen(life, Happening.PENDING_EXPIRED, since + PENDING_FOR)


def _happen(life: Life, happening: Happening, at: int) -> None:
    if happening is Happening.FAILED:
        life.strikes += 1
        if life.strikes >= STRIKES:
            happening = Happening.FAILED_FOR_GOOD
    elif happening is Happening.DELIVERED or happening is Happening.RESPONDED:
        life.strikes = 0
    was = life.standing
    if happening not in _FAILURES:
        standing = TRANSITIONS[was][happening]
        assert isinstance(standing, SubscriptionStatus)
        life.standing = standing
    target = TRANSITIONS[life.status][happening]
    life.status = life.standing if isinstance(target, AsBefore) else target
    if life.standing is not SubscriptionStatus.PENDING:
        life.pending_since = None
    elif happening is Happening.ASKED_TO_CONFIRM:
        life.pending_since = at
    confirmed = happening is Happening.CONFIRMED and was is SubscriptionStatus.PENDING
    if confirmed or happening is Happening.STARTED:
        life.opted_in_at = at
