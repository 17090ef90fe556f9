"""What to look at of appointments: their dashboard and their saved queries."""

from typing import TYPE_CHECKING, Final

from aws_cdk import Duration

from sms_engagement.dashboards import SystemDashboard
from sms_engagement.saved_queries import SavedQueries

if TYPE_CHECKING:
    from sms_engagement.appointment_follow_up.construct import AppointmentFollowUp

_HOUR: Final = Duration.hours(1)

_STEPS: Final = {
    "Why a text waited or was not sent": """\
filter message = "Step of an appointment done" and ispresent(reason)
| fields @timestamp, appointment_id, step, state, reason, next
| sort @timestamp desc
| limit 200""",
    "Steps by outcome": """\
filter message = "Step of an appointment done"
| stats count(*) as steps by step, state, reason
| sort steps desc""",
}

_WEBHOOKS: Final = {
    "Webhooks by outcome": """\
filter message in ["Webhook taken", "Webhook cannot be used", "Webhook refused", "Webhook could not be taken"]
| stats count(*) as webhooks by provider, message, reason
| sort webhooks desc""",
}

_ANSWERS: Final = {
    "Answers by what they did": """\
filter message = "Phone event handled"
| stats count(*) as answers by event_type, action, reason
| sort answers desc""",
}


def appointment_queries(appointments: "AppointmentFollowUp") -> SavedQueries:
    """Save the queries of appointments."""
    queries = SavedQueries(
        appointments,
        "Queries",
        functions=[appointments.webhook, appointments.follow_up, appointments.phone_events],
    )
    queries.add_all(_STEPS, appointments.follow_up)
    queries.add_all(_WEBHOOKS, appointments.webhook)
    queries.add_all(_ANSWERS, appointments.phone_events)
    return queries


def appointment_dashboard(appointments: "AppointmentFollowUp") -> SystemDashboard:
    """Make the dashboard of appointments: webhooks, texts, answers, and what was lost."""
    board = SystemDashboard(
        appointments,
        "Dashboard",
        system="appointments",
        about="Bookings by webhook; confirmations, follow-ups and reminders by SMS.",
        alarms=[appointments.alarms],
    )
    board.graph(
        "Webhooks, an hour",
        [
            appointments.metric_webhooks_taken(period=_HOUR),
            appointments.metric_webhooks_unusable(period=_HOUR),
            appointments.metric_webhooks_refused(period=_HOUR),
            appointments.metric_webhooks_failed(period=_HOUR),
        ],
    )
    board.graph(
        "Texts and answers, an hour",
        [appointments.metric_texts_accepted(period=_HOUR), appointments.metric_replies(period=_HOUR)],
        right=[appointments.metric_sending_disabled(period=_HOUR)],
    )
    board.add_executions("Appointments", appointments.state_machine)
    board.add_queues({}, {"Failed for good": appointments.dead_letter_queue})
    board.add_api(appointments.api)
    board.add_functions(
        {
            "Webhook": appointments.webhook,
            "FollowUp": appointments.follow_up,
            "PhoneEvents": appointments.phone_events,
        }
    )
    board.end()
    return board
