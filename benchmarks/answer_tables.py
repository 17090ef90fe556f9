"""The tables of answers and subscribers, as far as the response handler calls them.

Conditions are judged as DynamoDB does, so that an answer that comes again is told to be there. An expression
that is not one of those which are known here is an error: what changes in the product is not passed over.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from threading import Lock
from typing import Any, Final, Protocol

from botocore.exceptions import ClientError

type Item = dict[str, Any]
"""A row in DynamoDB's notation."""

SUBSCRIBERS: Final = "subscribers"
RESPONSES: Final = "responses"

_EXPRESSION: Final = re.compile(
    r"SET (?P<sets>#\w+ = :\w+(?:, #\w+ = :\w+)*)(?: REMOVE (?P<removed>[#\w, ]+))?"
)
_SET: Final = re.compile(r"#(\w+) = :(\w+)")
_NAME: Final = re.compile(r"#(\w+)")
_NEW: Final = "attribute_not_exists(response_key)"
_UNCHANGED: Final = "#version = :expected"
_UNCHANGED_OR_NEW: Final = f"attribute_not_exists(#version) OR {_UNCHANGED}"
_FAILED: Final = "ConditionalCheckFailed"


class Rows(Protocol):
    """Rows of one table by their key."""

    def get(self, key: str) -> Item | None:
        """Read a row."""
        ...

    def __setitem__(self, key: str, row: Item) -> None: ...


class AnswerTables:
    """The methods of a DynamoDB client that the response handler calls.

    Parameters
    ----------
    transaction
        Held while a transaction is judged and written.
    """

    def __init__(
        self, responses: Rows, subscribers: Rows, transaction: AbstractContextManager[Any] | None = None
    ) -> None:
        self._responses = responses
        self._subscribers = subscribers
        self._transaction = Lock() if transaction is None else transaction

    def batch_get_item(self, *, RequestItems: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N803 - boto3's name
        """Read subscribers."""
        ((table, request),) = RequestItems.items()
        assert table == SUBSCRIBERS
        assert len(request["Keys"]) <= 100
        found = (self._subscribers.get(key["subscriber_id"]["S"]) for key in request["Keys"])
        return {"Responses": {table: [row for row in found if row is not None]}}

    def transact_write_items(self, *, TransactItems: Sequence[Any]) -> dict[str, Any]:  # noqa: N803 - boto3's name
        """Write an answer and its subscriber, both or neither."""
        put, update = TransactItems[0]["Put"], TransactItems[1]["Update"]
        assert len(TransactItems) == 2
        with self._transaction:
            codes = [self._judge_put(put), self._judge_update(update)]
            if any(code != "None" for code in codes):
                raise _cancelled(codes)
            self._responses[_key_of_answer(put["Item"])] = put["Item"]
            self._update(update)
        return {}

    def _judge_put(self, put: Mapping[str, Any]) -> str:
        assert (put["TableName"], put["ConditionExpression"]) == (RESPONSES, _NEW)
        return "None" if self._responses.get(_key_of_answer(put["Item"])) is None else _FAILED

    def _judge_update(self, update: Mapping[str, Any]) -> str:
        assert update["TableName"] == SUBSCRIBERS
        condition = update["ConditionExpression"]
        assert condition in {_UNCHANGED, _UNCHANGED_OR_NEW}
        row = self._subscribers.get(update["Key"]["subscriber_id"]["S"]) or {}
        version = row.get("version")
        if version is None and condition == _UNCHANGED_OR_NEW:
            return "None"
        return "None" if version == update["ExpressionAttributeValues"][":expected"] else _FAILED

    def _update(self, update: Mapping[str, Any]) -> None:
        expression = _EXPRESSION.fullmatch(update["UpdateExpression"])
        assert expression is not None, update["UpdateExpression"]
        subscriber_id, values = update["Key"]["subscriber_id"]["S"], update["ExpressionAttributeValues"]
        row = {**(self._subscribers.get(subscriber_id) or {}), **update["Key"]}
        for name, value in _SET.findall(expression["sets"]):
            row[update["ExpressionAttributeNames"][f"#{name}"]] = values[f":{value}"]
        for name in _NAME.findall(expression["removed"] or ""):
            row.pop(name, None)
        self._subscribers[subscriber_id] = row


def _key_of_answer(row: Mapping[str, Any]) -> str:
    return f"{row['subscriber_id']['S']}/{row['response_key']['S']}"


def _cancelled(codes: Sequence[str]) -> ClientError:
    answer: Any = {
        "Error": {"Code": "TransactionCanceledException", "Message": "cancelled"},
        "CancellationReasons": [{"Code": code} for code in codes],
    }
    return ClientError(answer, "TransactWriteItems")
