"""The archive of events: bucket, catalogue, Athena, and the daily compaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from aws_cdk import Aws, Duration, Names, RemovalPolicy, Size, Stack, TimeZone, Token
from aws_cdk import aws_athena as athena
from aws_cdk import aws_glue as glue
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_scheduler_targets as targets
from constructs import Construct

from sms_engagement._acknowledge import acknowledge, acknowledge_wildcard
from sms_engagement.channel.base import grant_actions
from sms_engagement.data import place_of_data
from sms_engagement.durations import check_duration
from sms_engagement.functions import FunctionOptions, RuntimeFunction, grant_key
from sms_engagement.queues import dead_letter_queue, grant_queue_key
from sms_engagement.roles import schedule_role
from sms_engagement.sms_analytics_pipeline.queries import SAVED_QUERIES
from sms_engagement_runtime.sms_analytics_pipeline.domain.archive import RAW_PREFIX
from sms_engagement_runtime.sms_analytics_pipeline.domain.compaction import (
    COLUMNS,
    COMPACTED_PREFIX,
    COMPACTED_TAG,
    FIRST_YEAR,
    LAST_YEAR,
    RECORD_PREFIX,
    STAGING_PREFIX,
)

RESULTS_PREFIX: Final = "query-results/"
QUARANTINE_PREFIX: Final = "quarantine/"

RAW_TABLE: Final = "raw_events"
COMPACTED_TABLE: Final = "compacted_events"

# Below it, moving an object costs more than its storage saves (S3 pricing): a transition is $0.01 to $0.05 a
# thousand, and the cheaper classes bill 128 KB at the least or watch no smaller object.
_SMALLEST_TO_MOVE: Final = Size.kibibytes(128)

_WEEK: Final = Duration.days(7)
_MONTH: Final = Duration.days(30)
_QUARTER: Final = Duration.days(90)
_YEAR: Final = Duration.days(365)

_SMALLEST_SCAN_LIMIT: Final = Size.mebibytes(10)
_COMPACTION_TIMEOUT: Final = Duration.minutes(15)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveLifecycle:
    """How long the archive keeps what, and in which storage class.

    Attributes
    ----------
    intelligent_tiering_after, glacier_after, deep_archive_after
        Age at which compacted files of 128 KB and more go to Intelligent-Tiering, to Glacier Instant
        Retrieval and to Deep Archive. Athena reads the first two like any other; what is in Deep Archive has
        to be restored first, which takes hours. None for never.
    delete_after
        Age at which compacted files are deleted; never when left out.
    raw_after
        Age at which raw objects are deleted, once they are compacted and not before: 30 days when left out,
        long enough to notice that a compaction went wrong and to do it again.
    results_after
        Age at which results of queries are deleted. They hold what was asked for, phone numbers included.
    quarantine_after
        Age at which records that could not be read are deleted.

    Raises
    ------
    ValueError
        A later storage class comes before an earlier one, or a duration is out of its range.
    """

    intelligent_tiering_after: Duration = _MONTH
    glacier_after: Duration = _QUARTER
    deep_archive_after: Duration | None = _YEAR
    delete_after: Duration | None = None
    raw_after: Duration = _MONTH
    results_after: Duration = _WEEK
    quarantine_after: Duration = _YEAR

    def __post_init__(self) -> None:
        century = Duration.days(36_500)
        steps: list[tuple[str, Duration]] = [
            ("intelligent_tiering_after", self.intelligent_tiering_after),
            ("glacier_after", self.glacier_after),
        ]
        if self.deep_archive_after is not None:
            steps.append(("deep_archive_after", self.deep_archive_after))
        if self.delete_after is not None:
            steps.append(("delete_after", self.delete_after))
        for name, value in (
            *steps,
            ("raw_after", self.raw_after),
            ("results_after", self.results_after),
            ("quarantine_after", self.quarantine_after),
        ):
            check_duration(name, value, Duration.days(1), century)
            if not value.is_unresolved() and value.to_seconds() % Duration.days(1).to_seconds():
                msg = f"{name} must be whole days, got {value.to_human_string()}"
                raise ValueError(msg)
        for (earlier, first), (later, second) in pairwise(steps):
            if first.is_unresolved() or second.is_unresolved():
                continue
            if first.to_seconds() >= second.to_seconds():
                msg = (
                    f"{later} must be later than {earlier}, got {second.to_human_string()} "
                    f"and {first.to_human_string()}"
                )
                raise ValueError(msg)


class EventArchive(Construct):
    """Every event of the stream, for years, and SQL over it.

    Raw objects (``events/``, gzip JSON lines, by day of the event) are written by the stream's consumer. Each
    day a function compacts the days that are closed to Parquet (``compacted/``). Two tables of the Glue
    catalogue, with partition projection, make both readable; the saved queries take each event once.

    Parameters
    ----------
    scan_limit
        Bytes that one query of the workgroup may read before it is ended: 10 GB, some five cents, when left
        out. At least 10 MB (Athena, *Data usage controls*). Compaction has a workgroup of its own.
    lifecycle
        How long what is kept, and where.
    compaction_hour
        Hour of the day, UTC, at which days are compacted.
    encryption_key
        Of the bucket and of query results; None for keys of S3.
    function_options, removal_policy
        Of the compaction, and of the bucket.
    data_scope
        Where the bucket is made; inside this construct when left out.

    Attributes
    ----------
    bucket
        Raw objects, compacted files, query results and the quarantine.
    database, raw_table, compacted_table
        The catalogue; ``database_name`` is its name.
    workgroup
        For people and dashboards; ``workgroup_name`` is its name. Its settings cannot be overridden.
    compaction_workgroup
        Of the compaction alone.
    saved_queries
        By id.
    compact
        The function. Called with ``{"days": ["2026-03-01"]}`` it compacts these, closed or not.
    schedule, dead_letter_queue
        Its daily call, and calls that never came through.

    Notes
    -----
    *Failure path*: a day that cannot be compacted fails the call after the others were done, which the alarm
    on the function's errors tells; the next day's call tries again. Nothing expires meanwhile.

    *Cost*: see ``docs/archive.md``. A million events a month are 50 MB raw.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        encryption_key: kms.IKey | None,
        function_options: FunctionOptions,
        removal_policy: RemovalPolicy,
        scan_limit: Size | None = None,
        lifecycle: ArchiveLifecycle | None = None,
        compaction_hour: int = 3,
        data_scope: Construct | None = None,
    ) -> None:
        scan_limit = scan_limit or Size.gibibytes(10)
        if not scan_limit.is_unresolved() and scan_limit.to_bytes() < _SMALLEST_SCAN_LIMIT.to_bytes():
            msg = f"scan_limit must be at least 10 MiB, got {scan_limit.to_bytes():.0f} bytes"
            raise ValueError(msg)
        if not Token.is_unresolved(compaction_hour) and not 0 <= compaction_hour <= 23:
            msg = f"compaction_hour must be between 0 and 23, got {compaction_hour}"
            raise ValueError(msg)
        super().__init__(scope, id)
        self._key = encryption_key
        self._data = place_of_data(self, data_scope)
        self._name = Names.unique_resource_name(self, max_length=100, separator="_").lower()
        self.bucket = self._build_bucket(lifecycle or ArchiveLifecycle(), removal_policy)
        self.database = glue.CfnDatabase(
            self,
            "Database",
            catalog_id=Aws.ACCOUNT_ID,
            database_input=glue.CfnDatabase.DatabaseInputProperty(
                name=self._name, description="Events of texts: sent, delivered, failed, answered, opted out"
            ),
        )
        self.database_name = self._name
        self._build_tables()
        self.workgroup = self._build_workgroup(
            "Workgroup",
            f"{self._name}_queries",
            description="Questions about texts and answers",
            scan_limit=scan_limit,
        )
        self.workgroup_name = f"{self._name}_queries"
        self.compaction_workgroup = self._build_workgroup(
            "CompactionWorkgroup",
            f"{self._name}_compaction",
            description="Compaction of the archive",
            # A limit would end the compaction of every large day, and the day's raw objects would be kept
            # for ever.
            scan_limit=None,
        )
        self.saved_queries = {
            query.id: self._save_query(query.id, query.name, query.description, self._sql(query.id))
            for query in SAVED_QUERIES
        }
        self._build_compaction(function_options, compaction_hour)

    def grant_query(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allow asking the archive: the workgroup's queries, their results, and the objects they read."""
        if self._key is not None:
            self._key.grant_encrypt_decrypt(grantee)
        grant = self._grant_athena(
            grantee,
            self.workgroup_name,
            "BatchGetNamedQuery",
            "GetNamedQuery",
            "GetQueryResults",
            "GetWorkGroup",
            "ListNamedQueries",
            "ListQueryExecutions",
        )
        return grant.combine(self._grant_reading(grantee)).combine(self._grant_results(grantee))

    def _build_bucket(self, lifecycle: ArchiveLifecycle, removal_policy: RemovalPolicy) -> s3.Bucket:
        key = self._key
        rules = _lifecycle_rules(lifecycle)
        bucket = s3.Bucket(
            self._data,
            "Bucket",
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            bucket_key_enabled=True if key else None,
            encryption=s3.BucketEncryption.KMS if key else s3.BucketEncryption.S3_MANAGED,
            encryption_key=key,
            enforce_ssl=True,
            lifecycle_rules=rules,
            removal_policy=removal_policy,
            versioned=True,
        )
        resource = bucket.node.default_child
        assert isinstance(resource, s3.CfnBucket)
        for index, rule in enumerate(rules):
            if rule.object_size_greater_than is not None:
                # CloudFormation has it as text. The CDK writes a number, of which its own validation warns.
                resource.add_property_override(
                    f"LifecycleConfiguration.Rules.{index}.ObjectSizeGreaterThan",
                    f"{rule.object_size_greater_than:.0f}",
                )
        acknowledge(
            bucket, "S1", "functions of this pipeline write it, and CloudTrail shows who else reads it"
        )
        return bucket

    def _build_tables(self) -> None:
        columns = list(COLUMNS)
        self.compacted_table = self._build_table(
            "CompactedTable",
            COMPACTED_TABLE,
            COMPACTED_PREFIX,
            columns,
            classification="parquet",
            input_format="org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
            output_format="org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
            serialization_library="org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
        )
        self.raw_table = self._build_table(
            "RawTable",
            RAW_TABLE,
            RAW_PREFIX,
            [*columns, ("event_id_ending", "string")],
            classification="json",
            input_format="org.apache.hadoop.mapred.TextInputFormat",
            output_format="org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
            serialization_library="org.openx.data.jsonserde.JsonSerDe",
        )

    def _build_table(
        self,
        id: str,
        name: str,
        prefix: str,
        columns: Sequence[tuple[str, str]],
        *,
        classification: str,
        input_format: str,
        output_format: str,
        serialization_library: str,
    ) -> glue.CfnTable:
        location = f"s3://{self.bucket.bucket_name}/{prefix}"
        table = glue.CfnTable(
            self,
            id,
            catalog_id=Aws.ACCOUNT_ID,
            database_name=self._name,
            table_input=glue.CfnTable.TableInputProperty(
                name=name,
                table_type="EXTERNAL_TABLE",
                parameters={
                    "EXTERNAL": "TRUE",
                    "classification": classification,
                    **_projection(location),
                },
                partition_keys=[
                    glue.CfnTable.ColumnProperty(name=part, type="int") for part in ("year", "month", "day")
                ],
                storage_descriptor=glue.CfnTable.StorageDescriptorProperty(
                    columns=[
                        glue.CfnTable.ColumnProperty(name=column, type=type_) for column, type_ in columns
                    ],
                    compressed=True,
                    input_format=input_format,
                    location=location,
                    output_format=output_format,
                    serde_info=glue.CfnTable.SerdeInfoProperty(
                        parameters={"serialization.format": "1"},
                        serialization_library=serialization_library,
                    ),
                ),
            ),
        )
        table.node.add_dependency(self.database)
        return table

    def _build_workgroup(
        self, id: str, name: str, *, description: str, scan_limit: Size | None
    ) -> athena.CfnWorkGroup:
        key = self._key
        encryption = athena.CfnWorkGroup.EncryptionConfigurationProperty(
            encryption_option="SSE_KMS" if key else "SSE_S3", kms_key=key.key_arn if key else None
        )
        return athena.CfnWorkGroup(
            self,
            id,
            name=name,
            description=description,
            # With the history of its queries; results lie in the bucket.
            recursive_delete_option=True,
            work_group_configuration=athena.CfnWorkGroup.WorkGroupConfigurationProperty(
                bytes_scanned_cutoff_per_query=None if scan_limit is None else int(scan_limit.to_bytes()),
                enforce_work_group_configuration=True,
                engine_version=athena.CfnWorkGroup.EngineVersionProperty(
                    selected_engine_version="Athena engine version 3"
                ),
                publish_cloud_watch_metrics_enabled=True,
                requester_pays_enabled=False,
                result_configuration=athena.CfnWorkGroup.ResultConfigurationProperty(
                    encryption_configuration=encryption,
                    expected_bucket_owner=Aws.ACCOUNT_ID,
                    output_location=self.bucket.s3_url_for_object(RESULTS_PREFIX),
                ),
            ),
        )

    def _sql(self, query_id: str) -> str:
        (query,) = (query for query in SAVED_QUERIES if query.id == query_id)
        return query.text(
            raw=f'"{self._name}"."{RAW_TABLE}"', compacted=f'"{self._name}"."{COMPACTED_TABLE}"'
        )

    def _save_query(self, id: str, name: str, description: str, sql: str) -> athena.CfnNamedQuery:
        saved = athena.CfnNamedQuery(
            self,
            f"{id}Query",
            database=self._name,
            description=description,
            name=name,
            query_string=sql,
            work_group=self.workgroup_name,
        )
        saved.node.add_dependency(self.workgroup)
        saved.node.add_dependency(self.raw_table)
        saved.node.add_dependency(self.compacted_table)
        return saved

    def _build_compaction(self, options: FunctionOptions, hour: int) -> None:
        self.compact = RuntimeFunction(
            self,
            "Compact",
            handler="sms_analytics_pipeline.handlers.compact",
            service="analytics",
            description="Compacts the archive's closed days to Parquet",
            options=options,
            environment={
                "ARCHIVE_BUCKET": self.bucket.bucket_name,
                "COMPACTION_WORKGROUP": f"{self._name}_compaction",
                "CATALOGUE_DATABASE": self._name,
                "RAW_TABLE": RAW_TABLE,
                "COMPACTED_TABLE": COMPACTED_TABLE,
            },
            timeout=_COMPACTION_TIMEOUT,
        )
        grant_key(self.compact, self._key)
        self._grant_athena(self.compact, f"{self._name}_compaction")
        self._grant_reading(self.compact)
        self._grant_results(self.compact)
        self._grant_compaction()
        self.dead_letter_queue = dead_letter_queue(self, of="a schedule", encryption_key=self._key)
        role = schedule_role(self)
        grant_queue_key(role, self.dead_letter_queue)
        acknowledge_wildcard(
            role, f"{self.compact.function_arn}:*", "the L2 grant is for versions of the function too"
        )
        self.schedule = scheduler.Schedule(
            self,
            "Daily",
            description="Compacts the archive's closed days",
            schedule=scheduler.ScheduleExpression.cron(
                hour=str(hour), minute="30", time_zone=TimeZone.ETC_UTC
            ),
            target=targets.LambdaInvoke(
                self.compact,
                dead_letter_queue=self.dead_letter_queue,
                input=scheduler.ScheduleTargetInput.from_object({}),
                max_event_age=Duration.hours(6),
                role=role,
            ),
        )

    def _grant_athena(self, grantee: iam.IGrantable, workgroup: str, *more: str) -> iam.Grant:
        stack = Stack.of(self)
        queries = grant_actions(
            grantee,
            [
                f"athena:{action}"
                for action in ("GetQueryExecution", "StartQueryExecution", "StopQueryExecution", *more)
            ],
            [stack.format_arn(service="athena", resource="workgroup", resource_name=workgroup)],
        )
        # Athena looks at the default database whichever is asked (Athena user guide, *Configure access to
        # databases and tables in the AWS Glue Data Catalog*).
        databases = [
            stack.format_arn(service="glue", resource="database", resource_name=name)
            for name in ("default", self._name)
        ]
        catalogue = stack.format_arn(service="glue", resource="catalog")
        tables = [
            stack.format_arn(service="glue", resource="table", resource_name=f"{self._name}/{table}")
            for table in (RAW_TABLE, COMPACTED_TABLE)
        ]
        return queries.combine(grant_actions(grantee, ["glue:GetDatabase"], [catalogue, *databases])).combine(
            grant_actions(
                grantee, ["glue:GetPartitions", "glue:GetTable"], [catalogue, databases[1], *tables]
            )
        )

    def _grant_reading(self, grantee: iam.IGrantable) -> iam.Grant:
        listing = grant_actions(grantee, ["s3:GetBucketLocation", "s3:ListBucket"], [self.bucket.bucket_arn])
        return listing.combine(self._grant_objects(grantee, ["s3:GetObject"], [RAW_PREFIX, COMPACTED_PREFIX]))

    def _grant_results(self, grantee: iam.IGrantable) -> iam.Grant:
        # Athena writes results as the one who asks (Athena user guide, *Identity-based policies*).
        uploads = grant_actions(grantee, ["s3:ListBucketMultipartUploads"], [self.bucket.bucket_arn])
        return uploads.combine(
            self._grant_objects(
                grantee,
                [
                    "s3:AbortMultipartUpload",
                    "s3:GetObject",
                    "s3:ListMultipartUploadParts",
                    "s3:PutObject",
                ],
                [RESULTS_PREFIX],
            )
        )

    def _grant_compaction(self) -> None:
        """Allow what moves files. Raw objects can be tagged and never deleted: the lifecycle rule does it."""
        grant_actions(self.compact, ["s3:ListBucketVersions"], [self.bucket.bucket_arn])
        self._grant_objects(self.compact, ["s3:PutObjectTagging", "s3:PutObjectVersionTagging"], [RAW_PREFIX])
        self._grant_objects(self.compact, ["s3:GetObject", "s3:PutObject"], [RECORD_PREFIX])
        self._grant_objects(self.compact, ["s3:DeleteObject", "s3:PutObject"], [COMPACTED_PREFIX])
        self._grant_objects(
            self.compact,
            [
                "s3:AbortMultipartUpload",
                "s3:DeleteObject",
                "s3:GetObject",
                "s3:ListMultipartUploadParts",
                "s3:PutObject",
            ],
            [STAGING_PREFIX],
        )

    def _grant_objects(
        self, grantee: iam.IGrantable, actions: Sequence[str], prefixes: Sequence[str]
    ) -> iam.Grant:
        arns = [self.bucket.arn_for_objects(f"{prefix}*") for prefix in prefixes]
        if isinstance(grantee, RuntimeFunction):
            for arn in arns:
                acknowledge_wildcard(grantee.execution_role, arn, "objects are named by day")
        return grant_actions(grantee, actions, arns)


def _lifecycle_rules(lifecycle: ArchiveLifecycle) -> list[s3.LifecycleRule]:
    moves = [
        s3.Transition(
            storage_class=s3.StorageClass.INTELLIGENT_TIERING,
            transition_after=lifecycle.intelligent_tiering_after,
        ),
        s3.Transition(
            storage_class=s3.StorageClass.GLACIER_INSTANT_RETRIEVAL, transition_after=lifecycle.glacier_after
        ),
    ]
    if lifecycle.deep_archive_after is not None:
        moves.append(
            s3.Transition(
                storage_class=s3.StorageClass.DEEP_ARCHIVE, transition_after=lifecycle.deep_archive_after
            )
        )
    tag, value = COMPACTED_TAG
    rules = [
        s3.LifecycleRule(
            id="leftovers",
            abort_incomplete_multipart_upload_after=Duration.days(1),
            expired_object_delete_marker=True,
            # Long enough to take back a mistake; then what was erased for a person is gone.
            noncurrent_version_expiration=Duration.days(30),
        ),
        s3.LifecycleRule(
            id="raw-once-compacted",
            prefix=RAW_PREFIX,
            tag_filters={tag: value},
            expiration=lifecycle.raw_after,
        ),
        s3.LifecycleRule(
            id="compacted",
            prefix=COMPACTED_PREFIX,
            object_size_greater_than=int(_SMALLEST_TO_MOVE.to_bytes()) - 1,
            transitions=moves,
        ),
        s3.LifecycleRule(id="results", prefix=RESULTS_PREFIX, expiration=lifecycle.results_after),
        s3.LifecycleRule(id="attempts", prefix=STAGING_PREFIX, expiration=_WEEK),
        s3.LifecycleRule(id="quarantine", prefix=QUARANTINE_PREFIX, expiration=lifecycle.quarantine_after),
    ]
    if lifecycle.delete_after is not None:
        rules.append(
            s3.LifecycleRule(id="compacted-end", prefix=COMPACTED_PREFIX, expiration=lifecycle.delete_after)
        )
    return rules


def _projection(location: str) -> Mapping[str, str]:
    """Return the table properties of partition projection: no crawler, no repair, no partition to add.

    Source: Athena user guide, *Supported types for partition projection*.
    """
    return {
        "projection.enabled": "true",
        "projection.year.type": "integer",
        "projection.year.range": f"{FIRST_YEAR},{LAST_YEAR}",
        "projection.month.type": "integer",
        "projection.month.range": "1,12",
        "projection.month.digits": "2",
        "projection.day.type": "integer",
        "projection.day.range": "1,31",
        "projection.day.digits": "2",
        "storage.location.template": f"{location}year=${{year}}/month=${{month}}/day=${{day}}/",
    }
