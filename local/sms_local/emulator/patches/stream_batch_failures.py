"""A function on a DynamoDB stream can report that a part of its batch failed.

Reason
    The function that archives reviews names the first record that it could not write. If that were taken for
    success, the record would be lost here, and a test of what happens when S3 is away could not fail.
AWS
    With ``ReportBatchItemFailures`` Lambda goes on from the lowest of the sequence numbers in
    ``batchItemFailures``: what is before it is done, it and all after it come again. A member without a
    sequence number, or with one that is not in the batch, fails the whole batch.
    https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html
MiniStack 1.5.33
    Ignores the answer of a function on a DynamoDB stream unless the function raised.
Hook
    The position in the stream after a call that did not raise. Bisecting, the number of attempts and the
    window are still ignored.
"""

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from sms_local.emulator.patches._pinned import PatchSettings, require, rewrite

_POSITION = "_dynamodb_stream_positions[esm_id] = pos + "
_THEN = '\n                esm["LastProcessingResult"] = f"OK'


def apply(_: PatchSettings) -> None:
    """Go on from the first failure."""
    from ministack.services import lambda_svc

    for name in ("_ESM_BACKOFF_SECONDS", "_esm_backoff_until"):
        require(holds=hasattr(lambda_svc, name), what=f"lambda_svc.{name}")
    lambda_svc._records_done = _records_done
    records = "_ddb.stream_records_since(table_name, pos, raw_len)"
    rewrite(
        lambda_svc,
        "_poll_dynamodb_streams",
        (f"{_POSITION}raw_len{_THEN}", f"{_POSITION}_records_done(esm, result, {records}){_THEN}"),
    )


def _records_done(
    esm: Mapping[str, Any], result: Mapping[str, Any], records: Sequence[Mapping[str, Any]]
) -> int:
    """How many records, from the first on, need not come again; the rest waits as after an error.

    Parameters
    ----------
    records
        All that were read, also those that the filter kept from the function.
    """
    from ministack.services import lambda_svc

    failed = _failed(result.get("body")) if "ReportBatchItemFailures" in esm["FunctionResponseTypes"] else []
    if not failed:
        return len(records)
    lambda_svc._esm_backoff_until[esm["UUID"]] = time.time() + lambda_svc._ESM_BACKOFF_SECONDS
    numbers = [record["dynamodb"]["SequenceNumber"] for record in records]
    if not all(number in numbers for number in failed):
        return 0
    return min(map(numbers.index, failed))


def _failed(body: object) -> list[Any]:
    """Sequence numbers that the function reported; None for a member that has none."""
    try:
        answer = json.loads(body) if isinstance(body, str) else body
    except ValueError:
        return []
    failures = answer.get("batchItemFailures") if isinstance(answer, Mapping) else None
    return [failure.get("itemIdentifier") for failure in failures or []]
