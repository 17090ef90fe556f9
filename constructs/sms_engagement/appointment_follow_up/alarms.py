"""Alarms of appointments: what failed, what is lost, and a webhook that its provider will soon disable."""

from typing import TYPE_CHECKING

from aws_cdk import Duration
from aws_cdk import aws_sns as sns

from sms_engagement.alarms import Alarms

if TYPE_CHECKING:
    from sms_engagement.appointment_follow_up.construct import AppointmentFollowUp


def appointment_alarms(appointments: "AppointmentFollowUp", topic: sns.ITopic | None) -> Alarms:
    """Make the alarms of a construct that is complete but for them."""
    alarms = Alarms(appointments, "Alarms", system="appointments", topic=topic)
    alarms.add_functions(
        {
            "Webhook": appointments.webhook,
            "FollowUp": appointments.follow_up,
            "PhoneEvents": appointments.phone_events,
        }
    )
    alarms.add_dead_letter_queues({"DeadLetters": appointments.dead_letter_queue})
    if appointments.owns_table:
        alarms.add_tables({"Conversations": appointments.conversations_table})
    # Calendly hangs up after 15 seconds and, after a day of that, disables the hook.
    alarms.add_api(appointments.api, slowest=Duration.seconds(5), who="the provider of the bookings")
    alarms.add_state_machine(
        "AppointmentsLost",
        appointments.state_machine,
        description="an appointment's state machine failed; the dead-letter queue says which and why",
    )
    alarms.add(
        "LaterFailed",
        appointments.later.metric_lost(),
        threshold=1,
        description="an answer that waited for its hour was not sent; the dead-letter queue says which",
    )
    alarms.add(
        "WebhooksFailed",
        appointments.metric_webhooks_failed(),
        # The provider may not come again with it: what Cal.com does is not documented.
        threshold=1,
        description="a webhook could not be taken; see that it came again, or book it by hand",
    )
    alarms.add(
        "WebhooksRefused",
        appointments.metric_webhooks_refused(period=Duration.minutes(15)),
        threshold=5,
        description="signatures do not fit: the hook signs with another key than the secret has, or somebody "
        "tries the door",
    )
    alarms.add(
        "MalformedEvents",
        appointments.metric_malformed_events(),
        threshold=1,
        description="an event of the bus could not be read and was left out; the log has its id",
    )
    alarms.add(
        "SendingDisabled",
        appointments.metric_sending_disabled(),
        threshold=1,
        description="AWS refuses all texts: spend limit, reputation or configuration; nobody is confirmed",
    )
    return alarms
