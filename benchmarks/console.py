"""The reviews console's own work: what one page takes in a warm function, without the network.

``python benchmarks/console.py [--runs 500]`` runs the real handler on events of API Gateway: parameters,
queries, rows read into reviews or figures, HTML. The AWS client is real as well, up to the socket
(`benchmarks.webhook`). Each page is compared, in turn with it, with the bare query that it cannot do without:
the same client asking for the same rows, its answer parsed by botocore, and nothing else.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import time
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from importlib import import_module
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Final
from unittest.mock import patch

if __package__ in {None, ""}:  # run as a script
    import sys

    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.httpsession import URLLib3Session

from benchmarks.webhook import CREDENTIALS, Response
from sms_engagement_runtime.review_collector.domain.figures import COUNTERS
from sms_engagement_runtime.review_collector.domain.reviews import Opinion, Review, ReviewStatus

GOAL: Final = 3.0
"""Times the bare query, by the medians: a ratio is the same on a busy machine."""

_DAYS: Final = 366
_TEXT: Final = "The coffee was what I had hoped for & the people <made> my morning. " * 5
_WARM_UP: Final = 20
_USER: Final = "arn:aws:iam::111122223333:user/moderator"
_ENVIRONMENT: Final = {
    **CREDENTIALS,
    "REVIEWS_TABLE": "reviews",
    "FIGURES_TABLE": "figures",
    "REPORTING_TIME_ZONE": "America/New_York",
}

PAGES: Final[Mapping[str, tuple[str, Mapping[str, str], str, int]]] = {
    "10 reviews": ("GET /admin/reviews", {"limit": "10"}, "reviews", 10),
    "100 reviews": ("GET /admin/reviews", {"limit": "100"}, "reviews", 100),
    "figures of 30 days": ("GET /admin/figures", {"days": "30"}, "figures", 31),
    "figures of a year": ("GET /admin/figures", {"days": "365"}, "figures", _DAYS),
}
"""Route, parameters, table that is asked, and rows that it answers with."""


class Tables:
    """Answers the client without a socket: what was put into a table, as many rows as a page takes."""

    def __init__(self) -> None:
        self._rows: dict[str, list[Any]] = {"reviews": [], "figures": []}
        self.wanted = 0

    def send(self, request: AWSPreparedRequest) -> AWSResponse:
        """Answer one request, in place of ``URLLib3Session.send``."""
        assert isinstance(request.body, bytes)
        asked = json.loads(request.body)
        rows = self._rows[asked["TableName"]]
        if "Item" in asked:
            rows.append(asked["Item"])
            return Response(request.url, b"{}")
        found = rows[-self.wanted :]
        return Response(request.url, json.dumps({"Items": found, "Count": len(found)}).encode())


def fill(module: Any) -> None:
    """Put a hundred reviews and a year of figures in, by the product's own writing."""
    now = datetime.now(UTC)
    for number in range(100):
        review = Review(
            review_id=f"review-{number:03}",
            user_id=f"user-{number:03}",
            opinion=Opinion(rating=1 + number % 5, text=_TEXT),
            status=ReviewStatus.NEW,
            created_at=now - timedelta(minutes=number),
            author_name="John D.",
        )
        module._console.reviews.create(review, announcing_until=now)
    today = date.today()  # noqa: DTZ011 - any days do
    for age in range(_DAYS):
        item = {"part": {"S": "days"}, "id": {"S": (today - timedelta(days=_DAYS - age)).isoformat()}}
        module._client.put_item(
            TableName="figures", Item=item | {name: {"N": str(age % 50)} for name in COUNTERS}
        )


def event(route: str, parameters: Mapping[str, str]) -> dict[str, Any]:
    """Make a signed request of a browser."""
    method, path = route.split()
    return {
        "version": "2.0",
        "routeKey": route,
        "rawPath": path,
        "headers": {"accept": "text/html"},
        "queryStringParameters": dict(parameters),
        "requestContext": {
            "http": {"method": method, "path": path, "sourceIp": "192.0.2.1"},
            "requestId": "benchmark",
            "authorizer": {"iam": {"userArn": _USER, "accountId": "111122223333"}},
        },
        "isBase64Encoded": False,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure the console's own work in a warm function.")
    parser.add_argument("--runs", type=int, default=500, help="measured requests of each page")
    runs = parser.parse_args().runs
    os.environ.update(_ENVIRONMENT)
    tables = Tables()
    with patch.object(URLLib3Session, "send", tables.send):
        module = import_module("sms_engagement_runtime.review_collector.handlers.console")
        fill(module)
        print(f"reviews console, {runs} requests each, warm, without the network; milliseconds")
        print(f"{'':<20} {'KB':>5} {'p50':>7} {'p99':>7} {'query':>7} {'ratio':>6} {'goal':>6}")
        for name, (route, parameters, table, rows) in PAGES.items():
            tables.wanted = rows
            _compare(module, name, event(route, parameters), table, runs)


def _compare(module: Any, name: str, request: dict[str, Any], table: str, runs: int) -> None:
    pages, queries, length = [], [], 0
    for number in range(-_WARM_UP, runs):
        with contextlib.redirect_stdout(io.StringIO()):
            started = time.perf_counter()
            answer = module.handler(request, None)
            page = time.perf_counter() - started
        started = time.perf_counter()
        module._client.query(
            TableName=table,
            KeyConditionExpression="#key = :key",
            ExpressionAttributeNames={"#key": "part"},
            ExpressionAttributeValues={":key": {"S": "days"}},
        )
        query = time.perf_counter() - started
        if answer["statusCode"] != 200:
            raise SystemExit(f"the console answers {answer['statusCode']} instead of 200")
        if number >= 0:
            pages.append(page * 1000)
            queries.append(query * 1000)
            length = len(answer["body"].encode())
    p50, p99, bare = median(pages), quantiles(pages, n=100)[98], median(queries)
    verdict = "reached" if p50 / bare <= GOAL else "NOT REACHED"
    print(
        f"{name:<20} {length / 1000:5.0f} {p50:7.2f} {p99:7.2f} {bare:7.2f} {p50 / bare:6.1f} "
        f"{GOAL:6.1f}  {verdict}"
    )


if __name__ == "__main__":
    main()
