"""Rows that expire, on a clock that jumps."""

import json
import uuid
from datetime import timedelta

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


def table(running):
    dynamodb = running.client("dynamodb")
    name = f"table-{uuid.uuid4().hex[:8]}"
    made = dynamodb.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )["TableDescription"]
    dynamodb.update_time_to_live(
        TableName=name, TimeToLiveSpecification={"Enabled": True, "AttributeName": "expiresAt"}
    )
    return dynamodb, name, made["LatestStreamArn"]


def put(dynamodb, name, row, expires_at):
    item = {"id": {"S": row}}
    if expires_at is not None:
        item["expiresAt"] = {"N": str(int(expires_at.timestamp()))}
    dynamodb.put_item(TableName=name, Item=item)


def rows(dynamodb, name):
    return {item["id"]["S"] for item in dynamodb.scan(TableName=name, ConsistentRead=True)["Items"]}


def test_rows_go_when_their_time_has_come_and_others_stay(timed):
    dynamodb, name, _ = table(timed)
    now = timed.now().replace(microsecond=0)
    for row, expires_at in {"hour": now + HOUR, "day": now + DAY, "never": None}.items():
        put(dynamodb, name, row, expires_at)

    due = timed.jump(2 * HOUR)
    assert rows(dynamodb, name) == {"day", "never"}
    [one] = [one for one in due if one.name.startswith(name)]
    assert (one.what, one.name) == ("expiry", f"{name}: 1 row")
    assert timedelta(0) <= one.at - (now + HOUR) <= MINUTE
    timed.jump(DAY)

    assert rows(dynamodb, name) == {"never"}


def test_who_archives_from_the_stream_is_done_when_the_jump_is(timed):
    """With the virtual time of the deletion in the record."""
    dynamodb, name, stream = table(timed)
    role = timed.role({"Effect": "Allow", "Action": "*", "Resource": "*"})
    source = f"""
import boto3
def handler(event, context):
    for record in event["Records"]:
        if record["eventName"] == "REMOVE":
            at = str(int(record["dynamodb"]["ApproximateCreationDateTime"]))
            row = record["dynamodb"]["Keys"]["id"]["S"]
            boto3.client("dynamodb").put_item(
                TableName={name!r}, Item={{"id": {{"S": "archived " + row}}, "at": {{"N": at}}}})
"""
    function = timed.function(source, role=role)
    timed.client("lambda").create_event_source_mapping(
        EventSourceArn=stream, FunctionName=function, StartingPosition="TRIM_HORIZON", BatchSize=10
    )
    now = timed.now()
    for number in range(3):
        put(dynamodb, name, str(number), now + (number + 1) * DAY)

    timed.jump(5 * DAY)

    archived = {item["id"]["S"]: int(item["at"]["N"]) for item in dynamodb.scan(TableName=name)["Items"]}
    days = {row: round((at - now.timestamp()) / DAY.total_seconds()) for row, at in archived.items()}
    assert days == {"archived 0": 1, "archived 1": 2, "archived 2": 3}


def test_rows_of_one_minute_are_one_step(timed):
    dynamodb, name, _ = table(timed)
    whole_hour = timed.now().replace(minute=0, second=0, microsecond=0) + 2 * HOUR
    for second in range(1, 60):
        put(dynamodb, name, str(second), whole_hour + timedelta(seconds=second))

    due = [one for one in timed.jump(3 * HOUR) if one.what == "expiry"]

    assert [(one.name, one.at) for one in due] == [(f"{name}: 59 rows", whole_hour + MINUTE)]


def test_a_row_expires_by_what_was_written_last(timed):
    dynamodb, name, _ = table(timed)
    now = timed.now().replace(microsecond=0)
    for row, (first, last) in {
        "later": (HOUR, DAY),
        "sooner": (DAY, HOUR),
        "never": (HOUR, None),
        "removed": (HOUR, DAY),
    }.items():
        put(dynamodb, name, row, now + first)
        timed.jump(MINUTE)  # they are counted by now
        put(dynamodb, name, row, None if last is None else now + last)
    dynamodb.delete_item(TableName=name, Key={"id": {"S": "removed"}})
    dynamodb.update_item(
        TableName=name,
        Key={"id": {"S": "later"}},
        UpdateExpression="SET expiresAt = expiresAt + :more",
        ExpressionAttributeValues={":more": {"N": "3600"}},
    )

    assert [one.name for one in timed.jump(2 * HOUR)] == [f"{name}: 1 row"]
    assert rows(dynamodb, name) == {"later", "never"}
    [one] = timed.jump(2 * DAY)
    assert timedelta(0) <= one.at - (now + DAY + HOUR) <= MINUTE
    assert rows(dynamodb, name) == {"never"}


def test_an_expiry_that_is_no_number_expires_nothing(timed):
    dynamodb, name, _ = table(timed)
    dynamodb.put_item(TableName=name, Item={"id": {"S": "text"}, "expiresAt": {"S": "tomorrow"}})

    assert timed.jump(30 * DAY) == []

    assert rows(dynamodb, name) == {"text"}


def test_without_the_patch_an_expiry_is_not_due(start):
    with start(without=("time_to_live_sweep",)) as running:
        dynamodb, name, _ = table(running)
        put(dynamodb, name, "hour", running.now() + HOUR)

        assert json.dumps([one.what for one in running.jump(2 * HOUR)]) == "[]"
