"""Alarms of the review collector: what failed, what is lost, and what a person waits for."""

from typing import TYPE_CHECKING

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_sns as sns

from sms_engagement.alarms import MAX_PAGE_LATENCY, Alarms
from sms_engagement.review_collector.archive import ReviewArchive

if TYPE_CHECKING:
    from sms_engagement.review_collector.construct import ReviewCollector


def review_alarms(reviews: "ReviewCollector", topic: sns.ITopic | None) -> Alarms:
    """Make the alarms of a collector that is complete but for them."""
    alarms = Alarms(reviews, "Alarms", system="reviews", topic=topic)
    alarms.add_functions(
        {
            "Audience": reviews.audience,
            "Plan": reviews.plan,
            "SendPart": reviews.send_part,
            "Summary": reviews.summary,
            "ReviewRequested": reviews.review_requested,
            "Form": reviews.form,
            "Submit": reviews.submit,
            "CountReviews": reviews.figures.count_reviews,
            "Console": reviews.console.read,
            "Moderate": reviews.console.moderate,
            "PublicReviews": reviews.console.public_reviews,
            "Helpful": reviews.console.helpful,
        }
    )
    digest = {} if reviews.digest is None else {"Digest": reviews.digest}
    alarms.add_seldom_called({"RotateLinkKey": reviews.rotate_link_key, **digest})
    alarms.add_dead_letter_queues(
        {
            "DeadLetters": reviews.dead_letter_queue,
            "FiguresDeadLetters": reviews.figures.dead_letter_queue,
        }
    )
    if reviews.archive is not None:
        _add_archive(alarms, reviews.archive)
    alarms.add_tables(
        {
            **({"Customers": reviews.customers_table} if reviews.owns_customers_table else {}),
            "ReviewRows": reviews.reviews_table,
            "Requests": reviews.review_requests_table,
            "Figures": reviews.figures.table,
        }
    )
    alarms.add_api(reviews.api, slowest=MAX_PAGE_LATENCY, who="somebody with a link")
    alarms.add(
        "FiguresLate",
        reviews.figures.count_reviews.metric("IteratorAge", statistic="Maximum"),
        threshold=Duration.hours(1).to_milliseconds(),
        description="reviews and requests wait to be counted; after a day they have to be counted again",
    )
    _add_sending(alarms, reviews)
    alarms.add(
        "ReviewsUnannounced",
        reviews.metric_reviews_unannounced(),
        threshold=1,
        description="a review is stored and nobody was told of it; look into the reviews table",
    )
    alarms.add(
        "FormSlow",
        reviews.form.metric_duration(statistic="p95"),
        threshold=MAX_PAGE_LATENCY.to_milliseconds(),
        comparison=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
        periods=2,
        description="the form takes over three seconds for one call in twenty",
    )
    return alarms


def _add_sending(alarms: Alarms, reviews: "ReviewCollector") -> None:
    alarms.add(
        "SendingDisabled",
        reviews.metric_sending_disabled(),
        threshold=1,
        description="AWS refuses all texts: spend limit, reputation or configuration; nobody is asked",
    )
    alarms.add(
        "PeopleNotAsked",
        reviews.metric_people_not_asked(),
        threshold=1,
        description="asking somebody failed as nobody foresaw; the log of SendPart names the error",
    )
    alarms.add(
        "MalformedEvents",
        reviews.metric_malformed_events(),
        threshold=1,
        description="an event of the bus could not be read and was left out; the log has its id",
    )
    alarms.add_state_machine(
        "BroadcastFailed",
        reviews.broadcast,
        description="a broadcast ended without its summary; start it again, nobody is asked twice",
    )
    alarms.add(
        "LaterFailed",
        reviews.later.metric_lost(),
        threshold=1,
        description="a text that waited for its hour was not sent; the dead-letter queue says which and why",
    )


def _add_archive(alarms: Alarms, archive: ReviewArchive) -> None:
    alarms.add_functions({"ArchiveReviews": archive.archive_reviews})
    alarms.add_dead_letter_queues({"ArchiveDeadLetters": archive.dead_letter_queue})
    # A batch that failed in part is no failed invocation: only the age of what waits tells.
    alarms.add(
        "ArchiveLate",
        archive.archive_reviews.metric("IteratorAge", statistic="Maximum"),
        threshold=Duration.hours(1).to_milliseconds(),
        description="reviews that left the table wait to be archived; their stream ends after 24 hours",
    )
