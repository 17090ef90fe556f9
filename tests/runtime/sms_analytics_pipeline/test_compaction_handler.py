"""The daily compaction as Lambda calls it, with S3 in moto and an Athena that writes what it is told to."""

import re
from datetime import date, datetime

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from moto import mock_aws

from sms_engagement_runtime.channel.adapters.aws_errors import ServiceCallError
from sms_engagement_runtime.sms_analytics_pipeline.adapters.athena import AthenaQueries, QueryFailedError
from sms_engagement_runtime.sms_analytics_pipeline.domain.archive import raw_key
from sms_engagement_runtime.sms_analytics_pipeline.domain.compaction import Tables, unload_statement
from tests.support.event_archives import BUCKET
from tests.support.handlers import Context, fresh_handler
from tests.support.logs import captured_logs
from tests.support.review_tables import aws_client

ENVIRONMENT = {
    "ARCHIVE_BUCKET": BUCKET,
    "COMPACTION_WORKGROUP": "compaction",
    "CATALOGUE_DATABASE": "archive",
    "RAW_TABLE": "raw_events",
    "COMPACTED_TABLE": "compacted_events",
}
NOW = "2026-03-10"


class Athena:
    """Runs queries in as many looks as it is told to, and writes a file for each UNLOAD."""

    def __init__(self, s3=None, *, looks=1, state="SUCCEEDED"):
        self.s3 = s3
        self.looks = looks
        self.state = state
        self.fails_on = ""
        self.started = []
        self.stopped = []
        self._looked = {}

    def start_query_execution(self, **request):
        assert 32 <= len(request["ClientRequestToken"]) <= 128
        self.started.append(request)
        query_id = f"query-{len(self.started)}"
        self._looked[query_id] = request["QueryString"]
        self.left = self.looks
        return {"QueryExecutionId": query_id}

    def get_query_execution(self, **request):
        self.left -= 1
        if self.left > 0:
            return {"QueryExecution": {"Status": {"State": "RUNNING"}}}
        statement = self._looked[request["QueryExecutionId"]]
        state = "FAILED" if self.fails_on and self.fails_on in statement else self.state
        reason = "+12025550123 cannot be cast"
        if state == "SUCCEEDED" and self.s3:
            (target,) = re.findall(rf"TO 's3://{BUCKET}/(.*)'", statement)
            self.s3.put_object(Bucket=BUCKET, Key=f"{target}20260310_1_a", Body=b"PAR1")
        return {"QueryExecution": {"Status": {"State": state, "StateChangeReason": reason}}}

    def stop_query_execution(self, **request):
        self.stopped.append(request["QueryExecutionId"])
        return {}


class Patience(Context):
    """A context whose time is up after a number of looks at it."""

    def __init__(self, *seconds):
        super().__init__()
        self._seconds = list(seconds)

    def get_remaining_time_in_millis(self):
        seconds = self._seconds.pop(0) if len(self._seconds) > 1 else self._seconds[0]
        return int(seconds * 1000)


@pytest.fixture
def s3():
    with mock_aws():
        client = aws_client("s3")
        client.create_bucket(Bucket=BUCKET)
        client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        yield client


@pytest.fixture
def athena(s3):
    return Athena(s3)


@pytest.fixture
def module(athena, monkeypatch):

    name = "sms_engagement_runtime.sms_analytics_pipeline.handlers.compact"
    with fresh_handler(name, ENVIRONMENT) as module:

        class At:
            def now(self):
                return datetime.fromisoformat(f"{NOW}T03:30:00+00:00")

        monkeypatch.setattr(module, "_clock", At())
        monkeypatch.setattr(module, "_athena", athena)
        monkeypatch.setattr(module.time, "sleep", lambda _: None)
        yield module


def write(s3, day, name="1"):
    s3.put_object(Bucket=BUCKET, Key=raw_key(day, "shard", name), Body=b"")


def files(s3):
    listed = s3.list_objects_v2(Bucket=BUCKET, Prefix="compacted/").get("Contents", [])
    return [found["Key"].rpartition("/")[0] for found in listed]


def test_each_closed_day_is_compacted_the_oldest_first_and_the_others_wait(module, s3, athena):
    for day in (date(2026, 3, 6), date(2026, 3, 7), date(2026, 2, 28), date(2026, 3, 10)):
        write(s3, day)

    answer = module.handler({}, Patience(900))

    assert answer == {"compacted": ["2026-02-28", "2026-03-06"], "finished": [], "left": []}
    assert files(s3) == ["compacted/year=2026/month=02/day=28", "compacted/year=2026/month=03/day=06"]
    assert {request["WorkGroup"] for request in athena.started} == {"compaction"}


def test_the_second_call_of_a_day_asks_athena_nothing(module, s3, athena):
    write(s3, date(2026, 3, 1))
    module.handler({}, Patience(900))

    assert module.handler({}, Patience(900)) == {"compacted": [], "finished": [], "left": []}
    assert len(athena.started) == 1


def test_days_that_are_named_are_compacted_closed_or_not(module, s3):
    write(s3, date(2026, 3, 10))
    write(s3, date(2026, 3, 1))

    assert module.handler({"days": ["2026-03-10"]}, Patience(900))["compacted"] == ["2026-03-10"]


def test_a_day_that_fails_keeps_no_other_from_its_turn_and_is_told(module, s3, athena):
    for day in (1, 2, 3):
        write(s3, date(2026, 3, day))
    athena.fails_on = "day = 2"

    with captured_logs() as log, pytest.raises(module.DaysNotCompactedError, match=r"^2026-03-02$"):
        module.handler({}, Patience(900))

    assert [day[-2:] for day in files(s3)] == ["01", "03"]
    assert "QueryFailedError" in log.getvalue()
    assert "5550" not in log.getvalue()


def test_what_there_is_no_time_for_is_left_to_the_next_call(module, s3):
    for day in (1, 2, 3):
        write(s3, date(2026, 3, day))

    answer = module.handler({}, Patience(900, 50))

    assert answer["left"] == ["2026-03-02", "2026-03-03"]
    assert module.handler({}, Patience(900))["compacted"] == ["2026-03-02", "2026-03-03"]


def test_a_failed_call_that_lambda_repeats_writes_to_another_prefix(module, s3, athena):
    """Under the same request id: and a query wants a prefix with nothing below it."""
    write(s3, date(2026, 3, 1))
    athena.state = "FAILED"
    for _ in range(2):
        with pytest.raises(module.DaysNotCompactedError):
            module.handler({}, Patience(900))

    first, second = (re.findall("TO '(.*)'", request["QueryString"])[0] for request in athena.started)
    assert first != second
    assert len({request["ClientRequestToken"] for request in athena.started}) == 2


def queries(athena, *, seconds=900.0):
    pauses = []
    runner = AthenaQueries(
        athena, workgroup="compaction", sleep=pauses.append, seconds_left=lambda: seconds - sum(pauses)
    )
    return runner, pauses


def test_a_query_is_waited_for_with_growing_pauses():
    runner, pauses = queries(Athena(looks=7))

    runner.run("SELECT 1", token="t" * 32)

    assert pauses == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]


@pytest.mark.parametrize("state", ["FAILED", "CANCELLED"])
def test_a_query_that_fails_is_told_by_its_state_alone(state):
    runner, _ = queries(Athena(state=state))

    with pytest.raises(QueryFailedError, match=f"^query query-1: {state}$"):
        runner.run("SELECT 1", token="t" * 32)


def test_a_query_that_takes_too_long_is_stopped():
    athena = Athena(looks=100)
    runner, pauses = queries(athena, seconds=20)

    with pytest.raises(QueryFailedError, match="no time left"):
        runner.run("SELECT 1", token="t" * 32)

    assert athena.stopped == ["query-1"]
    assert sum(pauses) <= 20


@pytest.mark.parametrize(
    "error",
    [
        ClientError({"Error": {"Code": "TooManyRequestsException", "Message": ""}}, "StartQueryExecution"),
        EndpointConnectionError(endpoint_url="https://athena.invalid"),
    ],
)
def test_an_athena_that_does_not_answer_is_a_transient_error(error):
    class Silent(Athena):
        def start_query_execution(self, **request):
            raise error

    runner, _ = queries(Silent())

    with pytest.raises(ServiceCallError, match="athena:StartQueryExecution"):
        runner.run("SELECT 1", token="t" * 32)


def test_a_statement_reads_and_writes_one_day():
    statement = unload_statement(
        Tables(database="archive", raw="raw_events", compacted="compacted_events"),
        date(2026, 3, 1),
        destination="s3://bucket/compacting/x/",
    )

    assert statement.count("year = 2026 AND month = 3 AND day = 1") == 2
    assert statement.endswith(
        "TO 's3://bucket/compacting/x/'\nWITH (format = 'PARQUET', compression = 'ZSTD')"
    )
    assert "$" not in statement
