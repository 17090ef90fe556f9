"""Who names an iterator or a query needs the right to its stream or workgroup, and to no other."""

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


def asker(emulator, *workgroups):
    """A client of a user who may look at queries of these workgroups and of no other."""
    iam, name = emulator.client("iam"), f"asker-{uuid.uuid4().hex[:8]}"
    iam.create_user(UserName=name)
    statement = {
        "Effect": "Allow",
        "Action": ["athena:GetQueryExecution", "athena:GetQueryResults"],
        "Resource": [f"arn:aws:athena:us-east-1:000000000000:workgroup/{group}" for group in workgroups],
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName=name, PolicyName="ask", PolicyDocument=document)
    return emulator.client("athena", iam.create_access_key(UserName=name)["AccessKey"])


def test_a_query_is_seen_by_who_may_see_its_workgroup_and_by_nobody_else(patched):
    athena, s3 = patched.client("athena"), patched.client("s3")
    name = f"group-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=name)
    result = {"ResultConfiguration": {"OutputLocation": f"s3://{name}/"}}
    athena.create_work_group(Name=name, Configuration=result)
    query = athena.start_query_execution(QueryString="SELECT 1", WorkGroup=name)["QueryExecutionId"]

    seen = asker(patched, name).get_query_execution(QueryExecutionId=query)["QueryExecution"]

    assert seen["WorkGroup"] == name
    with pytest.raises(ClientError, match="not authorized to perform: athena:GetQueryExecution"):
        asker(patched, "another").get_query_execution(QueryExecutionId=query)
