"""What other programs need to drive the embedded cloud: addresses on this machine, names and ARNs.

The shape is fixed (README, "Driving the embedded cloud"). Keys of what is not deployed are absent.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from sms_local import aws
from sms_local.failures import LocalCloudError
from sms_local.places import REGION, Places

#: Fixed key → the stack output that holds its value.
_TOPICS = {"inbound": "InboundTopicArn", "events": "EventTopicArn", "admin": "AdminTopicArn"}
_STATE_MACHINES = {
    "review_broadcast": "ReviewBroadcastArn",
    "appointment_follow_up": "AppointmentFollowUpArn",
    "journey_welcome": "WelcomeJourneyArn",
    "journey_promotional": "PromotionalJourneyArn",
}
_TABLES = {
    "customers": "CustomersTableName",
    "reviews": "ReviewsTableName",
    "review_requests": "ReviewRequestsTableName",
    "messages": "MessagesTableName",
    "contacts": "ContactsTableName",
    "conversations": "ConversationsTableName",
    "responses": "ResponsesTableName",
    "subscribers": "SubscribersTableName",
}
_SECRETS = {
    "review_token": "LinkSecretArn",
    "calendly_signing_key": "CalendlySigningKeyArn",
    "calcom_signing_key": "CalcomSigningKeyArn",
}

#: The E.164 number that the carrier simulator owns from the start; the `local` stage names it by its id.
ORIGINATION = "+12065550100"


def describe_stacks(places: Places) -> dict[str, dict[str, str]]:
    """Return the outputs of every deployed stack, by stack name, from CloudFormation.

    Raises
    ------
    LocalCloudError
        When the emulator does not answer.
    """
    cloudformation = aws.session().client(
        "cloudformation", endpoint_url=places.aws_endpoint, config=aws.client_config()
    )
    stacks: dict[str, dict[str, str]] = {}
    for page in cloudformation.get_paginator("describe_stacks").paginate():
        for stack in page["Stacks"]:
            stacks[stack["StackName"]] = {
                output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])
            }
    return {name: values for name, values in stacks.items() if name != "CDKToolkit" and values}


def compose(stacks: Mapping[str, Mapping[str, str]], places: Places) -> dict[str, Any]:
    """Return the fixed JSON from the stacks' outputs.

    Parameters
    ----------
    stacks
        Outputs by stack name, as `describe_stacks` returns them.
    places
        Where the embedded cloud listens.
    """
    values = {key: value for outputs in stacks.values() for key, value in outputs.items()}
    composed: dict[str, Any] = {
        "aws_endpoint": places.aws_endpoint,
        "carrier_endpoint": places.carrier_endpoint,
        "phone_url": f"{places.front_door}/",
        "region": REGION,
        "stacks": {name: dict(outputs) for name, outputs in stacks.items()},
        "urls": _urls(values, places),
        "topics": _pick(_TOPICS, values),
        "state_machines": _pick(_STATE_MACHINES, values),
        "tables": _pick(_TABLES, values),
        "secrets": _pick(_SECRETS, values),
        "origination": ORIGINATION,
    }
    single = {
        "stream": "StreamName",
        "bus": "BusArn",
        "archive_bucket": "ArchiveBucketName",
        "athena_workgroup": "AthenaWorkgroupName",
    }
    return composed | _pick(single, values)


def read_outputs(places: Places) -> dict[str, Any]:
    """Return the outputs noted by the last deployment.

    Raises
    ------
    LocalCloudError
        When nothing was deployed.
    """
    try:
        composed: dict[str, Any] = json.loads(places.outputs.read_text())
    except FileNotFoundError as error:
        msg = "nothing is deployed; start it with `sms-local up`"
        raise LocalCloudError(msg) from error
    return composed


def output_value(outputs: Mapping[str, Any], key: str) -> str | None:
    """Return the value of one stack output by its own name, whichever stack has it."""
    found: Iterable[str] = (values[key] for values in outputs["stacks"].values() if key in values)
    return next(iter(found), None)


def _urls(values: Mapping[str, str], places: Places) -> dict[str, str]:
    """Return the addresses at which the HTTP APIs answer on this machine."""
    urls = {}
    if "ApiId" in values:
        door = places.front_door
        urls = {
            "review_form": f"{door}/review",
            "submit_review": f"{door}/submit-review",
            "reviews_api": f"{door}/reviews",
            # Not by the front door, which signs nothing: the emulator asks whoever calls it for a signature.
            "admin_api": f"{places.aws_endpoint}/_aws/execute-api/{values['ApiId']}/$default/admin/reviews",
        }
    if "AppointmentsApiId" in values:
        api = f"{places.aws_endpoint}/_aws/execute-api/{values['AppointmentsApiId']}/$default"
        urls |= {f"{name}_webhook": f"{api}/webhooks/{name}" for name in ("calendly", "calcom")}
    return urls


def _pick(keys: Mapping[str, str], values: Mapping[str, str]) -> dict[str, str]:
    return {key: values[output] for key, output in keys.items() if output in values}
