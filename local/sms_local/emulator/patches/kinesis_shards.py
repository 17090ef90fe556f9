"""A shard that was split or merged is closed, and is still read to its end.

Reason
    An on-demand stream splits its shards by itself when traffic grows. What was not read by then must still
    reach the functions, and before what came later.
AWS
    Splitting and merging close the parents: nothing is put on them any more, their records can be read until
    retention is over, and an iterator that reached their end is none any more. ``UpdateShardCount`` splits
    and merges.
    https://docs.aws.amazon.com/streams/latest/dev/kinesis-using-sdk-java-after-resharding.html
MiniStack 1.5.33
    Deletes the parents with their records; ``UpdateShardCount`` replaces all shards by empty ones with the
    same names.
Hook
    Parents stay, with ``ending_sequence_number``, until their records are over. Records go to open shards
    only. New shards of ``UpdateShardCount`` divide the hash keys evenly, each a child of the closed ones that
    its keys belonged to (the first and the last of them, where there are more than two).
"""

import json
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from sms_local.emulator.patches._pinned import PatchSettings, require, rewrite

ENDING = "ending_sequence_number"


def apply(_: PatchSettings) -> None:
    """Close shards instead of deleting them."""
    from ministack.services import kinesis

    for name in ("_route_to_shard", "_expire_records", "_shard_out", "_get_records", "_shard_iterators"):
        require(holds=hasattr(kinesis, name), what=f"kinesis.{name}")
    vars(kinesis)["_close_shard"] = close
    rewrite(
        kinesis,
        "_merge_shards",
        ('del stream["shards"][s1_id]', "_close_shard(s1)"),
        ('del stream["shards"][s2_id]', "_close_shard(s2)"),
    )
    rewrite(kinesis, "_split_shard", ('del stream["shards"][shard_id]', "_close_shard(old)"))
    rewrite(
        kinesis,
        "_update_shard_count",
        (
            'current = len(stream["shards"])\n    stream["shards"] = _build_shards(target)',
            "current = _reshard(stream, target)",
        ),
    )
    vars(kinesis)["_reshard"] = reshard
    _route_to_open_shards(kinesis)
    _describe_closed_shards(kinesis)
    _end_iterators(kinesis)


def is_open(shard: Mapping[str, Any]) -> bool:
    """Tell whether records can be put on a shard."""
    return ENDING not in shard


def close(shard: dict[str, Any]) -> None:
    """Let nothing be put on a shard any more."""
    from ministack.services import kinesis

    shard[ENDING] = kinesis._next_sequence_number()


def reshard(stream: dict[str, Any], target: int) -> int:
    """Divide the hash keys anew among so many open shards; return how many were open."""
    from ministack.services import kinesis

    former = {name: shard for name, shard in stream["shards"].items() if is_open(shard)}
    children = kinesis._build_shards(target, start_index=kinesis._max_shard_index(stream) + 1)
    for child in children.values():
        parents = [name for name, shard in former.items() if _overlap(shard, child)]
        child["parent_shard_id"] = parents[0]
        child["adjacent_parent_shard_id"] = parents[-1] if len(parents) > 1 else None
    for shard in former.values():
        close(shard)
    # In one step: readers go through the dictionary meanwhile.
    stream["shards"] = {**stream["shards"], **children}
    return len(former)


def _overlap(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return int(one["starting_hash_key"]) <= int(other["ending_hash_key"]) and int(
        other["starting_hash_key"]
    ) <= int(one["ending_hash_key"])


def _route_to_open_shards(kinesis: ModuleType) -> None:
    route, expire = kinesis._route_to_shard, kinesis._expire_records

    def route_to_open(hash_key: int, stream: dict[str, Any]) -> str:
        shards = {name: shard for name, shard in list(stream["shards"].items()) if is_open(shard)}
        return str(route(hash_key, {**stream, "shards": shards}))

    def expire_closed_too(stream: dict[str, Any]) -> None:
        """Forget a closed shard when all of its records are over, but not what was always empty."""
        had_records = {name for name, shard in stream["shards"].items() if shard["records"]}
        expire(stream)
        shards = stream["shards"]
        over = {name for name in had_records if not is_open(shards[name]) and not shards[name]["records"]}
        if over:
            stream["shards"] = {name: shard for name, shard in shards.items() if name not in over}

    vars(kinesis).update(_route_to_shard=route_to_open, _expire_records=expire_closed_too)


def _describe_closed_shards(kinesis: ModuleType) -> None:
    describe = kinesis._shard_out

    def describe_with_end(shard_id: str, shard: Mapping[str, Any]) -> dict[str, Any]:
        described: dict[str, Any] = describe(shard_id, shard)
        if not is_open(shard):
            described["SequenceNumberRange"]["EndingSequenceNumber"] = shard[ENDING]
        return described

    vars(kinesis).update(_shard_out=describe_with_end, _shard_is_open=is_open)
    rewrite(
        kinesis,
        "_describe_stream_summary",
        ('len(stream["shards"])', 'sum(map(_shard_is_open, stream["shards"].values()))'),
    )


def _end_iterators(kinesis: ModuleType) -> None:
    get_records = kinesis._get_records

    def get_records_to_the_end(data: dict[str, Any]) -> Any:
        state = dict(kinesis._shard_iterators.get(data.get("ShardIterator")) or {})
        status, headers, body = get_records(data)
        stream = kinesis._streams.get(state.get("stream", ""))
        shard = (stream or {"shards": {}})["shards"].get(state.get("shard_id"))
        if status != 200 or shard is None or is_open(shard):
            return status, headers, body
        answer = json.loads(body)
        if state["position"] + len(answer["Records"]) < len(shard["records"]):
            return status, headers, body
        del answer["NextShardIterator"]
        answer["ChildShards"] = [
            {
                "ShardId": name,
                "ParentShards": _parents(child),
                "HashKeyRange": kinesis._shard_out(name, child)["HashKeyRange"],
            }
            for name, child in stream["shards"].items()
            if state["shard_id"] in _parents(child)
        ]
        return status, headers, json.dumps(answer).encode()

    vars(kinesis)["_get_records"] = get_records_to_the_end


def _parents(shard: Mapping[str, Any]) -> list[str]:
    names = (shard.get("parent_shard_id"), shard.get("adjacent_parent_shard_id"))
    return [name for name in names if name]
