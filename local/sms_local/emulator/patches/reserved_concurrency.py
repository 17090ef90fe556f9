"""Reserved concurrency of functions that CloudFormation makes.

Reason
    A function that must run one at a time (a rotation, a paced sender) would run many at once, and a
    deployment that drops the limit looks right.
AWS
    ``ReservedConcurrentExecutions`` caps a function's concurrent executions; a call above it is throttled.
    https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html
MiniStack 1.5.33
    Its Lambda API keeps and enforces the limit; its CloudFormation ignores the property.
Hook
    After a function is created or updated, the emulated API is called with what the template says.
"""

from sms_local.emulator.patches._cloudformation import Properties, after_provisioning
from sms_local.emulator.patches._pinned import PatchSettings, require


def apply(_: PatchSettings) -> None:
    """Make the property take effect."""
    from ministack.services import lambda_svc

    for function in ("_put_function_concurrency", "_delete_function_concurrency"):
        require(holds=hasattr(lambda_svc, function), what=f"lambda_svc.{function}")
    after_provisioning("AWS::Lambda::Function", _set_concurrency)


def _set_concurrency(function_name: str, properties: Properties) -> None:
    from ministack.services import lambda_svc

    reserved = properties.get("ReservedConcurrentExecutions")
    if reserved is None:
        lambda_svc._delete_function_concurrency(function_name)
    else:
        lambda_svc._put_function_concurrency(function_name, {"ReservedConcurrentExecutions": int(reserved)})
