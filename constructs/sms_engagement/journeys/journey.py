"""Journey: one description as one state machine."""

from collections.abc import Sequence
from typing import Final

from aws_cdk import ArnFormat, Aws, Duration, RemovalPolicy, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_scheduler_targets as scheduler_targets
from aws_cdk import aws_sns as sns
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from sms_engagement._acknowledge import acknowledge, acknowledge_wildcard
from sms_engagement.channel.base import SmsChannelBase
from sms_engagement.data import place_of_data
from sms_engagement.functions import FunctionOptions
from sms_engagement.journeys.alarms import journey_alarms
from sms_engagement.journeys.compiler import compile_journey
from sms_engagement.journeys.engine import DEFAULT_LONGEST_JOURNEY, OBJECTS_KEPT_FOR, JourneyEngine
from sms_engagement.queues import grant_queue_key
from sms_engagement.roles import schedule_role, state_machine_role
from sms_engagement_runtime.journeys.domain.bus_events import SUBSCRIBER_ENTERED
from sms_engagement_runtime.journeys.domain.description import JourneyDefinition
from sms_engagement_runtime.journeys.domain.runs import MAX_TEXT_LENGTH

_MAX_EVENT_AGE: Final = Duration.hours(6)
"""What begins hours late would go on past the allowed hours of the day."""

_EVENTS_RULE: Final = "StepFunctionsGetEventsForStepFunctionsExecutionRule"
"""Managed rule by which Step Functions learns that a nested execution has ended (developer guide, *IAM
policies for nested state machines*)."""


class Journey(Construct):
    """One journey: texts in an order, each when it is due, to whoever is still on the way.

    Start it with ``{}``, or with ``{"segment": "vip", "values": {"promo": "SPRING"}, "dryRun": true}``; the
    whole input is in ``docs/journeys.md``. Each start is a run. It ends when the last text of its last person
    is out, or the person left.

    ::

        Journey(self, "Welcome", channel=channel, subscribers=table, definition=welcome_series())

    Parameters
    ----------
    channel
        Sends the texts. One journey of a name on a channel: its ledger holds who was sent which text.
    definition
        What the journey is: a stock one, or one of your own.
    subscribers
        Of the engine that is made; needed unless `engine` is given.
    engine
        Shared with other journeys of this channel; one is made when left out.
    schedule
        When it starts by itself, for everybody in its audience; never when left out. A start that
        EventBridge Scheduler repeats texts nobody twice.
    segment_trigger
        Segment for which it starts, for one person, whenever the bus tells ``SubscriberEntered``. For people
        who come one by one: each start takes a Distributed Map a moment, of which an account has 1,000 open
        at once (Step Functions, quotas). Many at once are one start for their segment.
    data_scope, dashboard, function_options, removal_policy
        Of the engine that is made; `function_options` also of the log group.
    alarm_topic
        As for :class:`SmsChannel`.

    Attributes
    ----------
    engine
        What does the work.
    state_machine, state_machine_arn
        The journey itself.
    log_group
        History of the state machine, without data.
    schedule, trigger
        What starts it; None without.
    alarms
        An alarm on runs that fail.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        channel: SmsChannelBase,
        definition: JourneyDefinition,
        subscribers: dynamodb.ITable | None = None,
        engine: JourneyEngine | None = None,
        schedule: scheduler.ScheduleExpression | None = None,
        segment_trigger: str | None = None,
        function_options: FunctionOptions | None = None,
        alarm_topic: sns.ITopic | None = None,
        data_scope: Construct | None = None,
        dashboard: bool | None = None,
        removal_policy: RemovalPolicy | None = None,
    ) -> None:
        _check_engine(channel, engine, subscribers, (data_scope, dashboard, removal_policy))
        if segment_trigger is not None and not segment_trigger:
            raise ValueError("segment_trigger must be the name of a segment; leave it out for no trigger")
        if len(_entered(segment_trigger or "")) > MAX_TEXT_LENGTH:
            raise ValueError(
                f"segment_trigger has {len(segment_trigger or '')} characters, at most "
                f"{MAX_TEXT_LENGTH - len(_entered(''))} are allowed; name the segment by fewer"
            )
        starts_alone = schedule is not None or segment_trigger is not None
        if starts_alone and (missing := sorted(n for n, v in definition.values.items() if v is None)):
            raise ValueError(
                f"journey {definition.name} starts by itself, and {', '.join(missing)} has no default; give "
                "the definition one, or start the journey with values"
            )
        if fault := next(definition.overlong(channel.policy.max_parts), None):
            raise ValueError(fault)
        compiled = compile_journey(definition)
        # Before an engine is made: what is refused leaves nothing behind.
        _check_span(definition, DEFAULT_LONGEST_JOURNEY if engine is None else engine.longest_journey)
        channel.serve_alone(
            f"journey {definition.name}", "/".join(part for part in (scope.node.path, id) if part)
        )
        super().__init__(scope, id)

        self.channel = channel
        self.definition = definition
        if engine is None:
            assert subscribers is not None
            engine = JourneyEngine(
                self,
                "Engine",
                channel=channel,
                subscribers=subscribers,
                function_options=function_options,
                alarm_topic=alarm_topic,
                data_scope=None if data_scope is None else place_of_data(self, data_scope),
                dashboard=dashboard is not False,
                removal_policy=removal_policy or RemovalPolicy.RETAIN,
            )
        self.engine = engine
        self._options = function_options or engine.function_options
        self._build_state_machine(compiled)
        self.schedule = None if schedule is None else self._build_schedule(schedule)
        self.trigger = None if segment_trigger is None else self._build_trigger(segment_trigger)
        self.alarms = journey_alarms(self, self.state_machine, alarm_topic or channel.alarm_topic)
        engine.show(f"Runs of {definition.name}", self.state_machine, self.alarms)

    @property
    def state_machine_arn(self) -> str:
        """ARN of the journey's state machine."""
        return self.state_machine.state_machine_arn

    def grant_start(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allow starting the journey."""
        return self.state_machine.grant_start_execution(grantee)

    def metric_runs_failed(
        self, *, period: Duration | None = None, statistic: str | None = None
    ) -> cloudwatch.Metric:
        """Count runs that did not come to their end."""
        return self.state_machine.metric_failed(period=period or Duration.minutes(5), statistic=statistic)

    def _build_state_machine(self, compiled: str) -> None:
        self.log_group = logs.LogGroup(
            self,
            "Logs",
            retention=self._options.log_retention,
            removal_policy=self._options.removal_policy,
        )
        role = self._role()
        self.state_machine = sfn.StateMachine(
            self,
            "StateMachine",
            definition_body=sfn.DefinitionBody.from_string(compiled),
            definition_substitutions={
                "StartFunctionArn": self.engine.start.function_arn,
                "EngineArn": self.engine.state_machine.state_machine_arn,
                "EngineExecutions": self._engine_executions,
                "Partition": Aws.PARTITION,
            },
            role=role,
            tracing_enabled=True,
            logs=sfn.LogOptions(
                destination=self.log_group, level=sfn.LogLevel.ALL, include_execution_data=False
            ),
            removal_policy=self._options.removal_policy,
        )
        acknowledge(role, "IAM5[Resource::*]", "X-Ray and log delivery have no resources to name")

    @property
    def _engine_executions(self) -> str:
        """ARN of the engine's executions, without the colon and the name of one."""
        return Stack.of(self.engine).format_arn(
            service="states",
            resource="execution",
            resource_name=self.engine.state_machine.state_machine_name,
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )

    def _role(self) -> iam.Role:
        role = state_machine_role(self)
        executions = f"{self._engine_executions}:*"
        rule = Stack.of(self).format_arn(service="events", resource="rule", resource_name=_EVENTS_RULE)
        for actions, resource in (
            (["lambda:InvokeFunction"], self.engine.start.function_arn),
            (["states:StartExecution"], self.engine.state_machine.state_machine_arn),
            # Waiting for a run, and stopping it with the journey.
            (["states:DescribeExecution", "states:StopExecution"], executions),
            (["events:DescribeRule", "events:PutRule", "events:PutTargets"], rule),
        ):
            role.add_to_policy(iam.PolicyStatement(actions=actions, resources=[resource]))
        acknowledge_wildcard(role, executions, "runs are named by the execution of their journey")
        return role

    def _build_schedule(self, when: scheduler.ScheduleExpression) -> scheduler.Schedule:
        role = schedule_role(self)
        grant_queue_key(role, self.engine.dead_letter_queue)
        return scheduler.Schedule(
            self,
            "Schedule",
            description=f"Starts the journey {self.definition.name}",
            schedule=when,
            target=scheduler_targets.StepFunctionsStartExecution(
                self.state_machine,
                # Each time is started at least once: two starts of one time are one occasion.
                input=scheduler.ScheduleTargetInput.from_object(
                    {"occasion": scheduler.ContextAttribute.scheduled_time, "reason": "schedule"}
                ),
                dead_letter_queue=self.engine.dead_letter_queue,
                max_event_age=_MAX_EVENT_AGE,
                role=role,
            ),
        )

    def _build_trigger(self, segment: str) -> events.Rule:
        rule = events.Rule(
            self,
            "Trigger",
            description=f"Starts the journey {self.definition.name} for who comes into a segment",
            event_bus=self.channel.bus,
            event_pattern=events.EventPattern(
                source=["sms-engagement"],
                detail_type=[SUBSCRIBER_ENTERED],
                detail={"segment": [segment]},
            ),
        )
        rule.add_target(
            targets.SfnStateMachine(
                self.state_machine,
                # An event comes at least once: the same one twice is one occasion.
                input=events.RuleTargetInput.from_object(
                    {
                        "subscriberIds": [events.EventField.from_path("$.detail.subscriberId")],
                        "occasion": events.EventField.event_id,
                        "reason": _entered(segment),
                    }
                ),
                dead_letter_queue=self.engine.dead_letter_queue,
                max_event_age=_MAX_EVENT_AGE,
            )
        )
        return rule


def _entered(segment: str) -> str:
    return f"entered {segment}"


def _check_span(definition: JourneyDefinition, longest: Duration) -> None:
    """Check that what the first moment wrote is there until the last one is over."""
    span = definition.offsets[-1]
    if span.total_seconds() > longest.to_seconds():
        raise ValueError(
            f"the Waits of journey {definition.name} come to {span.days} days, at most "
            f"{int(longest.to_days(integral=False))} are allowed: its people are kept for "
            f"{int(OBJECTS_KEPT_FOR.to_days())} days, and each moment may wait for them for the engine's "
            "expires_after; shorten either, or make a journey of its own of what comes later"
        )


def _check_engine(
    channel: SmsChannelBase,
    engine: JourneyEngine | None,
    subscribers: dynamodb.ITable | None,
    others_of_engine: Sequence[object],
) -> None:
    if engine is None:
        if subscribers is None:
            raise ValueError("a Journey needs the table of subscribers, or an engine that has it; give one")
        return
    if any(given is not None for given in (subscribers, *others_of_engine)):
        raise ValueError(
            "subscribers, data_scope, dashboard and removal_policy are the engine's; leave them out where it "
            "is given"
        )
    if engine.channel is not channel:
        raise ValueError("the engine is on another channel; give the journey an engine on its own")
