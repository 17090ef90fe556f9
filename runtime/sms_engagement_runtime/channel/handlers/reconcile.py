"""The daily comparison of contacts and opt-out list: one step of it, called again until it is done.

Called by the state machine ``reconcile.asl.json``, with what the step before it gave.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from sms_engagement_runtime.channel.adapters.attention import SnsAttentionTopic
from sms_engagement_runtime.channel.adapters.clients import (
    dynamodb_client,
    events_client,
    sms_settings_client,
    sns_client,
)
from sms_engagement_runtime.channel.adapters.clock import build_clock
from sms_engagement_runtime.channel.adapters.contact_rows import DynamoContactRows, DynamoSeenNumbers
from sms_engagement_runtime.channel.adapters.dynamodb_contacts import DynamoContacts
from sms_engagement_runtime.channel.adapters.event_bus import EventBridgeBus
from sms_engagement_runtime.channel.adapters.opted_out_numbers import EndUserMessagingOptedOutNumbers
from sms_engagement_runtime.channel.adapters.subscriber_ids import build_subscriber_id
from sms_engagement_runtime.channel.domain.opting_out import OptOutRecorder
from sms_engagement_runtime.channel.domain.reconcile import Phase, ReconcileService, Run, new_run
from sms_engagement_runtime.observability import instrumented, logger, metrics
from sms_engagement_runtime.settings import load

_LEFT_MILLISECONDS: Final = 240_000
"""A step takes nothing on when so little time is left. The longest thing it may be at then is a page of a
hundred numbers, each of which has to be looked up, one a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Environment of this function."""

    contacts_table: str
    subscriber_key_secret_arn: str
    bus_name: str
    attention_topic_arn: str
    opt_out_list: str


_settings = load(Settings)
_clock = build_clock()
_dynamodb = dynamodb_client()
_contacts = DynamoContacts(_dynamodb, table=_settings.contacts_table)


@cache
def _service() -> ReconcileService:
    return ReconcileService(
        opted_out_numbers=EndUserMessagingOptedOutNumbers(
            sms_settings_client(), list_name=_settings.opt_out_list
        ),
        rows=DynamoContactRows(_dynamodb, table=_settings.contacts_table),
        contacts=_contacts,
        recorder=OptOutRecorder(
            contacts=_contacts,
            prompts=_contacts,
            bus=EventBridgeBus(events_client(), bus_name=_settings.bus_name),
            clock=_clock,
        ),
        seen=DynamoSeenNumbers(_dynamodb, table=_settings.contacts_table, clock=_clock),
        attention=SnsAttentionTopic(sns_client(), topic_arn=_settings.attention_topic_arn),
        clock=_clock,
        subscriber_id_of=build_subscriber_id(_settings.subscriber_key_secret_arn),
    )


@instrumented
def handler(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Do one step.

    Parameters
    ----------
    event
        What the step before it returned; for the first one anything else, as ``{"dryRun": true}``.

    Returns
    -------
    dict
        How far the run is, with ``phase`` ``DONE`` at its end, and what it counted: ids and figures only.

    Raises
    ------
    TransientError
        A service did not answer. Step Functions calls again.
    """
    run = Run.from_json(event) if "phase" in event else _begin(event)
    after = _service().step(run, has_time=lambda: _milliseconds_left(context) > _LEFT_MILLISECONDS)
    logger.info(
        "opt-out list compared",
        run=after.run_id,
        phase=after.phase,
        is_dry_run=after.is_dry_run,
        counts=dict(after.counts),
    )
    if after.phase is Phase.DONE and not after.is_dry_run:
        metrics.add_metric(name="OptOutListCompared", unit=MetricUnit.Count, value=1)
        if after.drift:
            metrics.add_metric(name="OptOutListDrift", unit=MetricUnit.Count, value=after.drift)
    return after.to_json()


def _begin(event: Mapping[str, Any]) -> Run:
    return new_run(_clock.now(), is_dry_run=event.get("dryRun") is True)


def _milliseconds_left(context: LambdaContext) -> int:
    return context.get_remaining_time_in_millis()
