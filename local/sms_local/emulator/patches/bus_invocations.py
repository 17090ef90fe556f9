"""A function that fails on an event of the bus gets it again.

Reason
    A text that hangs on one event (a reply, the end of an appointment) would be lost with the first throttled
    call, and what the product does about that could not be seen.
AWS
    EventBridge invokes functions asynchronously: an event that fails is tried twice more, and then goes to
    the function's on-failure destination.
    https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
MiniStack 1.5.33
    Calls the function once and looks at no error, though it has the asynchronous way for others.
Hook
    ``eventbridge._dispatch_to_lambda`` takes that way. The pauses in between are real and short (AWS: one and
    two minutes).
"""

from sms_local.emulator.patches._pinned import PatchSettings, require, rewrite

_ONCE = """\
    threading.Thread(
        target=lambda_svc._execute_function_with_config_scope, args=(exec_record, event), daemon=True
    ).start()
"""
_AS_OFTEN_AS_LAMBDA = """\
    lambda_svc.invoke_async_with_retry(exec_record, event)
"""


def apply(_: PatchSettings) -> None:
    """Let events of the bus take Lambda's asynchronous way."""
    from ministack.services import eventbridge, lambda_svc

    require(holds=hasattr(lambda_svc, "invoke_async_with_retry"), what="lambda_svc.invoke_async_with_retry")
    rewrite(eventbridge, "_dispatch_to_lambda", (_ONCE, _AS_OFTEN_AS_LAMBDA))
