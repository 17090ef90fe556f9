"""Queues, and what they and the bus need of a customer managed key."""

from aws_cdk import Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from sms_engagement._acknowledge import acknowledge


def encrypted_queue(
    scope: Construct,
    id: str,
    *,
    encryption_key: kms.IKey | None,
    retention_period: Duration,
    visibility_timeout: Duration | None = None,
    dead_letter_queue: sqs.DeadLetterQueue | None = None,
) -> sqs.Queue:
    """Make a queue that takes nothing without TLS, and is encrypted at rest.

    Parameters
    ----------
    encryption_key
        Instead of a key that SQS manages; see :func:`allow_services`.
    """
    key = key_without_policy(scope, f"{id}Key", encryption_key)
    return sqs.Queue(
        scope,
        id,
        dead_letter_queue=dead_letter_queue,
        encryption=sqs.QueueEncryption.KMS if key else sqs.QueueEncryption.SQS_MANAGED,
        encryption_master_key=key,
        enforce_ssl=True,
        retention_period=retention_period,
        visibility_timeout=visibility_timeout,
    )


def dead_letter_queue(
    scope: Construct, id: str = "DeadLetters", *, of: str, encryption_key: kms.IKey | None
) -> sqs.Queue:
    """Make a queue that keeps what failed for fourteen days, the longest that SQS does.

    Parameters
    ----------
    of
        Whose failures it keeps.
    encryption_key
        Instead of a key that SQS manages.
    """
    queue = encrypted_queue(scope, id, encryption_key=encryption_key, retention_period=Duration.days(14))
    acknowledge(queue, "SQS3", f"it is the dead-letter queue of {of}")
    return queue


def key_without_policy(scope: Construct, id: str, key: kms.IKey | None) -> kms.IKey | None:
    """Return a key whose policy nobody changes any more, if there is one.

    The CDK would write ARNs of topics and of the bus into the key's policy. Where the key is in a stack of
    its own, both stacks then need one another, and neither can be deployed. :func:`allow_services` lets in
    services of the whole account instead; roles have rights of their own.
    """
    return kms.Key.from_key_arn(scope, id, key.key_arn) if key else None


def allow_services(scope: Construct, key: kms.IKey | None) -> None:
    """Let SNS and EventBridge of this account use a key for queues and a bus that are encrypted with it.

    Without effect on a key that was imported: whoever has its policy adds the statement there.

    Sources: SQS developer guide, *Configure KMS permissions for AWS services*; EventBridge user guide,
    *Authorizing EventBridge to use a customer managed key*.
    """
    if key is not None:
        key.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[
                    iam.ServicePrincipal("sns.amazonaws.com"),
                    iam.ServicePrincipal("events.amazonaws.com"),
                ],
                actions=["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey*"],
                resources=["*"],
                conditions={"StringEquals": {"aws:SourceAccount": Stack.of(scope).account}},
            )
        )


def grant_queue_key(grantee: iam.IGrantable, queue: sqs.IQueue) -> None:
    """Let a role that may send to a queue use the queue's key: the CDK's schedules leave that out."""
    if queue.encryption_master_key is not None:
        queue.encryption_master_key.grant(grantee, "kms:Decrypt", "kms:GenerateDataKey")
