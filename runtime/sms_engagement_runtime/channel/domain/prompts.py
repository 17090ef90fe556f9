"""Questions that wait for an answer by text, and which of them an inbound message answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sms_engagement_runtime.channel.domain.ledger import LedgerRow

ANY_ORIGINATION: Final = "*"
"""Origination of a prompt that is open on every number of the channel.

A pool sends from any of its numbers, and whoever asks does not know from which.
"""

MAX_ALTERNATIVES: Final = 9
"""How many other questions a person can be asked to choose among: by one digit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A question that was put to one person.

    Attributes
    ----------
    origination
        The number the question came from, E.164: an answer comes back to it. ``ANY_ORIGINATION`` where that
        may be any number of the channel.
    construct, purpose, occasion
        Who asked what, as in the ledger.
    message_id
        The message that carried the question; None where it is not known.
    answered_by
        Inbound message id of the answer; None while the prompt is open.
    opt_out_reply
        What confirms an opt-out where the person answers with a bare CANCEL, in place of the channel's own
        text: they may have meant what they were asked about. None where the word can mean nothing else.
    asks
        Whether it asks for anything. One that does not only listens to what the person may have to say about
        something that they answered before: who was asked to confirm a subscription confirms that.
    """

    subscriber_id: str
    origination: str
    construct: str
    purpose: str
    occasion: str
    message_id: str | None
    asked_at: datetime
    expires_at: datetime
    answered_by: str | None = None
    opt_out_reply: str | None = None
    asks: bool = True


def is_open_on(prompt: Prompt, origination: str | None) -> bool:
    """Whether an answer to this number of ours (None: to any) may be one to the prompt."""
    return origination is None or prompt.origination in (origination, ANY_ORIGINATION)


def answered_prompt(prompts: Sequence[Prompt], previous: LedgerRow | None, inbound_id: str) -> Prompt | None:
    """Choose the prompt that an inbound message answers, None where there is none.

    Parameters
    ----------
    prompts
        The open prompts of the person on the number that was written to, and any that this message has closed
        already.
    previous
        The ledger row of the message that the service says was published before, where the ledger has it for
        this person.
    """
    for prompt in prompts:
        if prompt.answered_by == inbound_id:
            return prompt
    still_open = _unanswered(prompts)
    asked = [] if previous is None else _asked_by(previous, still_open)
    return max(asked or still_open, key=lambda prompt: prompt.asked_at, default=None)


def alternatives_to(
    prompt: Prompt, prompts: Sequence[Prompt], previous: LedgerRow | None
) -> Sequence[Prompt]:
    """List what else the answer to a prompt may have been meant for.

    Parameters
    ----------
    prompt
        What ``answered_prompt`` has chosen from ``prompts`` and ``previous``.

    Returns
    -------
    Sequence[Prompt]
        Open prompts of the same construct about other occasions: the latest of each occasion, latest first,
        at most ``MAX_ALTERNATIVES``. Empty where the previous message is about the same as the prompt: the
        person answered that one, and no other.
    """
    if previous is not None and _asked_by(previous, [prompt]):
        return ()
    latest: dict[str, Prompt] = {}
    for other in sorted(_unanswered(prompts), key=lambda other: other.asked_at, reverse=True):
        if other.construct == prompt.construct and other.occasion != prompt.occasion:
            latest.setdefault(other.occasion, other)
    return tuple(latest.values())[:MAX_ALTERNATIVES]


def _unanswered(prompts: Sequence[Prompt]) -> Sequence[Prompt]:
    return [prompt for prompt in prompts if prompt.answered_by is None]


def _asked_by(previous: LedgerRow, prompts: Sequence[Prompt]) -> Sequence[Prompt]:
    """Of some prompts, those that a message asked, else those about the same as it."""
    return [
        prompt
        for prompt in prompts
        if prompt.message_id is not None and prompt.message_id == previous.message_id
    ] or [
        prompt
        for prompt in prompts
        if (prompt.construct, prompt.occasion) == (previous.construct, previous.occasion)
    ]
