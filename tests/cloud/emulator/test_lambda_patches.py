"""Lambda: errors keep their class, workers stay warm, quiet handlers are quick, concurrency is reserved."""

import concurrent.futures
import json
import time
import uuid

from botocore.exceptions import ClientError

RAISES = """
import os
class CarrierBusyError(Exception):
    pass
def handler(event, context):
    if event.get("fail"):
        raise CarrierBusyError("try later")
    return os.getpid()
"""

QUIET = "def handler(event, context):\n    return 1\n"

SLOW = "import time\ndef handler(event, context):\n    time.sleep(5)\n"

ROLE = {
    "Type": "AWS::IAM::Role",
    "Properties": {
        "AssumeRolePolicyDocument": {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Action": "sts:AssumeRole",
                    "Principal": {"Service": "lambda.amazonaws.com"},
                }
            ],
        }
    },
}


def caught_by_name(function):
    invoke = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": function, "Payload": {"fail": True}},
        "Catch": [{"ErrorEquals": ["CarrierBusyError"], "Next": "Caught"}],
        "End": True,
    }
    return {"StartAt": "Invoke", "States": {"Invoke": invoke, "Caught": {"Type": "Pass", "End": True}}}


def test_an_exception_is_answered_with_its_class_message_and_trace(patched):
    error = patched.invoke(patched.function(RAISES), {"fail": True})

    assert error["errorType"] == "CarrierBusyError"
    assert error["errorMessage"] == "try later"
    assert error["requestId"]
    assert any("in handler" in frame for frame in error["stackTrace"])
    assert not any("_worker.py" in frame for frame in error["stackTrace"])


def test_a_state_machine_catches_an_exception_by_its_class(patched):
    execution = patched.run(caught_by_name(patched.function(RAISES)))

    assert execution["status"] == "SUCCEEDED"
    cause = json.loads(json.loads(execution["output"])["Cause"])
    assert cause["errorType"] == "CarrierBusyError"


def test_without_the_patch_every_error_is_called_the_same(unpatched):
    function = unpatched.function(RAISES)

    assert unpatched.invoke(function, {"fail": True})["errorType"] == "Runtime.HandlerError"
    assert unpatched.run(caught_by_name(function))["status"] == "FAILED"


def test_an_exception_does_not_end_the_execution_environment(patched):
    function = patched.function(RAISES)
    before = patched.invoke(function)

    patched.invoke(function, {"fail": True})

    assert patched.invoke(function) == before


def test_a_worker_that_dies_is_replaced(patched):
    source = "import os\ndef handler(event, context):\n    return os._exit(3) if event else os.getpid()\n"
    function = patched.function(source)
    before = patched.invoke(function)

    assert "errorMessage" in patched.invoke(function, {"die": True})
    assert patched.invoke(function) != before


LAYERED = """
import os
import layered
def handler(event, context):
    return os._exit(3) if event else [os.getpid(), __file__, layered.__file__, layered.WORD]
"""


def two_cold_starts(running, package):
    layer = running.client("lambda").publish_layer_version(
        LayerName=f"layer-{uuid.uuid4().hex[:8]}",
        Content={"ZipFile": package({"python/layered.py": f"WORD = '{uuid.uuid4().hex}'"})},
    )
    function = running.function(LAYERED, Layers=[layer["LayerVersionArn"]])
    first = running.invoke(function)
    running.invoke(function, {"die": True})
    return first, running.invoke(function)


def test_code_and_layers_are_unpacked_once(patched, package):
    first, second = two_cold_starts(patched, package)
    other, _ = two_cold_starts(patched, package)

    assert first[0] != second[0]
    assert first[1:] == second[1:]
    # A layer with other files has a folder of its own.
    assert other[2] != first[2]
    assert other[3] != first[3]


def test_without_the_patch_each_worker_unpacks_for_itself(unpatched, package):
    first, second = two_cold_starts(unpatched, package)

    assert first[3] == second[3]
    assert not set(first[1:3]) & set(second[1:3])


FORKED = """
import os
import random
import signal
started_at = os.getpid(), os.getppid(), random.random()
def handler(event, context):
    if event.get("end") is not None:
        os.kill(os.getppid() if event["end"] else os.getpid(), signal.SIGKILL)
    return {
        "start": started_at, "word": os.environ.get("WORD"), "role": os.environ["AWS_ACCESS_KEY_ID"],
        "folder": os.getcwd(), "code": os.path.dirname(__file__),
    }
"""


def forked(running, word):
    function = running.function(FORKED, Environment={"Variables": {"WORD": word}})
    return function, running.invoke(function)


def test_workers_come_from_one_process_and_have_nothing_of_each_other(patched):
    (_, one), (_, other) = forked(patched, "one"), forked(patched, "other")

    (_, parent, chance), (_, other_parent, other_chance) = one["start"], other["start"]
    assert parent == other_parent
    assert chance != other_chance
    assert (one["word"], other["word"]) == ("one", "other")
    assert one["role"] != other["role"]
    assert one["folder"] == one["code"]


def test_a_worker_that_was_forked_and_the_process_it_came_from_are_replaced(patched):
    function, first = forked(patched, "")
    patched.invoke(function, {"end": False})
    second = patched.invoke(function)
    patched.invoke(function, {"end": True})  # it goes on without the one that started it
    patched.invoke(function, {"end": False})
    third = patched.invoke(function)

    assert len({answer["start"][0] for answer in (first, second, third)}) == 3
    assert first["start"][1] == second["start"][1] != third["start"][1]


def test_without_the_patch_the_emulator_starts_each_worker(unpatched):
    (_, one), (_, other) = forked(unpatched, "one"), forked(unpatched, "other")

    assert one["start"][1] == other["start"][1] == unpatched.process.pid


def quiet_handler(running):
    """Return what times one invocation of a warm function."""
    client, function = running.client("lambda"), running.function(QUIET)
    client.invoke(FunctionName=function)

    def timed():
        start = time.perf_counter()
        client.invoke(FunctionName=function)["Payload"].read()
        return time.perf_counter() - start

    return timed


def test_a_quiet_handler_is_answered_without_a_wait_for_logs(patched, unpatched):
    with_patch, without = quiet_handler(patched), quiet_handler(unpatched)

    # In turns, so that other work of the machine hits both; the quickest of many is what the emulator takes.
    pairs = [(with_patch(), without()) for _ in range(25)]

    # The wait that is gone is 50 ms.
    assert min(seconds for _, seconds in pairs) - min(seconds for seconds, _ in pairs) > 0.03


def function_with(**properties):
    return {
        "Resources": {
            "Role": ROLE,
            "Function": {
                "Type": "AWS::Lambda::Function",
                "Properties": {
                    "Runtime": "python3.13",
                    "Handler": "index.handler",
                    "Timeout": 10,
                    "Role": {"Fn::GetAtt": ["Role", "Arn"]},
                    "Code": {"ZipFile": SLOW},
                    **properties,
                },
            },
        },
        "Outputs": {"Name": {"Value": {"Ref": "Function"}}},
    }


def reserved(running, stack):
    answer = running.client("lambda").get_function_concurrency(FunctionName=running.outputs(stack)["Name"])
    return answer.get("ReservedConcurrentExecutions")


def test_reserved_concurrency_of_a_template_throttles(patched):
    stack = patched.deploy(function_with(ReservedConcurrentExecutions=1))
    name = patched.outputs(stack)["Name"]
    client = patched.client("lambda")

    def invoke():
        try:
            return client.invoke(FunctionName=name)["StatusCode"]
        except ClientError as error:
            return error.response["Error"]["Code"]

    with concurrent.futures.ThreadPoolExecutor() as pool:
        outcomes = list(pool.map(lambda _: invoke(), range(3)))

    assert sorted(map(str, outcomes)) == ["200", "TooManyRequestsException", "TooManyRequestsException"]


def test_reserved_concurrency_follows_the_template(patched):
    stack = patched.deploy(function_with(ReservedConcurrentExecutions=0))
    assert reserved(patched, stack) == 0

    stack = patched.deploy(function_with(ReservedConcurrentExecutions="5"), stack=stack["StackName"])
    assert reserved(patched, stack) == 5

    stack = patched.deploy(function_with(), stack=stack["StackName"])
    assert reserved(patched, stack) is None


def test_without_the_patch_reserved_concurrency_is_dropped(unpatched):
    assert reserved(unpatched, unpatched.deploy(function_with(ReservedConcurrentExecutions=1))) is None
