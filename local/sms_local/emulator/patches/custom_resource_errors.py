"""A custom resource whose function ends with an error fails at once, with that error as its reason.

Reason
    A deployment that hangs for an hour, without a word, because a function of ours could not be imported is
    of no use to anybody; the cause is known the moment the function ends.
AWS
    Invokes the function asynchronously, retries it twice, and waits for its answer until ``ServiceTimeout``,
    one hour unless the template says otherwise; the reason is then that no answer came.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-cloudformation-customresource.html
MiniStack 1.5.33
    Invokes the function once, ignores how that ended, and waits for the hour.
Hook
    When the invocation ended with an error and no answer has come, the answer ``FAILED`` is given in its
    place. This is stricter than AWS: a function that fails at first and answers on a retry fails here.
"""

from sms_local.emulator.patches._pinned import PatchSettings, rewrite


def apply(_: PatchSettings) -> None:
    """Look at the outcome of the invocation."""
    from ministack.services.cloudformation import custom_resource

    custom_resource._failure = _failure
    rewrite(
        custom_resource,
        "invoke_custom_resource",
        (
            "        _lambda_svc._execute_function_with_config_scope(exec_record, cfn_event)\n",
            "        outcome = _lambda_svc._execute_function_with_config_scope(exec_record, cfn_event)\n"
            '        if outcome.get("error") and not event_obj.is_set():\n'
            "            deliver_response(token, _failure(func_name, outcome))\n",
        ),
    )


def _failure(function_name: str, outcome: dict[str, object]) -> dict[str, str]:
    """Make the answer of a function that gave none."""
    error = outcome.get("body")
    described = (
        f"{error.get('errorType', 'Error')}: {error.get('errorMessage', '')}"
        if isinstance(error, dict)
        else str(error)
    )
    return {"Status": "FAILED", "Reason": f"{function_name} ended without an answer: {described}"}
