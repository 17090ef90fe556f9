"""The subscribers of the demo: their rows, what each answered last, and how the page lists them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber
from sms_engagement_runtime.sms_analytics_pipeline.adapters.dynamodb_subscribers import (
    SEGMENT_INDEX,
    DynamoSubscribers,
)
from sms_engagement_runtime.sms_analytics_pipeline.domain.subscribers import Subscriber, effective_status
from sms_local.people import PEOPLE, Person
from sms_local.subscribers import SEGMENT

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

#: Subscribers that are listed.
MOST_SUBSCRIBERS: Final = 40

#: Status → words, and how the page marks it.
_STATUSES: Final = {
    "NEW": ("not asked yet", ""),
    "PENDING": ("asked to confirm", "waits"),
    "ACTIVE": ("subscribed", "good"),
    "OPTED_OUT": ("opted out", "over"),
    "BOUNCED": ("cannot be reached", "bad"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a subscriber wrote last."""

    text: str
    sentiment: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A subscriber with the last answer; None where there is none."""

    subscriber: Subscriber
    answer: Answer | None = None


class SubscriberReader:
    """Reads the segment of the demo by its index, and the last answer of each of its subscribers.

    Not safe to use from several threads at once.

    Parameters
    ----------
    responses
        Name of the table of answers; None where there is none.
    """

    def __init__(self, client: "DynamoDBClient", *, subscribers: str, responses: str | None) -> None:
        self._client = client
        self._subscribers = subscribers
        self._rows = DynamoSubscribers(client, subscribers)
        self._responses = responses
        self._answers: dict[str, tuple[int | None, Answer | None]] = {}

    def read(self) -> tuple[Listed, ...]:
        """Return them in the order of the demo customers; the first `MOST_SUBSCRIBERS` rows."""
        page = self._client.query(
            TableName=self._subscribers,
            IndexName=SEGMENT_INDEX,
            KeyConditionExpression="#segment = :segment",
            ExpressionAttributeNames={"#segment": "segment"},
            ExpressionAttributeValues={":segment": {"S": SEGMENT}},
            Limit=MOST_SUBSCRIBERS,
        )
        # The index names them; what became of them stands in their rows alone.
        found = self._rows.find(row["subscriber_id"]["S"] for row in page["Items"])
        listed = [Listed(subscriber=one, answer=self._answer(one)) for one in found.values()]
        return tuple(sorted(listed, key=lambda one: (_place(one.subscriber), one.subscriber.subscriber_id)))

    def _answer(self, subscriber: Subscriber) -> Answer | None:
        """Return the last answer; it is read again only when the row tells of another one."""
        if self._responses is None or subscriber.last_response_at is None:
            return None
        known = self._answers.get(subscriber.subscriber_id)
        if known is not None and known[0] == subscriber.last_response_at and known[1] is not None:
            return known[1]
        rows = self._client.query(
            TableName=self._responses,
            KeyConditionExpression="#id = :id",
            ExpressionAttributeNames={"#id": "subscriber_id"},
            ExpressionAttributeValues={":id": {"S": subscriber.subscriber_id}},
            ScanIndexForward=False,
            Limit=1,
        )["Items"]
        answer = _read_answer(rows[0]) if rows else None
        self._answers[subscriber.subscriber_id] = (subscriber.last_response_at, answer)
        return answer

    def forget(self) -> None:
        """Forget the answers that were read."""
        self._answers.clear()


def _read_answer(row: Mapping[str, Any]) -> Answer:
    at = int(row.get("response_timestamp", {}).get("N", "0"))
    return Answer(
        text=row.get("response_text", {}).get("S", ""),
        sentiment=row.get("sentiment", {}).get("S", ""),
        at=datetime.fromtimestamp(at / 1000, UTC),
    )


_PLACES: Final[Mapping[str | None, int]] = {
    person.phone: number for number, person in enumerate(PEOPLE) if person.phone is not None
}


def _place(subscriber: Subscriber) -> int:
    return _PLACES.get(subscriber.phone_number, len(_PLACES))


def as_people(listed: Iterable[Listed], known: Iterable[Person]) -> list[Person]:
    """Return subscribers as people whom a run of the engine knows by their subscriber ids."""
    towns: dict[str | None, Person] = {person.phone: person for person in known if person.phone is not None}
    found = []
    for one in listed:
        subscriber = one.subscriber
        person = towns.get(subscriber.phone_number)
        found.append(
            Person(
                user_id=subscriber.subscriber_id,
                name=_name(subscriber),
                phone_number=subscriber.phone_number,
                phone=subscriber.phone_number,
                note="",
                created_at=(subscriber.created_at or 0) // 1000,
                town=person.town if person else None,
                time_zone=person.time_zone if person else None,
            )
        )
    return found


def _name(subscriber: Subscriber) -> str:
    name = subscriber.attributes.get("name")
    return name if isinstance(name, str) and name else "A subscriber"


def _masked(number: str | None) -> str:
    try:
        return PhoneNumber(number or "").masked
    except ValueError:
        return "no phone"


def describe_subscriber(one: Listed, at: int) -> dict[str, Any]:
    """Return a line of the page's list; `at` is virtual time in epoch milliseconds."""
    subscriber, answer = one.subscriber, one.answer
    status = effective_status(subscriber, at).value
    words, mark = _STATUSES[status]
    return {
        "id": subscriber.subscriber_id,
        "name": _name(subscriber),
        "phone": _masked(subscriber.phone_number),
        "status": status,
        "words": words,
        "mark": mark,
        "texts": subscriber.total_messages_sent,
        "answers": subscriber.total_responses,
        "last": None
        if answer is None
        else {"text": answer.text, "sentiment": answer.sentiment, "at": answer.at.isoformat()},
    }
