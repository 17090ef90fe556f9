"""Names of the events by which reviews meet the other capabilities on the bus."""

from typing import Final

REVIEW_REQUESTED: Final = "ReviewRequested"
"""Asks for one review at once: ``{userId, occasion, occurredAt?}``."""

REVIEW_LINK_REQUESTED: Final = "ReviewLinkRequested"
"""Somebody wants a new link: ``{requestId}``."""

REVIEW_SUBMITTED: Final = "ReviewSubmitted"
"""A new review: ``{reviewId, userId, rating, occasion}``, never its text."""
