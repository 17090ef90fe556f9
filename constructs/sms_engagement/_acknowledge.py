"""Acknowledgements of cdk-nag findings, each at its resource and with its reason."""

from typing import Any

from aws_cdk import Acknowledgment, Reference, Stack, Tokenization, Validations
from constructs import IConstruct


def acknowledge(construct: IConstruct, rule: str, reason: str) -> None:
    """Accept one finding of the AwsSolutions pack on a construct and what is below it.

    Parameters
    ----------
    construct
        Where the finding is.
    rule
        Rule without its pack: ``SF2``, or ``IAM5[Resource::*]`` for one resource of a policy.
    reason
        Why it is right here; shown in cdk-nag's report.
    """
    Validations.of(construct).acknowledge(Acknowledgment(id=f"AwsSolutions-{rule}", reason=reason))


def acknowledge_wildcard(construct: IConstruct, arn: str, reason: str) -> None:
    """Accept one wildcard ARN in the policies of a construct and what is below it.

    Parameters
    ----------
    arn
        As in the policy statement. Of a resource of another stack, the export is made that the statement will
        import, since the finding names it.
    """
    stack = Stack.of(construct)
    seen = stack.resolve(_as_imported(stack, arn))
    acknowledge(construct, f"IAM5[Resource::{_as_reported(seen)}]", reason)


def _as_imported(stack: Stack, arn: str) -> str:
    for token in Tokenization.reverse_string(arn).tokens:
        if not isinstance(token, Reference):
            continue
        owner = Stack.of(token.target)
        # Of nested stacks and other Regions CDK has other ways, whose findings their owner acknowledges.
        if owner is not stack and not owner.nested and owner.environment == stack.environment:
            arn = arn.replace(token.to_string(), str(owner.export_value(token)))
    return arn


def _as_reported(value: Any) -> str:
    """Write a resolved token as cdk-nag does in the id of a finding: ``<LogicalId.Attribute>``."""
    match value:
        case {"Ref": name}:
            return f"<{name}>"
        case {"Fn::ImportValue": str(name)}:
            return name
        case {"Fn::GetAtt": [name, attribute]}:
            return f"<{name}.{attribute}>"
        case {"Fn::Join": [separator, parts]}:
            return str(separator).join(map(_as_reported, parts))
    return str(value)
