"""The demo customers as subscribers: their rows, and reading them back."""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from sms_engagement_runtime.channel.adapters.secrets import SecretCache
from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber
from sms_engagement_runtime.channel.domain.subscriber import subscriber_id
from sms_local.outputs import output_value
from sms_local.people import PEOPLE, Person

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef
    from mypy_boto3_secretsmanager import SecretsManagerClient

#: The segment that all demo customers are in.
SEGMENT = "demo"

#: Whoever agreed to marketing texts before the embedded cloud came up; the others are new.
OPTED_IN = frozenset({"customer-006"})


class SubscriberIds:
    """Subscriber ids as the deployed channel makes them.

    Parameters
    ----------
    secret_arn
        Of the channel's subscriber key.
    """

    def __init__(self, secrets: "SecretsManagerClient", *, secret_arn: str) -> None:
        # The key is never rotated.
        self._secret = SecretCache(secrets, secret_arn, max_age_seconds=float("inf"))

    def of(self, phone: str) -> str:
        """Return the id of a phone in E.164."""
        return subscriber_id(PhoneNumber(phone), self._secret.key())


def subscriber_ids(outputs: Mapping[str, Any], secrets: "SecretsManagerClient") -> SubscriberIds | None:
    """Return what makes the ids; None where the outputs don't name the key."""
    arn = output_value(outputs, "SubscriberKeySecretArn")
    return None if arn is None else SubscriberIds(secrets, secret_arn=arn)


def load_subscribers(outputs: Mapping[str, Any], client: Callable[[str], Any]) -> int:
    """Put the demo customers who have a phone into the subscribers table, over what is there.

    Parameters
    ----------
    outputs
        As `sms_local.outputs.read_outputs` returns them.
    client
        Makes the client of a service, as `sms_local.aws.Clients`.

    Returns
    -------
    int
        How many they are; 0 where no analytics are deployed.
    """
    table = outputs["tables"].get("subscribers")
    ids = subscriber_ids(outputs, client("secretsmanager"))
    if table is None or ids is None:
        return 0
    dynamodb: DynamoDBClient = client("dynamodb")
    loaded = 0
    for row in demo_rows(ids.of):
        dynamodb.put_item(TableName=table, Item=row)
        loaded += 1
    return loaded


def demo_rows(id_of: Callable[[str], str]) -> Iterator[dict[str, "AttributeValueTypeDef"]]:
    """Yield the rows, as a company would write them that takes its subscribers along."""
    for person in PEOPLE:
        if person.phone is not None:
            yield _row(person, person.phone, id_of(person.phone))


def _row(person: Person, phone: str, subscriber: str) -> dict[str, "AttributeValueTypeDef"]:
    # Milliseconds, as everywhere in this table.
    created = str(person.created_at * 1000)
    attributes: dict[str, Any] = {
        "segment": {"S": SEGMENT},
        "name": {"S": person.name},
        "language": {"S": "en"},
    }
    if person.time_zone is not None:
        attributes["time_zone"] = {"S": person.time_zone}
    row: dict[str, AttributeValueTypeDef] = {
        "subscriber_id": {"S": subscriber},
        "phone_number": {"S": phone},
        "subscription_status": {"S": "NEW"},
        "created_at": {"N": created},
        "updated_at": {"N": created},
        "total_messages_sent": {"N": "0"},
        "total_responses": {"N": "0"},
        "attributes": {"M": attributes},
        "segment": {"S": SEGMENT},
    }
    if person.user_id in OPTED_IN:
        row |= {"subscription_status": {"S": "ACTIVE"}, "opt_in_timestamp": {"N": created}}
    return row
