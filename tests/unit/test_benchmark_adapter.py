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
    path, names = list(sys.path), ("bench", "fakes", "gen")
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
