"""Reading with a shard iterator takes the right to the iterator's stream."""

import json
import uuid

import pytest
from botocore.exceptions import ClientError


def reader(emulator, *streams):
    """A client of a user who may read these streams and no other."""
    iam, name = emulator.client("iam"), f"reader-{uuid.uuid4().hex[:8]}"
    iam.create_user(UserName=name)
    statement = {
        "Effect": "Allow",
        "Action": ["kinesis:GetRecords", "kinesis:GetShardIterator"],
        "Resource": [f"arn:aws:kinesis:us-east-1:000000000000:stream/{stream}" for stream in streams],
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName=name, PolicyName="read", PolicyDocument=document)
    return emulator.client("kinesis", iam.create_access_key(UserName=name)["AccessKey"])


@pytest.fixture
def stream(patched):
    kinesis, name = patched.client("kinesis"), f"stream-{uuid.uuid4().hex[:8]}"
    kinesis.create_stream(StreamName=name, ShardCount=1)
    kinesis.put_record(StreamName=name, Data=b"1", PartitionKey="a")
    return name


def iterator_of(kinesis, stream):
    shard = "shardId-000000000000"
    return kinesis.get_shard_iterator(StreamName=stream, ShardId=shard, ShardIteratorType="TRIM_HORIZON")[
        "ShardIterator"
    ]


def test_who_may_read_the_stream_reads_it(patched, stream):
    kinesis = reader(patched, stream)

    records = kinesis.get_records(ShardIterator=iterator_of(kinesis, stream))["Records"]

    assert [record["Data"] for record in records] == [b"1"]


def test_who_may_read_another_stream_is_refused(patched, stream):
    iterator = iterator_of(patched.client("kinesis"), stream)

    with pytest.raises(ClientError, match="not authorized to perform: kinesis:GetRecords"):
        reader(patched, "another").get_records(ShardIterator=iterator)
