"""What to look at of the channel: its dashboard and its saved queries."""

from typing import TYPE_CHECKING, Final

from aws_cdk import Duration

from sms_engagement.dashboards import SystemDashboard
from sms_engagement.saved_queries import SavedQueries

if TYPE_CHECKING:
    from sms_engagement.channel.construct import SmsChannel

_HOUR: Final = Duration.hours(1)

_SHOWN_ACTIONS: Final = (
    "OptedOut",
    "Resubscribed",
    "Confirmed",
    "Routed",
    "Forwarded",
    "WrongNumber",
    "ReplyDeferred",
)

# Of the router. A customer is known by the subscriber id, a keyed hash.
_INBOUND: Final = {
    "Engagement by customer": """\
filter message = "inbound message handled" and ispresent(subscriber_id)
| stats count(*) as texts, latest(@timestamp) as last by subscriber_id, action
| sort texts desc
| limit 200""",
    "Why a reply waited or was not sent": """\
filter (message = "inbound message handled" and ispresent(reply_reason)) or message = "reply has to wait"
| fields @timestamp, inbound_message_id, action, reply, coalesce(reply_reason, reason) as why
| sort @timestamp desc
| limit 200""",
    "What people wrote, by what it did": """\
filter message = "inbound message handled"
| stats count(*) as texts by action, keyword, is_flagged
| sort texts desc""",
}

_EVENTS: Final = {
    "Delivery events by type": """\
filter message = "delivery event recorded"
| stats count(*) as events by event_type, state, changed, became_final
| sort events desc""",
    "Delivery events set aside": """\
filter message = "delivery event set aside"
| stats count(*) as events by reason
| sort events desc""",
}


def channel_queries(channel: "SmsChannel") -> SavedQueries:
    """Save the queries of a channel."""
    connecting = [] if channel.origination_handler is None else [channel.origination_handler]
    queries = SavedQueries(
        channel,
        "Queries",
        functions=[
            channel.router,
            channel.event_recorder,
            channel.timeline_function,
            channel.reconcile.function,
            *connecting,
        ],
    )
    queries.add_all(_INBOUND, channel.router)
    queries.add_all(_EVENTS, channel.event_recorder)
    return queries


def channel_dashboard(channel: "SmsChannel") -> SystemDashboard:
    """Make the dashboard of a channel: texts, what people wrote, and what is behind."""
    board = SystemDashboard(
        channel,
        "Dashboard",
        system="channel",
        about="The SMS channel: every text of every system, and what people write.",
        alarms=[channel.alarms],
    )
    board.graph(
        "Texts that ended, an hour",
        [channel.metric_delivered(period=_HOUR), channel.metric_failed(period=_HOUR)],
        right=[channel.metric_failure_rate()],
    )
    board.graph(
        "What people wrote, an hour",
        [channel.metric_inbound(action, period=_HOUR) for action in _SHOWN_ACTIONS],
    )
    board.graph(
        "Cost of texts without carriers' fees, thousandths of a cent",
        [channel.metric_cost_millicents(period=_HOUR)],
        right=[channel.metric_sending_disabled(period=_HOUR)],
    )
    dead = dict(
        zip(("Inbound failed", "Events failed", "Consent failed"), channel.dead_letter_queues, strict=True)
    )
    board.add_queues({"Inbound": channel.inbound_queue, "Events": channel.event_queue}, dead)
    board.add_functions({"Router": channel.router, "EventRecorder": channel.event_recorder})
    board.end()
    return board
