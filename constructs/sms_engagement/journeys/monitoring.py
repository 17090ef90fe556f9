"""What to look at of journeys: their dashboard and their saved queries."""

from typing import TYPE_CHECKING, Final

from aws_cdk import Duration

from sms_engagement.channel.construct import SmsChannel
from sms_engagement.dashboards import SystemDashboard
from sms_engagement.saved_queries import PARTS, SavedQueries

if TYPE_CHECKING:
    from sms_engagement.journeys.engine import JourneyEngine

_HOUR: Final = Duration.hours(1)

_RUNS: Final = {
    "Runs of journeys": """\
filter message = "Journey started"
| fields @timestamp, journey, run_id, dry_run
| sort @timestamp desc
| limit 100""",
}


def engine_queries(engine: "JourneyEngine") -> SavedQueries:
    """Save the queries of an engine."""
    queries = SavedQueries(
        engine,
        "Queries",
        functions=[
            engine.start,
            engine.audience,
            engine.plan,
            engine.send_part,
            engine.summary,
            engine.phone_events,
        ],
    )
    queries.add_all(_RUNS, engine.start)
    queries.add_all(PARTS, engine.send_part)
    queries.add_broadcasts(engine.broadcast.log_group)
    return queries


def engine_dashboard(engine: "JourneyEngine") -> SystemDashboard:
    """Make the dashboard of an engine: texts, answers, runs, and what failed. Journeys add themselves."""
    board = SystemDashboard(
        engine,
        "Dashboard",
        system="journeys",
        about="Journeys by SMS: welcome series, promotions, and your own.",
        alarms=[engine.alarms],
    )
    board.graph(
        "Texts of journeys, an hour",
        [engine.metric_texts_sent(period=_HOUR)],
        right=[
            engine.metric_people_not_texted(period=_HOUR),
            engine.metric_sending_disabled(period=_HOUR),
            engine.metric_malformed_events(period=_HOUR),
        ],
    )
    board.graph(
        "Answers to journeys, and who left by STOP, an hour",
        [
            engine.metric_agreed(period=_HOUR),
            engine.metric_answered_otherwise(period=_HOUR),
            engine.metric_declined(period=_HOUR),
            engine.metric_left(period=_HOUR),
        ],
    )
    board.add_executions("Runs for a moment of a journey", engine.state_machine)
    if isinstance(engine.channel, SmsChannel):
        # Of a channel that is imported only its resources are known, not under which name it counts.
        board.graph(
            "Texts of all systems that ended, an hour",
            [engine.channel.metric_delivered(period=_HOUR), engine.channel.metric_failed(period=_HOUR)],
        )
        board.end()
    board.add_queues({}, {"Failed for good": engine.dead_letter_queue})
    board.add_functions(
        {
            "StartJourney": engine.start,
            "Audience": engine.audience,
            "SendPart": engine.send_part,
            "PhoneEvents": engine.phone_events,
        }
    )
    board.end()
    return board
