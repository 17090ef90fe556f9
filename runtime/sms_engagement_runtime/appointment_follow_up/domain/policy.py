"""When the texts about an appointment go out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Self

_SECOND: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUpPolicy:
    """Waits and spans, as one appointment has them.

    Attributes
    ----------
    follow_up_delay
        Between the first text and the second one.
    near_start
        From so long before the start on, nobody is followed up: an answer would come too late.
    reminders
        How long before the start to remind, longest first.
    feedback_delay
        After the end, until the review is asked for; None asks nobody. A host needs time to mark a no-show.
    no_show_useful_for
        How long after the host's word a text about a no-show is of use.
    retention
        How long a row is kept after the appointment.
    """

    follow_up_delay: timedelta = timedelta(minutes=30)
    near_start: timedelta = timedelta(hours=1)
    reminders: tuple[timedelta, ...] = (timedelta(hours=24),)
    feedback_delay: timedelta | None = timedelta(hours=2)
    no_show_useful_for: timedelta = timedelta(days=1)
    retention: timedelta = timedelta(days=90)

    def next_reminder(self, starts_at: datetime, now: datetime) -> timedelta | None:
        """Choose the reminder that is due next, None where none is left.

        One that would come sooner after another text than a follow-up does reminds nobody of anything.
        """
        due = [lead for lead in self.reminders if starts_at - lead > now + self.follow_up_delay]
        return max(due, default=None)

    def to_settings(self) -> str:
        """Return the text of an environment variable."""
        feedback = self.feedback_delay
        return json.dumps(
            {
                "followUpDelaySeconds": self.follow_up_delay // _SECOND,
                "nearStartSeconds": self.near_start // _SECOND,
                "reminderSeconds": [lead // _SECOND for lead in self.reminders],
                "feedbackDelaySeconds": None if feedback is None else feedback // _SECOND,
                "retentionSeconds": self.retention // _SECOND,
            },
            separators=(",", ":"),
        )

    @classmethod
    def from_settings(cls, value: Mapping[str, Any]) -> Self:
        """Read the object in such a text; what is absent takes its default."""
        names = {
            "followUpDelaySeconds": "follow_up_delay",
            "nearStartSeconds": "near_start",
            "feedbackDelaySeconds": "feedback_delay",
            "retentionSeconds": "retention",
        }
        spans: dict[str, Any] = {
            names[key]: None if seconds is None else timedelta(seconds=seconds)
            for key, seconds in value.items()
            if key in names
        }
        if "reminderSeconds" in value:
            spans["reminders"] = tuple(timedelta(seconds=lead) for lead in value["reminderSeconds"])
        return cls(**spans)
