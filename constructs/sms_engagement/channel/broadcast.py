"""The broadcast engine: an audience, its texts in parts, and what became of them."""

import json
from pathlib import Path
from typing import Final

from aws_cdk import ArnFormat, Aws, Duration, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from sms_engagement._acknowledge import acknowledge, acknowledge_wildcard

RUNS_PREFIX: Final = "runs/"
"""Everything of a broadcast lies below ``runs/<run id>/`` in the bucket."""

_DEFINITION = Path(__file__).with_name("broadcast.asl.json")


class Broadcast(Construct):
    """Step Functions: audience snapshot → Distributed Map over its parts → summary.

    The snapshot function writes the audience in parts to S3, and a manifest of them; one Express child a
    part sends its texts; the summary function counts what the parts report. A part that fails does not stop
    the others: the summary then says that the run is not complete, and a new run sends what is missing,
    since the ledger knows what was sent.

    Parameters
    ----------
    snapshot, send_part, summary
        The three functions.
    bucket
        Holds audience, results and summaries.
    max_concurrency
        Parts sent at once. Each sends at the rate of its own settings, so the rate of the broadcast is that
        rate times this number.
    log_retention, removal_policy
        Of the log group of the state machine; it holds no state input or output.

    Attributes
    ----------
    state_machine
        Start it with ``{}``, or with ``{"reason": text}`` and ``{"dryRun": true}``.
    log_group
        Its history, without data.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        snapshot: lambda_.IFunction,
        send_part: lambda_.IFunction,
        summary: lambda_.IFunction,
        bucket: s3.IBucket,
        max_concurrency: int = 1,
        log_retention: logs.RetentionDays = logs.RetentionDays.THREE_MONTHS,
        removal_policy: RemovalPolicy = RemovalPolicy.DESTROY,
    ) -> None:
        # Quota of Step Functions: parallel children of a Distributed Map.
        if not 1 <= max_concurrency <= 10_000:
            msg = (
                f"max_concurrency must be between 1 and 10000, got {max_concurrency}; 1 keeps the rate simple"
            )
            raise ValueError(msg)
        super().__init__(scope, id)

        self.log_group = logs.LogGroup(self, "Logs", retention=log_retention, removal_policy=removal_policy)
        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("states.amazonaws.com"))
        functions = (snapshot, send_part, summary)
        invoke = iam.PolicyStatement(
            actions=["lambda:InvokeFunction"], resources=[function.function_arn for function in functions]
        )
        role.add_to_policy(invoke)
        role.add_to_policy(
            iam.PolicyStatement(
                # Reading the manifest, and writing results in pieces (user guide, iam-policies-eg-dist-map).
                actions=[
                    "s3:AbortMultipartUpload",
                    "s3:GetObject",
                    "s3:ListMultipartUploadParts",
                    "s3:PutObject",
                ],
                resources=[run_objects(bucket)],
            )
        )
        acknowledge_run_objects(role, bucket)
        if bucket.encryption_key is not None:
            bucket.encryption_key.grant(role, "kms:Decrypt", "kms:GenerateDataKey")
        self.state_machine = sfn.StateMachine(
            self,
            "StateMachine",
            definition_body=sfn.DefinitionBody.from_string(_definition(max_concurrency)),
            definition_substitutions={
                "SnapshotFunctionArn": snapshot.function_arn,
                "SendPartFunctionArn": send_part.function_arn,
                "SummaryFunctionArn": summary.function_arn,
                "Bucket": bucket.bucket_name,
                "Partition": Aws.PARTITION,
            },
            role=role,
            timeout=Duration.days(2),
            tracing_enabled=True,
            logs=sfn.LogOptions(
                destination=self.log_group, level=sfn.LogLevel.ALL, include_execution_data=False
            ),
            removal_policy=removal_policy,
        )
        self._allow_distributed_map(role)
        acknowledge(role, "IAM5[Resource::*]", "X-Ray and log delivery have no resources to name")

    def grant_start(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allow starting a broadcast."""
        return self.state_machine.grant_start_execution(grantee)

    def _allow_distributed_map(self, role: iam.Role) -> None:
        """Let the map start and watch its children, which are executions of the state machine itself.

        A policy of its own: in the role's first one the state machine and its policy would need each other.
        """
        arn = self.state_machine.state_machine_arn
        name = self.state_machine.state_machine_name
        children = self._execution_arn(f"{name}:*")
        map_children = self._execution_arn(f"{name}/*:*")
        policy = iam.Policy(
            self,
            "MapPolicy",
            roles=[role],
            statements=[
                iam.PolicyStatement(actions=["states:StartExecution"], resources=[arn]),
                iam.PolicyStatement(
                    actions=["states:DescribeExecution", "states:StopExecution"], resources=[children]
                ),
                # A redrive of the parent starts the failed children of its map again.
                iam.PolicyStatement(actions=["states:RedriveExecution"], resources=[map_children]),
            ],
        )
        for arn in (children, map_children):
            acknowledge_wildcard(policy, arn, "Step Functions makes the names of the map's children")

    def _execution_arn(self, name: str) -> str:
        return Stack.of(self).format_arn(
            service="states",
            resource="execution",
            resource_name=name,
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )


def run_objects(bucket: s3.IBucket) -> str:
    """Return the ARN of everything that broadcasts keep in a bucket."""
    return bucket.arn_for_objects(f"{RUNS_PREFIX}*")


def acknowledge_run_objects(role: iam.IRole, bucket: s3.IBucket) -> None:
    """Accept the wildcard of :func:`run_objects` in a role."""
    acknowledge_wildcard(role, run_objects(bucket), "objects are named by run and part")


def run_bucket(
    scope: Construct, id: str, *, encryption_key: kms.IKey | None, removal_policy: RemovalPolicy
) -> s3.Bucket:
    """Make the bucket of a broadcast, which forgets a run after 90 days."""
    bucket = s3.Bucket(
        scope,
        id,
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        bucket_key_enabled=True if encryption_key else None,
        encryption=s3.BucketEncryption.KMS if encryption_key else s3.BucketEncryption.S3_MANAGED,
        encryption_key=encryption_key,
        enforce_ssl=True,
        lifecycle_rules=[
            # Audiences hold ids of customers, and results what became of their texts.
            s3.LifecycleRule(
                expiration=Duration.days(90), abort_incomplete_multipart_upload_after=Duration.days(1)
            )
        ],
        removal_policy=removal_policy,
    )
    acknowledge(bucket, "S1", "functions of one construct are all that may read it; CloudTrail shows who did")
    return bucket


def _definition(max_concurrency: int) -> str:
    definition = json.loads(_DEFINITION.read_text(encoding="utf-8"))
    definition["States"]["Send parts"]["MaxConcurrency"] = max_concurrency
    return json.dumps(definition)
