"""Alarms of journeys: what failed, and whose turn did not come."""

from typing import TYPE_CHECKING

from aws_cdk import aws_sns as sns
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from sms_engagement.alarms import Alarms

if TYPE_CHECKING:
    from sms_engagement.journeys.engine import JourneyEngine


def engine_alarms(engine: "JourneyEngine", topic: sns.ITopic | None) -> Alarms:
    """Make the alarms of an engine that is complete but for them."""
    alarms = Alarms(engine, "Alarms", system="journeys", topic=topic)
    alarms.add_functions(
        {
            "StartJourney": engine.start,
            "Audience": engine.audience,
            "Plan": engine.plan,
            "SendPart": engine.send_part,
            "Summary": engine.summary,
            "PhoneEvents": engine.phone_events,
        }
    )
    alarms.add_dead_letter_queues({"DeadLetters": engine.dead_letter_queue})
    alarms.add_tables({"Enrolments": engine.enrolments_table})
    alarms.add(
        "SendingDisabled",
        engine.metric_sending_disabled(),
        threshold=1,
        description="AWS refuses all texts: spend limit, reputation or configuration; journeys wait",
    )
    alarms.add(
        "PeopleNotTexted",
        engine.metric_people_not_texted(),
        threshold=1,
        description="somebody's turn failed as nobody foresaw; the log of SendPart names the error",
    )
    alarms.add(
        "MalformedEvents",
        engine.metric_malformed_events(),
        threshold=1,
        description="an event of the bus could not be read and was left out; the log has its id",
    )
    _add_failed(alarms, "RunFailed", engine.state_machine, "a run of a step ended without its summary")
    return alarms


def journey_alarms(scope: Construct, machine: sfn.IStateMachine, topic: sns.ITopic | None) -> Alarms:
    """Make the alarms of one journey."""
    alarms = Alarms(scope, "Alarms", system="journeys", topic=topic)
    _add_failed(
        alarms,
        "JourneyFailed",
        machine,
        "a journey was started with input that it refused, or one of its steps failed",
    )
    return alarms


def _add_failed(alarms: Alarms, name: str, machine: sfn.IStateMachine, what: str) -> None:
    alarms.add_state_machine(
        name,
        machine,
        description=f"{what}; its execution tells which, and redriving it texts nobody twice",
    )
