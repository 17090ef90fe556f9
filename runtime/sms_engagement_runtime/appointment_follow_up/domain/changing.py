"""Changing a conversation while others change it too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Final

from sms_engagement_runtime.appointment_follow_up.domain.conversation import Conversation, unknown
from sms_engagement_runtime.appointment_follow_up.domain.ports import ConversationRepository
from sms_engagement_runtime.channel.domain.errors import TransientError

_MAX_ATTEMPTS: Final = 10
"""Ten webhooks at once, each of which loses to nine, are the worst that was ever seen of a provider."""


class ConversationChangedError(TransientError):
    """The row is not any more as it was read."""


def change(
    conversations: ConversationRepository,
    appointment_id: str,
    transition: Callable[[Conversation], Conversation],
    *,
    now: datetime,
) -> tuple[Conversation, Conversation]:
    """Apply a transition to the row as it is now, and make the row where there is none.

    Returns
    -------
    tuple
        The conversation before and after. They are equal where the transition changes nothing, and nothing
        is written then.

    Raises
    ------
    ConversationChangedError
        Others were faster each of several times. The attempt may be repeated.
    """
    for attempt in range(1, _MAX_ATTEMPTS + 1):
        before = conversations.get(appointment_id) or unknown(appointment_id, now)
        after = transition(before)
        if after == before and before.version:
            return before, before
        try:
            return before, conversations.save(replace(after, updated_at=now))
        except ConversationChangedError:
            if attempt == _MAX_ATTEMPTS:
                raise
    raise AssertionError("the last attempt returns or raises")
