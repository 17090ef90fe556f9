"""Athena over an archive: partitions, UNLOAD, Trino's functions, limits, permissions, saved queries."""

import csv
import gzip
import io
import json
import random
import uuid
from datetime import UTC, datetime, timedelta

import pytest

COLUMNS = [
    {"Name": "event_type", "Type": "string"},
    {"Name": "event_timestamp", "Type": "bigint"},
    {"Name": "campaign_id", "Type": "string"},
    {"Name": "price_millicents", "Type": "bigint"},
]
JSON_SERDE = "org.openx.data.jsonserde.JsonSerDe"
PARQUET_SERDE = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
DAY = ("year", "month", "day")
FIRST = datetime(2026, 11, 21, 10, tzinfo=UTC)


def projection(prefix):
    return {
        "projection.enabled": "true",
        "projection.year.type": "integer",
        "projection.year.range": "2026,2030",
        "projection.month.type": "integer",
        "projection.month.range": "1,12",
        "projection.month.digits": "2",
        "projection.day.type": "integer",
        "projection.day.range": "1,31",
        "projection.day.digits": "2",
        "storage.location.template": f"{prefix}year=${{year}}/month=${{month}}/day=${{day}}/",
    }


def table(name, location, library, *, columns=None, parameters=None, key_type="string"):
    return {
        "Type": "AWS::Glue::Table",
        "Properties": {
            "CatalogId": {"Ref": "AWS::AccountId"},
            "DatabaseName": {"Ref": "Database"},
            "TableInput": {
                "Name": name,
                "TableType": "EXTERNAL_TABLE",
                "Parameters": parameters or projection(location),
                "PartitionKeys": [{"Name": key, "Type": key_type} for key in DAY],
                "StorageDescriptor": {
                    "Columns": columns or COLUMNS,
                    "Location": location,
                    "SerdeInfo": {"SerializationLibrary": library},
                },
            },
        },
    }


def template(bucket, names):
    return {
        "Resources": {
            "Database": {
                "Type": "AWS::Glue::Database",
                "Properties": {
                    "CatalogId": {"Ref": "AWS::AccountId"},
                    "DatabaseInput": {"Name": names["database"]},
                },
            },
            "Events": table("events", f"s3://{bucket}/events/", JSON_SERDE),
            "EventsToo": table("events_too", f"s3://{bucket}/events/", JSON_SERDE),
            "Compacted": table("compacted", f"s3://{bucket}/compacted/", PARQUET_SERDE, key_type="int"),
            "Registered": table(
                "registered", f"s3://{bucket}/events/", JSON_SERDE, parameters={"classification": "json"}
            ),
            "Group": {
                "Type": "AWS::Athena::WorkGroup",
                "Properties": {
                    "Name": names["group"],
                    "WorkGroupConfiguration": {
                        "EnforceWorkGroupConfiguration": True,
                        "BytesScannedCutoffPerQuery": 10_000_000,
                        "ResultConfiguration": {"OutputLocation": f"s3://{bucket}/results/"},
                    },
                },
            },
            "Saved": {
                "Type": "AWS::Athena::NamedQuery",
                "Properties": {
                    "Name": "events by type",
                    "Database": {"Ref": "Database"},
                    "WorkGroup": {"Ref": "Group"},
                    "Description": "How many of each",
                    "QueryString": "SELECT event_type, count(*) FROM events GROUP BY 1",
                },
            },
        },
        "Outputs": {"Saved": {"Value": {"Ref": "Saved"}}},
    }


class Archive:
    """A bucket with events, its tables, and queries over them."""

    def __init__(self, running):
        unique = uuid.uuid4().hex[:8]
        self.running, self.bucket = running, f"archive-{unique}"
        self.names = {"database": f"analytics_{unique}", "group": f"group-{unique}"}
        self.s3 = running.client("s3")
        self.athena = running.client("athena")
        self.s3.create_bucket(Bucket=self.bucket)
        stack = running.deploy(template(self.bucket, self.names))
        self.stack = stack["StackName"]
        assert stack["StackStatus"] == "CREATE_COMPLETE", running.reasons(self.stack)
        self.saved = running.outputs(stack)["Saved"]
        for day in range(3):
            at = FIRST + timedelta(days=day)
            self.put(at, *(event(at, number) for number in range(day + 1)))

    def put(self, at, *events, key=None):
        key = key or f"events/{at:year=%Y/month=%m/day=%d}/{uuid.uuid4()}.jsonl.gz"
        lines = "".join(json.dumps(each) + "\n" for each in events)
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=gzip.compress(lines.encode()))

    def start(self, query, *, athena=None, **options):
        return (athena or self.athena).start_query_execution(
            QueryString=query,
            QueryExecutionContext={"Database": self.names["database"]},
            **{"WorkGroup": self.names["group"], **options},
        )["QueryExecutionId"]

    def ended(self, execution):
        """What became of a query; while it runs, the cloud is not quiet."""
        self.running.clock("?quiet_within=60")
        return self.athena.get_query_execution(QueryExecutionId=execution)["QueryExecution"]

    def run(self, query, **options):
        return self.ended(self.start(query, **options))

    def reason(self, query, **options):
        """Why a query fails."""
        status = self.run(query, **options)["Status"]
        assert status["State"] == "FAILED", status
        return status["StateChangeReason"]

    def rows(self, query):
        """Values as text, without the header."""
        execution = self.run(query)
        assert execution["Status"]["State"] == "SUCCEEDED", execution["Status"]
        answer = self.athena.get_query_results(QueryExecutionId=execution["QueryExecutionId"])
        _, *rows = answer["ResultSet"]["Rows"]
        return [[value.get("VarCharValue") for value in row["Data"]] for row in rows]

    def value(self, expression):
        ((value,),) = self.rows(f"SELECT {expression}")
        return value

    def keys(self, prefix):
        found = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=prefix).get("Contents", [])
        return [each["Key"] for each in found]

    def as_user(self, *statements):
        """An Athena client of a user who may do what the statements say."""
        iam, name = self.running.client("iam"), f"user-{uuid.uuid4().hex[:8]}"
        iam.create_user(UserName=name)
        document = {"Version": "2012-10-17", "Statement": list(statements)}
        iam.put_user_policy(UserName=name, PolicyName="policy", PolicyDocument=json.dumps(document))
        return self.running.client("athena", iam.create_access_key(UserName=name)["AccessKey"])


def event(at, number):
    return {
        "event_type": "_SMS.SUCCESS" if number % 2 == 0 else "_SMS.FAILURE",
        "event_timestamp": int(at.timestamp() * 1000) + number,
        "campaign_id": f"campaign-{number}",
        "price_millicents": 100 + number,
        "unknown_field": {"is": "passed over"},
    }


@pytest.fixture(scope="module")
def archive(timed_emulator):
    timed_emulator.begin_at(datetime(2026, 11, 24, 12, tzinfo=UTC))
    return Archive(timed_emulator)


def test_events_are_read_with_the_partitions_that_their_folders_name(archive):
    rows = archive.rows("SELECT *, year || month || day FROM events ORDER BY event_timestamp LIMIT 2")

    assert rows[0] == ["_SMS.SUCCESS", "1795255200000", "campaign-0", "100", "2026", "11", "21", "20261121"]
    assert rows[1][6] == "22"


def test_only_the_partitions_that_are_asked_for_are_scanned(archive):
    whole = archive.run("SELECT count(*) FROM events")["Statistics"]["DataScannedInBytes"]
    day = archive.run(
        "SELECT count(*) FROM events e WHERE e.year = '2026' AND day IN ('22') AND price_millicents > 0"
    )
    other = archive.run("WITH a AS (SELECT * FROM events WHERE month < '11') SELECT count(*) FROM a")

    (key,) = archive.keys("events/year=2026/month=11/day=22/")
    size = archive.s3.head_object(Bucket=archive.bucket, Key=key)["ContentLength"]
    assert whole > day["Statistics"]["DataScannedInBytes"] == size
    assert other["Statistics"]["DataScannedInBytes"] == 0


def test_a_filter_on_the_optional_side_of_a_join_leaves_out_no_partition(archive):
    rows = archive.rows(
        "SELECT count(*) FROM events a LEFT JOIN events_too b ON a.event_timestamp = b.event_timestamp "
        "WHERE b.year IS NULL"
    )

    assert rows == [["0"]]


@pytest.mark.parametrize(
    "folder",
    [
        pytest.param("year=2026/month=1/day=02", id="digits are missing"),
        pytest.param("year=2025/month=11/day=21", id="out of range"),
        pytest.param("2026/11/21", id="not as the template says"),
        pytest.param("year=2026/month=11/day=21/_temporary", id="hidden"),
    ],
)
def test_what_is_in_no_projected_partition_is_not_read(archive, folder):
    before = archive.rows("SELECT count(*) FROM events")
    archive.put(FIRST, event(FIRST, 0), key=f"events/{folder}/{uuid.uuid4()}.jsonl.gz")

    assert archive.rows("SELECT count(*) FROM events") == before


def test_a_folder_alone_is_no_partition(archive):
    glue = archive.running.client("glue")
    before = archive.rows("SELECT count(*) FROM registered")
    glue.create_partition(
        DatabaseName=archive.names["database"],
        TableName="registered",
        PartitionInput={
            "Values": ["2026", "11", "22"],
            "StorageDescriptor": {
                "Location": f"s3://{archive.bucket}/events/year=2026/month=11/day=22/",
                "SerdeInfo": {"SerializationLibrary": JSON_SERDE},
            },
        },
    )

    assert before == [["0"]]
    assert archive.rows("SELECT count(*), max(day) FROM registered") == [["2", "22"]]


def test_events_are_compacted_once_and_read_as_parquet(archive):
    target = f"s3://{archive.bucket}/compacted/year=2026/month=11/day=23/"
    unload = f"""
        UNLOAD (
            SELECT event_type, event_timestamp, campaign_id, price_millicents FROM (
                SELECT *, row_number() OVER (PARTITION BY event_timestamp ORDER BY campaign_id) AS copy
                FROM (SELECT * FROM events UNION ALL SELECT * FROM events)
                WHERE year = '2026' AND month = '11' AND day = '23'
            ) WHERE copy = 1
        ) TO '{target}' WITH (format = 'PARQUET', compression = 'SNAPPY')
    """

    first = archive.run(unload)
    again = archive.reason(unload)

    assert first["Status"]["State"] == "SUCCEEDED", first["Status"]
    assert first["StatementType"] == "DML"
    (written,) = archive.keys("compacted/")
    manifest = first["Statistics"]["DataManifestLocation"]
    key = manifest.removeprefix(f"s3://{archive.bucket}/")
    listed = archive.s3.get_object(Bucket=archive.bucket, Key=key)["Body"].read().decode()
    assert listed == f"s3://{archive.bucket}/{written}\n"
    assert again.startswith("HIVE_PATH_ALREADY_EXISTS")
    rows = archive.rows("SELECT count(*), sum(price_millicents), min(day) FROM compacted WHERE day = 23")
    assert rows == [["3", "303", "23"]]


def test_events_are_unloaded_as_lines(archive):
    target = f"s3://{archive.bucket}/export/"
    query = "SELECT event_type, campaign_id, nullif(1, 1) AS nothing FROM events WHERE day = '21'"

    archive.run(f"UNLOAD ({query}) TO '{target}' WITH (format = 'JSON', compression = 'GZIP')")

    (written,) = archive.keys("export/")
    body = archive.s3.get_object(Bucket=archive.bucket, Key=written)["Body"].read()
    assert written.endswith(".gz")
    assert json.loads(gzip.decompress(body)) == {
        "event_type": "_SMS.SUCCESS",
        "campaign_id": "campaign-0",
        "nothing": None,
    }


def test_a_query_without_rows_unloads_nothing(archive):
    target = f"s3://{archive.bucket}/nothing/"

    done = archive.run(
        f"UNLOAD (SELECT * FROM events WHERE year = '2030') TO '{target}' "
        "WITH (format = 'PARQUET', compression = 'ZSTD')"
    )

    assert done["Status"]["State"] == "SUCCEEDED"
    assert archive.keys("nothing/") == []


def test_a_parquet_file_of_other_types_than_the_table_says_is_refused(archive):
    target = f"s3://{archive.bucket}/compacted/year=2027/month=01/day=01/"
    archive.run(
        f"UNLOAD (SELECT cast(event_timestamp AS varchar) AS event_timestamp FROM events) TO '{target}' "
        "WITH (format = 'PARQUET', compression = 'SNAPPY')"
    )

    reason = archive.reason("SELECT * FROM compacted WHERE year = 2027")

    assert reason.startswith("HIVE_BAD_DATA")
    assert "event_timestamp" in reason


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("date_format(from_unixtime(1795255200), '%Y-%m-%d %H:%i:%s')", "2026-11-21 10:00:00"),
        ("from_unixtime(1795255200123 / 1000.0)", "2026-11-21 10:00:00.123 UTC"),
        ("date_trunc('day', from_unixtime(1795255200))", "2026-11-21 00:00:00.000 UTC"),
        ("date_diff('minute', timestamp '2026-11-21 10:00:00', timestamp '2026-11-21 11:30:00')", "90"),
        ("date_add('day', -7, date '2026-11-21')", "2026-11-14"),
        ("to_unixtime(from_iso8601_timestamp('2026-11-21T10:00:00Z'))", "1.7952552E9"),
        ("hour(from_unixtime(1795255200) AT TIME ZONE 'America/New_York')", "5"),
        ("7 / 2", "3"),
        ("cast(7 AS double) / 2", "3.5"),
        ("100.0 * 1 / 4", "25.0"),
        ("1 / nullif(0, 0)", None),
        ("coalesce(try_cast('x' AS bigint), 0)", "0"),
        ("cast(5 AS varchar) || '-' || lpad('7', 2, '0')", "5-07"),
        ("format('%s of %d', 'a', 3)", "a of 3"),
        ('json_extract_scalar(\'{"a": {"b": "c"}}\', \'$.a.b\')', "c"),
        ("if(1 > 2, 'yes', 'no')", "no"),
        ("1 > 0", "true"),
        ("cast(20000000 AS double)", "2.0E7"),
        ("1.5E-5", "1.5E-5"),
        ("regexp_like('abc', '^a')", "true"),
        ("cardinality(array[1, 2])", "2"),
    ],
)
def test_functions_are_those_of_trino(archive, expression, expected):
    assert archive.value(expression) == expected


def test_aggregates_are_those_of_trino(archive):
    (row,) = archive.rows(
        "SELECT approx_distinct(campaign_id), count_if(price_millicents > 100), "
        "max_by(campaign_id, price_millicents), min_by(campaign_id, price_millicents), "
        "count(*) FILTER (WHERE event_type = '_SMS.FAILURE'), every(price_millicents > 0), "
        "array_join(array_agg(DISTINCT campaign_id ORDER BY campaign_id), ','), "
        "max(price_millicents / 5) FROM events"
    )

    assert row == [
        "3",
        "3",
        "campaign-2",
        "campaign-0",
        "2",
        "true",
        "campaign-0,campaign-1,campaign-2",
        "20",
    ]


def test_the_current_time_is_the_virtual_one(archive):
    archive.running.begin_at(datetime(2027, 3, 1, 12, tzinfo=UTC))

    assert archive.value("current_date") == "2027-03-01"
    assert archive.value("date_format(now(), '%Y-%m-%d %H')") == "2027-03-01 12"


def test_partitions_up_to_today_are_those_of_the_virtual_day(archive):
    days = "year || month || day BETWEEN date_format(current_date - INTERVAL '2' DAY, '%Y%m%d') AND"

    archive.running.begin_at(datetime(2026, 11, 22, 12, tzinfo=UTC))
    ((until_the_first,),) = archive.rows(
        f"SELECT count(*) FROM events WHERE {days} date_format(current_date - INTERVAL '1' DAY, '%Y%m%d')"
    )
    archive.running.begin_at(datetime(2026, 11, 23, 12, tzinfo=UTC))
    ((until_the_second,),) = archive.rows(
        f"SELECT count(*) FROM events WHERE {days} date_format(current_date - INTERVAL '1' DAY, '%Y%m%d')"
    )

    assert int(until_the_second) > int(until_the_first) == 1


def test_the_result_is_a_file_with_all_values_quoted(archive):
    execution = archive.run("SELECT 1 AS a, 'x \"y\"' AS b, NULL AS c")

    location = f"s3://{archive.bucket}/results/{execution['QueryExecutionId']}.csv"
    assert execution["ResultConfiguration"]["OutputLocation"] == location
    key = location.removeprefix(f"s3://{archive.bucket}/")
    text = archive.s3.get_object(Bucket=archive.bucket, Key=key)["Body"].read().decode()
    assert text == '"a","b","c"\n"1","x ""y""",\n'
    assert list(csv.reader(io.StringIO(text)))[1] == ["1", 'x "y"', ""]


def test_an_enforced_workgroup_decides_where_the_result_is(archive):
    own = {"OutputLocation": f"s3://{archive.bucket}/elsewhere"}

    enforced = archive.run("SELECT 1", ResultConfiguration=own)
    primary = archive.run("SELECT 1", ResultConfiguration=own, WorkGroup="primary")

    assert "/results/" in enforced["ResultConfiguration"]["OutputLocation"]
    assert primary["ResultConfiguration"]["OutputLocation"].endswith(
        f"/elsewhere/{primary['QueryExecutionId']}.csv"
    )
    with pytest.raises(archive.athena.exceptions.InvalidRequestException, match="not found"):
        archive.start("SELECT 1", WorkGroup="no-such-group")


def test_a_query_that_scans_too_much_is_cancelled(archive):
    at = datetime(2029, 1, 1, tzinfo=UTC)
    noise = random.Random(1).randbytes(11_000_000).hex()
    archive.put(at, event(at, 0) | {"response_text": noise})

    status = archive.run("SELECT * FROM events WHERE year = '2029'")["Status"]
    elsewhere = archive.run("SELECT * FROM events WHERE year = '2026'")["Status"]
    for key in archive.keys("events/year=2029/"):
        archive.s3.delete_object(Bucket=archive.bucket, Key=key)

    assert (status["State"], status["StateChangeReason"]) == ("CANCELLED", "Bytes scanned limit was exceeded")
    assert elsewhere["State"] == "SUCCEEDED"


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("SELECT FROM WHERE", "SYNTAX_ERROR"),
        ("SELECT * FROM no_such_table", "TABLE_NOT_FOUND"),
        ("SELECT * FROM no_such_database.events", "SCHEMA_NOT_FOUND"),
        ("SELECT no_such_column FROM events", "no_such_column"),
        ("CREATE VIEW v AS SELECT 1", "NOT_SUPPORTED"),
        ("SHOW PARTITIONS events", "NOT_SUPPORTED"),
        ("UNLOAD (SELECT 1 AS a) TO 'elsewhere' WITH (format = 'PARQUET')", "SYNTAX_ERROR"),
        ("UNLOAD (SELECT 1 AS a) TO 's3://no-such-bucket/a/' WITH (format = 'PARQUET')", "NoSuchBucket"),
    ],
)
def test_what_cannot_be_run_fails_with_a_reason(archive, query, reason):
    assert reason in archive.reason(query)


def test_a_query_reads_and_writes_with_the_permissions_of_its_caller(archive):
    bucket = f"arn:aws:s3:::{archive.bucket}"
    ask = {"Effect": "Allow", "Action": "athena:*", "Resource": "*"}
    catalog = {"Effect": "Allow", "Action": "glue:Get*", "Resource": "*"}
    look = {"Effect": "Allow", "Action": "s3:GetBucketLocation", "Resource": bucket}
    write = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": f"{bucket}/results/*"}
    read = {
        "Effect": "Allow",
        "Action": ["s3:GetObject", "s3:ListBucket"],
        "Resource": [bucket, f"{bucket}/events/*"],
    }

    def reason(*statements, query="SELECT count(*) FROM events"):
        status = archive.ended(archive.start(query, athena=archive.as_user(ask, look, *statements)))["Status"]
        return status.get("StateChangeReason") or status["State"]

    target = f"s3://{archive.bucket}/mine/"
    unload = f"UNLOAD (SELECT 1 AS a) TO '{target}' WITH (format = 'PARQUET', compression = 'SNAPPY')"
    assert "glue:GetTable" in reason(read, write)
    assert "s3:ListBucket" in reason(catalog, write)
    assert "s3:PutObject" in reason(catalog, read)
    assert "mine/" in reason(catalog, read, write, query=unload)
    assert reason(catalog, read, write) == "SUCCEEDED"
    with pytest.raises(archive.athena.exceptions.ClientError, match="verify/create output bucket"):
        archive.start("SELECT 1", athena=archive.as_user(ask, catalog, read, write))


def test_saved_queries_of_a_template_are_listed_and_replaced(archive):
    athena, group = archive.athena, archive.names["group"]
    (saved,) = athena.list_named_queries(WorkGroup=group)["NamedQueryIds"]
    query = athena.get_named_query(NamedQueryId=saved)["NamedQuery"]

    assert saved == archive.saved
    assert (query["Name"], query["Description"]) == ("events by type", "How many of each")
    assert (query["Database"], query["WorkGroup"]) == (archive.names["database"], group)
    assert saved not in athena.list_named_queries()["NamedQueryIds"]
    assert sorted(archive.rows(query["QueryString"])) == [["_SMS.FAILURE", "2"], ["_SMS.SUCCESS", "4"]]

    changed = template(archive.bucket, archive.names)
    changed["Resources"]["Saved"]["Properties"]["QueryString"] = "SELECT 1"
    archive.running.deploy(changed, stack=archive.stack)

    (replacement,) = athena.list_named_queries(WorkGroup=group)["NamedQueryIds"]
    assert replacement != saved
    assert athena.get_named_query(NamedQueryId=replacement)["NamedQuery"]["QueryString"] == "SELECT 1"


def test_a_workgroup_of_a_template_keeps_its_limits(archive):
    group = archive.athena.get_work_group(WorkGroup=archive.names["group"])["WorkGroup"]

    assert group["Configuration"]["BytesScannedCutoffPerQuery"] == 10_000_000
    assert group["Configuration"]["EnforceWorkGroupConfiguration"] is True
