"""What the channel is told of opt-outs that reached the pipeline and not its router.

Those are the service's word that a number is on its list (``OPTED_OUT``), ``_SMS.OPTOUT``, and inbound texts
of earlier systems. The channel's record has to have them, too: it is what every text is held to.
"""

from collections.abc import Mapping
from typing import Final

from sms_engagement_runtime.sms_analytics_pipeline.domain.events import CanonicalEvent
from sms_engagement_runtime.sms_analytics_pipeline.domain.lifecycle import Happening
from sms_engagement_runtime.sms_analytics_pipeline.domain.subscribers import facts_of

OPT_OUT_REPORTED: Final = "OptOutReported"
"""Detail-type; its schema is in ``docs/events``."""

_SCHEMA_VERSION: Final = 1


def report_of(event: CanonicalEvent) -> Mapping[str, object] | None:
    """Say what the bus is told of an event; None for one that is no opt-out.

    Whether it is overtaken hangs on what the person said to the channel, which compares the instants.
    """
    if not any(fact.happening is Happening.OPTED_OUT for fact in facts_of(event)):
        return None
    return {
        "eventId": event.event_id,
        "eventType": event.event_type,
        "recordStatus": event.record_status,
        "subscriberId": event.subscriber_id,
        "phoneNumber": event.phone_number,
        "body": event.response_text,
        "at": event.event_timestamp,
        "schemaVersion": _SCHEMA_VERSION,
    }
