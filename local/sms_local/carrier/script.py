"""What the carrier was told to do: outcomes by phone, and faults of the service."""

from dataclasses import asdict, dataclass, field
from datetime import timedelta
from fractions import Fraction
from typing import Any, Final

from sms_local.carrier.errors import ServiceError
from sms_local.emulator.faults import Draws, Faults

EVERY_PHONE: Final = "*"

REORDERED_BY: Final = timedelta(seconds=5)
"""So much later comes what is overtaken: by then the text's other events, and a quick answer, are there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What becomes of accepted messages.

    `event_type` is the last event; `delay` passes before the first one on top of the usual; each event is
    published `duplicates` extra times.
    """

    event_type: str = "TEXT_DELIVERED"
    delay: timedelta = timedelta(0)
    duplicates: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WayFaults:
    """What goes wrong with what the carrier tells, and with its answers; shares are 0 to 1.

    Attributes
    ----------
    seed
        Of all draws.
    duplicate
        Of events and inbound texts: they come once more, later.
    reorder
        Of events and inbound texts: what comes after them overtakes them.
    delay
        Seconds, up to which each event and inbound text is late.
    accept_crash
        Of accepted sends: never answered.
    """

    seed: int = 0
    duplicate: float = 0.0
    reorder: float = 0.0
    delay: float = 0.0
    accept_crash: float = 0.0


@dataclass(slots=True)
class Script:
    """Outcomes hold until replaced; an error is for the next send; faults count down or hold."""

    _outcomes: dict[str, Outcome] = field(default_factory=dict)
    _errors: dict[str, ServiceError] = field(default_factory=dict)
    _throttled_share: Fraction = Fraction(0)
    _throttle_debt: dict[str, Fraction] = field(default_factory=dict)
    _crashes_left: int = 0
    _way: WayFaults = field(default_factory=WayFaults)
    _draws: Draws = field(default_factory=Draws)

    def set_outcome(self, phone: str, outcome: Outcome, error: ServiceError | None) -> None:
        """Replace the outcome of `phone`, an E.164 number or `EVERY_PHONE`, and its pending error."""
        self._outcomes[phone] = outcome
        self._errors.pop(phone, None)
        if error is not None:
            self._errors[phone] = error

    def outcome_for(self, phone: str) -> Outcome:
        """Return the outcome for `phone`: its own, else everyone's, else delivery."""
        return self._outcomes.get(phone) or self._outcomes.get(EVERY_PHONE) or Outcome()

    def take_error(self, phone: str) -> ServiceError | None:
        """Return the error that the next send to `phone` gets, and forget it."""
        for name in (phone, EVERY_PHONE):
            if (error := self._errors.pop(name, None)) is not None:
                return error
        return None

    def set_throttled_share(self, share: Fraction) -> None:
        """Answer `share`, 0 to 1, of the calls of each operation with ``ThrottlingException``."""
        self._throttled_share = share
        self._throttle_debt.clear()

    def set_crashes(self, count: int) -> None:
        """Leave the next `count` accepted sends without an answer."""
        self._crashes_left = count

    def set_way_faults(self, faults: WayFaults) -> None:
        """Replace what goes wrong on the way, and begin its draws anew."""
        self._way = faults
        self._draws.set(Faults(seed=faults.seed))

    @property
    def way_faults(self) -> WayFaults:
        """What goes wrong on the way."""
        return self._way

    def describe_faults(self) -> dict[str, Any]:
        """Return all faults as they are set, and under `done` how often those of the way have happened."""
        return {
            "after_accept_crash": self._crashes_left,
            "throttle": float(self._throttled_share),
            **asdict(self._way),
            "done": dict(self._draws.done),
        }

    def arrivals(self, kind: str) -> list[timedelta]:
        """Return how late each copy of an event or inbound text arrives: one copy, at once, if all is well.

        Parameters
        ----------
        kind
            ``event`` or ``inbound``; each has draws of its own.
        """
        late = self._lateness(kind)
        if self._draws.happens(f"{kind}_reorder", self._way.reorder):
            late += REORDERED_BY
        copies = [late]
        if self._draws.happens(f"{kind}_duplicate", self._way.duplicate):
            copies.append(late + self._lateness(kind))
        return copies

    def _lateness(self, kind: str) -> timedelta:
        if not self._way.delay:
            return timedelta(0)
        return timedelta(seconds=self._draws.between(f"{kind}_delay", self._way.delay))

    def throttles(self, operation: str) -> bool:
        """Tell whether this call of `operation` is throttled.

        The share is kept exactly, by error diffusion and for each operation by itself: of four calls at a
        half the second and the fourth are throttled. A random share would make tests fail at random, and one
        count for all operations would hit the same one again and again in a caller that alternates.
        """
        debt = self._throttle_debt.get(operation, Fraction(0)) + self._throttled_share
        throttled = debt >= 1
        self._throttle_debt[operation] = debt - 1 if throttled else debt
        return throttled

    def take_crash(self) -> bool:
        """Tell whether this accepted send stays unanswered, and count it."""
        if self._crashes_left == 0:
            return self._draws.happens("accept_crash", self._way.accept_crash)
        self._crashes_left -= 1
        return True

    def clear(self) -> None:
        """Forget all outcomes, errors and faults."""
        self._outcomes.clear()
        self._errors.clear()
        self._throttle_debt.clear()
        self._throttled_share = Fraction(0)
        self._crashes_left = 0
        self.set_way_faults(WayFaults())
