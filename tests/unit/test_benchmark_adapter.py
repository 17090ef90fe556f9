"""The benchmark's adapter satisfies the contract: what a fast run proves is only worth as much as this."""

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from benchmarks import adapter

_BASELINE = Path(__file__).parents[2] / "benchmarks" / "sequential_baseline"
_SECRET = "s3cr3t-key-for-signing-tokens-0123456789"


@pytest.fixture(scope="module")
def baseline() -> Iterator[SimpleNamespace]:
    """The baseline's modules, which import one another by their bare names."""
    path, names = list(sys.path), ("bench", "fakes", "gen", "seed_impl")
    sys.path.insert(0, str(_BASELINE))
    modules: dict[str, ModuleType] = {name: import_module(name) for name in names}
    yield SimpleNamespace(**modules)
    sys.path[:] = path
    for name in names:
        del sys.modules[name]


def test_token_round_trip_gives_the_reference():
    token = adapter.generate_token("cust-0000001", _SECRET)

    assert adapter.validate_token(token, _SECRET) == (adapter.reference("cust-0000001"), None)
    assert adapter.reference("cust-0000001") != adapter.reference("cust-0000002")


@pytest.mark.parametrize(
    "change",
    [
        lambda token: token[:-6] + ("AAAA" if token[-6:-2] != "AAAA" else "BBBB") + token[-2:],
        lambda token: "%%%",
        lambda token: "",
        lambda token: token[:-1],
    ],
)
def test_changed_tokens_are_rejected_with_an_error(change):
    reference, error = adapter.validate_token(change(adapter.generate_token("u", _SECRET)), _SECRET)

    assert reference is None
    assert error


def test_token_of_another_key_is_rejected():
    token = adapter.generate_token("u", _SECRET)

    assert adapter.validate_token(token, "other")[0] is None


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"rating": "5", "reviewText": "Great"}, (True, None)),
        ({"rating": 3, "reviewText": ""}, (True, None)),
        ({"rating": "0", "reviewText": ""}, (False, ["Rating must be between 1 and 5"])),
        (
            {"reviewText": "x" * 5001},
            (False, ["Rating is required", "Review text exceeds 5000 character limit"]),
        ),
    ],
)
def test_reviews_are_validated_in_the_fixed_words(data, expected):
    assert adapter.validate_review(data) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Stop.", "opt_out"),
        ("ＹＥＳ", "opt_in"),
        ("START", "opt_in"),
        ("HELP", "regular"),
        ("nice", "regular"),
    ],
)
def test_keywords_are_told_in_the_words_of_the_contract(text, expected):
    assert adapter.classify(text) == expected


def test_broadcast_texts_every_active_customer_once_in_one_part(baseline):
    customers = baseline.gen.customers(300)
    env = baseline.fakes.Env(customers=customers)

    result = adapter.broadcast(env)

    active = sorted(row["phoneNumber"] for row in customers if row["status"] == "active")
    assert result == {"sent": len(active), "failed": 0, "complete": True}
    assert sorted(sent["DestinationPhoneNumber"] for sent in env.smsvoice.sent) == active
    assert {baseline.bench.segments(sent["MessageBody"]) for sent in env.smsvoice.sent} == {1}


def test_broadcast_goes_through_gate_and_ledger(baseline):
    env = baseline.fakes.Env(customers=baseline.gen.customers(60))

    sent = adapter.broadcast(env)["sent"]

    # A claim is a transaction of two, the check of the contact and the row; the answer is written to the row.
    assert env.calls["dynamodb.TransactWriteItems"] == sent
    assert env.items["dynamodb.TransactWriteItems"] == 2 * sent
    assert {put["state"]["S"] for put in env.messages.puts} == {"ACCEPTED"}
    assert len(env.requests.updates) == sent


def test_broadcast_without_time_left_sends_nothing_and_is_incomplete(baseline):
    env = baseline.fakes.Env(customers=baseline.gen.customers(30))

    result = adapter.broadcast(env, time_left=lambda: 0)

    assert result == {"sent": 0, "failed": 0, "complete": False}
    assert env.smsvoice.sent == []


EVENTS = 3_000


@pytest.fixture(scope="module")
def consumed(baseline):
    """The environments that baseline and product leave behind, of the same events."""

    def consume(name, consumer=None):
        events = baseline.gen.events(EVENTS)
        environments = []
        for side, made in ((baseline.seed_impl, events), (adapter, map(baseline.gen.canonical, events))):
            env = baseline.fakes.Env()
            size = baseline.bench.size(side, consumer or name)
            for batch in baseline.gen.batches(list(made), size):
                getattr(side, name)(batch, env)
            environments.append(env)
        return environments

    return consume


def test_answers_are_kept_as_the_baseline_does(baseline, consumed):
    expected, env = consumed("response_handler")

    assert baseline.bench.puts(env) == baseline.bench.puts(expected)
    assert len(env.responses.puts) > EVENTS / 50
    assert sum(int(row["total_responses"]["N"]) for row in env.subscribers.by.values()) == len(
        env.responses.puts
    )


def test_metrics_are_the_baselines_without_a_call(baseline, consumed):
    expected, env = consumed("analytics_processor", "analytics")

    totals = baseline.bench.metric_totals(env)
    assert totals == baseline.bench.metric_totals(expected)
    assert totals[("MessagesDelivered",)] > EVENTS * 0.9
    assert env.calls["cloudwatch.PutMetricData"] == 0
    assert env.calls["log.line"] <= EVENTS / 100


def test_archived_lines_are_the_baselines_in_fewer_objects(baseline, consumed):
    expected, env = consumed("archive_consumer", "archive")

    assert baseline.bench.lines(env) == baseline.bench.lines(expected)
    assert env.calls["s3.PutObject"] <= EVENTS / 1000
    assert sum(len(body) for _, body in env.s3.sent) <= 52 * EVENTS


def test_event_processor_logs_a_line_a_batch_and_calls_nobody(consumed):
    _, env = consumed("event_processor")

    assert env.calls == {"log.line": EVENTS / 100}


def test_an_answer_that_comes_again_is_kept_once(baseline):
    env = baseline.fakes.Env()
    events = [baseline.gen.canonical(event) for event in baseline.gen.events(EVENTS)]
    (batch,) = baseline.gen.batches(events, EVENTS)

    for _ in range(2):
        adapter.response_handler(batch, env)

    assert baseline.bench.puts(env) == sorted(
        (event["phone_number"], event["response_text"])
        for event in events
        if event["event_type"] == "_SMS.RECEIVED"
    )


def test_sentiment_is_told_in_the_words_of_the_contract():
    assert [adapter.analyze_sentiment(text) for text in ("Love it!", "not interested", "")] == [
        "positive",
        "negative",
        "neutral",
    ]
