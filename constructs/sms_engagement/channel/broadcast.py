"""The broadcast engine: an audience, its texts in parts, and what became of them."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from aws_cdk import ArnFormat, Aws, Duration, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from sms_engagement._acknowledge import acknowledge, acknowledge_wildcard
from sms_engagement.channel.base import SmsChannelBase, grant_actions
from sms_engagement.durations import check_duration
from sms_engagement.functions import FunctionOptions, RuntimeFunction, grant_key
from sms_engagement.roles import state_machine_role
from sms_engagement_runtime.channel.domain.broadcast.stop_rules import StopRules

RUNS_PREFIX: Final = "runs/"
"""Everything of a broadcast lies below ``runs/<run id>/`` in the bucket."""

SHUFFLE_PREFIX: Final = "shuffle/"
"""Rows that a snapshot sorts lie below ``shuffle/<run id>/``, for a few days."""

# A part must end while an Express child lives, five minutes; half of it leaves room for retries.
_PART_SECONDS: Final = 120

_MAX_RECIPIENTS_PER_PART: Final = 5_000

# Where several functions share a wave, small parts let them run out of work at nearly the same time; for one
# alone, each part costs a start.
_MAX_RECIPIENTS_PER_SHARED_PART: Final = 1_000

# A text costs a function some 4 ms of its processor, in five calls. With a fifth of what that allows, the
# others use the rate while one of them begins or ends a part.
_TEXTS_PER_SECOND: Final = 50

_DEFINITION = Path(__file__).with_name("broadcast.asl.json")


class Broadcast(Construct):
    """Step Functions: audience snapshot → waves of parts, each at its people's allowed hours → summary.

    The snapshot function writes the audience in parts to S3. The plan function then says what comes next: a
    wave of parts, sent by a Distributed Map with one Express child a part, or an instant to wait for. After
    each wave it plans again with what the parts came to, until everybody is in a final state, the run has
    expired, or a stop rule ended it. A part that fails is sent again; the ledger knows who was texted.

    Parameters
    ----------
    channel
        Sends the texts.
    snapshot, send_part
        Functions of the capability. They get their environment and their rights to the bucket here; the
        rights to send, to the capability's tables and the rest of the environment are the capability's to
        give.
    bucket
        Holds audience, results and summaries.
    max_concurrency
        Parts sent at once; they share the channel's rate. One for every 50 texts a second when left out.
    stop_rules
        When a run stops itself: more than 5 % of opt-outs or less than 95 % delivered, from a hundred texts
        on, when left out.
    expires_after
        Age at which a run gives up on who still waits, 1 hour to 30 days; 7 days when left out.
    follow_up_delay
        How long after a text the run that follows it up may ask its person again, 1 to 14 days; no such run
        is started when left out.
    service
        Name of the capability in log lines and metrics.
    function_options
        Of the plan and the summary function; those of the channel when left out.
    removal_policy
        Of the log group of the state machine; it holds no state input or output.

    Attributes
    ----------
    state_machine
        Start it with ``{}``, or with ``{"reason": text}`` and ``{"dryRun": true}``.
    plan, summary
        The functions that the engine brings along.
    log_group
        History of the state machine, without data.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        channel: SmsChannelBase,
        snapshot: RuntimeFunction,
        send_part: RuntimeFunction,
        bucket: s3.IBucket,
        max_concurrency: int | None = None,
        stop_rules: StopRules | None = None,
        expires_after: Duration | None = None,
        follow_up_delay: Duration | None = None,
        service: str = "broadcast",
        function_options: FunctionOptions | None = None,
        removal_policy: RemovalPolicy = RemovalPolicy.DESTROY,
    ) -> None:
        # Quota of Step Functions: parallel children of a Distributed Map.
        if max_concurrency is not None and not 1 <= max_concurrency <= 10_000:
            msg = (
                f"max_concurrency must be between 1 and 10000, got {max_concurrency}; "
                "leave it out for what the rate asks for"
            )
            raise ValueError(msg)
        expires_after = expires_after or Duration.days(7)
        check_duration("expires_after", expires_after, Duration.hours(1), Duration.days(30))
        if follow_up_delay is not None:
            check_duration("follow_up_delay", follow_up_delay, Duration.days(1), Duration.days(14))
        super().__init__(scope, id)

        self._channel = channel
        self._bucket = bucket
        self._max_concurrency = max_concurrency or math.ceil(self._rate / _TEXTS_PER_SECOND)
        self._stop_rules = stop_rules or StopRules()
        self._expires_after = expires_after
        self._follow_up_delay = follow_up_delay
        self._service = service
        self._options = function_options or channel.function_options
        self.snapshot, self.send_part = snapshot, send_part
        self._prepare_snapshot()
        self._prepare_send_part()
        self._build_plan()
        self._build_summary()
        self._build_state_machine(removal_policy)

    def _prepare_snapshot(self) -> None:
        self._add_environment(
            self.snapshot,
            {
                **self._bucket_environment,
                **self._run_environment,
                # Groups of people are named by their hours.
                "QUIET_HOURS": self._channel.policy.quiet_hours.to_settings(),
            },
        )
        self._grant_objects(self.snapshot, shuffle=True)

    def _prepare_send_part(self) -> None:
        self._add_environment(
            self.send_part,
            {
                **self._bucket_environment,
                "BROADCAST_CONCURRENCY": str(self._max_concurrency),
                "STOP_RULES": self._stop_rules.to_settings(),
            },
        )
        self._grant_objects(self.send_part)

    def _build_plan(self) -> None:
        self.plan = self._function(
            "Plan",
            handler="plan_broadcast",
            description="Says what a broadcast does next: send, wait or end",
            environment={
                **self._bucket_environment,
                **self._run_environment,
                "CONTACTS_TABLE": self._channel.contacts_table.table_name,
                "QUIET_HOURS": self._channel.policy.quiet_hours.to_settings(),
                "STOP_RULES": self._stop_rules.to_settings(),
            },
            # It reads what a quarter of an hour came to, and writes off what is left of a run that ends.
            timeout=Duration.minutes(15),
            memory_size=1769,
        )

    def _build_summary(self) -> None:
        self.summary = self._function(
            "Summary",
            handler="summarise_broadcast",
            description="Sums up what became of a broadcast",
            environment={
                **self._bucket_environment,
                **self._follow_up_environment,
                "CONTACTS_TABLE": self._channel.contacts_table.table_name,
                "MILLICENTS_PER_PART": str(self._channel.policy.millicents_per_part),
            },
            timeout=Duration.seconds(50),
            memory_size=1024,
        )

    def _function(
        self,
        id: str,
        *,
        handler: str,
        description: str,
        environment: Mapping[str, str],
        timeout: Duration,
        memory_size: int,
    ) -> RuntimeFunction:
        function = RuntimeFunction(
            self,
            id,
            handler=f"channel.handlers.{handler}",
            service=self._service,
            description=description,
            options=self._options,
            environment=environment,
            timeout=timeout,
            memory_size=memory_size,
        )
        self._grant_objects(function)
        # Whether sending is paused, and how the run's texts fare.
        grant_actions(function, ["dynamodb:GetItem"], [self._channel.contacts_table.table_arn])
        return function

    @property
    def _rate(self) -> int:
        """Texts a second, of one part each."""
        policy = self._channel.policy
        return min(policy.parts_per_second, policy.requests_per_second or policy.parts_per_second)

    @property
    def _bucket_environment(self) -> dict[str, str]:
        return {"BROADCAST_BUCKET": self._bucket.bucket_name}

    @property
    def _run_environment(self) -> dict[str, str]:
        is_shared = self._max_concurrency > 1
        most = _MAX_RECIPIENTS_PER_SHARED_PART if is_shared else _MAX_RECIPIENTS_PER_PART
        size = self._rate * _PART_SECONDS // self._max_concurrency
        return {
            "RECIPIENTS_PER_PART": str(min(most, max(1, size))),
            "RECIPIENTS_PER_SECOND": str(self._rate),
            "RUN_EXPIRY_SECONDS": str(int(self._expires_after.to_seconds())),
            **self._follow_up_environment,
        }

    @property
    def _follow_up_environment(self) -> dict[str, str]:
        if self._follow_up_delay is None:
            return {}
        return {"FOLLOW_UP_SECONDS": str(int(self._follow_up_delay.to_seconds()))}

    def _add_environment(self, function: RuntimeFunction, variables: Mapping[str, str]) -> None:
        for name, value in variables.items():
            function.add_environment(name, value)

    def _grant_objects(self, function: RuntimeFunction, *, shuffle: bool = False) -> None:
        """Let a function read and write what runs keep, and with `shuffle` what a snapshot sorts."""
        prefixes = [RUNS_PREFIX, SHUFFLE_PREFIX] if shuffle else [RUNS_PREFIX]
        objects = [self._bucket.arn_for_objects(f"{prefix}*") for prefix in prefixes]
        grant_actions(function, ["s3:GetObject", "s3:PutObject"], objects)
        # Which objects exist: to who may not list them, S3 answers a missing one as a forbidden one.
        function.add_to_role_policy(
            iam.PolicyStatement(
                actions=["s3:ListBucket"],
                resources=[self._bucket.bucket_arn],
                conditions={"StringLike": {"s3:prefix": [f"{prefix}*" for prefix in prefixes]}},
            )
        )
        grant_key(function, self._channel.encryption_key)
        for arn in objects:
            acknowledge_wildcard(function.execution_role, arn, "objects are named by run and part")

    def _build_state_machine(self, removal_policy: RemovalPolicy) -> None:
        bucket = self._bucket
        self.log_group = logs.LogGroup(
            self, "Logs", retention=self._options.log_retention, removal_policy=removal_policy
        )
        role = state_machine_role(self)
        functions = (self.snapshot, self.plan, self.send_part, self.summary)
        role.add_to_policy(
            iam.PolicyStatement(
                actions=["lambda:InvokeFunction"],
                resources=[function.function_arn for function in functions],
            )
        )
        role.add_to_policy(
            iam.PolicyStatement(
                # Reading the manifest, and writing results in pieces (user guide, iam-policies-eg-dist-map).
                actions=[
                    "s3:AbortMultipartUpload",
                    "s3:GetObject",
                    "s3:ListMultipartUploadParts",
                    "s3:PutObject",
                ],
                resources=[bucket.arn_for_objects(f"{RUNS_PREFIX}*")],
            )
        )
        acknowledge_wildcard(
            role, bucket.arn_for_objects(f"{RUNS_PREFIX}*"), "objects are named by run and part"
        )
        if bucket.encryption_key is not None:
            bucket.encryption_key.grant(role, "kms:Decrypt", "kms:GenerateDataKey")
        self.state_machine = sfn.StateMachine(
            self,
            "StateMachine",
            definition_body=sfn.DefinitionBody.from_string(_definition(self._max_concurrency)),
            definition_substitutions={
                "SnapshotFunctionArn": self.snapshot.function_arn,
                "PlanFunctionArn": self.plan.function_arn,
                "SendPartFunctionArn": self.send_part.function_arn,
                "SummaryFunctionArn": self.summary.function_arn,
                "Bucket": bucket.bucket_name,
                "Partition": Aws.PARTITION,
            },
            role=role,
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

        The first of these rights also starts the run that follows one up.

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
            ),
            # Of use while a snapshot is taken, and for the fortnight in which it could be redriven.
            s3.LifecycleRule(prefix=SHUFFLE_PREFIX, expiration=Duration.days(15)),
        ],
        removal_policy=removal_policy,
    )
    acknowledge(bucket, "S1", "functions of one construct are all that may read it; CloudTrail shows who did")
    return bucket


def _definition(max_concurrency: int) -> str:
    definition = json.loads(_DEFINITION.read_text(encoding="utf-8"))
    definition["States"]["Send parts"]["MaxConcurrency"] = max_concurrency
    return json.dumps(definition)
