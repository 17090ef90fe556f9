"""A Python handler's exception keeps its class name, and its execution environment stays warm.

Reason
    Step Functions' ``Catch`` and ``Retry`` match on the class name; with every error called the same, a
    workflow that tells transient from permanent failures cannot be tried out.
AWS
    The error answer is ``{"errorMessage", "errorType", "requestId", "stackTrace"}`` with the exception's
    class name as ``errorType``. An exception from the handler does not end the execution environment.
    https://docs.aws.amazon.com/lambda/latest/dg/python-exceptions.html
MiniStack 1.5.33
    Answers ``errorType: Runtime.HandlerError`` whatever was raised, and kills the worker after each error.
Hook
    The worker's script reports the class name; the code that reads the worker's answer uses it. A worker is
    still killed when it died or answered nonsense.
"""

from sms_local.emulator.patches._pinned import PatchSettings, require, rewrite

REPORTED_ERROR = '"error": str(e), "trace": traceback.format_exc()'


def apply(_: PatchSettings) -> None:
    """Report the class name and the stack trace from the worker through to the caller."""
    from ministack.core import lambda_runtime
    from ministack.services import lambda_svc

    script = lambda_runtime._PYTHON_WORKER_SCRIPT
    require(
        holds=script.count(REPORTED_ERROR) == 1, what="error answer in lambda_runtime._PYTHON_WORKER_SCRIPT"
    )
    lambda_runtime._PYTHON_WORKER_SCRIPT = script.replace(
        REPORTED_ERROR,
        f'"type": type(e).__name__, "frames": traceback.format_tb(e.__traceback__)[1:], {REPORTED_ERROR}',
    )
    rewrite(
        lambda_runtime.Worker,
        "invoke",
        (
            'if response.get("status") == "error":',
            'if response.get("status") == "error" and "type" not in response:',
        ),
    )
    rewrite(
        lambda_svc,
        "_execute_function_warm",
        ('error_type = "Runtime.HandlerError"', 'error_type = result.get("type") or "Runtime.HandlerError"'),
        (
            '"errorType": error_type,',
            '"errorType": error_type,\n                    "requestId": request_id,\n'
            '                    **({"stackTrace": result["frames"]} if "frames" in result else {}),',
        ),
    )
