"""The dashboard's requests, over the tables as the pipeline writes them."""

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from sms_engagement_runtime.sms_analytics_pipeline.domain.counting import Counts
from sms_local import phone
from sms_local.phone.athena import AthenaQueries, QueryError
from sms_local.phone.counted import LOOKS_BACK
from sms_local.phone.dashboard import masked
from tests.support.counted_tables import counted_tables, group, put_answer, put_counts, put_subscriber
from tests.support.phone_page import OWN, PageTest, at
from tests.support.review_tables import aws_client

STATIC = Path(phone.__file__).parent / "static"

_DELIVERY = "SELECT campaign_id, sum(a) AS delivered, sum(b) AS failed FROM t"
_RESPONSES = "SELECT campaign_id, sum(a) AS delivered, sum(c) AS responses, sum(d) AS opt_outs FROM t"
_COST = "SELECT day, sum(e) AS cost_usd FROM t"
_PERSON = "SELECT subscriber_id, what, price AS cost_usd FROM t"


class FakeAthena:
    """Athena's calls, with answers that a test writes down by the query's name."""

    def __init__(self) -> None:
        self.sql = {"cost": _COST, "delivery": _DELIVERY, "a-person": _PERSON, "responses": _RESPONSES}
        self.answers: dict[str, tuple[list[str], list[list[str | None]]]] = {
            "delivery": (["campaign_id", "delivered", "failed"], [["c1", "3", "1"]]),
            "responses": (
                ["campaign_id", "delivered", "responses", "opt_outs"],
                [["c1", "3", "2", "1"], [None, None, "1", "0"]],
            ),
            "cost": (["day", "cost_usd"], [["2026-11-21", "0.0318"]]),
            "a-person": (
                ["subscriber_id", "what", "cost_usd"],
                [["v1:x", "my number is +14045550101", "0.00795"]],
            ),
        }
        self.asked: list[str] = []
        self.fails_with: str | None = None
        self.states = ["QUEUED", "RUNNING"]
        self.has_more = False

    def list_named_queries(self, **wanted: Any) -> dict[str, Any]:
        assert wanted["WorkGroup"] == "analytics"
        return {"NamedQueryIds": [f"id-{name}" for name in self.sql]}

    def batch_get_named_query(self, **wanted: Any) -> dict[str, Any]:
        names = [query_id.removeprefix("id-") for query_id in wanted["NamedQueryIds"]]
        return {
            "NamedQueries": [
                {
                    "NamedQueryId": f"id-{name}",
                    "Name": name,
                    "Description": f"About {name}.",
                    "Database": "events",
                    "QueryString": self.sql[name],
                }
                for name in names
            ]
        }

    def start_query_execution(self, **wanted: Any) -> dict[str, Any]:
        assert wanted["WorkGroup"] == "analytics"
        assert wanted["QueryExecutionContext"] == {"Database": "events"}
        name = next(name for name, sql in self.sql.items() if sql == wanted["QueryString"])
        self.asked.append(name)
        self._left = list(self.states)
        return {"QueryExecutionId": f"run-{name}"}

    def get_query_execution(self, **_: Any) -> dict[str, Any]:
        state = self._left.pop(0) if self._left else "FAILED" if self.fails_with else "SUCCEEDED"
        status = {"State": state, **({"StateChangeReason": self.fails_with} if state == "FAILED" else {})}
        return {"QueryExecution": {"Status": status, "Statistics": {"DataScannedInBytes": 2048}}}

    def get_query_results(self, **wanted: Any) -> dict[str, Any]:
        columns, rows = self.answers[wanted["QueryExecutionId"].removeprefix("run-")]
        result = {
            "ResultSetMetadata": {"ColumnInfo": [{"Name": name} for name in columns]},
            "Rows": [
                {"Data": [{} if cell is None else {"VarCharValue": cell} for cell in row]}
                for row in [columns, *rows]
            ],
        }
        return {"ResultSet": result, **({"NextToken": "more"} if self.has_more else {})}


@pytest.fixture
def tables() -> Iterator[Any]:
    with counted_tables() as client:
        yield client


@pytest.fixture
def athena() -> FakeAthena:
    return FakeAthena()


@pytest.fixture
def page(tables: Any, athena: FakeAthena) -> PageTest:
    return PageTest(tables, has_analytics=True, athena=athena)


_COUNTED = Counts(delivered=3, failed=1, responses=3, opt_outs=1, cost_millicents=3180)


def look(page: PageTest, query: str = "") -> dict[str, Any]:
    """What the page is shown now, and not what was gathered a moment ago."""
    assert page.dashboard is not None
    page.dashboard.hurry()
    answer = page.get(f"/api/dashboard{query}")
    assert answer.status_code == 200, answer.text
    described: dict[str, Any] = answer.json()
    return described


def figures(described: Mapping[str, Any]) -> dict[str, str]:
    return {one["key"]: one["words"] for one in described["figures"]}


def put_metric(name: str, value: float, *, when: datetime) -> None:
    data = [{"MetricName": name, "Value": value, "Timestamp": when}]
    aws_client("cloudwatch").put_metric_data(Namespace="SMS/Marketing", MetricData=data)


def put_metrics(counts: Counts, *, when: datetime) -> None:
    for name, value in (
        ("MessagesDelivered", counts.delivered),
        ("MessagesFailed", counts.failed),
        ("ResponsesReceived", counts.responses),
        ("OptOuts", counts.opt_outs),
        ("TotalCostUSD", counts.cost_millicents / 100_000),
    ):
        put_metric(name, value, when=when)


# --- numbers


def test_an_empty_cloud_says_so(page: PageTest) -> None:
    described = look(page)

    assert described["isEmpty"]
    assert figures(described)["delivered"] == "0"
    assert described["charts"]["texts"]["bars"] == []
    assert described["campaigns"] == []


def test_counts_of_all_batches_are_added_up(page: PageTest, tables: Any) -> None:
    put_counts(tables, {group(at(), "c1"): _COUNTED}, batch="1")
    put_counts(tables, {group(at(), "c1"): Counts(delivered=2, cost_millicents=1590)}, batch="2")

    described = look(page)

    assert figures(described) | {"per-answer": ""} == {
        "delivered": "5",
        "failed": "1",
        "answered": "3",
        "opted-out": "1",
        "cost": "$0.0477",
        "per-text": "$0.00795",
        "per-answer": "",
    }
    assert described["campaigns"] == [["c1", "welcome", "5", "1", "3", "1", "83.3 %", "$0.0477"]]
    assert described["countries"] == [["US", "5", "1", "3", "1", "83.3 %", "$0.0477"]]


def test_charts_and_tables_and_figures_say_the_same(page: PageTest, tables: Any) -> None:
    put_counts(
        tables,
        {
            group(at(hours=hour), f"c{hour % 3}", "US" if hour % 2 else "CA"): Counts(
                delivered=hour, failed=1, responses=2, opt_outs=hour % 2, cost_millicents=hour * 795
            )
            for hour in range(1, 20)
        },
    )

    described = look(page, "?width=700&half=320")

    for table in ("campaigns", "countries"):
        rows = [row[-6:] for row in described[table]]
        sums = [sum(int(row[at_].replace(",", "")) for row in rows) for at_ in range(4)]
        assert sums == [190, 19, 38, 10], table
    assert described["charts"]["texts"]["summary"] == (
        "Over time: 190 delivered, 19 failed, 38 answered, 10 opted out"
    )
    assert [row["counts"] for row in described["same"]["rows"]] == ["190", "19", "38", "10", "$1.51050"]


def test_below_the_minimum_volume_no_rate_is_shown(page: PageTest, tables: Any) -> None:
    put_counts(tables, {group(at()): _COUNTED})

    few = look(page, "?minimum=5")
    enough = look(page, "?minimum=3")

    assert few["charts"]["rates"]["summary"] == (
        "Rates: delivered fewer than 5 texts, answered fewer than 5 texts, opted out fewer than 5 texts"
    )
    assert (
        enough["charts"]["rates"]["summary"] == "Rates: delivered 75.0 %, answered 100.0 %, opted out 33.3 %"
    )


def test_what_is_older_than_what_athena_reads_is_left_out(page: PageTest, tables: Any) -> None:
    page.carrier.now = at(days=40)
    put_counts(tables, {group(at()): _COUNTED}, batch="old")
    put_counts(tables, {group(at(days=40) - LOOKS_BACK): Counts(delivered=7)}, batch="first")
    put_counts(tables, {group(at(days=40)): Counts(delivered=1)}, batch="now")

    assert figures(look(page))["delivered"] == "8"


def test_what_a_batch_counts_of_earlier_days_is_counted_once(page: PageTest, tables: Any) -> None:
    page.carrier.now = at(days=3)
    put_counts(tables, {group(at(days=number)): Counts(delivered=1) for number in range(5)})

    assert figures(look(page))["delivered"] == "5"


def test_the_other_numbers_wait_while_the_clock_jumps_and_are_read_anew(page: PageTest, tables: Any) -> None:
    put_counts(tables, {group(at()): _COUNTED}, batch="1")
    look(page)
    page.carrier.now = at(days=7)
    put_counts(tables, {group(at(days=1)): Counts(delivered=4)}, batch="2")

    assert figures(look(page))["delivered"] == "7"


def test_answers_by_sentiment_and_subscribers_by_status(page: PageTest, tables: Any) -> None:
    put_answer(tables, "v1:a", "YES", "positive", at=at())
    put_answer(tables, "v1:b", "STOP", "negative", at=at())
    put_answer(tables, "v1:b", "not interested", "negative", at=at(1))
    put_subscriber(tables, "v1:a", "ACTIVE")
    put_subscriber(tables, "v1:b", "OPTED_OUT")
    put_subscriber(tables, "v1:c")

    described = look(page)

    assert described["charts"]["sentiment"]["summary"] == "Answers: 1 positive, 0 neutral, 2 negative"
    assert described["charts"]["statuses"]["summary"] == (
        "Subscribers: 1 new, 0 pending, 1 active, 1 opted out, 0 bounced"
    )


def test_whoever_was_asked_a_month_ago_and_said_nothing_is_pending_no_more(
    page: PageTest, tables: Any
) -> None:
    page.carrier.now = at(days=31)
    put_subscriber(tables, "v1:a", "PENDING", updated_at=int(at().timestamp() * 1000))

    assert look(page)["charts"]["statuses"]["summary"].startswith("Subscribers: 1 new, 0 pending")


def test_no_phone_number_is_on_the_dashboard(page: PageTest, tables: Any) -> None:
    put_counts(tables, {group(at()): _COUNTED})
    put_subscriber(tables, "v1:a", phone_number="+14045550101")
    put_answer(tables, "v1:a", "call +14045550101", "neutral", at=at())

    assert "5550101" not in json.dumps(look(page))


# --- the same numbers elsewhere


def test_metrics_are_the_same_wherever_in_time_they_lie(page: PageTest, tables: Any) -> None:
    put_counts(tables, {group(at()): _COUNTED})
    half = Counts(delivered=3, failed=0, responses=2, opt_outs=1, cost_millicents=2385)
    put_metrics(half, when=datetime.now(UTC))
    put_metrics(Counts(failed=1, responses=1, cost_millicents=795), when=at(minutes=3))

    rows = look(page)["same"]["rows"]

    assert [(row["metrics"], row["compared"]) for row in rows] == [
        ("3", "equal"),
        ("1", "equal"),
        ("3", "equal"),
        ("1", "equal"),
        ("$0.03180", "equal"),
    ]


def test_metrics_of_before_a_reset_are_taken_off(page: PageTest, tables: Any) -> None:
    put_metrics(_COUNTED, when=at())
    # The clock was there, and was put back.
    put_metrics(_COUNTED, when=at(days=60))
    assert page.post("/api/forget", {}).status_code == 200
    put_counts(tables, {group(at()): Counts(delivered=2)})
    put_metric("MessagesDelivered", 2, when=at(minutes=1))

    rows = look(page)["same"]["rows"]

    assert [row["metrics"] for row in rows] == ["2", "0", "0", "0", "$0.00000"]
    assert {row["compared"] for row in rows} == {"equal"}


def test_metrics_that_do_not_answer_leave_the_counts_as_they_are(
    page: PageTest, tables: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_counts(tables, {group(at()): _COUNTED})

    def refuse(*_: Any, **__: Any) -> None:
        raise EndpointConnectionError(endpoint_url="http://127.0.0.1:4570")

    monkeypatch.setattr("sms_local.phone.counted.MetricsReader.read", refuse)
    described = look(page)

    assert figures(described)["delivered"] == "3"
    assert described["same"]["problem"] == "CloudWatch does not answer (EndpointConnectionError)"
    assert {row["compared"] for row in described["same"]["rows"]} == {"alone"}


def test_athena_answers_a_saved_query_and_gives_all_totals(
    page: PageTest, tables: Any, athena: FakeAthena
) -> None:
    put_counts(tables, {group(at()): _COUNTED})
    put_metrics(_COUNTED, when=at())
    assert look(page)["same"]["archive"] == "Athena has not been asked yet."

    answer = page.post("/api/athena", {"query": "id-delivery"}).json()

    assert (answer["columns"], answer["rows"]) == (["campaign_id", "delivered", "failed"], [["c1", "3", "1"]])
    assert (answer["name"], answer["scannedBytes"], answer["at"]) == ("delivery", 2048, at().isoformat())
    # What one person cost is asked for since it looks like a total, and taken for none.
    assert athena.asked == ["delivery", "a-person", "cost", "responses"]
    same = look(page)["same"]
    assert [row["athena"] for row in same["rows"]] == ["3", "1", "3", "1", "$0.03180"]
    assert {row["compared"] for row in same["rows"]} == {"equal"}
    assert same["archive"] == "Every event is in the archive."
    assert same["times"]["athena"] == at().isoformat()


def test_events_that_the_archive_does_not_have_yet_are_said(
    page: PageTest, tables: Any, athena: FakeAthena
) -> None:
    counts = Counts(delivered=6, failed=1, responses=3, opt_outs=1)
    put_counts(tables, {group(at()): counts})
    put_metrics(counts, when=at())
    page.post("/api/athena", {"query": "id-delivery"})

    same = look(page)["same"]

    assert same["notArchived"] == 3
    assert same["archive"].startswith("Not in the archive yet: 3 events. It is written every five minutes")
    assert same["rows"][0]["compared"] == "behind"


def test_an_answer_that_goes_on_gives_no_totals(page: PageTest, athena: FakeAthena) -> None:
    athena.has_more = True

    page.post("/api/athena", {"query": "id-delivery"})

    assert {row["athena"] for row in look(page)["same"]["rows"]} == {None}


def test_a_number_in_an_answer_is_masked(page: PageTest) -> None:
    answer = page.post("/api/athena", {"query": "id-a-person"}).json()

    assert answer["rows"] == [["v1:x", "my number is +•••0101", "0.00795"]]


@pytest.mark.parametrize(
    ("cell", "shown"),
    [(None, None), ("1764950400000", "1764950400000"), ("+442079460108 and +1 5", "+•••0108 and +1 5")],
)
def test_only_numbers_of_phones_are_masked(cell: str | None, shown: str | None) -> None:
    assert masked(cell) == shown


def test_a_query_that_fails_says_why(page: PageTest, athena: FakeAthena) -> None:
    athena.fails_with = "Bytes scanned limit was exceeded"

    answer = page.post("/api/athena", {"query": "id-cost"})

    assert answer.status_code == 502
    assert "Athena did not answer: Bytes scanned limit was exceeded" in answer.json()["problem"]
    assert {row["athena"] for row in look(page)["same"]["rows"]} == {None}


def test_a_query_that_never_ends_is_given_up(athena: FakeAthena) -> None:
    athena.states = ["RUNNING"] * 10_000
    slept: list[float] = []
    queries = AthenaQueries(athena, workgroup="analytics", sleep=slept.append)

    with pytest.raises(QueryError, match="within 60 seconds"):
        queries.ask(queries.saved()[0])

    assert sum(slept) == pytest.approx(60)


@pytest.mark.parametrize(("body", "status"), [({"query": "id-other"}, 404), ({"query": 3}, 400), ({}, 400)])
def test_what_is_no_saved_query_is_refused(page: PageTest, body: Any, status: int) -> None:
    assert page.post("/api/athena", body).status_code == status


def test_the_saved_queries_are_offered_by_name(page: PageTest) -> None:
    assert [query["name"] for query in look(page)["queries"]] == [
        "a-person",
        "cost",
        "delivery",
        "responses",
    ]


def test_without_athena_the_rest_is_there(tables: Any) -> None:
    page = PageTest(tables, has_analytics=True)
    put_counts(tables, {group(at()): _COUNTED})

    described = look(page)

    assert (described["queries"], figures(described)["delivered"]) == ([], "3")
    assert page.post("/api/athena", {"query": "id-cost"}).status_code == 404


# --- the page


def test_csv_is_a_file_of_the_counts(page: PageTest, tables: Any) -> None:
    put_counts(tables, {group(at()): _COUNTED})

    answer = page.get("/api/dashboard.csv")

    assert answer.headers["content-disposition"] == 'attachment; filename="sms-counts.csv"'
    assert answer.headers["content-type"].startswith("text/csv")
    [_, line] = csv.reader(io.StringIO(answer.text))
    assert line[4:] == ["3", "1", "3", "1", "0.03180"]


@pytest.mark.parametrize("path", ["/api/dashboard", "/api/dashboard.csv"])
def test_without_analytics_there_is_no_dashboard(tables: Any, path: str) -> None:
    page = PageTest(tables)

    assert page.get(path).status_code == 404
    assert page.state()["dashboard"] == {"isThere": False}


def test_the_link_to_it_is_shown_where_it_is(page: PageTest) -> None:
    assert page.state()["dashboard"] == {"isThere": True}


def test_a_table_that_does_not_answer_is_said(page: PageTest, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise ClientError({"Error": {"Code": "ResourceNotFoundException", "Message": "gone"}}, "Query")

    monkeypatch.setattr("sms_local.phone.counted.CountsReader.read", refuse)

    answer = page.get("/api/dashboard")

    assert answer.status_code == 502
    assert "gone" in answer.json()["problem"]


def test_many_windows_do_not_ask_the_cloud_more_often(
    page: PageTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = []
    monkeypatch.setattr(
        "sms_local.phone.counted.CountsReader.read", lambda _self, now: looks.append(now) or {}
    )

    look(page)
    for width in range(300, 310):
        page.get(f"/api/dashboard?width={width}")

    assert len(looks) == 1


def test_the_page_is_sent_with_a_strict_policy_and_asks_nobody_else(page: PageTest) -> None:
    answer = page.get("/dashboard")

    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    sources = [one for one in re.findall(r'(?:src|href)="([^"#]*)', answer.text) if one]
    assert sources
    for source in sources:
        assert source.startswith("/"), source
        if not source.startswith("/api/"):
            assert page.get(source.partition("#")[0]).status_code == 200, source
    assert "style=" not in answer.text
    assert OWN not in answer.text


def test_its_scripts_set_no_markup_from_outside() -> None:
    for name in ("dashboard", "charts", "campaigns"):
        script = (STATIC / f"{name}.js").read_text()
        assert not re.search(r"innerHTML|insertAdjacentHTML|document\.write|eval\(|\.style\.cssText", script)


def test_numbers_are_kept_for_a_moment_only(page: PageTest, tables: Any) -> None:
    look(page)
    put_counts(tables, {group(at()): _COUNTED})

    assert figures(look(page))["delivered"] == "3"
    assert timedelta(days=31) == LOOKS_BACK
