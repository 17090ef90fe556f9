"""Functions killed in the middle, calls throttled, deliveries doubled, and events of the bus tried again."""

import json
import urllib.error
import urllib.request
import uuid

import pytest

from sms_local.emulator.faults import FAULTS_PATH

# By a table: what it wrote before its end is seen, and the calls are its own.
WRITES = """
import os, uuid, boto3
from botocore.config import Config
table = boto3.client("dynamodb", config=Config(retries={"total_max_attempts": 1}))
def handler(event, context):
    for _ in range(20):
        table.put_item(TableName=os.environ["TABLE"], Item={"id": {"S": uuid.uuid4().hex}})
    return "done"
"""
KEEPS = """
import os, uuid
def handler(event, context):
    open(os.path.join(os.environ["FOLDER"], uuid.uuid4().hex), "w").close()
    if event.get("detail", {}).get("fails"):
        raise RuntimeError("no")
"""
ALLOWED = {"Effect": "Allow", "Action": "dynamodb:*", "Resource": "*"}


@pytest.fixture
def switch(patched):
    """Sets the switches, and switches all off at the end."""

    def post(**faults):
        request = urllib.request.Request(f"{patched.url}{FAULTS_PATH}", json.dumps(faults).encode())
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read())

    yield post
    post()


@pytest.fixture
def table(patched):
    name = f"table-{uuid.uuid4().hex[:8]}"
    patched.client("dynamodb").create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    )
    return name


def writer(running, table):
    return running.function(WRITES, role=running.role(ALLOWED), Environment={"Variables": {"TABLE": table}})


def rows(running, table):
    return running.client("dynamodb").scan(TableName=table, Select="COUNT")["Count"]


def test_a_function_that_is_killed_has_done_some_of_its_calls_and_answers_nothing(patched, switch, table):
    function = writer(patched, table)
    switch(function_crash=1, seed=2)

    answer = patched.invoke(function)

    assert answer["errorType"] == "Runtime.ExitError"
    assert rows(patched, table) < 12
    state = switch(function_crash=0)
    # A fresh process, which goes to its end.
    assert patched.invoke(function) == "done"
    assert state["function_crash"] == 0


def test_calls_of_functions_are_throttled_and_those_from_outside_are_not(patched, switch, table):
    function = writer(patched, table)
    switch(service_throttle=1)

    answer = patched.invoke(function)

    assert "ThrottlingException" in answer["errorMessage"]
    assert rows(patched, table) == 0


def test_an_event_of_the_bus_that_fails_comes_again_twice(patched, eventually, tmp_path):
    send(patched, tmp_path, {"fails": True})

    assert eventually(lambda: len(list(tmp_path.iterdir())) == 3)


def test_a_doubled_event_of_the_bus_comes_twice(patched, switch, eventually, tmp_path):
    switch(duplicate=1)

    send(patched, tmp_path, {})

    assert eventually(lambda: len(list(tmp_path.iterdir())) == 2)


def send(running, folder, detail):
    """Put an event on the bus that a function of its own gets."""
    source = f"test-{uuid.uuid4().hex[:8]}"
    function = running.function(KEEPS, Environment={"Variables": {"FOLDER": str(folder)}})
    arn = running.client("lambda").get_function_configuration(FunctionName=function)["FunctionArn"]
    events = running.client("events")
    events.put_rule(Name=source, EventPattern=json.dumps({"source": [source]}))
    running.client("lambda").add_permission(
        FunctionName=function,
        StatementId="bus",
        Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com",
    )
    events.put_targets(Rule=source, Targets=[{"Id": "function", "Arn": arn}])
    events.put_events(Entries=[{"Source": source, "DetailType": "Test", "Detail": json.dumps(detail)}])


def test_what_is_no_switch_is_refused(patched, switch):
    with pytest.raises(urllib.error.HTTPError) as refused:
        switch(loss=1)

    assert refused.value.code == 400
    assert json.loads(refused.value.read()) == {
        "error": "unknown fault loss; known are seed, duplicate, reorder, service_throttle, function_crash"
    }
