"""``sms-engagement repair reviews``, over tables in moto."""

import json

import pytest
from boto3.dynamodb.types import TypeSerializer

from sms_engagement_runtime.commands.exits import ExitStatus
from sms_engagement_runtime.commands.main import main
from sms_engagement_runtime.review_collector.adapters.dynamodb_figures import DynamoFigures
from sms_engagement_runtime.review_collector.domain.figures import Change, Entry
from tests.support.review_tables import FIGURES, REVIEW_REQUESTS, REVIEWS, review_tables

ASKED = 1_795_280_400


@pytest.fixture
def client():
    with review_tables() as client:
        for number in range(120):
            put(client, REVIEWS, reviewId=f"r{number}", **ROW)
        for number in range(3):
            put(client, REVIEW_REQUESTS, requestId=f"q{number}", userId="u", askedAt=ASKED)
        yield client


# As another system wrote it, before anybody counted: without version and sentiment.
ROW = {
    "userId": "u",
    "timestamp": ASKED * 1000,
    "rating": 5,
    "reviewText": "Wonderful, thank you",
    "status": "approved",
}


def put(client, table, **row):
    client.put_item(TableName=table, Item={name: TypeSerializer().serialize(v) for name, v in row.items()})


def repair(*more, zone="America/New_York"):
    tables = {"reviews": REVIEWS, "requests": REVIEW_REQUESTS, "figures": FIGURES}
    given = [word for name, table in tables.items() for word in (f"--{name}-table", table)]
    return main(["repair", "reviews", *given, "--time-zone", zone, *more])


def total(client):
    found = DynamoFigures(client, table=FIGURES).since("2026").get("total", {})
    return {name: value for name, value in found.items() if value}


def test_without_being_asked_to_write_it_only_says_what_differs(client, capsys):
    assert repair() == ExitStatus.DONE
    assert repair("--write", "--dry-run") == ExitStatus.DONE

    report = json.loads(capsys.readouterr().out.split("}\n{")[0] + "}")
    assert report["rows"] == {"reviews": 120, "requests": 3}
    assert (report["differed"], report["dry_run"]) == (123, True)
    assert total(client) == {}


def test_rows_from_before_are_counted_and_twice_is_once(client, capsys):
    repair("--write")
    first = total(client)
    capsys.readouterr()
    repair("--write")

    assert first == {"rating5": 120, "positive": 120, "approved": 120, "asked": 3}
    assert total(client) == first
    assert json.loads(capsys.readouterr().out)["differed"] == 0


def test_what_was_deleted_unseen_waits_no_longer(client, capsys):
    DynamoFigures(client, table=FIGURES).apply(
        [Change("review#gone", Entry("2026-11-21", ("rating1", "negative", "new")))]
    )

    repair("--write")

    assert total(client)["rating1"] == 1
    assert "new" not in total(client)
    assert json.loads(capsys.readouterr().out)["gone"] == 1


def test_a_zone_that_is_none_is_named(client, capsys):
    assert repair(zone="Mars/Olympus") == ExitStatus.FAILED
    assert "Mars/Olympus" in capsys.readouterr().err
