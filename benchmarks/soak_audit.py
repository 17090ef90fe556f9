"""Whether the books balance after a run: what phones got, against everything that was written down.

Pure: it knows nothing of the product's code, and takes plain records of what each side says. The carrier's
word counts for what was sent and heard, the driver's for who lives where and what was booked; the product's
own tables have to agree with both.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

FINAL: Final = frozenset({"DELIVERED", "FAILED", "EXPIRED", "SUPPRESSED"})
UNCERTAIN_CLOSES: Final = timedelta(hours=72)
"""After which no event comes any more: the service gives up (AWS, *Event types*)."""

OPT_OUTS: Final = frozenset({"STOP", "UNSUBSCRIBE", "QUIT", "WRONG NUMBER"})
OPT_INS: Final = frozenset({"START", "UNSTOP"})
"""Of the words that the soak's people use, whole bodies in capitals."""

UNDER_WAY_FOR: Final = timedelta(minutes=15)
"""So long after the arrival of STOP a text may be claimed at most: where the function that was to handle it
was killed, its queue gives it out again minutes later."""

ALLOWED_FROM: Final = time(8)
ALLOWED_UNTIL: Final = time(21)
CAP_TEXTS: Final = 3
CAP_PERIOD: Final = timedelta(hours=24)

SHOWN: Final = 5
"""Findings of a check that are told in full."""

_ABOUT_WHAT_IS_TO_COME: Final = frozenset({"confirmation", "moved", "follow-up"})
_REMINDER: Final = "reminder"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A text that the carrier accepted. `intent` is the ledger key that it carried, None without one."""

    message_id: str
    phone: str
    body: str
    is_promotional: bool
    intent: str | None
    sent_at: datetime
    is_delivered: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row of the ledger."""

    key: str
    subscriber_id: str
    construct: str
    purpose: str
    occasion: str
    state: str
    message_id: str | None
    claimed_at: datetime | None
    deferred_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A text that a phone sent, each once.

    Attributes
    ----------
    told_at
        When the first copy of it reached the account.
    handled_at
        When the product wrote down that it was done with it; None where it never did.
    """

    id: str
    phone: str
    body: str
    told_at: datetime
    handled_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A row of the responses table."""

    inbound_id: str
    phone: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Appointment:
    """What the booking site knows. `over_at` is when it was told that it will not take place, or moved."""

    id: str
    phone: str
    starts_at: datetime
    over_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Sums by one source."""

    delivered: int
    failed: int
    responses: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Totals of one row of the subscribers table."""

    texts: int
    responses: int
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """What every side says.

    Attributes
    ----------
    now
        The end of the run, virtual time.
    zones
        Where each phone's owner lives, by the driver.
    reviewed
        When a review was taken (HTTP 201), by the intent of the text whose link led to it.
    totals
        By source: `carrier`, `counts`, `archive`, `athena`.
    people
        Rows of the subscribers table, by phone.
    dead_letters
        Messages by queue.
    failed_executions
        Names of state machines whose executions failed, with how many did.
    """

    now: datetime
    sent: Sequence[Sent] = ()
    rows: Sequence[Row] = ()
    heard: Sequence[Heard] = ()
    stored: Sequence[Stored] = ()
    appointments: Sequence[Appointment] = ()
    zones: Mapping[str, ZoneInfo] = field(default_factory=dict)
    reviewed: Mapping[str, datetime] = field(default_factory=dict)
    totals: Mapping[str, Totals] = field(default_factory=dict)
    people: Mapping[str, Person] = field(default_factory=dict)
    dead_letters: Mapping[str, int] = field(default_factory=dict)
    failed_executions: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the balance sheet.

    Attributes
    ----------
    examined
        How many things the check looked at.
    findings
        What does not balance, one sentence each, without phone numbers.
    note
        What else is to be known.
    """

    name: str
    examined: int
    findings: tuple[str, ...] = ()
    note: str = ""

    @property
    def balances(self) -> bool:
        """Whether nothing was found."""
        return not self.findings


def audit(books: Books) -> list[Line]:
    """Check everything; a line for each check."""
    return [check(books) for check in CHECKS]


def one_final_state(books: Books) -> Line:
    """Every intent is in one final state, or a claim without an answer that is closed by its age."""
    by_key = Counter(row.key for row in books.rows)
    findings = [f"the ledger has {count} rows of key {key}" for key, count in by_key.items() if count > 1]
    closed = 0
    for row in books.rows:
        if row.state in FINAL:
            continue
        if row.state == "CLAIMED" and _age(row, books) >= UNCERTAIN_CLOSES:
            closed += 1
        elif row.state == "DEFERRED" and row.deferred_until is not None and row.deferred_until > books.now:
            continue
        else:
            findings.append(f"{_named(row)} is {row.state}")
    states = Counter(row.state for row in books.rows)
    told = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    note = f"{told}; {closed} of unknown outcome, closed after 72 h" if closed else told
    return Line(
        name="every intent is in one final state",
        examined=len(books.rows),
        findings=tuple(findings),
        note=note,
    )


def unknown_ones_are_unknown(books: Books) -> Line:
    """Hold that a claim stays without an answer only where the carrier has told nothing of it."""
    told = {text.intent for text in books.sent if text.is_delivered is not None}
    claimed = [row for row in books.rows if row.state == "CLAIMED"]
    findings = [
        f"{_named(row)} is CLAIMED, and the carrier told of its end" for row in claimed if row.key in told
    ]
    return Line(
        name="an outcome is unknown only where the carrier told none",
        examined=len(claimed),
        findings=tuple(findings),
    )


def sent_by_the_ledger(books: Books) -> Line:
    """Every text that a phone got has its row, which knows its message id; and no row says more."""
    rows = {row.key: row for row in books.rows}
    findings = []
    for text in books.sent:
        row = rows.get(text.intent or "")
        if row is None:
            findings.append(f"text {text.message_id} has no row in the ledger")
        elif row.message_id not in {None, text.message_id}:
            findings.append(f"{_named(row)} has the message id of another text")
    known = {text.message_id for text in books.sent}
    findings += [
        f"{_named(row)} has message id {row.message_id}, which the carrier does not know"
        for row in books.rows
        if row.message_id is not None and row.message_id not in known
    ]
    findings += [
        f"{_named(row)} is {row.state}, and the carrier has no such text"
        for row in books.rows
        if row.state == "DELIVERED" and row.message_id is None
    ]
    return Line(
        name="what phones got is in the ledger, and nothing else is",
        examined=len(books.sent),
        findings=tuple(findings),
    )


def none_twice(books: Books) -> Line:
    """No ledger key was texted twice, nor the same promotional words to one phone."""
    keys = Counter(text.intent for text in books.sent if text.intent is not None)
    findings = [f"key {key} was texted {count} times" for key, count in keys.items() if count > 1]
    words = Counter((text.phone, text.body) for text in books.sent if text.is_promotional)
    findings += [
        f"a phone got the same promotional words {count} times" for count in words.values() if count > 1
    ]
    meant = Counter((row.subscriber_id, row.construct, row.purpose, row.occasion) for row in books.rows)
    findings += [
        f"{construct} {purpose} of one occasion has {count} rows"
        for (_, construct, purpose, _), count in meant.items()
        if count > 1
    ]
    return Line(name="no text twice", examined=len(books.sent), findings=tuple(findings))


def none_after_stop(books: Books) -> Line:
    """After STOP was handled, nothing is claimed for the phone until START, but the one confirmation.

    Between the arrival of STOP and its handling lies the time that nobody can avoid: a text that was claimed
    by then has been handed over. How many went out in it is told in the note.
    """
    texts: dict[str, list[Sent]] = defaultdict(list)
    for text in books.sent:
        texts[text.phone].append(text)
    rows = {row.key: row for row in books.rows}
    findings, examined, in_between = [], 0, 0
    longest = timedelta(0)
    for phone, told, handled, until in _silences(books.heard):
        examined += 1
        confirmations = 0
        for text in texts[phone]:
            if text.sent_at <= told or (until is not None and text.sent_at >= until):
                continue
            row = rows.get(text.intent or "")
            if row is not None and row.purpose in {"keyword-reply", "opt-out"}:
                confirmations += 1
                if confirmations > 1:
                    findings.append(f"{_named(row)}: a second answer to one STOP")
                continue
            claimed = row.claimed_at if row is not None and row.claimed_at is not None else text.sent_at
            if claimed > handled or claimed > told + UNDER_WAY_FOR:
                findings.append(f"text {text.message_id} was claimed after STOP was handled")
            else:
                in_between += 1
                longest = max(longest, claimed - told)
    note = f"{in_between} were under way when STOP came"
    if in_between:
        note += f", the last one was claimed {longest.total_seconds():.1f} s after it"
    return Line(name="no text after STOP", examined=examined, findings=tuple(findings), note=note)


def none_at_night(books: Books) -> Line:
    """No promotional text outside 08:00 to 21:00 where its recipient lives."""
    promotional = [text for text in books.sent if text.is_promotional]
    findings = []
    for text in promotional:
        zone = books.zones.get(text.phone)
        if zone is None:
            findings.append(f"text {text.message_id} went to a phone that nobody has")
            continue
        local = text.sent_at.astimezone(zone).time()
        if not ALLOWED_FROM <= local < ALLOWED_UNTIL:
            findings.append(f"text {text.message_id} was sent at {local:%H:%M} in {zone.key}")
    return Line(
        name="no promotional text in quiet hours", examined=len(promotional), findings=tuple(findings)
    )


def none_about_what_is_over(books: Books) -> Line:
    """Nothing is claimed about an appointment that is over, nor asked of who has answered."""
    appointments = {one.id: one for one in books.appointments}
    rows = {row.key: row for row in books.rows}
    reviewed = {
        (rows[intent].subscriber_id, rows[intent].occasion): at
        for intent, at in books.reviewed.items()
        if intent in rows
    }
    findings, examined = [], 0
    for text in books.sent:
        row = rows.get(text.intent or "")
        if row is None:
            continue
        claimed = row.claimed_at or text.sent_at
        if row.construct == "appointments":
            examined += 1
            about = appointments.get(row.occasion)
            looks_ahead = row.purpose in _ABOUT_WHAT_IS_TO_COME or row.purpose.startswith(_REMINDER)
            if about is None or not looks_ahead:
                continue
            if about.over_at is not None and claimed > about.over_at:
                findings.append(f"{_named(row)} was claimed after the appointment was called off or moved")
            if claimed > about.starts_at:
                findings.append(f"{_named(row)} was claimed after the appointment had begun")
        elif row.construct == "reviews" and row.purpose.startswith("review-re"):
            examined += 1
            reviewed_at = reviewed.get((row.subscriber_id, row.occasion))
            if row.purpose == "review-reminder" and reviewed_at is not None and claimed > reviewed_at:
                findings.append(f"{_named(row)} was claimed after the review was there")
    return Line(
        name="none about what is cancelled, moved, answered or over",
        examined=examined,
        findings=tuple(findings),
    )


def replies_are_stored(books: Books) -> Line:
    """Hold that what phones sent is in the responses table, each once, in its words, and is done with."""
    stored: dict[str, list[Stored]] = defaultdict(list)
    for row in books.stored:
        stored[row.inbound_id].append(row)
    findings = []
    for heard in books.heard:
        found = stored.pop(heard.id, [])
        if len(found) != 1:
            findings.append(f"reply {heard.id} is stored {len(found)} times")
        elif (found[0].phone, found[0].body) != (heard.phone, heard.body):
            findings.append(f"reply {heard.id} is stored in other words, or of another phone")
        if heard.handled_at is None:
            findings.append(f"reply {heard.id} was never done with")
    findings += [f"response {inbound_id} was sent by nobody" for inbound_id in stored]
    return Line(
        name="every reply is stored once, and done with",
        examined=len(books.heard),
        findings=tuple(findings),
    )


def sums_agree(books: Books) -> Line:
    """Carrier, counts, archive and Athena have the same sums."""
    totals = dict(books.totals)
    findings = []
    if totals:
        (first, expected), *others = totals.items()
        for name, found in others:
            for what in ("delivered", "failed", "responses"):
                mine, theirs = getattr(expected, what), getattr(found, what)
                if mine != theirs:
                    findings.append(f"{what}: {mine} by {first}, {theirs} by {name}")
    note = "; ".join(
        f"{name}: {one.delivered} delivered, {one.failed} failed, {one.responses} responses"
        for name, one in totals.items()
    )
    return Line(
        name="the sums of carrier, counts, archive and Athena agree",
        examined=len(totals),
        findings=tuple(findings),
        note=note,
    )


def people_agree(books: Books) -> Line:
    """Each subscriber's row counts the texts and replies of the phone, and has its last word."""
    texts = Counter(text.phone for text in books.sent if text.is_delivered)
    replies = Counter(heard.phone for heard in books.heard)
    silent = {phone for phone, _, _, until in _silences(books.heard) if until is None}
    findings = []
    for phone, person in books.people.items():
        number = texts[phone]
        if person.responses != replies[phone]:
            findings.append(f"a subscriber has {person.responses} responses, the phone sent {replies[phone]}")
        if person.texts < number:
            findings.append(f"a subscriber has {person.texts} texts, the phone got {number}")
        if (person.status == "OPTED_OUT") != (phone in silent):
            findings.append(
                f"a subscriber is {person.status}; the phone's last word was"
                f"{'' if phone in silent else ' not'} STOP"
            )
    return Line(
        name="each subscriber's row agrees with the phone",
        examined=len(books.people),
        findings=tuple(findings),
    )


def cap_is_kept(books: Books) -> Line:
    """No phone got more promotional texts in any 24 hours than the cap allows."""
    times: dict[str, list[datetime]] = defaultdict(list)
    for text in books.sent:
        if text.is_promotional:
            times[text.phone].append(text.sent_at)
    shortest = [
        min((later - earlier for earlier, later in _apart(sorted(instants), CAP_TEXTS)), default=CAP_PERIOD)
        for instants in times.values()
    ]
    early = [CAP_PERIOD - span for span in shortest if span < CAP_PERIOD]
    return Line(
        name=f"at most {CAP_TEXTS} promotional texts to a phone in 24 h",
        examined=len(times),
        findings=tuple(f"a phone got one too early by {by.total_seconds():.1f} s" for by in early),
    )


def nothing_is_left(books: Books) -> Line:
    """Dead-letter queues are empty, and no execution failed."""
    findings = [f"{count} messages wait in {queue}" for queue, count in books.dead_letters.items() if count]
    findings += [
        f"{count} executions of {name} failed" for name, count in books.failed_executions.items() if count
    ]
    return Line(
        name="dead-letter queues are empty, no execution failed",
        examined=len(books.dead_letters) + len(books.failed_executions),
        findings=tuple(findings),
    )


CHECKS: Final[tuple[Callable[[Books], Line], ...]] = (
    one_final_state,
    unknown_ones_are_unknown,
    sent_by_the_ledger,
    none_twice,
    none_after_stop,
    none_at_night,
    none_about_what_is_over,
    replies_are_stored,
    sums_agree,
    people_agree,
    cap_is_kept,
    nothing_is_left,
)


def table(lines: Iterable[Line]) -> str:
    """Return the balance sheet as a table in Markdown, with the first findings of each check."""
    told = ["| check | examined | found | |", "|---|---:|---:|---|"]
    for line in lines:
        shown = "; ".join(line.findings[:SHOWN])
        more = len(line.findings) - SHOWN
        remark = "; ".join(filter(None, (line.note, shown, f"and {more} more" if more > 0 else "")))
        told.append(f"| {line.name} | {line.examined:,} | {len(line.findings):,} | {remark} |")
    return "\n".join(told)


def _silences(
    heard: Iterable[Heard],
) -> Iterator[tuple[str, datetime, datetime, datetime | None]]:
    """Yield phone, when STOP was told, when it was handled, and when START was told, if it was."""
    by_phone: dict[str, list[Heard]] = defaultdict(list)
    for one in heard:
        by_phone[one.phone].append(one)
    for phone, words in by_phone.items():
        since: Heard | None = None
        for one in sorted(words, key=lambda word: word.told_at):
            said = one.body.strip().upper()
            if said in OPT_OUTS and since is None:
                since = one
            elif said in OPT_INS and since is not None:
                yield phone, since.told_at, since.handled_at or one.told_at, one.told_at
                since = None
        if since is not None:
            yield phone, since.told_at, since.handled_at or since.told_at, None


def _apart(instants: Sequence[datetime], distance: int) -> Iterator[tuple[datetime, datetime]]:
    yield from zip(instants, instants[distance:], strict=False)


def _age(row: Row, books: Books) -> timedelta:
    return books.now - (row.claimed_at or books.now)


def _named(row: Row) -> str:
    return f"{row.construct} {row.purpose} ({row.key[:8]})"
