"""Custom resource ``Custom::SmsOrigination``: connects the channel's number or pool; delete restores it.

Properties
----------
``OriginationIdentity`` (ARN), ``TwoWayTopicArn``, ``TwoWayRoleArn`` (optional), ``OptOutListName``,
``SelfManagedOptOuts`` (``"true"``/``"false"``), ``Keywords`` (list of ``{Keyword, Action, Message}``).

The physical id is the identity's ARN. An update to another identity connects that one first; the former one
is restored then, and again by the Delete that CloudFormation sends for a replaced resource, which finds
nothing left to do.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import BotoCoreError, ClientError

from sms_engagement_runtime.channel.adapters.aws_errors import error_reason
from sms_engagement_runtime.channel.adapters.clients import dynamodb_client, sms_settings_client
from sms_engagement_runtime.channel.adapters.custom_resource import answer
from sms_engagement_runtime.channel.adapters.origination import OriginationConnector
from sms_engagement_runtime.channel.adapters.origination_model import (
    Connection,
    Identity,
    KeywordAnswer,
    OriginationError,
    TwoWaySettings,
)
from sms_engagement_runtime.observability import instrumented, logger
from sms_engagement_runtime.settings import load


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Environment of this function."""

    contacts_table: str


_settings = load(Settings)
_connector = OriginationConnector(
    sms=sms_settings_client(), dynamodb=dynamodb_client(), table=_settings.contacts_table
)


@instrumented
def handler(event: Mapping[str, Any], context: LambdaContext) -> None:
    """Carry out one request of CloudFormation and answer it, whatever happens."""
    failure = None
    physical_id = event.get("PhysicalResourceId") or event["ResourceProperties"]["OriginationIdentity"]
    try:
        physical_id = carry_out(event, _connector)
    except OriginationError as error:
        failure = f"{error}."
    except ClientError as error:
        failure = f"{error.operation_name} was refused: {error_reason(error)}."
    except BotoCoreError as error:
        failure = f"AWS could not be asked: {type(error).__name__}."
    except Exception as error:  # noqa: BLE001 - unanswered, CloudFormation waits for an hour
        failure = f"{type(error).__name__}; the log of {context.function_name} says more."
        logger.exception("origination request failed")
    if failure:
        logger.error("origination not changed", request_type=event["RequestType"], reason=failure)
    answer(event, physical_id=physical_id, failure=failure)


def carry_out(event: Mapping[str, Any], connector: OriginationConnector) -> str:
    """Connect or restore, and return the physical id."""
    properties = event["ResourceProperties"]
    if event["RequestType"] == "Delete":
        _restore(event["PhysicalResourceId"], properties, connector)
        return str(event["PhysicalResourceId"])
    identity = Identity.from_arn(properties["OriginationIdentity"])
    connector.connect(identity, connection_of(properties))
    former = event.get("OldResourceProperties", properties)
    if former["OriginationIdentity"] != identity.arn:
        _restore_former(former, connector)
    return identity.arn


def connection_of(properties: Mapping[str, Any]) -> Connection:
    """Read the properties.

    In self-managed mode keywords with the action ``OPT_OUT`` are left out: there the service must not
    answer and list a number by itself, since the router does both, and a person would get two answers.
    """
    self_managed = properties["SelfManagedOptOuts"] == "true"
    return Connection(
        settings=TwoWaySettings(
            two_way_enabled=True,
            topic_arn=properties["TwoWayTopicArn"],
            role_arn=properties.get("TwoWayRoleArn") or None,
            opt_out_list=properties["OptOutListName"],
            self_managed_opt_outs=self_managed,
        ),
        keywords={
            keyword["Keyword"].upper(): KeywordAnswer(action=keyword["Action"], message=keyword["Message"])
            for keyword in properties.get("Keywords", ())
            if not (self_managed and keyword["Action"] == "OPT_OUT")
        },
    )


def _restore(arn: str, properties: Mapping[str, Any], connector: OriginationConnector) -> None:
    try:
        identity = Identity.from_arn(arn)
    except OriginationError:
        # A create that failed for its ARN is deleted again.
        return
    connector.restore(identity, connection_of(properties))


def _restore_former(properties: Mapping[str, Any], connector: OriginationConnector) -> None:
    try:
        _restore(properties["OriginationIdentity"], properties, connector)
    except (ClientError, BotoCoreError, OriginationError):
        # The new identity works. CloudFormation's own Delete of the former one follows, and shows the fault.
        logger.exception("former origination identity not restored yet")
