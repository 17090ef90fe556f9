"""The demo customers: who they are, and putting them into the customers table."""

from dataclasses import dataclass

from sms_local import aws
from sms_local.places import Places


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One demo customer; `phone_number` as a shop's till might hold it, None where it has none."""

    user_id: str
    name: str
    phone_number: str | None
    #: The same number in E.164 where it can take a text, which gives the person a phone on the page.
    phone: str | None
    note: str
    created_at: int


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
    ),
    Person(
        user_id="customer-002",
        name="Łukasz Wójcik",
        phone_number="(212) 555-0102",
        phone="+12125550102",
        note="Hand grinder",
        created_at=1_767_690_000,
    ),
    Person(
        user_id="customer-003",
        name="Zoë Fontaine",
        phone_number="+1 415-555-0103",
        phone="+14155550103",
        note="Two ceramic cups",
        created_at=1_767_776_400,
    ),
    Person(
        user_id="customer-004",
        name="Ольга Мельник",
        phone_number="+16175550104",
        phone="+16175550104",
        note="Samovar",
        created_at=1_767_862_800,
    ),
    Person(
        user_id="customer-005",
        name="ليلى حداد",
        phone_number="+13125550105",
        phone="+13125550105",
        note="Cezve, copper",
        created_at=1_767_949_200,
    ),
    Person(
        user_id="customer-006",
        name="Grace Okafor",
        phone_number="+15035550106",
        phone="+15035550106",
        note="Filter papers",
        created_at=1_768_035_600,
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


def load_people(places: Places, customers_table: str) -> int:
    """Put the demo customers into the table, over what is there; return how many they are."""
    dynamodb = aws.session().client("dynamodb", endpoint_url=places.aws_endpoint, config=aws.client_config())
    for person in PEOPLE:
        item = {
            "userId": {"S": person.user_id},
            "name": {"S": person.name},
            "email": {"S": f"{person.user_id}@example.com"},
            "status": {"S": "active"},
            "createdAt": {"N": str(person.created_at)},
        }
        if person.phone_number is not None:
            item["phoneNumber"] = {"S": person.phone_number}
        dynamodb.put_item(TableName=customers_table, Item=item)
    return len(PEOPLE)
