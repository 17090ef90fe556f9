"""``reconcile``: contacts and the opt-out list of the service compared, by the code of the daily run."""

from __future__ import annotations

import argparse

from sms_engagement_runtime.channel.adapters.attention import SnsAttentionTopic
from sms_engagement_runtime.channel.adapters.contact_rows import SeenInMemory
from sms_engagement_runtime.channel.domain.errors import TransientError
from sms_engagement_runtime.channel.domain.reconcile import Phase, ReconcileService, Run, new_run
from sms_engagement_runtime.commands.channel_data import ChannelData, end_with_report
from sms_engagement_runtime.commands.exits import ExitStatus
from sms_engagement_runtime.commands.progress import Progress, say

_LABELS = {Phase.LIST: "numbers on the list", Phase.CONTACTS: "contacts that are opted out"}


def reconcile(options: argparse.Namespace) -> ExitStatus:
    """Compare all of it, and say what was done."""
    data = ChannelData(options)
    service = ReconcileService(
        opted_out_numbers=data.opted_out_numbers,
        rows=data.rows,
        contacts=data.contacts,
        recorder=data.recorder,
        seen=SeenInMemory(),
        attention=SnsAttentionTopic(data.client("sns"), topic_arn=options.attention_topic),
        clock=data.clock,
        subscriber_id_of=data.subscriber_id_of,
    )
    run = new_run(data.clock.now(), is_dry_run=options.dry_run)
    problem = None
    try:
        run = _compare(service, run)
    except KeyboardInterrupt:
        problem = "interrupted; start again, what is done is not done twice"
    except TransientError as error:
        problem = f"{error}; start again, what is done is not done twice"
    if problem is None:
        say(_sentence(run))
    report = {"command": "reconcile"} | {
        name: value for name, value in run.to_json().items() if name not in {"cursor", "portions"}
    }
    return end_with_report(report, options.report, problem=problem)


def _compare(service: ReconcileService, run: Run) -> Run:
    while run.phase is not Phase.DONE:
        phase = run.phase
        with Progress(_LABELS[phase]) as progress:
            while run.phase is phase:
                run = service.step(run, has_time=lambda: True, advance=progress.advance)
    return run


def _sentence(run: Run) -> str:
    would = "would be " if run.is_dry_run else ""
    counts = run.counts
    return (
        f"{counts.get('listed', 0):,} numbers on the list, {counts.get('contacts', 0):,} contacts opted out: "
        f"{counts.get('optedOut', 0):,} {would}opted out here, "
        f"{counts.get('putOnList', 0):,} {would}put on the list."
    )
