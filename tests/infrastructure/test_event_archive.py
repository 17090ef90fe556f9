"""The archive of events: kept, encrypted, cheap when old, and readable by SQL at a bounded price."""

import datetime
import json
import re
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms

from sms_engagement.functions import FunctionOptions
from sms_engagement.sms_analytics_pipeline.archive import (
    COMPACTED_TABLE,
    QUARANTINE_PREFIX,
    RAW_TABLE,
    ArchiveLifecycle,
    EventArchive,
)
from sms_engagement.sms_analytics_pipeline.queries import SAVED_QUERIES
from sms_engagement_runtime.sms_analytics_pipeline.adapters import record_quarantine
from sms_engagement_runtime.sms_analytics_pipeline.domain.archive import raw_key
from sms_engagement_runtime.sms_analytics_pipeline.domain.compaction import COLUMNS
from tests.infrastructure.synthesis import (
    Template,
    nag_findings,
    new_stack,
    resources_of,
    rights_of,
    template_of,
)

DAYS = cdk.Duration.days


def event_archive(stack: cdk.Stack, **props: Any) -> EventArchive:
    return EventArchive(
        stack,
        "Archive",
        **{
            "encryption_key": None,
            "function_options": FunctionOptions(),
            "removal_policy": cdk.RemovalPolicy.RETAIN,
            **props,
        },
    )


@pytest.fixture(scope="module")
def stack() -> cdk.Stack:
    stack = new_stack()
    event_archive(stack)
    return stack


@pytest.fixture(scope="module")
def template(stack: cdk.Stack) -> Template:
    return template_of(stack)


def only(template: Template, type_: str, prefix: str = "") -> Any:
    (found,) = (
        resource for name, resource in resources_of(template, type_).items() if name.startswith(prefix)
    )
    return found


def rules(template: Template) -> dict[str, Any]:
    bucket = only(template, "AWS::S3::Bucket")
    return {rule["Id"]: rule for rule in bucket["LifecycleConfiguration"]["Rules"]}


def table(template: Template, name: str) -> Any:
    (found,) = (
        each["TableInput"]
        for each in resources_of(template, "AWS::Glue::Table").values()
        if each["TableInput"]["Name"] == name
    )
    return found


def test_the_bucket_is_kept_private_encrypted_and_versioned(template: Template) -> None:
    ((name, bucket),) = (
        (name, each) for name, each in template["Resources"].items() if each["Type"] == "AWS::S3::Bucket"
    )
    statements = only(template, "AWS::S3::BucketPolicy")["PolicyDocument"]["Statement"]

    assert name == "ArchiveBucket49F1AC64"
    assert bucket["DeletionPolicy"] == "Retain"
    assert all(bucket["Properties"]["PublicAccessBlockConfiguration"].values())
    assert bucket["Properties"]["BucketEncryption"]
    assert bucket["Properties"]["VersioningConfiguration"] == {"Status": "Enabled"}
    assert {
        "Effect": "Deny",
        "Principal": {"AWS": "*"},
        "Action": "s3:*",
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }.items() <= statements[0].items()


def test_only_compacted_files_of_a_size_go_to_cheaper_classes(template: Template) -> None:
    moving = [rule for rule in rules(template).values() if "Transitions" in rule]

    assert [rule["Prefix"] for rule in moving] == ["compacted/"]
    assert moving[0]["ObjectSizeGreaterThan"] == str(128 * 1024 - 1)
    assert [(move["StorageClass"], move["TransitionInDays"]) for move in moving[0]["Transitions"]] == [
        ("INTELLIGENT_TIERING", 30),
        ("GLACIER_IR", 90),
        ("DEEP_ARCHIVE", 365),
    ]
    assert "ExpirationInDays" not in moving[0]


def test_raw_objects_expire_only_with_the_tag_of_the_compaction(template: Template) -> None:
    (raw,) = (rule for rule in rules(template).values() if rule.get("Prefix") == "events/")

    assert raw["TagFilters"] == [{"Key": "compacted", "Value": "yes"}]
    assert raw["ExpirationInDays"] == 30
    assert all("Prefix" in rule or "ExpirationInDays" not in rule for rule in rules(template).values())


def test_results_and_leftovers_do_not_live_for_ever(template: Template) -> None:
    found = rules(template)

    assert {rule.get("Prefix"): rule.get("ExpirationInDays") for rule in found.values()} == {
        None: None,
        "events/": 30,
        "compacted/": None,
        "query-results/": 7,
        "compacting/": 7,
        "quarantine/": 365,
    }
    assert found["leftovers"]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}
    assert found["leftovers"]["ExpiredObjectDeleteMarker"] is True


def test_the_archive_may_end_instead_of_going_to_deep_archive() -> None:
    stack = new_stack()
    event_archive(stack, lifecycle=ArchiveLifecycle(deep_archive_after=None, delete_after=DAYS(730)))

    found = rules(template_of(stack))

    assert [move["StorageClass"] for move in found["compacted"]["Transitions"]] == [
        "INTELLIGENT_TIERING",
        "GLACIER_IR",
    ]
    assert (found["compacted-end"]["Prefix"], found["compacted-end"]["ExpirationInDays"]) == (
        "compacted/",
        730,
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"glacier_after": DAYS(20)}, "glacier_after must be later than intelligent_tiering_after"),
        ({"deep_archive_after": DAYS(90)}, "deep_archive_after must be later than glacier_after"),
        ({"delete_after": DAYS(365)}, "delete_after must be later than deep_archive_after, got 365 days"),
        ({"raw_after": cdk.Duration.hours(36)}, "raw_after must be whole days"),
        ({"results_after": DAYS(0)}, "results_after must be between 1 day and"),
    ],
)
def test_a_lifecycle_that_cannot_be_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        ArchiveLifecycle(**options)


@pytest.mark.parametrize(
    ("props", "message"),
    [
        ({"scan_limit": cdk.Size.mebibytes(9)}, "scan_limit must be at least 10 MiB"),
        ({"compaction_hour": 24}, "compaction_hour must be between 0 and 23, got 24"),
    ],
)
def test_a_prop_that_cannot_be_is_refused(props: dict[str, Any], message: str) -> None:
    stack = new_stack()

    with pytest.raises(ValueError, match=message):
        event_archive(stack, **props)

    assert stack.node.try_find_child("Archive") is None


@pytest.mark.parametrize(("name", "prefix"), [(RAW_TABLE, "events/"), (COMPACTED_TABLE, "compacted/")])
def test_days_are_projected_to_where_they_lie(template: Template, name: str, prefix: str) -> None:
    found = table(template, name)
    parameters = found["Parameters"]
    location = parameters["storage.location.template"]["Fn::Join"][1]

    assert parameters["projection.enabled"] == "true"
    assert [column["Name"] for column in found["PartitionKeys"]] == ["year", "month", "day"]
    for part in ("year", "month", "day"):
        assert parameters[f"projection.{part}.type"] == "integer"
    assert (parameters["projection.month.digits"], parameters["projection.day.digits"]) == ("2", "2")
    assert location[-1] == f"/{prefix}year=${{year}}/month=${{month}}/day=${{day}}/"
    filled = location[-1].replace("${year}", "2026").replace("${month}", "03").replace("${day}", "01")
    if name == RAW_TABLE:
        assert f"/{raw_key(datetime.date(2026, 3, 1), 's', '1')}".startswith(filled)


def test_the_tables_have_the_columns_of_lines_and_files(template: Template) -> None:
    for name, more in ((RAW_TABLE, [("event_id_ending", "string")]), (COMPACTED_TABLE, [])):
        columns = table(template, name)["StorageDescriptor"]["Columns"]

        assert [(column["Name"], column["Type"]) for column in columns] == [*COLUMNS, *more]
    assert "JsonSerDe" in json.dumps(table(template, RAW_TABLE))
    assert "ParquetHiveSerDe" in json.dumps(table(template, COMPACTED_TABLE))


def test_a_query_reads_ten_gigabytes_at_most_and_cannot_be_told_otherwise(template: Template) -> None:
    configuration = only(template, "AWS::Athena::WorkGroup", "ArchiveWorkgroup")["WorkGroupConfiguration"]

    assert configuration["BytesScannedCutoffPerQuery"] == 10 * 1024**3
    assert configuration["EnforceWorkGroupConfiguration"] is True
    assert configuration["PublishCloudWatchMetricsEnabled"] is True
    results = configuration["ResultConfiguration"]
    assert results["EncryptionConfiguration"] == {"EncryptionOption": "SSE_S3"}
    assert results["OutputLocation"]["Fn::Join"][1][-1] == "/query-results/"


def test_a_large_day_is_compacted_whatever_the_limit_of_people_is() -> None:
    stack = new_stack()
    archive = event_archive(stack, scan_limit=cdk.Size.mebibytes(10))
    template = template_of(stack)

    people = only(template, "AWS::Athena::WorkGroup", "ArchiveWorkgroup")
    compaction = only(template, "AWS::Athena::WorkGroup", "ArchiveCompactionWorkgroup")

    assert people["WorkGroupConfiguration"]["BytesScannedCutoffPerQuery"] == 10 * 1024**2
    assert people["Name"] == archive.workgroup_name
    assert "BytesScannedCutoffPerQuery" not in compaction["WorkGroupConfiguration"]


def test_all_is_under_the_key_that_is_given() -> None:
    stack = new_stack()
    event_archive(stack, encryption_key=kms.Key(stack, "Key", enable_key_rotation=True))
    template = template_of(stack)

    bucket = only(template, "AWS::S3::Bucket")["BucketEncryption"]["ServerSideEncryptionConfiguration"][0]
    assert bucket["BucketKeyEnabled"] is True
    assert bucket["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    for group in resources_of(template, "AWS::Athena::WorkGroup").values():
        results = group["WorkGroupConfiguration"]["ResultConfiguration"]["EncryptionConfiguration"]
        assert results["EncryptionOption"] == "SSE_KMS"
        assert results["KmsKey"]["Fn::GetAtt"][1] == "Arn"
    assert {"kms:Decrypt", "kms:GenerateDataKey*"} <= rights_of(template)["ArchiveCompactRole"]
    assert nag_findings(stack) == []


def test_each_saved_query_is_in_the_workgroup_over_both_tables(template: Template) -> None:
    database = only(template, "AWS::Glue::Database")["DatabaseInput"]["Name"]
    saved = resources_of(template, "AWS::Athena::NamedQuery").values()

    assert sorted(query["Name"] for query in saved) == sorted(query.name for query in SAVED_QUERIES)
    for query in saved:
        assert query["Database"] == database
        assert query["WorkGroup"] == only(template, "AWS::Athena::WorkGroup", "ArchiveWorkgroup")["Name"]
        assert f'FROM "{database}"."raw_events"' in query["QueryString"]
        assert f'FROM "{database}"."compacted_events"' in query["QueryString"]
        assert "${" not in query["QueryString"]
        assert len(query["QueryString"].encode()) < 262_144  # Athena, API reference: CreateNamedQuery


def test_compaction_may_tag_raw_objects_and_delete_none(template: Template) -> None:
    policy = only(template, "AWS::IAM::Policy", "ArchiveCompactRole")

    def prefixes(action: str) -> set[str]:
        found = set()
        for statement in policy["PolicyDocument"]["Statement"]:
            actions = statement["Action"]
            if action in ([actions] if isinstance(actions, str) else actions):
                resources = statement["Resource"]
                for resource in resources if isinstance(resources, list) else [resources]:
                    found.add(resource["Fn::Join"][1][-1])
        return found

    assert prefixes("s3:DeleteObject") == {"/compacted/*", "/compacting/*"}
    assert prefixes("s3:PutObjectVersionTagging") == {"/events/*"}
    assert prefixes("s3:PutObject") == {
        "/compacted/*",
        "/compacting/*",
        "/compactions/*",
        "/query-results/*",
    }
    rights = rights_of(template)["ArchiveCompactRole"]
    assert {action for action in rights if not action.startswith("s3:")} == {
        "athena:GetQueryExecution",
        "athena:StartQueryExecution",
        "athena:StopQueryExecution",
        "glue:GetDatabase",
        "glue:GetPartitions",
        "glue:GetTable",
    }


def test_it_is_called_each_day_and_a_call_that_never_came_through_is_kept(template: Template) -> None:
    schedule = only(template, "AWS::Scheduler::Schedule")

    assert schedule["ScheduleExpression"] == "cron(30 3 * * ? *)"
    assert schedule["ScheduleExpressionTimezone"] == "Etc/UTC"
    assert schedule["Target"]["DeadLetterConfig"]["Arn"]["Fn::GetAtt"][0].startswith("ArchiveDeadLetters")


def test_who_may_ask_may_read_the_archive_and_write_nothing_but_results() -> None:
    stack = new_stack()
    archive = event_archive(stack, encryption_key=kms.Key(stack, "Key", enable_key_rotation=True))
    analyst = iam.Role(stack, "Analyst", assumed_by=iam.AccountRootPrincipal())

    archive.grant_query(analyst)

    template = template_of(stack)
    rights = rights_of(template)["Analyst"]
    writes = [
        statement
        for statement in only(template, "AWS::IAM::Policy", "Analyst")["PolicyDocument"]["Statement"]
        if "s3:PutObject" in statement["Action"]
    ]
    assert {"athena:StartQueryExecution", "glue:GetTable", "s3:GetObject", "kms:Decrypt"} <= rights
    assert "s3:DeleteObject" not in rights
    assert [statement["Resource"]["Fn::Join"][1][-1] for statement in writes] == ["/query-results/*"]


def test_two_archives_of_one_account_have_names_of_their_own() -> None:
    names = []
    for name in ("One", "Two"):
        stack = new_stack(id=name)
        event_archive(stack)
        template = template_of(stack)
        names.append(only(template, "AWS::Glue::Database")["DatabaseInput"]["Name"])
        # Glue: lower case letters, digits and underscores.
        assert re.fullmatch(r"[a-z0-9_]{1,255}", names[-1])
        for group in resources_of(template, "AWS::Athena::WorkGroup").values():
            assert re.fullmatch(r"[a-zA-Z0-9._-]{1,128}", group["Name"])

    assert names[0] != names[1]


def test_the_quarantine_is_where_its_rule_is() -> None:
    assert record_quarantine.PREFIX == QUARANTINE_PREFIX


def test_nothing_is_left_for_nag(stack: cdk.Stack) -> None:
    assert nag_findings(stack) == []
