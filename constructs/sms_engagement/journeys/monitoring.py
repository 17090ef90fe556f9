"""What to look at of journeys: their saved queries."""

from typing import TYPE_CHECKING, Final

from sms_engagement.saved_queries import PARTS, SavedQueries

if TYPE_CHECKING:
    from sms_engagement.journeys.engine import JourneyEngine

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
