"""The daily comparison of the contact rows with the service's opt-out list, both ways.

*On the list, and not opted out with us*: opted out here too, with what the list says as the proof, and the
bus is told. While a number is on it the service refuses every text, so no state but OPTED_OUT would be true.

*Opted out with us, and not on the list*: put on it. Nothing here takes a number off the list: that is what
START is for, once in 30 days. The one exception undoes this comparison's own doing (``_look_again``).

The list is read first, page by page, since it can only be asked for a hundred numbers a second. What is kept
of it is eight bytes a number, by which the second half, a scan of the contacts, knows what is listed. A run
is done in steps of some minutes; a step that is repeated changes nothing twice, and one that ends in the
middle leaves its progress.

What happens meanwhile: a contact is written under the condition that nobody else has written it since it was
read, and is read again otherwise. Who ever came back (START) is looked up on the list once more before they
are opted out, since the page may be older than that. A number that is put on the list is marked before and
its contact read again after: whoever came back in between is taken off again, also by the step that follows
a crash. Opt-outs of the last day are left alone, because their confirmation may still have to go out, which
the list would block.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from hashlib import blake2b
from typing import Any, Final, NamedTuple, Protocol

from sms_engagement_runtime.channel.domain.consent import Contact, Evidence, Source, opt_out
from sms_engagement_runtime.channel.domain.errors import OptOutListRefusedError, TransientError
from sms_engagement_runtime.channel.domain.opting_out import OptOutRecorder, Recorded
from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber
from sms_engagement_runtime.channel.domain.ports import AttentionTopic, Clock, ContactRepository, OptOutList

UNSETTLED_FOR: Final = timedelta(hours=25)
"""How long an opt-out may wait for its confirmation, which the list would block: a day (``inbound``), and an
hour for what is then under way."""

CAME_BACK_WITHIN: Final = timedelta(days=1)
"""How long before a run somebody may have written a START that is handled during it."""

RETOLD_WITHIN: Final = timedelta(days=3)
"""How long after a run that ended in the middle the next ones tell the bus of what it did not tell."""

MOST_PAGES: Final = 400
"""Pages of the list in one portion: 40,000 numbers are 320 KB, which fit a row of DynamoDB."""

MOST_EXAMPLES: Final = 50
"""So many changes are named in the report, by subscriber id; of all, the number is told."""

_FINGERPRINT_BYTES: Final = 8


class Phase(StrEnum):
    """What a run does next."""

    LIST = "LIST"
    CONTACTS = "CONTACTS"
    DONE = "DONE"


class Count(StrEnum):
    """What a run counts."""

    LISTED = "listed"
    """Numbers on the list."""
    CONTACTS = "contacts"
    """Contacts that are opted out of everything."""
    OPTED_OUT = "optedOut"
    """On the list and not opted out with us: opted out."""
    PUT = "putOnList"
    """Opted out with us and not on the list: put on it."""
    ERASED = "erased"
    """Left alone: the person was erased."""
    UNSETTLED = "unsettled"
    """Left for the next run: opted out within the last day."""
    NO_NUMBER = "noNumber"
    """Opted out with us, by an id whose number is not known: cannot be put on the list."""
    OVERTAKEN = "overtaken"
    """Came back, or left, while the run looked."""
    UNREADABLE = "unreadable"
    """On the list, and no phone number."""
    TAKEN_OFF = "takenOff"
    """Put on the list by the run, and taken off, since the person came back in that moment."""


class ListedNumber(NamedTuple):
    """An entry of the service's list.

    Attributes
    ----------
    by_person
        Whether the person opted out with the service (``EndUserOptedOut``), or else the account put it there.
    """

    number: PhoneNumber
    since: datetime
    by_person: bool


class ListPage(NamedTuple):
    """A page of the list.

    Attributes
    ----------
    unreadable
        Entries that are no phone number.
    following
        Where the next page begins; None after the last.
    """

    numbers: Sequence[ListedNumber]
    unreadable: int
    following: str | None


class OptedOutNumbers(OptOutList, Protocol):
    """The service's list, read as well. Calls wait for the account's rate by themselves."""

    def page(self, cursor: str | None) -> ListPage:
        """Read a page; the first without a cursor. Entries may come and go between two pages."""
        ...

    def find(self, number: PhoneNumber) -> ListedNumber | None:
        """Look up one number as of now."""
        ...


class ContactPage(NamedTuple):
    """Some contacts, each with the cursor that goes on behind it.

    Attributes
    ----------
    following
        Behind the page; None at the end of the table.
    """

    contacts: Sequence[tuple[Contact, str]]
    following: str | None


class ContactRows(Protocol):
    """Contacts, many at a time."""

    def find(self, subscriber_ids: Iterable[str]) -> Mapping[str, Contact]:
        """Read contacts, strongly consistent; unknown ones are left out."""
        ...

    def page(self, cursor: str | None, *, came_back_since: datetime) -> ContactPage:
        """Go on through the table: who is opted out of anything, and who came back since an instant."""
        ...


class SeenNumbers(Protocol):
    """What was seen on the list, kept from step to step."""

    def keep(self, run_id: str, portion: int, fingerprints: array[int]) -> None:
        """Keep a portion, sorted. The same portion again replaces the former."""
        ...

    def load(self, run_id: str, portions: int) -> Sequence[array[int]]:
        """Give all portions back."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """How far a comparison is. A step takes one and gives the next.

    Attributes
    ----------
    cursor
        Within the phase; None at its beginning.
    portions
        Of the list, that are kept.
    counts
        By :class:`Count`.
    examples
        Changes, or those that a dry run would make: ``{"subscriberId", "change"}``.
    """

    run_id: str
    started_at: datetime
    is_dry_run: bool = False
    phase: Phase = Phase.LIST
    cursor: str | None = None
    portions: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)
    examples: Sequence[Mapping[str, str]] = ()

    @property
    def drift(self) -> int:
        """How many numbers were on one side only."""
        return self.counts.get(Count.OPTED_OUT, 0) + self.counts.get(Count.PUT, 0)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON holds it: what a state machine hands from step to step."""
        return {
            "runId": self.run_id,
            "startedAt": self.started_at.isoformat(),
            "dryRun": self.is_dry_run,
            "phase": self.phase.value,
            "cursor": self.cursor,
            "portions": self.portions,
            "counts": {str(name): count for name, count in self.counts.items()},
            "examples": [dict(example) for example in self.examples],
        }

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Run:
        """Read what :meth:`to_json` gave."""
        return cls(
            run_id=row["runId"],
            started_at=datetime.fromisoformat(row["startedAt"]),
            is_dry_run=row["dryRun"],
            phase=Phase(row["phase"]),
            cursor=row["cursor"],
            portions=row["portions"],
            counts=row["counts"],
            examples=row["examples"],
        )


def new_run(now: datetime, *, is_dry_run: bool = False) -> Run:
    """Begin a run. Its id is its instant: two that begin at once are one, and do the same."""
    at = now.astimezone(UTC)
    run_id = f"{at:%Y%m%dT%H%M%S}{at.microsecond // 1000:03d}Z"
    return Run(run_id=run_id, started_at=now, is_dry_run=is_dry_run)


def fingerprint(subscriber_id: str) -> int:
    """Give eight bytes for a subscriber id.

    Two people among a million share theirs once in 40 million runs; the one of them that is missing on the
    list would then not be put there, and the gate refuses all the same.
    """
    return int.from_bytes(blake2b(subscriber_id.encode(), digest_size=_FINGERPRINT_BYTES).digest())


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileService:
    """Compares, a step at a time.

    Attributes
    ----------
    subscriber_id_of
        Keyed hash of a phone number.
    """

    opted_out_numbers: OptedOutNumbers
    rows: ContactRows
    contacts: ContactRepository
    recorder: OptOutRecorder
    seen: SeenNumbers
    attention: AttentionTopic
    clock: Clock
    subscriber_id_of: Callable[[PhoneNumber], str]

    def step(
        self, run: Run, *, has_time: Callable[[], bool], advance: Callable[[int], None] = lambda _: None
    ) -> Run:
        """Go on with a run for as long as there is time, and at the least by one page.

        Parameters
        ----------
        advance
            Told how many numbers or contacts were compared.

        Raises
        ------
        TransientError
            A service did not answer, before anything of this step was done.
        """
        match run.phase:
            case Phase.LIST:
                return self._read_list(run, has_time, advance)
            case Phase.CONTACTS:
                return self._read_contacts(run, has_time, advance)
            case Phase.DONE:
                return run

    # The list

    def _read_list(self, run: Run, has_time: Callable[[], bool], advance: Callable[[int], None]) -> Run:
        tally = _Tally(run)
        fingerprints = array("Q")
        cursor, is_end, pages = run.cursor, False, 0
        while not is_end and pages < MOST_PAGES and (pages == 0 or has_time()):
            try:
                page = self.opted_out_numbers.page(cursor)
                counted = self._compare_page(run, page)
            except TransientError:
                if pages == 0:
                    raise
                # What is done is kept, and the page comes again.
                break
            tally.add(counted)
            fingerprints.extend(fingerprint(self.subscriber_id_of(entry.number)) for entry in page.numbers)
            cursor, is_end, pages = page.following, page.following is None, pages + 1
            advance(len(page.numbers))
        self.seen.keep(run.run_id, run.portions, array("Q", sorted(fingerprints)))
        return replace(
            tally.run(),
            phase=Phase.CONTACTS if is_end else Phase.LIST,
            cursor=cursor,
            portions=run.portions + 1,
        )

    def _compare_page(self, run: Run, page: ListPage) -> _Counted:
        counted = _Counted()
        counted.add(Count.LISTED, len(page.numbers) + page.unreadable)
        counted.add(Count.UNREADABLE, page.unreadable)
        entries = {self.subscriber_id_of(entry.number): entry for entry in page.numbers}
        contacts = self.rows.find(entries) if entries else {}
        for subscriber_id, entry in entries.items():
            contact = contacts.get(subscriber_id) or Contact(subscriber_id=subscriber_id)
            self._compare_entry(run, entry, contact, counted)
        return counted

    def _compare_entry(self, run: Run, entry: ListedNumber, contact: Contact, counted: _Counted) -> None:
        if contact.is_erased:
            counted.add(Count.ERASED)
            return
        if opt_out(contact, _evidence(run.run_id, entry, contact, self.clock.now())) is None:
            self._tell_what_was_not_told(run, entry, contact)
            return
        if run.is_dry_run:
            if self._evidence_for(run, entry, contact) is None:
                counted.add(Count.OVERTAKEN)
            else:
                counted.change(Count.OPTED_OUT, contact.subscriber_id)
            return
        recorded = self.recorder.record(
            contact.subscriber_id, entry.number, lambda now_is: self._evidence_for(run, entry, now_is)
        )
        match recorded:
            case Recorded.OPTED_OUT:
                counted.change(Count.OPTED_OUT, contact.subscriber_id)
            case Recorded.OVERTAKEN:
                counted.add(Count.OVERTAKEN)
            case Recorded.ERASED:
                counted.add(Count.ERASED)

    def _evidence_for(self, run: Run, entry: ListedNumber, contact: Contact) -> Evidence | None:
        if contact.resubscribed_at is not None:
            # Came back once: the page may have been read before the number left the list.
            listed = self.opted_out_numbers.find(entry.number)
            if listed is None:
                return None
            entry = listed
        return _evidence(run.run_id, entry, contact, self.clock.now())

    def _tell_what_was_not_told(self, run: Run, entry: ListedNumber, contact: Contact) -> None:
        """Tell the bus of an opt-out that a run recorded, and ended before it told."""
        changed_by = contact.changed_by or ""
        if run.is_dry_run or not changed_by.startswith(_PREFIX):
            return
        began = changed_by.removeprefix(_PREFIX).partition("#")[0]
        if began < new_run(run.started_at - RETOLD_WITHIN).run_id:
            return
        evidence = _evidence(began, entry, contact, contact.opted_out_at or self.clock.now())
        self.recorder.tell(contact.subscriber_id, evidence)

    # The contacts

    def _read_contacts(self, run: Run, has_time: Callable[[], bool], advance: Callable[[int], None]) -> Run:
        tally = _Tally(run)
        portions = self.seen.load(run.run_id, run.portions)
        cursor, is_end, pages = run.cursor, False, 0
        is_stopped = False
        while not is_end and not is_stopped and (pages == 0 or has_time()):
            try:
                page = self.rows.page(cursor, came_back_since=run.started_at - CAME_BACK_WITHIN)
            except TransientError:
                if cursor == run.cursor:
                    raise
                break
            for contact, behind in page.contacts:
                try:
                    counted = self._compare_contact(run, contact, portions)
                except TransientError:
                    if cursor == run.cursor:
                        raise
                    is_stopped = True
                    break
                tally.add(counted)
                cursor = behind
                advance(1)
                # A page may hold thousands who are to be put on the list, ten a second.
                if not has_time():
                    is_stopped = True
                    break
            else:
                cursor, is_end, pages = page.following, page.following is None, pages + 1
        return replace(tally.run(), phase=Phase.DONE if is_end else Phase.CONTACTS, cursor=cursor)

    def _compare_contact(self, run: Run, contact: Contact, seen: Sequence[array[int]]) -> _Counted:
        counted = _Counted()
        if not contact.has_left:
            self._look_again(run, contact, counted)
            return counted
        counted.add(Count.CONTACTS)
        if _holds(seen, fingerprint(contact.subscriber_id)):
            return counted
        if contact.is_erased:
            counted.add(Count.ERASED)
        elif contact.phone_number is None:
            counted.add(Count.NO_NUMBER)
        elif contact.opted_out_at is not None and contact.opted_out_at > run.started_at - UNSETTLED_FOR:
            counted.add(Count.UNSETTLED)
        elif run.is_dry_run:
            counted.change(Count.PUT, contact.subscriber_id)
        else:
            self._put(run, contact, contact.phone_number, counted)
        return counted

    def _put(self, run: Run, contact: Contact, number: PhoneNumber, counted: _Counted) -> None:
        # The scan may show the contact as it was a moment ago.
        if not self.contacts.get(contact.subscriber_id).has_left:
            counted.add(Count.OVERTAKEN)
            return
        self.contacts.mark_handled(_put_mark(run, contact), self.clock.now())
        self.opted_out_numbers.put(number)
        after = self.contacts.get(contact.subscriber_id)
        if after.has_left:
            counted.change(Count.PUT, contact.subscriber_id)
        else:
            self._look_again(run, after, counted)

    def _look_again(self, run: Run, contact: Contact, counted: _Counted) -> None:
        """Take a number off the list that this run has put there while its holder came back."""
        number = contact.phone_number
        if run.is_dry_run or number is None or not self.contacts.was_handled(_put_mark(run, contact)):
            return
        # Who came back may have left again since the scan saw them, and that STOP has put them there.
        if self.contacts.get(contact.subscriber_id).has_left:
            return
        entry = self.opted_out_numbers.find(number)
        if entry is None or entry.by_person:
            return
        try:
            self.opted_out_numbers.delete(number)
        except OptOutListRefusedError:
            # The START that they wrote has used up the one time in 30 days.
            self.recorder.record(
                contact.subscriber_id,
                number,
                lambda now_is: _evidence(run.run_id, entry, now_is, self.clock.now()),
            )
            self.attention.publish(
                "START refused by AWS",
                f"{number.e164} wrote START while their number was put on the opt-out list, and AWS keeps it "
                "there: it can leave once in 30 days. They stay unsubscribed.",
            )
            counted.change(Count.OPTED_OUT, contact.subscriber_id)
            return
        counted.add(Count.TAKEN_OFF)


_PREFIX: Final = "opt-out-list#"


def _evidence(run_id: str, entry: ListedNumber, contact: Contact, now: datetime) -> Evidence:
    """Give what proves an opt-out that the list tells of.

    It happened when the entry was made; where the person came back after that, when it was found.
    """
    came_back = contact.resubscribed_at
    at = entry.since if came_back is None or came_back < entry.since else now
    return Evidence(
        source=Source.CARRIER if entry.by_person else Source.OPT_OUT_LIST,
        words=(
            f"on the opt-out list since {entry.since:%Y-%m-%dT%H:%M:%SZ}, "
            f"{'by the person' if entry.by_person else 'put there by the account'}"
        ),
        message_id=f"{_PREFIX}{run_id}#{contact.subscriber_id}",
        at=at,
    )


def _put_mark(run: Run, contact: Contact) -> str:
    return f"{_PREFIX}{run.run_id}#{contact.subscriber_id}#put"


def _holds(portions: Sequence[array[int]], wanted: int) -> bool:
    for portion in portions:
        place = bisect_left(portion, wanted)
        if place < len(portion) and portion[place] == wanted:
            return True
    return False


class _Counted:
    """What was done about one page or contact."""

    __slots__ = ("counts", "examples")

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.examples: list[dict[str, str]] = []

    def add(self, count: Count, amount: int = 1) -> None:
        if amount:
            self.counts[count.value] += amount

    def change(self, count: Count, subscriber_id: str) -> None:
        self.add(count)
        self.examples.append({"subscriberId": subscriber_id, "change": count.value})


class _Tally:
    """The counts of a run so far."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._counts = Counter(run.counts)
        self._examples = list(run.examples)

    def add(self, counted: _Counted) -> None:
        self._counts.update(counted.counts)
        self._examples += counted.examples[: MOST_EXAMPLES - len(self._examples)]

    def run(self) -> Run:
        return replace(self._run, counts=dict(self._counts), examples=tuple(self._examples))
