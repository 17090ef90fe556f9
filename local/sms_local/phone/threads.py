"""What is on the phones: texts that the carrier delivered, and what the phones' owners answered."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sms_local.people import Person


@dataclass(frozen=True, slots=True, kw_only=True)
class Bubble:
    """One text on a phone, from either side. `at` is ISO 8601 in UTC."""

    id: str
    is_from_phone: bool
    body: str
    at: str
    #: Last delivery event of a text to the phone, as the carrier names it; empty for one from the phone.
    status: str = ""
    parts: int = 0
    encoding: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A text from a phone, as the inbound topic or our own reply box told it."""

    id: str
    phone: str
    body: str
    at: str


def phones(
    people: Sequence[Person], sent: Iterable[Mapping[str, Any]], replies: Iterable[Reply]
) -> list[dict[str, Any]]:
    """Return one phone per demo customer, and one for every other number that has texts.

    Parameters
    ----------
    people
        The demo customers; those without a phone that takes texts are left out.
    sent
        As the carrier's ``GET /control/messages`` lists them.
    replies
        What the phones sent.

    Returns
    -------
    list of dict
        ``{"id", "name", "phone", "note", "bubbles": [{"id", "isFromPhone", "body", "at", "status", "parts",
        "encoding"}]}``, bubbles in the order of time.
    """
    threads: dict[str, list[Bubble]] = {person.phone: [] for person in people if person.phone is not None}
    for message in sent:
        threads.setdefault(message["to"], []).append(
            Bubble(
                id=message["message_id"],
                is_from_phone=False,
                body=message["body"],
                at=message["sent_at"],
                status=message.get("status") or "",
                parts=message["parts"],
                encoding=message["encoding"],
            )
        )
    for reply in replies:
        bubble = Bubble(id=reply.id, is_from_phone=True, body=reply.body, at=reply.at)
        threads.setdefault(reply.phone, []).append(bubble)
    owners = {person.phone: person for person in people}
    return [_phone(number, owners.get(number), bubbles) for number, bubbles in threads.items()]


def _phone(number: str, owner: Person | None, bubbles: list[Bubble]) -> dict[str, Any]:
    return {
        "id": owner.user_id if owner else f"number-{number.removeprefix('+')}",
        "name": owner.name if owner else number,
        "phone": number,
        "note": owner.note if owner else "",
        "bubbles": [
            {
                "id": bubble.id,
                "isFromPhone": bubble.is_from_phone,
                "body": bubble.body,
                "at": bubble.at,
                "status": bubble.status,
                "parts": bubble.parts,
                "encoding": bubble.encoding,
            }
            for bubble in sorted(bubbles, key=lambda one: one.at)
        ],
    }
