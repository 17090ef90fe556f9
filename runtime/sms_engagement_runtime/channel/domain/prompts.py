"""Questions that wait for an answer by text, and which of them an inbound message answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sms_engagement_runtime.channel.domain.ledger import LedgerRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A question that was put to one person from one origination number.

    Attributes
    ----------
    origination
        The number the question came from, E.164: an answer comes back to it.
    construct, purpose, occasion
        Who asked what, as in the ledger.
    message_id
        The message that carried the question; None where it is not known.
    answered_by
        Inbound message id of the answer; None while the prompt is open.
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
    still_open = [prompt for prompt in prompts if prompt.answered_by is None]
    if previous is not None:
        asked = [
            p for p in still_open if p.message_id is not None and p.message_id == previous.message_id
        ] or [p for p in still_open if (p.construct, p.occasion) == (previous.construct, previous.occasion)]
        still_open = asked or still_open
    return max(still_open, key=lambda prompt: prompt.asked_at, default=None)
