"""Single texts that have to wait: for the morning, for the end of a pause, for the day of a reminder."""

from pathlib import Path

from aws_cdk import Aws, Duration, RemovalPolicy
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from sms_engagement._acknowledge import acknowledge
from sms_engagement.alarms import lost_executions
from sms_engagement.channel.base import grant_actions
from sms_engagement.functions import RuntimeFunction
from sms_engagement.queues import grant_queue_key
from sms_engagement.roles import state_machine_role

_DEFINITION = Path(__file__).with_name("later.asl.json")


class Later(Construct):
    """Step Functions: wait → call the function with its event → done, or wait again.

    A function starts one execution for each event that has to wait, with the event, its own name and the
    instant. It answers ``{"state", "until"}``, and is called again for as long as the state is ``DEFERRED``,
    for 360 days at the most, since an execution may take a year. Events hold ids only. Where a call fails,
    again and again, the input goes to the dead-letter queue with the error: whoever reads it there starts an
    execution with it once the cause is gone.

    Cost: some four state transitions for each wait, and no compute while waiting.

    Parameters
    ----------
    dead_letter_queue
        Takes what failed.
    log_retention, removal_policy
        Of the log group of the state machine; it holds no state input or output.

    Attributes
    ----------
    state_machine
        Started by functions, see :meth:`serve`.
    log_group
        Its history, without data.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        dead_letter_queue: sqs.IQueue,
        log_retention: logs.RetentionDays = logs.RetentionDays.THREE_MONTHS,
        removal_policy: RemovalPolicy = RemovalPolicy.DESTROY,
    ) -> None:
        super().__init__(scope, id)
        self.log_group = logs.LogGroup(self, "Logs", retention=log_retention, removal_policy=removal_policy)
        self._role = state_machine_role(self)
        grant_actions(self._role, ["sqs:SendMessage"], [dead_letter_queue.queue_arn])
        grant_queue_key(self._role, dead_letter_queue)
        self.state_machine = sfn.StateMachine(
            self,
            "StateMachine",
            definition_body=sfn.DefinitionBody.from_string(_DEFINITION.read_text(encoding="utf-8")),
            definition_substitutions={
                "DeadLetterQueueUrl": dead_letter_queue.queue_url,
                "Partition": Aws.PARTITION,
            },
            role=self._role,
            tracing_enabled=True,
            logs=sfn.LogOptions(
                destination=self.log_group, level=sfn.LogLevel.ALL, include_execution_data=False
            ),
            removal_policy=removal_policy,
        )
        acknowledge(self._role, "IAM5[Resource::*]", "X-Ray and log delivery have no resources to name")

    def serve(self, function: RuntimeFunction) -> None:
        """Let a function put off its events, and call it with them.

        The machine learns the function's name from its input: a definition that named the function, whose
        environment names the machine, could not be deployed. It may call no function but those of this
        method. Their policy is one of its own for the same reason.
        """
        function.add_environment("LATER_ARN", self.state_machine.state_machine_arn)
        grant_actions(function, ["states:StartExecution"], [self.state_machine.state_machine_arn])
        iam.Policy(
            self,
            f"Call{function.node.id}",
            roles=[self._role],
            statements=[
                iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=[function.function_arn])
            ],
        )

    def metric_lost(self, *, period: Duration | None = None) -> cloudwatch.MathExpression:
        """Events that ended without having been carried out: failed, or never done."""
        return lost_executions(self.state_machine, period=period)
