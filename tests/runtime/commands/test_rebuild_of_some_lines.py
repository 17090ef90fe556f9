"""``rebuild`` and ``repair counts`` over an archive of a few lines: what stays, and what is refused."""

import gzip
import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from unittest.mock import patch

import duckdb
import msgspec
import pytest

from sms_engagement_runtime.channel.adapters.clock import SystemClock
from sms_engagement_runtime.commands import main as command
from sms_engagement_runtime.commands import rebuild as rebuilding_command
from sms_engagement_runtime.sms_analytics_pipeline.adapters import rebuild_store
from sms_engagement_runtime.sms_analytics_pipeline.adapters.answer_batches import AnswerEvent
from sms_engagement_runtime.sms_analytics_pipeline.adapters.archive_json import line_of_record
from sms_engagement_runtime.sms_analytics_pipeline.adapters.archive_reader import ArchivedObject, EventFiles
from sms_engagement_runtime.sms_analytics_pipeline.adapters.dynamodb_counts import DynamoCounts
from sms_engagement_runtime.sms_analytics_pipeline.adapters.dynamodb_subscribers import DynamoSubscribers
from sms_engagement_runtime.sms_analytics_pipeline.adapters.notice_archive import NoticeArchive
from sms_engagement_runtime.sms_analytics_pipeline.domain.archive import partition, raw_key
from sms_engagement_runtime.sms_analytics_pipeline.domain.compaction import COLUMNS
from sms_engagement_runtime.sms_analytics_pipeline.domain.counting import Counts, Group
from sms_engagement_runtime.sms_analytics_pipeline.domain.events import CanonicalEvent
from sms_engagement_runtime.sms_analytics_pipeline.domain.lifecycle import Happening
from sms_engagement_runtime.sms_analytics_pipeline.domain.rebuilding import is_kept_answer
from sms_engagement_runtime.sms_analytics_pipeline.domain.subscribers import Fact, record
from sms_engagement_runtime.sms_analytics_pipeline.domain.subscription_notices import Notice
from tests.support.archived_lines import packed
from tests.support.aws_faults import failing
from tests.support.kinesis_events import NOON_MS, canonical
from tests.support.pipeline_drive import BUCKET, COUNTS, create_counts, rows
from tests.support.review_tables import aws_client
from tests.support.subscriber_tables import RESPONSES, SUBSCRIBERS, subscriber_tables

NOON = datetime.fromtimestamp(NOON_MS / 1000, UTC)
TODAY = NOON.date()
DAY_MS = 86_400_000
MUCH_LATER = NOON + timedelta(days=10)
HOUR = NOON_MS // 3_600_000


@pytest.fixture
def now():
    """Ten days after the events of these tests, when nothing of them can come any more."""
    now = SimpleNamespace(at=MUCH_LATER)
    with patch.object(SystemClock, "now", lambda _: now.at):
        yield now


@pytest.fixture
def client(now):
    with subscriber_tables() as client, patch("time.sleep"):
        create_counts(client)
        aws_client("s3").create_bucket(Bucket=BUCKET)
        yield client


def archive(*events, name="0", archived_at=NOON_MS):
    """Put events into an object, by the day of the first."""
    lines = [line_of_record(json.dumps(event).encode()) for event in events]
    for line in lines:
        line.archived_at = archived_at
    put(raw_key(day_of(events[0]), "shardId-000000000000", name), packed(lines))


def day_of(event):
    return datetime.fromtimestamp(event["event_timestamp"] / 1000, UTC).date()


def put(key, body, **options):
    aws_client("s3").put_object(Bucket=BUCKET, Key=key, Body=body, **options)


def answer(number, **fields):
    fields = {
        "event_id": f"answer-{number}",
        "message_id": f"answer-{number}",
        "record_status": None,
        "price_millicents": None,
        "response_text": "great, thanks",
        **fields,
    }
    return canonical(number, event_type="_SMS.RECEIVED", **fields)


def run(capsys, *options, tables=("responses", "subscribers"), command_name="rebuild"):
    names = {"responses": RESPONSES, "subscribers": SUBSCRIBERS, "counts": COUNTS}
    arguments = [*command_name.split(), "--archive-bucket", BUCKET]
    for table in tables:
        arguments += [f"--{table}-table", names[table]]
    capsys.readouterr()
    status = command.main([*arguments, *options])
    streams = capsys.readouterr()
    return status, json.loads(streams.out) if streams.out else None, streams.err


def repair(capsys, *options):
    return run(capsys, *options, tables=["counts"], command_name="repair counts")


def subscriber(client, name):
    return DynamoSubscribers(client, SUBSCRIBERS).find([name]).get(name)


def table(client):
    return DynamoCounts(client, table=COUNTS, retention=timedelta(days=400))


def counted(client):
    return table(client).read(TODAY - timedelta(days=8), TODAY)


def group(hour=HOUR, campaign="spring", journey=None, country="US"):
    return Group(hour, campaign, journey, country)


def test_what_was_written_by_hand_stays(client, capsys):
    archive(answer(1, subscriber_id="v1:a"), canonical(2, subscriber_id="v1:a"))
    client.put_item(
        TableName=SUBSCRIBERS,
        Item={
            "subscriber_id": {"S": "v1:a"},
            "phone_number": {"S": "+12025550199"},
            "subscription_status": {"S": "ACTIVE"},
            "created_at": {"N": str(NOON_MS - DAY_MS)},
            "opt_in_timestamp": {"N": str(NOON_MS - DAY_MS)},
            "total_messages_sent": {"N": "57"},
            "attributes": {"M": {"segment": {"S": "vip"}, "shoe_size": {"N": "42.5"}}},
            "colour": {"S": "green"},
        },
    )

    assert run(capsys)[0] == 0

    (row,) = rows(client, SUBSCRIBERS)
    assert row["attributes"] == {"M": {"segment": {"S": "vip"}, "shoe_size": {"N": "42.5"}}}
    assert (row["colour"], row["segment"]) == ({"S": "green"}, {"S": "vip"})
    kept = subscriber(client, "v1:a")
    assert (kept.phone_number, kept.created_at) == ("+12025550199", NOON_MS - DAY_MS)
    assert (kept.subscription_status, kept.opt_in_timestamp) == ("ACTIVE", NOON_MS - DAY_MS)
    # More than the archive knows of; and one answer.
    assert (kept.total_messages_sent, kept.total_responses) == (57, 1)


def test_questions_to_confirm_that_were_kept_make_the_same_row(client, capsys):
    """The bus tells of them, and no text does."""
    people = ["v1:a", "v1:b/ü %41"]
    notices = NoticeArchive(aws_client("s3"), bucket=BUCKET)
    for person in people:
        fact = Fact(happening=Happening.ASKED_TO_CONFIRM, at=NOON_MS - DAY_MS, id="e")
        notices.keep(Notice(subscriber_id=person, fact=fact))
        notices.keep(Notice(subscriber_id=person, fact=fact))
    put("notices/year=2026/month=11/day=20/else", b"")
    archive(answer(1, subscriber_id="v1:a", response_text="YES"))

    # The day of the question has nothing else.
    status, report, _ = run(capsys)

    assert (status, report["archive"]["notices"], report["archive"]["events"]) == (0, 2, 1)
    assert [subscriber(client, person).subscription_status for person in people] == ["ACTIVE", "PENDING"]
    asked = Fact(happening=Happening.ASKED_TO_CONFIRM, at=NOON_MS - DAY_MS, id="e")
    row = record(None, [asked], subscriber_id=people[1], phone_number=None)
    assert subscriber(client, people[1]) == replace(row, version=1)


def test_questions_to_confirm_that_only_the_row_knows_of_stay(client, capsys):
    asked = Fact(happening=Happening.ASKED_TO_CONFIRM, at=NOON_MS - 5, id="e")
    row = record(None, [asked], subscriber_id="v1:a", phone_number=None)
    DynamoSubscribers(client, SUBSCRIBERS).put(row, expected_version=0)
    archive(answer(1, subscriber_id="v1:a", response_text="YES"))

    run(capsys)

    assert subscriber(client, "v1:a").subscription_status == "ACTIVE"


def test_events_that_are_archived_twice_are_taken_once(client, capsys):
    archive(answer(1, subscriber_id="v1:a"), canonical(2, subscriber_id="v1:a"), name="0")
    archive(
        canonical(2, subscriber_id="v1:a"), answer(1, subscriber_id="v1:a"), name="1", archived_at=NOON_MS + 1
    )

    _, report, _ = run(capsys)

    assert (report["archive"]["lines"], report["archive"]["events"]) == (4, 2)
    kept = subscriber(client, "v1:a")
    assert (kept.total_messages_sent, kept.total_responses) == (1, 1)
    assert len(rows(client, RESPONSES)) == 1


def test_a_row_that_differs_is_put_right_and_one_that_the_archive_does_not_know_stays(client, capsys):
    archive(answer(1, subscriber_id="v1:a"))
    run(capsys)
    (right,) = rows(client, RESPONSES)
    client.put_item(TableName=RESPONSES, Item={**right, "sentiment": {"S": "negative"}})
    unknown = {**right, "subscriber_id": {"S": "v1:b"}}
    client.put_item(TableName=RESPONSES, Item=unknown)

    status, report, _ = run(capsys)

    assert (status, report["responses"]) == (0, {"same": 0, "missing": 0, "different": 1, "written": 1})
    assert rows(client, RESPONSES) == sorted([right, unknown], key=repr)


def test_a_dry_run_says_what_is_missing_and_writes_nothing(client, capsys):
    archive(answer(1), canonical(2))

    status, report, _ = run(capsys, "--dry-run", tables=["responses", "subscribers", "counts"])

    assert status == 0
    assert report["responses"] == {"same": 0, "missing": 1, "different": 0, "written": 0}
    assert report["subscribers"]["missing"] == 2
    assert report["counts"]["days"][str(TODAY)]["differing"] == 1
    assert [rows(client, name) for name in (RESPONSES, SUBSCRIBERS, COUNTS)] == [[], [], []]


def test_only_the_days_that_were_asked_for_are_rebuilt(client, capsys):
    for days in range(3):
        archive(answer(days, event_timestamp=NOON_MS - days * DAY_MS))

    status, report, _ = run(
        capsys, "--from", str(TODAY - timedelta(days=1)), "--to", str(TODAY - timedelta(days=1))
    )

    assert (status, report["archive"]["objects"]) == (0, 1)
    assert [row["message_id"]["S"] for row in rows(client, RESPONSES)] == ["answer-1"]


def test_answers_of_more_than_a_year_ago_do_not_come_back(client, capsys):
    archive(answer(1, event_timestamp=NOON_MS - 366 * DAY_MS, subscriber_id="v1:a"))

    run(capsys)

    assert rows(client, RESPONSES) == []
    assert subscriber(client, "v1:a").total_responses == 1


@pytest.mark.parametrize("operation", ["BatchWriteItem", "UpdateItem", "BatchGetItem"])
def test_a_rebuild_that_meets_a_fault_is_completed_by_the_next(client, capsys, operation):
    for number in range(30):
        archive(answer(number), canonical(100 + number), name=str(number))
    with failing(operation, times=1000):
        status, _, err = run(capsys)
    assert status == 1
    assert f"could not be used: dynamodb:{operation}" in err

    assert run(capsys)[0] == 0
    once = rows(client, RESPONSES), rows(client, SUBSCRIBERS)

    assert run(capsys)[0] == 0
    assert (rows(client, RESPONSES), rows(client, SUBSCRIBERS)) == once
    assert len(once[0]) == 30


def test_a_rebuild_that_is_interrupted_says_so_and_is_completed_by_the_next(client, capsys):
    archive(answer(1), canonical(2))
    with patch.object(rebuild_store.SubscriberRebuild, "write", side_effect=KeyboardInterrupt):
        status, report, err = run(capsys)
    assert (status, report["interrupted"], report["responses"]["written"]) == (1, True, 1)
    assert "running it again does the rest" in err

    assert run(capsys)[0] == 0
    assert len(rows(client, SUBSCRIBERS)) == 2


def test_a_row_that_is_written_by_others_meanwhile_loses_nothing(client, capsys):
    archive(canonical(1, subscriber_id="v1:a"))
    real, calls = DynamoSubscribers.put, []

    def put(self, subscriber, *, expected_version):
        if not calls:
            calls.append(1)
            stop = Fact(happening=Happening.OPTED_OUT, at=NOON_MS + 9, id="e")
            row = record(None, [stop], subscriber_id="v1:a", phone_number=None, messages_sent=1)
            real(self, row, expected_version=0)
        real(self, subscriber, expected_version=expected_version)

    with patch.object(DynamoSubscribers, "put", put):
        assert run(capsys)[0] == 0

    kept = subscriber(client, "v1:a")
    assert (kept.subscription_status, kept.version) == ("OPTED_OUT", 2)
    assert Happening.DELIVERED in kept.facts.latest


def test_an_object_that_cannot_be_read_is_named_and_nothing_is_written(client, capsys):
    archive(answer(1))
    broken = raw_key(TODAY, "shardId-000000000000", "9")
    put(broken, b"no gzip")
    cut = raw_key(TODAY, "shardId-000000000000", "8")
    lines = [line_of_record(json.dumps(canonical(n)).encode()) for n in range(300)]
    put(cut, packed(lines)[:-20])
    foreign = raw_key(TODAY, "shardId-000000000000", "7")
    put(
        foreign,
        packed([msgspec.structs.replace(lines[0]), msgspec.structs.replace(lines[0], schema_version=7)]),
    )

    status, report, err = run(capsys, tables=["responses", "subscribers", "counts"])

    assert status == 1
    assert "nothing was written" in err
    reasons = {each["key"]: (each["line"], each["reason"]) for each in report["archive"]["unreadable"]}
    assert reasons.pop(cut)[1] == "NOT_GZIP"
    assert reasons == {broken: (1, "NOT_GZIP"), foreign: (2, "FUTURE_SCHEMA")}
    assert [rows(client, name) for name in (RESPONSES, SUBSCRIBERS, COUNTS)] == [[], [], []]


def test_an_object_that_breaks_off_while_it_is_fetched_is_fetched_again(client, capsys):
    archive(answer(1))
    with failing("GetObject", times=2):
        assert run(capsys)[0] == 0

    assert len(rows(client, RESPONSES)) == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--from", "2026-11-22", "--to", "2026-11-21"], "there is no day between"),
        (["--from", "yesterday"], "write it like 2026-11-21"),
    ],
)
def test_wrong_usage_is_told(client, capsys, arguments, sentence):
    archive(answer(1))
    try:
        status, _, err = run(capsys, *arguments)
    except SystemExit as error:
        status, err = error.code, capsys.readouterr().err

    assert status in (1, 2)
    assert sentence in err


def test_an_archive_without_anything_is_told(client, capsys):
    assert "is empty" in run(capsys)[2]
    assert "nothing to rebuild" in run(capsys, tables=[])[2]


@pytest.mark.parametrize(
    "name",
    ["event_id", "subscriber_id", "phone_number", "message_id", "campaign_id", "journey_id", "keyword"],
)
@pytest.mark.parametrize("length", [0, 1, 250, 251, 512, 513])
def test_what_the_response_handler_sets_aside_is_no_answer(name, length):
    event = {**answer(1), name: "x" * length}
    try:
        msgspec.json.decode(json.dumps(event), type=AnswerEvent)
        is_kept = True
    except msgspec.ValidationError:
        is_kept = False

    assert is_kept_answer(CanonicalEvent(**event)) is is_kept


class Athena:
    """Writes what the compacted files have, as the statement asks for it."""

    def __init__(self, *events):
        self.events = events
        self.statements = []

    def start_query_execution(self, *, QueryString, WorkGroup, ClientRequestToken):  # noqa: N803
        assert WorkGroup == "compaction"
        assert 32 <= len(ClientRequestToken) <= 128
        self.statements.append(QueryString)
        destination = QueryString.split("TO '")[1].split("'")[0]
        prefix = destination.removeprefix(f"s3://{BUCKET}/")
        lines = [
            msgspec.structs.replace(
                line_of_record(json.dumps(event).encode()), event_id=event["event_id"], event_id_ending=None
            )
            for event in self.events
        ]
        put(f"{prefix}20261121_part_0.gz", packed(lines))
        return {"QueryExecutionId": "q-1"}

    def get_query_execution(self, **_):
        return {"QueryExecution": {"Status": {"State": "SUCCEEDED"}}}


ATHENA = ("--athena-workgroup", "compaction", "--athena-database", "archive")


def test_a_compacted_day_is_read_through_athena_with_what_is_raw(client, capsys):
    put(f"compacted/{partition(TODAY)}run-0.parquet", b"PAR1")
    archive(answer(1), answer(2))
    athena = Athena(answer(2), answer(3))

    with patch.object(rebuilding_command, "athena_client", lambda: athena):
        status, report, _ = run(capsys, *ATHENA)

    assert status == 0
    assert (report["archive"]["lines"], report["archive"]["events"]) == (4, 3)
    assert [row["message_id"]["S"] for row in rows(client, RESPONSES)] == ["answer-1", "answer-2", "answer-3"]
    assert "WHERE year = 2026 AND month = 11 AND day IN (21)" in athena.statements[0]


class DuckAthena(Athena):
    """Runs the statement over a Parquet file, with all that the file does not know as null."""

    def start_query_execution(self, *, QueryString, **_):  # noqa: N803
        with duckdb.connect() as connection:
            types = {"string": "VARCHAR", "bigint": "BIGINT"}
            columns = ", ".join(f"{name} {types[kind]}" for name, kind in COLUMNS)
            days = "year INTEGER, month INTEGER, day INTEGER"
            connection.execute(f"CREATE TABLE compacted_events ({columns}, {days})")
            for event in self.events:
                row = {**event, "year": 2026, "month": 11, "day": 21}
                del row["schema_version"]
                names, marks = ", ".join(row), ", ".join("?" * len(row))
                connection.execute(
                    f"INSERT INTO compacted_events ({names}) VALUES ({marks})", [*row.values()]
                )
            query = QueryString[QueryString.index("(") + 1 : QueryString.index(")\nTO")]
            query = query.replace('"archive".', "")
            prefix = QueryString.split(f"TO 's3://{BUCKET}/")[1].split("'")[0]
            with TemporaryDirectory() as folder:
                connection.execute(f"COPY ({query}) TO '{folder}/out' (FORMAT JSON)")
                put(f"{prefix}part_0.gz", gzip.compress(Path(folder, "out").read_bytes()))
        return {"QueryExecutionId": "q-1"}


def test_what_athena_writes_of_a_compacted_day_makes_the_same_rows(client, capsys):
    events = [answer(1, campaign_id=None), canonical(2), canonical(3, price_millicents=None, parts=None)]
    archive(*events)
    tables = ["responses", "subscribers", "counts"]
    run(capsys, tables=tables)
    expected = [rows(client, name) for name in (RESPONSES, SUBSCRIBERS, COUNTS)]
    aws_client("s3").delete_object(Bucket=BUCKET, Key=raw_key(TODAY, "shardId-000000000000", "0"))
    put(f"compacted/{partition(TODAY)}run-0.parquet", b"PAR1")

    with patch.object(rebuilding_command, "athena_client", lambda: DuckAthena(*events)):
        status, report, _ = run(capsys, *ATHENA, tables=tables)

    assert (status, report["archive"]["events"]) == (0, 3)
    assert report["responses"] == {"same": 1, "missing": 0, "different": 0, "written": 0}
    assert report["subscribers"] == {"same": 3, "missing": 0, "different": 0, "written": 0}
    assert [rows(client, name) for name in (RESPONSES, SUBSCRIBERS, COUNTS)] == expected


def test_months_are_asked_for_one_by_one(client, capsys):
    for day in (TODAY, TODAY - timedelta(days=1), TODAY - timedelta(days=30)):
        put(f"compacted/{partition(day)}run-0.parquet", b"PAR1")
    athena = Athena()

    with patch.object(rebuilding_command, "athena_client", lambda: athena):
        run(capsys, *ATHENA)

    assert [statement.split("AND day")[1].split(")")[0] for statement in athena.statements] == [
        " IN (22",
        " IN (20, 21",
    ]


def test_a_compacted_day_without_athena_is_refused_but_where_nothing_raw_is_gone(client, capsys):
    put(f"compacted/{partition(TODAY)}run-0.parquet", b"PAR1")
    archive(answer(1))

    status, _, err = run(capsys)
    assert status == 1
    assert "1 days from 2026-11-21 on are compacted" in err

    assert run(capsys, "--raw-only")[0] == 0
    assert len(rows(client, RESPONSES)) == 1


def test_a_day_in_deep_archive_is_refused(client, capsys):
    put(f"compacted/{partition(TODAY)}run-0.parquet", b"PAR1", StorageClass="DEEP_ARCHIVE")
    archive(answer(1))

    with patch.object(rebuilding_command, "athena_client", Athena):
        status, _, err = run(capsys, *ATHENA)
        assert status == 1
        assert "compacted files of 2026-11-21 are in Deep Archive" in err

        assert run(capsys, *ATHENA, "--restored")[0] == 0


def test_counts_are_repaired_by_what_they_lack_and_what_they_have_too_much(client, capsys):
    archive(canonical(1), canonical(2), answer(3))
    counts = {group(): Counts(delivered=1, failed=2), group(campaign="gone"): Counts(opt_outs=1)}
    table(client).put("shardId-000000000000", "1", NOON_MS, counts)

    status, report, _ = repair(capsys)
    assert status == 0
    assert report["counts"]["days"][str(TODAY)] == {
        "counted": {"delivered": 1, "failed": 2, "responses": 0, "opt_outs": 1, "cost_millicents": 0},
        "archived": {"delivered": 2, "failed": 0, "responses": 1, "opt_outs": 0, "cost_millicents": 1162},
        "differing": 2,
        "written": False,
    }
    assert counted(client) == counts

    status, report, _ = repair(capsys, "--write")
    assert (status, report["counts"]["days"][str(TODAY)]["written"]) == (0, True)
    assert counted(client) == {group(): Counts(delivered=2, responses=1, cost_millicents=1162)}

    assert repair(capsys, "--write")[1]["counts"]["days"] == {}


def test_counts_that_are_right_again_by_themselves_lose_what_was_added(client, capsys):
    archive(canonical(1))
    repair(capsys, "--write")
    table(client).put(
        "shardId-000000000000", "1", NOON_MS, {group(): Counts(delivered=1, cost_millicents=581)}
    )
    assert counted(client)[group()].delivered == 2

    repair(capsys, "--write")

    assert counted(client) == {group(): Counts(delivered=1, cost_millicents=581)}
    assert [row["batch"]["S"] for row in rows(client, COUNTS)] == ["shardId-000000000000#1"]


def test_an_event_of_another_day_that_takes_back_what_was_counted_is_read_too(client, capsys):
    failed = canonical(
        1, event_type="_SMS.FAILURE", record_status="UNKNOWN", event_id="message-1/FAILURE/UNKNOWN"
    )
    delivered = canonical(
        1,
        event_timestamp=NOON_MS + 3 * DAY_MS,
        counted_as="_SMS.FAILURE",
        counted_at=failed["event_timestamp"],
        counted_price_millicents=581,
    )
    archive(failed)
    archive(delivered)

    repair(capsys, "--write", "--from", str(TODAY), "--to", str(TODAY))

    assert counted(client) == {}


def test_what_is_added_to_a_day_goes_when_the_day_goes(client, capsys, now):
    archive(canonical(1))
    repair(capsys, "--write")
    (row,) = rows(client, COUNTS)
    assert int(row["expiresAt"]["N"]) == int(datetime(2026, 11, 21, tzinfo=UTC).timestamp()) + 400 * 86_400

    client.delete_item(TableName=COUNTS, Key={name: row[name] for name in ("day", "batch")})
    now.at = NOON + timedelta(days=500)
    repair(capsys, "--write")

    (row,) = rows(client, COUNTS)
    assert int(row["expiresAt"]["N"]) == int(now.at.timestamp()) + 400 * 86_400


def test_counts_are_the_archives_whatever_days_are_repaired_in_whatever_order(client, capsys):
    for days in range(3):
        archive(canonical(days, event_timestamp=NOON_MS - days * DAY_MS))
    for days in (1, 0, 2):
        day = str(TODAY - timedelta(days=days))
        assert repair(capsys, "--write", "--from", day, "--to", day)[0] == 0

    assert counted(client) == {
        group(HOUR - 24 * days): Counts(delivered=1, cost_millicents=581) for days in range(3)
    }


def test_counts_of_days_that_are_not_over_are_compared_only_where_nothing_moves(client, capsys, now):
    archive(canonical(1))
    now.at = NOON + timedelta(hours=1)

    status, report, err = repair(capsys, "--write", "--to", str(TODAY))
    assert (status, report) == (1, None)
    assert "give a day up to 2026-11-17" in err
    status, _, err = repair(capsys, "--write")
    assert "cannot be compared before 2026-11-25" in err
    assert rows(client, COUNTS) == []

    assert repair(capsys, "--write", "--consumers-stopped")[0] == 0
    assert counted(client)[group()].delivered == 1


def test_without_a_last_day_counts_end_with_the_days_that_are_over(client, capsys, now):
    archive(canonical(1))
    archive(answer(2, event_timestamp=NOON_MS + 8 * DAY_MS))

    _, report, _ = run(capsys, tables=["responses", "counts"])

    assert (report["to"], report["counts"]["to"]) == ("2026-11-29", "2026-11-27")
    assert len(rows(client, RESPONSES)) == 1


def test_counts_that_change_while_the_archive_is_read_are_not_touched(client, capsys):
    archive(canonical(1))
    real = rebuilding_command._take_in

    def take_in(*arguments):
        real(*arguments)
        table(client).put("shardId-000000000000", "1", NOON_MS, {group(): Counts(delivered=1)})

    with patch.object(rebuilding_command, "_take_in", take_in):
        status, _, err = repair(capsys, "--write")

    assert status == 1
    assert "run it again" in err
    assert len(rows(client, COUNTS)) == 1


def test_what_is_too_much_for_one_item_goes_into_several(client, capsys, monkeypatch):
    archive(*[canonical(number, campaign_id=f"campaign {number}") for number in range(60)])
    monkeypatch.setattr(rebuild_store, "_LARGEST_ITEM", 100)

    repair(capsys, "--write")
    assert len(rows(client, COUNTS)) > 3
    assert {each.campaign_id for each in counted(client)} == {f"campaign {number}" for number in range(60)}
    monkeypatch.undo()
    archive(canonical(60))

    repair(capsys, "--write")
    assert len(rows(client, COUNTS)) == 1
    assert sum(each.delivered for each in counted(client).values()) == 1


def test_events_come_back_from_their_files_all_those_of_a_person_together(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "sms_engagement_runtime.sms_analytics_pipeline.adapters.archive_reader.EVENTS_PER_FILE", 10
    )
    monkeypatch.setattr(
        "sms_engagement_runtime.sms_analytics_pipeline.adapters.archive_reader._BUFFERED_BYTES", 999
    )
    files = EventFiles(tmp_path, expected_bytes=50 * 500)
    lines = [
        line_of_record(json.dumps(canonical(n, subscriber_id=f"v1:{n % 97}")).encode()) for n in range(500)
    ]
    assert files.add(ArchivedObject("k", 1), io.BytesIO(packed(lines))) is None

    portions = [list(portion) for portion in files]

    assert len(files) == len(portions) == 51
    assert sum(map(len, portions)) == files.lines == 500
    people = [{event.subscriber_id for event in portion} for portion in portions]
    assert sum(map(len, people)) == len(set().union(*people)) == 97
