"""Opt-outs that the bus tells of reach the contact rows: see ``domain.opt_out_reports``."""

from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from sms_engagement_runtime.channel.adapters.clients import dynamodb_client, events_client
from sms_engagement_runtime.channel.adapters.clock import build_clock
from sms_engagement_runtime.channel.adapters.dynamodb_contacts import DynamoContacts
from sms_engagement_runtime.channel.adapters.event_bus import EventBridgeBus
from sms_engagement_runtime.channel.domain.opt_out_reports import read_report, record_report
from sms_engagement_runtime.channel.domain.opting_out import OptOutRecorder
from sms_engagement_runtime.observability import instrumented, logger, metrics
from sms_engagement_runtime.settings import load


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Environment of this function."""

    contacts_table: str
    bus_name: str


_settings = load(Settings)
_contacts = DynamoContacts(dynamodb_client(), table=_settings.contacts_table)
_recorder = OptOutRecorder(
    contacts=_contacts,
    prompts=_contacts,
    bus=EventBridgeBus(events_client(), bus_name=_settings.bus_name),
    clock=build_clock(),
)


@instrumented
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, str | None]:
    """Record one event of the bus, however often it comes.

    Parameters
    ----------
    event
        EventBridge event, source ``sms-engagement``, detail-type ``OptOutReported``.

    Returns
    -------
    dict
        ``{"recorded"}``: what became of it; None for an event that nobody can carry out.

    Raises
    ------
    TransientError
        The table or the bus did not answer. Lambda calls again, and then the event goes to the dead-letter
        queue.
    """
    event_id, event_type = str(event.get("id") or context.aws_request_id), event.get("detail-type")
    report = read_report(event_type, event.get("detail"))
    if report is None:
        logger.error("Event cannot be carried out", event_id=event_id, event_type=event_type)
        metrics.add_metric(name="MalformedEvents", unit=MetricUnit.Count, value=1)
        return {"recorded": None}
    recorded = record_report(_recorder, report)
    logger.info("opt-out reported", event_id=event_id, subscriber_id=report.subscriber_id, recorded=recorded)
    metrics.add_metric(
        name="OptOutsReported" + "".join(word.capitalize() for word in recorded.split("_")),
        unit=MetricUnit.Count,
        value=1,
    )
    return {"recorded": recorded.value}
