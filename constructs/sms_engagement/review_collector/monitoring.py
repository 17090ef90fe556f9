"""What to look at of the review collector: its dashboard and its saved queries."""

from typing import TYPE_CHECKING, Final

from aws_cdk import Duration

from sms_engagement.dashboards import SystemDashboard
from sms_engagement.saved_queries import PARTS, SavedQueries

if TYPE_CHECKING:
    from sms_engagement.review_collector.construct import ReviewCollector

_HOUR: Final = Duration.hours(1)

_SUBMISSIONS: Final = {
    "Submission errors": """\
filter message = "Review post answered" and status >= 400
| stats count(*) as posts, max(duration_ms) as longest_ms by status, route
| sort posts desc""",
}

_FORM: Final = {
    "Slow form answers": """\
filter message = "Review page answered" and duration_ms > 1000
| fields @timestamp, route, status, duration_ms, function_request_id, api_request_id
| sort duration_ms desc
| limit 100""",
}

_EVENTS: Final = {
    "Why a request waited or was not sent": """\
filter message = "Review event handled" and ispresent(reason)
| stats count(*) as requests, latest(event_id) as last_event by event_type, state, reason
| sort requests desc""",
}


def review_queries(reviews: "ReviewCollector") -> SavedQueries:
    """Save the queries of a collector."""
    queries = SavedQueries(
        reviews,
        "Queries",
        functions=[
            reviews.audience,
            reviews.plan,
            reviews.send_part,
            reviews.summary,
            reviews.review_requested,
            reviews.form,
            reviews.submit,
            reviews.rotate_link_key,
            reviews.figures.count_reviews,
            reviews.console.read,
            reviews.console.moderate,
            reviews.console.public_reviews,
            reviews.console.helpful,
            *([] if reviews.digest is None else [reviews.digest]),
            *([] if reviews.archive is None else [reviews.archive.archive_reviews]),
        ],
    )
    queries.add_all(_SUBMISSIONS, reviews.submit)
    queries.add_all(_FORM, reviews.form)
    queries.add_all(_EVENTS, reviews.review_requested)
    queries.add_all(PARTS, reviews.send_part)
    queries.add_broadcasts(reviews.broadcast_engine.log_group)
    return queries


def review_dashboard(reviews: "ReviewCollector") -> SystemDashboard:
    """Make the dashboard of a collector: requests, pages, broadcasts, and what failed."""
    board = SystemDashboard(
        reviews,
        "Dashboard",
        system="reviews",
        about="Review requests by SMS, the form, and the reviews.",
        alarms=[reviews.alarms],
    )
    board.graph(
        "Requests of broadcasts, an hour",
        [reviews.metric_requests_sent(period=_HOUR)],
        right=[
            reviews.metric_people_not_asked(period=_HOUR),
            reviews.metric_texts_refused(period=_HOUR),
            reviews.metric_sending_disabled(period=_HOUR),
        ],
    )
    board.add_executions("Broadcasts", reviews.broadcast)
    board.add_api(reviews.api)
    board.add_queues(
        {}, {"Failed for good": reviews.dead_letter_queue, "Not counted": reviews.figures.dead_letter_queue}
    )
    board.graph(
        "Reviews of which nobody was told, events that could not be read",
        [reviews.metric_reviews_unannounced(), reviews.metric_malformed_events()],
    )
    board.add_functions({"Form": reviews.form, "Submit": reviews.submit, "SendPart": reviews.send_part})
    board.end()
    return board
