"""Settings of a Map state that come from its input."""

import json
import uuid

import pytest


def overlapping(running):
    """A function that tells how many of it run at once, by files in a folder."""
    source = """
import os, time, uuid
def handler(event, context):
    os.makedirs(event["folder"], exist_ok=True)
    mine = os.path.join(event["folder"], uuid.uuid4().hex)
    open(mine, "w").close()
    most = 0
    for _ in range(5):
        time.sleep(0.05)
        most = max(most, len(os.listdir(event["folder"])))
    os.unlink(mine)
    return most
"""
    return running.function(source)


def machine(function, folder, **settings):
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": function, "Payload": {"folder": folder}},
        "OutputPath": "$.Payload",
        "End": True,
    }
    processor = {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS"},
        "StartAt": "Look",
        "States": {"Look": task},
    }
    state = {"Type": "Map", "ItemsPath": "$.items", "ItemProcessor": processor, "End": True, **settings}
    return {"StartAt": "Each", "States": {"Each": state}}


@pytest.mark.parametrize("most", [1, 2])
def test_no_more_run_side_by_side_than_the_input_says(timed, tmp_path, most):
    definition = machine(overlapping(timed), str(tmp_path / uuid.uuid4().hex), MaxConcurrencyPath="$.most")

    described = timed.run(definition, {"items": list(range(4)), "most": most})

    assert described["status"] == "SUCCEEDED", described
    assert max(json.loads(described["output"])) <= most


@pytest.mark.parametrize("share", [100, 0])
def test_how_many_may_fail_comes_from_the_input(timed, tmp_path, share):
    function = timed.function("def handler(event, context):\n    raise ValueError('no')\n")
    definition = machine(function, "", ToleratedFailurePercentagePath="$.share")

    described = timed.run(definition, {"items": [1, 2], "share": share})

    assert described["status"] == ("SUCCEEDED" if share else "FAILED")


@pytest.mark.parametrize("value", ["many", -1, None, True])
def test_what_is_no_number_fails_the_execution(timed, value):
    described = timed.run(machine("none", "", MaxConcurrencyPath="$.most"), {"items": [1], "most": value})

    assert described["status"] == "FAILED"
    assert described["error"] == "States.Runtime"


def test_without_the_patch_all_run_side_by_side(start, tmp_path, eventually):
    with start(without=("map_settings_paths",)) as running:
        definition = machine(overlapping(running), str(tmp_path / "all"), MaxConcurrencyPath="$.most")

        def most():
            described = running.run(definition, {"items": list(range(4)), "most": 1})
            return max(json.loads(described["output"]))

        # Four functions that start cold one after the other may not meet the first time.
        assert eventually(lambda: most() > 1)
