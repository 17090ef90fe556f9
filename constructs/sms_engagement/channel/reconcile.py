"""The daily comparison of the contacts with the opt-out list of the service."""

from pathlib import Path
from typing import Final

from aws_cdk import Aws, Duration, RemovalPolicy
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_logs as logs
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_scheduler_targets as scheduler_targets
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from sms_engagement._acknowledge import acknowledge
from sms_engagement.channel.base import grant_actions
from sms_engagement.functions import FunctionOptions, RuntimeFunction
from sms_engagement.queues import grant_queue_key
from sms_engagement.roles import schedule_role, state_machine_role

_DEFINITION = Path(__file__).with_name("reconcile.asl.json")

STEP_TIMEOUT: Final = Duration.minutes(10)
"""Of the function: a step works for six minutes, and ends what it is at in the other four."""

DAILY: Final = scheduler.ScheduleExpression.cron(minute="20", hour="9")
"""09:20 UTC, when it is night where most of the default country's phones are: few people write."""

# A start that comes hours late meets the next one.
_MAX_EVENT_AGE = Duration.hours(12)


class Reconcile(Construct):
    """Step Functions: call the function, again and again, until all is compared.

    Started by the schedule, or by hand: ``{"dryRun": true}`` as input changes nothing, and the output says
    what would be. A run is a few calls a day; a million numbers on the list take three hours, at the hundred
    a second that AWS gives out.

    Parameters
    ----------
    schedule
        When it starts.
    dead_letter_queue
        Takes starts that the schedule could not make.

    Attributes
    ----------
    function, state_machine, schedule
        What compares, what repeats it, and what starts that. The channel grants the function its rights.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        schedule: scheduler.ScheduleExpression,
        options: FunctionOptions,
        environment: dict[str, str],
        dead_letter_queue: sqs.IQueue,
        removal_policy: RemovalPolicy = RemovalPolicy.DESTROY,
    ) -> None:
        super().__init__(scope, id)
        self.function = RuntimeFunction(
            self,
            "Function",
            handler="channel.handlers.reconcile",
            service="channel",
            description="Compares the contacts with the opt-out list of the service, both ways",
            options=options,
            environment=environment,
            timeout=STEP_TIMEOUT,
        )
        self.log_group = logs.LogGroup(
            self, "Logs", retention=options.log_retention, removal_policy=removal_policy
        )
        role = state_machine_role(self)
        grant_actions(role, ["lambda:InvokeFunction"], [self.function.function_arn])
        self.state_machine = sfn.StateMachine(
            self,
            "StateMachine",
            definition_body=sfn.DefinitionBody.from_string(_DEFINITION.read_text(encoding="utf-8")),
            definition_substitutions={
                "FunctionArn": self.function.function_arn,
                "Partition": Aws.PARTITION,
            },
            role=role,
            tracing_enabled=True,
            logs=sfn.LogOptions(
                destination=self.log_group, level=sfn.LogLevel.ALL, include_execution_data=False
            ),
            removal_policy=removal_policy,
        )
        acknowledge(role, "IAM5[Resource::*]", "X-Ray and log delivery have no resources to name")
        self.schedule = self._build_schedule(schedule, dead_letter_queue)

    def _build_schedule(
        self, when: scheduler.ScheduleExpression, dead_letter_queue: sqs.IQueue
    ) -> scheduler.Schedule:
        role = schedule_role(self)
        grant_queue_key(role, dead_letter_queue)
        return scheduler.Schedule(
            self,
            "Schedule",
            description="Compares the contacts with the opt-out list of the service",
            schedule=when,
            target=scheduler_targets.StepFunctionsStartExecution(
                self.state_machine,
                input=scheduler.ScheduleTargetInput.from_object({"reason": "schedule"}),
                dead_letter_queue=dead_letter_queue,
                max_event_age=_MAX_EVENT_AGE,
                role=role,
            ),
        )

    def metric_failed(
        self, *, period: Duration | None = None, statistic: str | None = None
    ) -> cloudwatch.MathExpression:
        """Comparisons that did not come to their end."""
        period, statistic = period or Duration.minutes(5), statistic or "Sum"
        return cloudwatch.MathExpression(
            expression="FILL(failed, 0) + FILL(timedOut, 0)",
            using_metrics={
                "failed": self.state_machine.metric_failed(period=period, statistic=statistic),
                "timedOut": self.state_machine.metric_timed_out(period=period, statistic=statistic),
            },
            period=period,
            label="Comparisons with the opt-out list that failed",
        )
