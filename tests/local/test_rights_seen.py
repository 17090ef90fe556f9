"""Which rights are told to be too much, and which are not."""

from typing import Any

from tests.support.rights import Statement, never_needed, reasons_without_a_right

RESOURCE = "arn:aws:dynamodb:us-east-1:000000000000:table/contacts"
DOCUMENT: dict[str, Any] = {
    "Effect": "Allow",
    "Action": ["dynamodb:DeleteItem", "dynamodb:GetItem", "kms:Decrypt"],
    "Resource": [RESOURCE],
}
STATEMENT = Statement("channel.handlers.router", "RouterRole", DOCUMENT, frozenset({"kms:Decrypt"}))


def recorded(**actions: str | None) -> dict[str, Any]:
    named = {f"dynamodb:{name}": example for name, example in actions.items()}
    return {"taken": [{"role": "RouterRole", "statement": DOCUMENT, "actions": named}]}


def test_a_right_that_no_request_took_is_too_much() -> None:
    found = never_needed([STATEMENT], recorded(GetItem="GetItem on contacts"), {})

    assert found == [f"channel.handlers.router: dynamodb:DeleteItem on {RESOURCE}"]


def test_a_right_that_another_statement_gives_too_is_too_much() -> None:
    seen = recorded(GetItem="GetItem on contacts", DeleteItem=None)

    assert len(never_needed([STATEMENT], seen, {})) == 1


def test_a_right_that_is_needed_or_has_a_reason_stays() -> None:
    reasons = {"channel.handlers.router": {"dynamodb:DeleteItem": "a reason"}}

    assert never_needed([STATEMENT], recorded(GetItem="GetItem on contacts"), reasons) == []


def test_a_statement_that_no_request_took_is_too_much() -> None:
    assert len(never_needed([STATEMENT], {"taken": []}, {})) == 2


def test_a_reason_whose_right_is_gone_is_told() -> None:
    reasons = {"channel.handlers.router": {"dynamodb:Scan": "a reason", "dynamodb:GetItem": "a reason"}}

    assert reasons_without_a_right([STATEMENT], reasons) == ["channel.handlers.router: dynamodb:Scan"]
