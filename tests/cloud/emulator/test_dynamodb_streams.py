"""Streams of tables: what time to live deletes is told, and a batch can fail in part."""

import json
import time
from itertools import count

EXPIRED_BY = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}

# Writes what it got to a table, and reports the ids that it finds there as poison.
RECORDS = """
import json, os
import boto3
dynamodb = boto3.client("dynamodb")
table = os.environ["SEEN"]
def handler(event, context):
    poison = dynamodb.get_item(TableName=table, Key={"id": {"S": "poison"}}).get("Item", {})
    failures = []
    for record in event["Records"]:
        name = record["dynamodb"]["Keys"]["id"]["S"]
        if name in poison.get("names", {}).get("SS", []):
            failures.append({"itemIdentifier": record["dynamodb"]["SequenceNumber"]})
            break
        dynamodb.update_item(
            TableName=table, Key={"id": {"S": name}},
            UpdateExpression="SET seen = :record ADD deliveries :one",
            ExpressionAttributeValues={":record": {"S": json.dumps(record)}, ":one": {"N": "1"}},
        )
    return {"batchItemFailures": failures}
"""

EXPIRIES = json.dumps({"eventName": ["REMOVE"], "userIdentity": {k: [v] for k, v in EXPIRED_BY.items()}})

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}
    ],
}


def template(*, filters):
    key = {
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "BillingMode": "PAY_PER_REQUEST",
        "Replicas": [{"Region": "us-east-1"}],
    }
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    return {
        "Resources": {
            "Table": {
                "Type": "AWS::DynamoDB::GlobalTable",
                "Properties": {
                    **key,
                    "StreamSpecification": {"StreamViewType": "OLD_IMAGE"},
                    "TimeToLiveSpecification": {"AttributeName": "expiresAt", "Enabled": True},
                },
            },
            "Seen": {"Type": "AWS::DynamoDB::GlobalTable", "Properties": key},
            "Role": {
                "Type": "AWS::IAM::Role",
                "Properties": {
                    "AssumeRolePolicyDocument": TRUST,
                    "Policies": [{"PolicyName": "all", "PolicyDocument": everything}],
                },
            },
            "Function": {
                "Type": "AWS::Lambda::Function",
                "Properties": {
                    "Runtime": "python3.13",
                    "Handler": "index.handler",
                    "Timeout": 10,
                    "Role": {"Fn::GetAtt": ["Role", "Arn"]},
                    "Environment": {"Variables": {"SEEN": {"Ref": "Seen"}}},
                    "Code": {"ZipFile": RECORDS},
                },
            },
            "Source": {
                "Type": "AWS::Lambda::EventSourceMapping",
                "Properties": {
                    "EventSourceArn": {"Fn::GetAtt": ["Table", "StreamArn"]},
                    "FunctionName": {"Ref": "Function"},
                    "FunctionResponseTypes": ["ReportBatchItemFailures"],
                    "StartingPosition": "TRIM_HORIZON",
                    "BatchSize": 100,
                    "FilterCriteria": {"Filters": [{"Pattern": pattern} for pattern in filters]},
                },
            },
        },
        "Outputs": {
            "Table": {"Value": {"Ref": "Table"}},
            "Seen": {"Value": {"Ref": "Seen"}},
            "Stream": {"Value": {"Fn::GetAtt": ["Table", "StreamArn"]}},
        },
    }


class Streamed:
    """A table with a stream, and what a function on it has seen."""

    def __init__(self, running, *, filters=()):
        self.running = running
        self.dynamodb = running.client("dynamodb")
        stack = running.deploy(template(filters=filters))
        assert stack["StackStatus"] == "CREATE_COMPLETE", running.reasons(stack["StackName"])
        self.outputs = running.outputs(stack)

    def put(self, name, *, expires_in=None, table="Table"):
        item = {"id": {"S": name}}
        if expires_in is not None:
            item["expiresAt"] = {"N": str(int(time.time()) + expires_in)}
        self.dynamodb.put_item(TableName=self.outputs[table], Item=item)

    def delete(self, name):
        self.dynamodb.delete_item(TableName=self.outputs["Table"], Key={"id": {"S": name}})

    def poison(self, *names):
        item = {"id": {"S": "poison"}, **({"names": {"SS": list(names)}} if names else {})}
        self.dynamodb.put_item(TableName=self.outputs["Seen"], Item=item)

    def rows(self, table="Table"):
        items = self.dynamodb.scan(TableName=self.outputs[table])["Items"]
        return {item["id"]["S"]: item for item in items if item["id"]["S"] != "poison"}

    def seen(self):
        """The last record of each row, and how often the row came."""
        return {
            name: (json.loads(item["seen"]["S"]), int(item["deliveries"]["N"]))
            for name, item in self.rows("Seen").items()
        }

    def streamed(self):
        """Records as the API answers them."""
        streams = self.running.client("dynamodbstreams")
        stream = self.outputs["Stream"]
        (shard,) = streams.describe_stream(StreamArn=stream)["StreamDescription"]["Shards"]
        iterator = streams.get_shard_iterator(
            StreamArn=stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        return streams.get_records(ShardIterator=iterator)["Records"]


def test_what_time_to_live_deletes_is_told_with_the_row_and_who_did_it(patched, eventually):
    table = Streamed(patched, filters=[EXPIRIES])

    table.put("kept")
    table.put("later", expires_in=3600)
    table.put("deleted")
    table.delete("deleted")
    table.put("expired", expires_in=-10)
    seen = eventually(table.seen)

    assert set(seen) == {"expired"}
    record, deliveries = seen["expired"]
    assert deliveries == 1
    assert record["eventName"] == "REMOVE"
    assert record["userIdentity"] == EXPIRED_BY
    assert record["dynamodb"]["OldImage"]["id"] == {"S": "expired"}
    assert set(table.rows()) == {"kept", "later"}


def test_the_api_answers_the_same_record_with_its_own_names(patched, eventually):
    table = Streamed(patched, filters=[EXPIRIES])
    table.put("deleted")
    table.delete("deleted")
    table.put("expired", expires_in=-10)
    eventually(table.seen)

    removed = {
        record["dynamodb"]["Keys"]["id"]["S"]: record.get("userIdentity")
        for record in table.streamed()
        if record["eventName"] == "REMOVE"
    }

    assert removed == {
        "deleted": None,
        "expired": {"Type": "Service", "PrincipalId": "dynamodb.amazonaws.com"},
    }


def test_after_a_failure_in_part_the_rest_comes_again_and_nothing_before_it(patched, eventually):
    table = Streamed(patched)
    table.poison("c")
    for name in "abcd":
        table.put(name)
    eventually(lambda: "b" in table.seen())

    before = set(table.seen())
    table.poison()
    eventually(lambda: "d" in table.seen())

    assert before == {"a", "b"}
    assert {name: deliveries for name, (_, deliveries) in table.seen().items()} == dict.fromkeys("abcd", 1)


def test_without_the_patch_a_failure_in_part_loses_its_record(unpatched, eventually):
    table = Streamed(unpatched)
    table.poison("a")
    table.put("a")
    later = map(str, count())
    # A stream goes on in order: whoever saw a later row will not see this one any more.
    eventually(lambda: table.put(next(later)) or table.seen())

    assert "a" not in table.seen()
