"""Which of several wordings a person gets, and when a wording is given up for another one.

An experiment has variants, numbered from 0, and perhaps a holdout: people who get no text at all, so that one
sees what texting does. Nothing is stored: who gets what follows from the person and the experiment's name.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Final

# For annotations only: whoever sends one text is not made to load the broadcasts.
if TYPE_CHECKING:
    from collections.abc import Sequence

    from sms_engagement_runtime.channel.domain.broadcast.stop_rules import StopRules
    from sms_engagement_runtime.channel.domain.campaign_counts import Counts

_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"

MAX_VARIANTS: Final = len(_LETTERS)
"""One letter each, by which people speak of them."""

_POINTS: Final = 2**64


def assign(subscriber_id: str, experiment: str, *, variants: int, holdout_percent: int = 0) -> int | None:
    """Tell which variant a person gets: the same each time, in every process and in every later year.

    Parameters
    ----------
    experiment
        Its name. Under another one the same people are dealt anew, independently.
    variants
        How many there are, 1 to 26. Another number deals the variants anew, and leaves the holdout as it is.
    holdout_percent
        How many people in a hundred get no text, 0 to 100. A higher one adds people to those of a lower one,
        and nobody who still gets a text gets another variant. 0, since a text that somebody waits for is for
        everybody.

    Returns
    -------
    int | None
        0 to ``variants - 1``; None for who is in the holdout.

    Raises
    ------
    ValueError
        A number is out of its range.
    """
    if not 1 <= variants <= MAX_VARIANTS:
        raise ValueError(f"an experiment has 1 to {MAX_VARIANTS} variants, got {variants}")
    if not 0 <= holdout_percent <= 100:
        raise ValueError(f"holdout_percent must be between 0 and 100, got {holdout_percent}")
    # As JSON, so that no two pairs are written alike.
    digest = hashlib.sha256(json.dumps([experiment, subscriber_id]).encode("ascii")).digest()
    # Bytes of their own for each of the two decisions, which makes them independent.
    if int.from_bytes(digest[:8]) * 100 < holdout_percent * _POINTS:
        return None
    return int.from_bytes(digest[8:16]) * variants // _POINTS


def choose(assigned: int, counts: Sequence[Counts], rules: StopRules) -> int:
    """Tell which variant to send, given how each has fared: the assigned one, unless it breaks the rules.

    Then the one with the lowest opt-out rate among those that do not break them. One of which fewer than
    ``rules.min_volume`` texts have ended has proven nothing yet and comes after those that have.

    Where all break the rules, the wording is not what saves the text, and whether it is sent at all is not
    decided here: it is the one of which the fewest people opt out. If they opt out of all alike, as of none
    while a carrier delivers nothing, everybody keeps the assigned one and the experiment goes on.

    Where several are equally good it is the first of them from the assigned one on, in a circle.

    What this gives may change from one attempt to send a text to the next. That sends no text twice, since
    the ledger key of a text does not hold its variant.

    Parameters
    ----------
    counts
        Of the variants, in their order: what is counted under `campaign_id`.

    Raises
    ------
    ValueError
        There is no such variant.
    """
    if not 0 <= assigned < len(counts):
        raise ValueError(f"variant {assigned} was assigned, and there are {len(counts)}")
    if rules.broken_by(counts[assigned]) is None:
        return assigned

    def badness(variant: int) -> tuple[bool, bool, float, int]:
        one = counts[variant]
        ended = one.delivered + one.failed
        return (
            rules.broken_by(one) is not None,
            ended < rules.min_volume,
            one.opted_out / max(ended, 1),
            (variant - assigned) % len(counts),
        )

    return min(range(len(counts)), key=badness)


def campaign_id(construct: str, purpose: str, variant: int) -> str:
    """Name the campaign under which the texts of a variant are counted: ``"appointments/confirmation/b"``.

    With it, delivery events and opt-outs count for the variant whose text they follow. The texts of an
    experiment are for one purpose of one construct; what is counted is of all experiments that it ever had.

    Raises
    ------
    ValueError
        The variant is none of the 26 that have a letter.
    """
    if not 0 <= variant < MAX_VARIANTS:
        raise ValueError(f"a variant is one of 0 to {MAX_VARIANTS - 1}, got {variant}")
    return f"{construct}/{purpose}/{_LETTERS[variant]}"
