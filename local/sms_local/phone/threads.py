"""What is on the phones: texts that the carrier delivered, and what the phones' owners answered."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sms_local.people import Person

#: Phones of numbers that no demo customer has: those texted last. A broadcast to thousands must not put
#: thousands of phones on one page.
MOST_STRANGERS = 12

#: Texts of a thread, the newest ones.
MOST_BUBBLES = 60


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
    """Return one phone per demo customer, and one for each of the other numbers that texted last.

    Parameters
    ----------
    people
        The demo customers; those without a phone of their own that takes texts are left out.
    sent
        As the carrier's ``GET /control/messages`` lists them.
    replies
        What the phones sent.

    Returns
    -------
    list of dict
        ``{"id", "name", "phone", "note", "town", "timeZone", "bubbles": [{"id", "isFromPhone", "body", "at",
        "status", "parts", "encoding"}]}``, bubbles in the order of time.
    """
    threads: dict[str, list[Bubble]] = {person.phone: [] for person in people if person.phone is not None}
    own = len(threads)
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
    numbers = list(threads)
    strangers = sorted(numbers[own:], key=lambda number: max(bubble.at for bubble in threads[number]))
    shown = [*numbers[:own], *strangers[-MOST_STRANGERS:]]
    return [_phone(number, owners.get(number), threads[number]) for number in shown]


def spaced(number: str) -> str:
    """Return +14045550101 as +1 404 555 0101; other countries group their numbers in other ways."""
    if number.startswith("+1") and len(number) == 12:
        return f"+1 {number[2:5]} {number[5:8]} {number[8:]}"
    return number


def _phone(number: str, owner: Person | None, bubbles: list[Bubble]) -> dict[str, Any]:
    return {
        "id": owner.user_id if owner else f"number-{number.removeprefix('+')}",
        "name": owner.name if owner else spaced(number),
        "phone": number,
        "label": spaced(number) if owner else "",
        "note": owner.note if owner else "",
        "town": owner.town if owner else None,
        "timeZone": owner.time_zone if owner else None,
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
            for bubble in sorted(bubbles, key=lambda one: one.at)[-MOST_BUBBLES:]
        ],
    }
