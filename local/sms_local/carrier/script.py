"""What the carrier was told to do: outcomes by phone, and faults of the service."""

from dataclasses import dataclass, field
from datetime import timedelta
from fractions import Fraction
from typing import Final

from sms_local.carrier.errors import ServiceError

EVERY_PHONE: Final = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What becomes of accepted messages.

    `event_type` is the last event; `delay` passes before the first one on top of the usual; each event is
    published `duplicates` extra times.
    """

    event_type: str = "TEXT_DELIVERED"
    delay: timedelta = timedelta(0)
    duplicates: int = 0


@dataclass(slots=True)
class Script:
    """Outcomes hold until replaced; an error is for the next send; faults count down or hold."""

    _outcomes: dict[str, Outcome] = field(default_factory=dict)
    _errors: dict[str, ServiceError] = field(default_factory=dict)
    _throttled_share: Fraction = Fraction(0)
    _throttle_debt: dict[str, Fraction] = field(default_factory=dict)
    _crashes_left: int = 0

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
            return False
        self._crashes_left -= 1
        return True

    def clear(self) -> None:
        """Forget all outcomes, errors and faults."""
        self._outcomes.clear()
        self._errors.clear()
        self._throttle_debt.clear()
        self._throttled_share = Fraction(0)
        self._crashes_left = 0
