"""Roles that a service takes on for this account, and for no other."""

from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from constructs import Construct


def schedule_role(scope: Construct, id: str = "ScheduleRole") -> iam.Role:
    """Make the role of a schedule in the default group; its target gives it the right to be called.

    Schedules of this account take it on, and those of no other (*confused deputy*).

    Source: EventBridge Scheduler user guide, *Confused deputy prevention in EventBridge Scheduler*.
    """
    stack = Stack.of(scope)
    group = stack.format_arn(service="scheduler", resource="schedule-group", resource_name="default")
    return iam.Role(
        scope,
        id,
        assumed_by=iam.ServicePrincipal(
            "scheduler.amazonaws.com",
            conditions={"StringEquals": {"aws:SourceAccount": stack.account, "aws:SourceArn": group}},
        ),
    )


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
