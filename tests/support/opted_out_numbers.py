"""The service's opt-out list and the contacts, as the daily comparison sees them, in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sms_engagement_runtime.channel.domain.consent import Contact
from sms_engagement_runtime.channel.domain.errors import OptOutListRefusedError
from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber
from sms_engagement_runtime.channel.domain.reconcile import ContactPage, ListedNumber, ListPage
from tests.support.fakes import START, FakeContacts


@dataclass
class FakeOptedOutNumbers:
    """The service's list. Numbers in ``locked`` left it within 30 days.

    ``before`` gets the name of each call that is about to be made; it may change anything, or raise.
    """

    entries: dict[PhoneNumber, ListedNumber] = field(default_factory=dict)
    locked: set[PhoneNumber] = field(default_factory=set)
    page_size: int = 2
    unreadable: int = 0
    calls: list[str] = field(default_factory=list)
    before: Callable[[str], None] = lambda _: None

    def add(self, number: PhoneNumber, *, since: datetime = START, by_person: bool = True) -> None:
        self.entries[number] = ListedNumber(number, since, by_person)

    def _call(self, name: str) -> None:
        self.before(name)
        self.calls.append(name)

    def page(self, cursor: str | None) -> ListPage:
        self._call("page")
        first = int(cursor or 0)
        numbers = list(self.entries.values())[first : first + self.page_size]
        end = first + self.page_size
        return ListPage(
            numbers,
            self.unreadable if cursor is None else 0,
            str(end) if end < len(self.entries) else None,
        )

    def find(self, number: PhoneNumber) -> ListedNumber | None:
        self._call("find")
        return self.entries.get(number)

    def put(self, number: PhoneNumber) -> None:
        self._call("put")
        self.entries.setdefault(number, ListedNumber(number, START, by_person=False))

    def delete(self, number: PhoneNumber) -> None:
        self._call("delete")
        if number not in self.entries:
            return
        if number in self.locked:
            raise OptOutListRefusedError("once in 30 days")
        del self.entries[number]
        self.locked.add(number)


@dataclass
class FakeContactRows:
    """Contacts many at a time."""

    contacts: FakeContacts
    page_size: int = 2
    before: Callable[[str], None] = lambda _: None

    def find(self, subscriber_ids: Iterable[str]) -> Mapping[str, Contact]:
        self.before("find rows")
        return {each: self.contacts.rows[each] for each in subscriber_ids if each in self.contacts.rows}

    def page(self, cursor: str | None, *, came_back_since: datetime) -> ContactPage:
        self.before("scan")
        rows = sorted(self.contacts.rows.items())
        rows = [(key, row) for key, row in rows if cursor is None or key > cursor]
        scanned = rows[: self.page_size]
        found = [
            (row, key)
            for key, row in scanned
            if row.opted_out_by is not None
            or (row.resubscribed_at is not None and row.resubscribed_at >= came_back_since)
        ]
        is_end = len(rows) <= self.page_size
        return ContactPage(found, None if is_end else scanned[-1][0])
