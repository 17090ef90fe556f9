"""Names of the events by which reviews meet the other capabilities on the bus."""

from typing import Final

OCCASION_RECORDED: Final = "OccasionRecorded"
"""Something happened that the next broadcast may ask about: ``{userId, occasion, occurredAt?}``."""

REVIEW_REQUESTED: Final = "ReviewRequested"
"""Asks for one review at once: ``{userId, occasion, occurredAt?, customer?, text?, textLocale?}``."""

REVIEW_REMINDER_DUE: Final = "ReviewReminderDue"
"""It is time to remind of a request: ``{userId, occasion}``. We send it to ourselves, not by the bus."""

REVIEW_LINK_REQUESTED: Final = "ReviewLinkRequested"
"""Somebody wants a new link: ``{requestId}``."""

REVIEW_SUBMITTED: Final = "ReviewSubmitted"
"""A new review: ``{reviewId, userId, rating, occasion}``, never its text."""
