"""Kinds of values that the consumers read of an event: the same for all of them.

What one of them sets aside, all of them do: no event is in the counts and not in the archive.
"""

from typing import Annotated

import msgspec

from sms_engagement_runtime.sms_analytics_pipeline.domain.events import (
    LATEST_TIMESTAMP,
    MILLICENTS_PER_USD,
)

Timestamp = Annotated[int, msgspec.Meta(ge=0, le=LATEST_TIMESTAMP)]
"""Epoch milliseconds up to the year 9999."""

Price = Annotated[int, msgspec.Meta(ge=0, le=1_000_000 * MILLICENTS_PER_USD)]
"""Millicents up to a million dollars: what is more is no price of a text, and its sums would fit nowhere."""

Parts = Annotated[int, msgspec.Meta(ge=0, le=1_000)]
"""Message parts: ten at the most in a text of ours (AWS, *Character limits*)."""

Outcome = Annotated[str, msgspec.Meta(pattern=r"^_SMS\.(SUCCESS|FAILURE)$")]
"""What a message can have been counted as."""

SchemaVersion = Annotated[int, msgspec.Meta(ge=1)]
