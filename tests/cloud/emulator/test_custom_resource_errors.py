"""A custom resource whose function fails without an answer fails its stack with the cause."""

import time

ANSWERS = """
import json, urllib.request
def handler(event, context):
    body = {key: event[key] for key in ("StackId", "RequestId", "LogicalResourceId")}
    word = event["ResourceProperties"]["Word"]
    body |= {"Status": "SUCCESS", "PhysicalResourceId": "made", "Data": {"Word": word}}
    request = urllib.request.Request(event["ResponseURL"], data=json.dumps(body).encode(), method="PUT")
    urllib.request.urlopen(request).close()
    FINISH
"""

WELL = ANSWERS.replace("FINISH", "return None")
FAILS_AFTER_ITS_ANSWER = ANSWERS.replace("FINISH", "raise ValueError('too late')")
FAILS = "def handler(event, context):\n    raise LookupError('no such number')\n"
CANNOT_BE_IMPORTED = "import no_such_library\n"


def stack_with(running, source, *, timeout=3600):
    name = running.function(source)
    arn = running.client("lambda").get_function(FunctionName=name)["Configuration"]["FunctionArn"]
    properties = {"ServiceToken": arn, "ServiceTimeout": timeout, "Word": "hello"}
    return running.deploy(
        {
            "Resources": {"Custom": {"Type": "Custom::Thing", "Properties": properties}},
            "Outputs": {"Word": {"Value": {"Fn::GetAtt": ["Custom", "Word"]}}},
        }
    )


def test_an_answer_counts_whatever_comes_after_it(patched):
    for source in (WELL, FAILS_AFTER_ITS_ANSWER):
        stack = stack_with(patched, source)

        assert stack["StackStatus"] == "CREATE_COMPLETE"
        assert patched.outputs(stack) == {"Word": "hello"}


def test_an_exception_or_a_failed_import_is_the_reason_of_the_failure(patched):
    raised = stack_with(patched, FAILS)
    imported = stack_with(patched, CANNOT_BE_IMPORTED)

    assert raised["StackStatus"] == imported["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "LookupError: no such number" in patched.reasons(raised["StackName"])
    assert "No module named 'no_such_library'" in patched.reasons(imported["StackName"])


def test_without_the_patch_the_time_out_is_waited_for(unpatched):
    begin = time.monotonic()

    stack = stack_with(unpatched, FAILS, timeout=2)

    assert time.monotonic() - begin >= 2
    assert "timed out" in unpatched.reasons(stack["StackName"])
