"""The pipeline's saved queries over the logs of its functions; those over the archive are SQL."""

from typing import TYPE_CHECKING, Final

from sms_engagement.saved_queries import SavedQueries

if TYPE_CHECKING:
    from sms_engagement.sms_analytics_pipeline.construct import SmsAnalyticsPipeline

_INGEST: Final = {
    "What was taken in": """\
filter message = "events ingested"
| stats sum(ingested) as events, sum(duplicates) as repeated, sum(failed_records) as failed by bin(5m)""",
}

_ANSWERS: Final = {
    "Answers kept": """\
filter message = "answers kept"
| stats sum(added) as answers, sum(duplicates) as repeated by bin(1h)""",
}


def pipeline_queries(pipeline: "SmsAnalyticsPipeline") -> SavedQueries:
    """Save the queries of a pipeline."""
    queries = SavedQueries(
        pipeline,
        "LogQueries",
        functions=[
            pipeline.ingest,
            *pipeline.consumers.values(),
            pipeline.subscription_events,
            pipeline.archive.compact,
        ],
    )
    queries.add_all(_INGEST, pipeline.ingest)
    queries.add_all(_ANSWERS, pipeline.consumers["ResponseHandler"])
    return queries
