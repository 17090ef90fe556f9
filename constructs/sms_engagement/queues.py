"""Queues of what could not be processed."""

from aws_cdk import Duration
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from sms_engagement._acknowledge import acknowledge


def dead_letter_queue(scope: Construct, id: str = "DeadLetters", *, of: str) -> sqs.Queue:
    """Make a queue that keeps what failed for fourteen days, the longest that SQS does.

    Parameters
    ----------
    of
        Whose failures it keeps.
    """
    queue = sqs.Queue(
        scope,
        id,
        encryption=sqs.QueueEncryption.SQS_MANAGED,
        enforce_ssl=True,
        retention_period=Duration.days(14),
    )
    acknowledge(queue, "SQS3", f"it is the dead-letter queue of {of}")
    return queue
