"""The demo customers: who they are, and putting them into the customers table."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One demo customer.

    Attributes
    ----------
    phone_number
        As a shop's till might hold it, None where it has none.
    phone
        The same number in E.164 where it can take a text, which gives the person a phone on the page; None
        also where the phone is another customer's.
    note
        What the person bought, or why there is no phone.
    created_at
        Epoch seconds.
    town, time_zone
        Where the number's area code belongs, and the IANA zone there, for the page to show the hour that it
        is for the person; None without a phone. The product works that out by itself and is not told.
    situation
        What becomes of the person in a broadcast, for those whom the page adds on request.
    """

    user_id: str
    name: str
    phone_number: str | None
    phone: str | None
    note: str
    created_at: int
    town: str | None = None
    time_zone: str | None = None
    situation: str = ""


#: Numbers with 555-01xx are set aside for fiction (NANPA); 020 7946 0xxx likewise by Ofcom, and they are
#: landlines.
PEOPLE = (
    Person(
        user_id="customer-001",
        name="John Doe",
        phone_number="+14045550101",
        phone="+14045550101",
        note="Pour-over kettle",
        created_at=1_767_603_600,
        town="Atlanta",
        time_zone="America/New_York",
    ),
    Person(
        user_id="customer-002",
        name="Łukasz Wójcik",
        phone_number="(212) 555-0102",
        phone="+12125550102",
        note="Hand grinder",
        created_at=1_767_690_000,
        town="New York",
        time_zone="America/New_York",
    ),
    Person(
        user_id="customer-003",
        name="Zoë Fontaine",
        phone_number="+1 415-555-0103",
        phone="+14155550103",
        note="Two ceramic cups",
        created_at=1_767_776_400,
        town="San Francisco",
        time_zone="America/Los_Angeles",
    ),
    Person(
        user_id="customer-004",
        name="Ольга Мельник",
        phone_number="+16175550104",
        phone="+16175550104",
        note="Samovar",
        created_at=1_767_862_800,
        town="Boston",
        time_zone="America/New_York",
    ),
    Person(
        user_id="customer-005",
        name="ليلى حداد",
        phone_number="+13125550105",
        phone="+13125550105",
        note="Cezve, copper",
        created_at=1_767_949_200,
        town="Chicago",
        time_zone="America/Chicago",
    ),
    Person(
        user_id="customer-006",
        name="Grace Okafor",
        phone_number="+15035550106",
        phone="+15035550106",
        note="Filter papers",
        created_at=1_768_035_600,
        town="Portland",
        time_zone="America/Los_Angeles",
    ),
    Person(
        user_id="customer-007",
        name="Priya Nair",
        phone_number=None,
        phone=None,
        note="Gave no phone number",
        created_at=1_768_122_000,
    ),
    Person(
        user_id="customer-008",
        name="Harbour Front Desk",
        phone_number="+442079460108",
        phone=None,
        note="A landline in London",
        created_at=1_768_208_400,
    ),
)

#: How the ids of those begin who are customers since they booked an appointment (`Speaker.review_request`).
INVITEE = "~invitee-"

#: Customers whom the page adds on request. They are not among those of the beginning, since a run that
#: somebody waits for in the night ends only when the clock has moved.
SITUATIONS = (
    Person(
        user_id="customer-009",
        name="Leilani Kealoha",
        phone_number="(808) 555-0109",
        phone="+18085550109",
        note="Kona coffee, a pound",
        created_at=1_768_294_800,
        town="Honolulu",
        time_zone="Pacific/Honolulu",
        situation="Lives in Honolulu: seven in the morning there at 17:00 UTC, so her text waits for eight.",
    ),
    Person(
        user_id="customer-010",
        name="Jane Doe",
        phone_number="+1 (404) 555-0101",
        phone=None,
        note="Shares John Doe’s phone",
        created_at=1_768_381_200,
        situation="Shares John Doe’s phone: one text for the two of them, and she is listed as a duplicate.",
    ),
)


def load_people(dynamodb: "DynamoDBClient", customers_table: str) -> int:
    """Put the demo customers into the table, over what is there; return how many they are."""
    for person in PEOPLE:
        put_person(dynamodb, customers_table, person)
    return len(PEOPLE)


def put_person(dynamodb: "DynamoDBClient", customers_table: str, person: Person) -> None:
    """Put one customer into the table, over what is there."""
    item: dict[str, AttributeValueTypeDef] = {
        "userId": {"S": person.user_id},
        "name": {"S": person.name},
        "email": {"S": f"{person.user_id}@example.com"},
        "status": {"S": "active"},
        "createdAt": {"N": str(person.created_at)},
    }
    if person.phone_number is not None:
        item["phoneNumber"] = {"S": person.phone_number}
    dynamodb.put_item(TableName=customers_table, Item=item)


def people_in_table(
    dynamodb: "DynamoDBClient", customers_table: str, people: Iterable[Person]
) -> tuple[Person, ...]:
    """Return those of `people` who are customers at present, in their order; no more than 100 of them."""
    # 100 keys is what BatchGetItem takes at once (its API reference).
    candidates = tuple(people)
    answer = dynamodb.batch_get_item(
        RequestItems={
            customers_table: {
                "Keys": [{"userId": {"S": person.user_id}} for person in candidates],
                "ProjectionExpression": "userId",
            }
        }
    )
    found = {row["userId"]["S"] for row in answer["Responses"].get(customers_table, [])}
    return tuple(person for person in candidates if person.user_id in found)


def invitees_in_table(
    dynamodb: "DynamoDBClient", customers_table: str, user_ids: Iterable[str]
) -> tuple[Person, ...]:
    """Return, of up to 100 ids, those who are customers since they booked an appointment."""
    wanted = sorted(set(user_ids))[:100]
    if not wanted:
        return ()
    answer = dynamodb.batch_get_item(
        RequestItems={
            customers_table: {
                "Keys": [{"userId": {"S": user_id}} for user_id in wanted],
                "ProjectionExpression": "userId, #name",
                "ExpressionAttributeNames": {"#name": "name"},
            }
        }
    )
    return tuple(
        Person(
            user_id=row["userId"]["S"],
            name=f"{row['name']['S']} (invitee)",
            phone_number=None,
            phone=None,
            note="Booked an appointment",
            created_at=0,
        )
        for row in answer["Responses"].get(customers_table, [])
        if "name" in row
    )
