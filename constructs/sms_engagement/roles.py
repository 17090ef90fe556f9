"""Roles that a service takes on for this account, and for no other."""

from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from constructs import Construct


def state_machine_role(scope: Construct, id: str = "Role") -> iam.Role:
    """Make the role of a state machine; whoever has it gives it the rights of its steps.

    Step Functions takes it on for executions of this account only (*confused deputy*).

    Source: Step Functions developer guide, *Prevent cross-service confused deputy issue*.
    """
    return iam.Role(
        scope,
        id,
        assumed_by=iam.ServicePrincipal(
            "states.amazonaws.com",
            conditions={"StringEquals": {"aws:SourceAccount": Stack.of(scope).account}},
        ),
    )
