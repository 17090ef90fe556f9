"""The data of a channel, for commands that somebody runs on their own machine."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3

from sms_engagement_runtime.channel.adapters.clients import RETRYING
from sms_engagement_runtime.channel.adapters.clock import SystemClock
from sms_engagement_runtime.channel.adapters.contact_rows import DynamoContactRows
from sms_engagement_runtime.channel.adapters.dynamodb_contacts import DynamoContacts
from sms_engagement_runtime.channel.adapters.event_bus import EventBridgeBus
from sms_engagement_runtime.channel.adapters.opted_out_numbers import EndUserMessagingOptedOutNumbers
from sms_engagement_runtime.channel.adapters.secrets import SecretCache
from sms_engagement_runtime.channel.domain.opting_out import OptOutRecorder
from sms_engagement_runtime.channel.domain.subscriber import subscriber_id
from sms_engagement_runtime.commands.exits import ExitStatus, end, fail

if TYPE_CHECKING:
    from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber


class ChannelData:
    """What the options name, opened when it is first needed."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self.clock = SystemClock()
        self.dynamodb = self.client("dynamodb")
        self.contacts = DynamoContacts(self.dynamodb, table=options.contacts_table)
        self.rows = DynamoContactRows(self.dynamodb, table=options.contacts_table)

    def client(self, service: str) -> Any:
        """Make a client of a service, at the endpoint that the options name."""
        return boto3.client(service, endpoint_url=self._options.endpoint_url, config=RETRYING)  # type: ignore[call-overload]  # any service

    @cached_property
    def opted_out_numbers(self) -> EndUserMessagingOptedOutNumbers:
        """The opt-out list."""
        client = self.client("pinpoint-sms-voice-v2")
        return EndUserMessagingOptedOutNumbers(client, list_name=self._options.opt_out_list)

    @cached_property
    def recorder(self) -> OptOutRecorder:
        """Records opt-outs and tells the bus."""
        bus = EventBridgeBus(self.client("events"), bus_name=self._options.bus)
        return OptOutRecorder(contacts=self.contacts, prompts=self.contacts, bus=bus, clock=self.clock)

    @cached_property
    def subscriber_id_of(self) -> Callable[[PhoneNumber], str]:
        """Keyed hash of a number."""
        key = SecretCache(self.client("secretsmanager"), self._options.subscriber_key_secret).key()
        return lambda number: subscriber_id(number, key)


def end_with_report(
    report: Mapping[str, object], file: str | None, *, problem: str | None = None, is_whole: bool = True
) -> ExitStatus:
    """Write a report to standard output and, where one is named, into a file.

    Parameters
    ----------
    problem
        Why the command ends early.
    is_whole
        Whether nothing was left out.
    """
    status = end(report, is_done=is_whole)
    if file is not None:
        try:
            Path(file).write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            return fail(f"the report could not be written: {error.strerror}")
    return status if problem is None else fail(problem)
