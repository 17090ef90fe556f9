"""Rows that time to live deletes appear in the table's stream.

Reason
    Old reviews are archived from the stream when their time is over; without the record they would be gone
    from the embedded cloud without a trace, and nothing could show that the archive works.
AWS
    A deletion by time to live is a ``REMOVE`` record like any other, with ``userIdentity``
    ``{"type": "Service", "principalId": "dynamodb.amazonaws.com"}`` in Lambda's event, ``Type`` and
    ``PrincipalId`` in the answer of ``GetRecords``. It comes within a few days.
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/time-to-live-ttl-streams.html
MiniStack 1.5.33
    Its sweep, once a minute, removes rows from the table and tells no stream.
Hook
    What the sweep's thread removes is written to the stream. A second sweep runs every five seconds: nobody
    who watches should wait for days, or for a minute.
"""

import threading
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, Final

from sms_local.emulator.patches._pinned import PatchSettings, require, rewrite

SWEEP: Final = "dynamodb-ttl-reaper"
"""Name of the threads that delete by time to live."""

SECONDS_BETWEEN_SWEEPS: Final = 5

_deletes_by_itself: ContextVar[bool] = ContextVar("deletes_by_itself", default=False)


def apply(_: PatchSettings) -> None:
    """Tell the stream, and sweep more often."""
    from ministack.services import dynamodb, dynamodb_streams

    for name in ("_build_change_record", "_emit_stream_event", "_remove_item", "request_scope"):
        require(holds=hasattr(dynamodb, name), what=f"dynamodb.{name}")
    require(holds=any(thread.name == SWEEP for thread in threading.enumerate()), what=f"thread {SWEEP}")
    build, remove = dynamodb._build_change_record, dynamodb._remove_item

    def build_change_record(*arguments: Any) -> dict[str, Any]:
        record: dict[str, Any] = build(*arguments)
        if _deletes_by_itself.get():
            record["userIdentity"] = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
        return record

    def remove_item(table: Mapping[str, Any], partition_key: str, sort_key: str) -> Any:
        item = remove(table, partition_key, sort_key)
        # The sweep's own removal leads to those in other Regions, which are told about where they are made.
        is_sweep = threading.current_thread().name == SWEEP and not _deletes_by_itself.get()
        if item is not None and is_sweep:
            _tell_stream(table, item)
        return item

    dynamodb._build_change_record, dynamodb._remove_item = build_change_record, remove_item
    dynamodb_streams._as_answered = _as_answered
    rewrite(
        dynamodb_streams,
        "_get_records",
        (
            '[{k: v for k, v in r.items() if k != "eventSourceARN"} for r in page]',
            "list(map(_as_answered, page))",
        ),
    )
    dynamodb._rows_to_sweep = _all_rows
    rewrite(
        dynamodb,
        "_ttl_reaper",
        ("time.sleep(60)", f"time.sleep({SECONDS_BETWEEN_SWEEPS})"),
        ('list(table["items"].items())', "_rows_to_sweep(table)"),
    )
    threading.Thread(target=dynamodb._ttl_reaper, daemon=True, name=SWEEP).start()


def _all_rows(table: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return list(table["items"].items())


def _tell_stream(table: Mapping[str, Any], item: Mapping[str, Any]) -> None:
    from ministack.services import dynamodb

    _, _, _, region, account, _ = table["TableArn"].split(":", 5)
    by_itself = _deletes_by_itself.set(True)
    try:
        with dynamodb.request_scope(account, region):
            dynamodb._emit_stream_event(table["TableName"], "REMOVE", item, None)
    finally:
        _deletes_by_itself.reset(by_itself)


def _as_answered(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record as ``GetRecords`` answers it: without Lambda's member, and with the API's names."""
    answered = {name: value for name, value in record.items() if name != "eventSourceARN"}
    if identity := answered.get("userIdentity"):
        answered["userIdentity"] = {"Type": identity["type"], "PrincipalId": identity["principalId"]}
    return answered
