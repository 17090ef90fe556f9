"""Distributed Maps: stopping one stops its children; their results go where the ResultWriter says."""

import json
import time
import uuid

import pytest

COUNTS = """
import boto3, os, time
dynamodb = boto3.client("dynamodb")
def handler(event, context):
    if event.get("fail"):
        raise ValueError("no")
    dynamodb.put_item(TableName=event["table"], Item={"id": {"S": str(event["number"])}})
    time.sleep(event.get("seconds", 0))
    return {"done": event["number"]}
"""


def machine(function, *, concurrency=2, writer=None, **more):
    child = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": function, "Payload.$": "$"},
        "OutputPath": "$.Payload",
        "Retry": [{"ErrorEquals": ["Unexpected"], "MaxAttempts": 5, "IntervalSeconds": 1}],
        "End": True,
    }
    return {
        "StartAt": "Send parts",
        "States": {
            "Send parts": {
                "Type": "Map",
                "ItemsPath": "$.items",
                "MaxConcurrency": concurrency,
                "ItemProcessor": {
                    "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS"},
                    "StartAt": "Send part",
                    "States": {"Send part": child},
                },
                **({"ResultWriter": writer} if writer else {}),
                **more,
                "Next": "After",
            },
            "After": {"Type": "Pass", "End": True},
        },
    }


@pytest.fixture
def table(request):
    """Makes a table in an emulator and returns its name."""

    def make(running):
        name = f"table-{uuid.uuid4().hex[:8]}"
        running.client("dynamodb").create_table(
            TableName=name,
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
        )
        return name

    return make


def worker(running):
    return running.function(
        COUNTS, role=running.role({"Effect": "Allow", "Action": "dynamodb:PutItem", "Resource": "*"})
    )


def written(running, name):
    return running.client("dynamodb").scan(TableName=name)["Count"]


def stopped_in_the_middle(running, name, eventually, count=12):
    """Start children, two at a time, half a second each; stop after the first. Return the execution's ARN."""
    states = running.client("stepfunctions")
    arn = running.state_machine(machine(worker(running)))
    items = [{"table": name, "number": number, "seconds": 0.5} for number in range(count)]
    execution = states.start_execution(stateMachineArn=arn, input=json.dumps({"items": items}))[
        "executionArn"
    ]
    eventually(lambda: written(running, name))
    states.stop_execution(executionArn=execution, error="Stopped", cause="by the shop")
    return execution


def test_stopping_an_execution_stops_the_children_of_its_map(patched, table, eventually):
    states = patched.client("stepfunctions")
    name = table(patched)

    execution = stopped_in_the_middle(patched, name, eventually)

    [run] = states.list_map_runs(executionArn=execution)["mapRuns"]
    described = eventually(
        lambda: (
            (found := states.describe_map_run(mapRunArn=run["mapRunArn"]))["status"] != "RUNNING" and found
        )
    )
    # A child that was invoked just before the stop may not have written yet.
    patched.clock("?quiet_within=60")
    begun = written(patched, name)
    assert begun < 8
    assert described["status"] == "ABORTED"
    assert described["itemCounts"]["running"] == described["itemCounts"]["pending"] == 0
    assert described["itemCounts"]["aborted"] >= 12 - begun
    children = states.list_executions(mapRunArn=run["mapRunArn"])["executions"]
    assert {child["status"] for child in children} <= {"SUCCEEDED", "ABORTED"}
    assert len(children) == begun
    described = states.describe_execution(executionArn=execution)
    assert (described["status"], described["error"], described["cause"]) == (
        "ABORTED",
        "Stopped",
        "by the shop",
    )
    assert written(patched, name) == begun
    events = states.get_execution_history(executionArn=execution)["events"]
    assert events[-1]["type"] == "ExecutionAborted"


def test_without_the_patch_the_children_go_on(unpatched, table, eventually):
    name = table(unpatched)

    stopped_in_the_middle(unpatched, name, eventually, count=6)

    assert eventually(lambda: written(unpatched, name) == 6)


def test_stopping_ends_the_retries_of_a_child(patched, eventually):
    states = patched.client("stepfunctions")
    function = patched.function(
        "import boto3\ndef handler(event, context):\n    raise type('Unexpected', (Exception,), {})('busy')\n"
    )
    arn = patched.state_machine(machine(function))
    execution = states.start_execution(stateMachineArn=arn, input=json.dumps({"items": [{}]}))["executionArn"]
    [run] = eventually(lambda: states.list_map_runs(executionArn=execution)["mapRuns"])
    eventually(lambda: states.list_executions(mapRunArn=run["mapRunArn"])["executions"])

    states.stop_execution(executionArn=execution)
    begin = time.monotonic()
    eventually(lambda: states.describe_map_run(mapRunArn=run["mapRunArn"])["status"] == "ABORTED")

    # Five retries with doubling waits would take half a minute.
    assert time.monotonic() - begin < 25


def test_too_many_failures_stop_the_rest_of_the_map(patched, table):
    name = table(patched)
    items = [{"fail": True}, *({"table": name, "number": number} for number in range(10))]

    execution = patched.run(machine(worker(patched), concurrency=1), {"items": items})

    assert execution["status"] == "FAILED"
    assert execution["error"] == "States.ExceedToleratedFailureThreshold"
    assert written(patched, name) == 0


def writer_to(bucket, prefix="runs/1"):
    return {
        "Resource": "arn:aws:states:::s3:putObject",
        "Parameters": {
            "Bucket": bucket,
            **({"Prefix.$": prefix} if prefix.startswith("$") else {"Prefix": prefix}),
        },
    }


@pytest.fixture
def bucket():
    def make(running):
        name = f"bucket-{uuid.uuid4().hex[:8]}"
        running.client("s3").create_bucket(Bucket=name)
        return name

    return make


def document(running, bucket, key):
    return json.loads(running.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())


def test_the_result_writer_writes_results_and_a_manifest_and_replaces_the_states_result(
    patched, table, bucket
):
    name, target = table(patched), bucket(patched)
    items = [{"table": name, "number": 1}, {"fail": True}]
    definition = machine(
        worker(patched), writer=writer_to(target, "$.prefix"), ToleratedFailureCount=1, ResultPath="$.written"
    )

    execution = patched.run(definition, {"items": items, "prefix": "runs/1"})

    assert execution["status"] == "SUCCEEDED", execution.get("cause")
    output = json.loads(execution["output"])
    assert output["items"] == items
    arn, details = output["written"]["MapRunArn"], output["written"]["ResultWriterDetails"]
    folder = f"runs/1/{arn.rpartition(':')[2]}"
    assert details == {"Bucket": target, "Key": f"{folder}/manifest.json"}
    manifest = document(patched, target, details["Key"])
    objects = {
        each["Key"]: each["Size"] for each in patched.client("s3").list_objects_v2(Bucket=target)["Contents"]
    }
    succeeded, failed = f"{folder}/SUCCEEDED_0.json", f"{folder}/FAILED_0.json"
    assert manifest == {
        "DestinationBucket": target,
        "MapRunArn": arn,
        "ResultFiles": {
            "FAILED": [{"Key": failed, "Size": objects[failed]}],
            "PENDING": [],
            "SUCCEEDED": [{"Key": succeeded, "Size": objects[succeeded]}],
        },
    }
    [one] = document(patched, target, succeeded)
    assert json.loads(one["Input"]) == items[0]
    assert json.loads(one["Output"]) == {"done": 1}
    assert (one["Status"], one["RedriveStatus"]) == ("SUCCEEDED", "NOT_REDRIVABLE")
    [other] = document(patched, target, failed)
    assert json.loads(other["Input"]) == items[1]
    assert (other["Status"], other["Error"]) == ("FAILED", "ValueError")
    assert "Output" not in other


def test_results_are_written_when_the_map_fails_too(patched, bucket):
    target = bucket(patched)

    execution = patched.run(machine(worker(patched), writer=writer_to(target)), {"items": [{"fail": True}]})

    assert execution["error"] == "States.ExceedToleratedFailureThreshold", execution["cause"]
    keys = [
        each["Key"].rpartition("/")[2]
        for each in patched.client("s3").list_objects_v2(Bucket=target)["Contents"]
    ]
    assert keys == ["FAILED_0.json", "manifest.json"]


def test_a_result_writer_without_its_bucket_fails_the_state(patched, table):
    items = [{"table": table(patched), "number": 1}]

    execution = patched.run(machine(worker(patched), writer=writer_to("no-such-bucket")), {"items": items})

    assert execution["error"] == "States.ResultWriterFailed"


def test_a_writer_config_that_is_not_implemented_fails_the_state(patched, table, bucket):
    writer = writer_to(bucket(patched)) | {"WriterConfig": {"Transformation": "COMPACT"}}

    execution = patched.run(
        machine(worker(patched), writer=writer), {"items": [{"table": table(patched), "number": 1}]}
    )

    assert execution["error"] == "States.ResultWriterFailed"
    assert "COMPACT" in execution["cause"]


def test_items_are_read_from_a_json_object(patched, table, bucket):
    name, source = table(patched), bucket(patched)
    items = [{"table": name, "number": number} for number in range(3)]
    patched.client("s3").put_object(
        Bucket=source, Key="runs/1/manifest.json", Body=json.dumps(items).encode()
    )
    reader = {
        "Resource": "arn:aws:states:::s3:getObject",
        "ReaderConfig": {"InputType": "JSON"},
        "Parameters": {"Bucket.$": "$.bucket", "Key.$": "$.key"},
    }
    definition = machine(worker(patched), ItemReader=reader)
    del definition["States"]["Send parts"]["ItemsPath"]

    execution = patched.run(definition, {"bucket": source, "key": "runs/1/manifest.json"})

    assert execution["status"] == "SUCCEEDED", execution.get("cause")
    assert written(patched, name) == 3


def test_without_the_patch_nothing_is_written(unpatched, table, bucket):
    target = bucket(unpatched)
    items = [{"table": table(unpatched), "number": 1}]

    execution = unpatched.run(machine(worker(unpatched), writer=writer_to(target)), {"items": items})

    assert json.loads(execution["output"]) == [{"done": 1}]
    assert unpatched.client("s3").list_objects_v2(Bucket=target)["KeyCount"] == 0
