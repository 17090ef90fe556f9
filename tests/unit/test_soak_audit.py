"""The soak's auditor finds each thing that may be wrong, and nothing where all is well."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from benchmarks.soak_audit import (
    Appointment,
    Books,
    Heard,
    Person,
    Row,
    Sent,
    Stored,
    Totals,
    audit,
    cap_is_kept,
    table,
)

NOON = datetime(2027, 2, 1, 17, tzinfo=UTC)
PHONE = "+12125550101"


def at(**span: float) -> datetime:
    return NOON + timedelta(**span)


TEXT = Sent(
    message_id="m1",
    phone=PHONE,
    body="Please review",
    is_promotional=True,
    intent="k1",
    sent_at=at(minutes=1),
    is_delivered=True,
)
ROW = Row(
    key="k1",
    subscriber_id="s1",
    construct="reviews",
    purpose="review-request",
    occasion="registration",
    state="DELIVERED",
    message_id="m1",
    claimed_at=at(minutes=1),
)
CONFIRMATION = replace(
    TEXT, message_id="m2", intent="k2", body="See you", is_promotional=False, sent_at=at(minutes=2)
)
CONFIRMATION_ROW = replace(
    ROW,
    key="k2",
    construct="appointments",
    purpose="confirmation",
    occasion="a1",
    message_id="m2",
    claimed_at=at(minutes=2),
)
STOP = Heard(id="i1", phone=PHONE, body="STOP", told_at=at(hours=1), handled_at=at(hours=1, seconds=2))
STOPPED = replace(
    CONFIRMATION,
    message_id="m3",
    intent="k3",
    body="You have been unsubscribed.",
    sent_at=at(hours=1, seconds=2),
)
STOPPED_ROW = replace(
    CONFIRMATION_ROW,
    key="k3",
    construct="channel",
    purpose="keyword-reply",
    occasion="i1",
    message_id="m3",
    claimed_at=at(hours=1, seconds=2),
)
SUMS = Totals(delivered=3, failed=0, responses=1)
BOOKS = Books(
    now=at(days=5),
    sent=(TEXT, CONFIRMATION, STOPPED),
    rows=(ROW, CONFIRMATION_ROW, STOPPED_ROW),
    heard=(STOP,),
    stored=(Stored(inbound_id="i1", phone=PHONE, body="STOP"),),
    appointments=(Appointment(id="a1", phone=PHONE, starts_at=at(days=2)),),
    zones={PHONE: ZoneInfo("America/New_York")},
    totals={"carrier": SUMS, "counts": SUMS},
    people={PHONE: Person(texts=3, responses=1, status="OPTED_OUT")},
    dead_letters={"dead": 0},
    failed_executions={"machine": 0},
)


def found(books: Books) -> list[str]:
    return [finding for line in audit(books) for finding in line.findings]


def test_books_in_order_balance() -> None:
    assert found(BOOKS) == []
    assert all(line.balances for line in audit(BOOKS))


def rows(changed: Row) -> tuple[Row, ...]:
    return (changed, CONFIRMATION_ROW, STOPPED_ROW)


def with_text(text: Sent, row: Row | None) -> Books:
    return replace(
        BOOKS,
        sent=(*BOOKS.sent, text),
        rows=BOOKS.rows if row is None else (*BOOKS.rows, row),
        people={PHONE: Person(texts=4, responses=1, status="OPTED_OUT")},
    )


LATE = at(hours=2)
LATE_TEXT = replace(TEXT, message_id="m4", intent="k4", body="Another", sent_at=LATE)
LATE_ROW = replace(ROW, key="k4", message_id="m4", occasion="other", claimed_at=LATE)


@pytest.mark.parametrize(
    ("books", "finding"),
    [
        (replace(BOOKS, rows=rows(replace(ROW, state="ACCEPTED"))), "is ACCEPTED"),
        (replace(BOOKS, rows=rows(replace(ROW, state="DEFERRED", message_id=None))), "is DEFERRED"),
        (
            replace(BOOKS, rows=rows(replace(ROW, state="CLAIMED", message_id=None)), now=at(days=1)),
            "is CLAIMED",
        ),
        (
            replace(BOOKS, rows=rows(replace(ROW, state="CLAIMED", message_id=None))),
            "the carrier told of its end",
        ),
        (replace(BOOKS, rows=(*BOOKS.rows, ROW)), "the ledger has 2 rows"),
        (with_text(replace(LATE_TEXT, intent=None, sent_at=NOON), None), "has no row in the ledger"),
        (replace(BOOKS, rows=rows(replace(ROW, message_id="m9"))), "the message id of another text"),
        (replace(BOOKS, rows=rows(replace(ROW, message_id="m9"))), "which the carrier does not know"),
        (with_text(replace(TEXT, message_id="m4"), None), "key k1 was texted 2 times"),
        (with_text(replace(LATE_TEXT, body=TEXT.body), LATE_ROW), "the same promotional words 2 times"),
        (with_text(LATE_TEXT, replace(LATE_ROW, occasion=ROW.occasion)), "of one occasion has 2 rows"),
        (with_text(LATE_TEXT, LATE_ROW), "was claimed after STOP was handled"),
        (
            with_text(
                replace(STOPPED, message_id="m4", intent="k4"),
                replace(STOPPED_ROW, key="k4", message_id="m4", occasion="i2"),
            ),
            "a second answer to one STOP",
        ),
        (
            replace(BOOKS, sent=(replace(TEXT, sent_at=at(hours=-5)), CONFIRMATION, STOPPED)),
            "was sent at 07:00 in America/New_York",
        ),
        (
            replace(BOOKS, sent=(replace(TEXT, sent_at=at(hours=-8)), CONFIRMATION, STOPPED)),
            "was sent at 04:00",
        ),
        (replace(BOOKS, zones={}), "went to a phone that nobody has"),
        (
            replace(
                BOOKS,
                appointments=(
                    Appointment(id="a1", phone=PHONE, starts_at=at(days=2), over_at=at(minutes=1)),
                ),
            ),
            "after the appointment was called off or moved",
        ),
        (
            replace(BOOKS, appointments=(Appointment(id="a1", phone=PHONE, starts_at=at(minutes=1)),)),
            "after the appointment had begun",
        ),
        (
            replace(BOOKS, rows=rows(replace(ROW, purpose="review-reminder")), reviewed={"k1": NOON}),
            "after the review was there",
        ),
        (replace(BOOKS, stored=()), "reply i1 is stored 0 times"),
        (replace(BOOKS, stored=BOOKS.stored * 2), "reply i1 is stored 2 times"),
        (
            replace(BOOKS, stored=(Stored(inbound_id="i1", phone=PHONE, body="HELP"),)),
            "stored in other words",
        ),
        (
            replace(BOOKS, stored=(*BOOKS.stored, Stored(inbound_id="i2", phone=PHONE, body="Hi"))),
            "response i2 was sent by nobody",
        ),
        (replace(BOOKS, heard=(replace(STOP, handled_at=None),)), "reply i1 was never done with"),
        (
            replace(BOOKS, totals={"carrier": SUMS, "athena": replace(SUMS, delivered=2)}),
            "delivered: 3 by carrier, 2 by athena",
        ),
        (
            replace(BOOKS, totals={"carrier": SUMS, "archive": replace(SUMS, responses=2)}),
            "responses: 1 by carrier, 2 by archive",
        ),
        (
            replace(BOOKS, people={PHONE: Person(texts=2, responses=1, status="OPTED_OUT")}),
            "a subscriber has 2 texts, the phone got 3",
        ),
        (
            replace(BOOKS, people={PHONE: Person(texts=3, responses=2, status="OPTED_OUT")}),
            "a subscriber has 2 responses, the phone sent 1",
        ),
        (
            replace(BOOKS, people={PHONE: Person(texts=3, responses=1, status="ACTIVE")}),
            "a subscriber is ACTIVE; the phone's last word was STOP",
        ),
        (replace(BOOKS, dead_letters={"dead": 2}), "2 messages wait in dead"),
        (replace(BOOKS, failed_executions={"machine": 1}), "1 executions of machine failed"),
    ],
)
def test_what_does_not_balance_is_found(books: Books, finding: str) -> None:
    assert any(finding in one for one in found(books)), found(books)


def test_four_promotional_texts_in_a_day_break_the_cap_and_three_do_not() -> None:
    texts = tuple(
        replace(TEXT, message_id=f"m{hour}", body=f"Offer {hour}", intent=None, sent_at=at(hours=hour - 3))
        for hour in range(4)
    )

    def over(*sent: Sent) -> bool:
        lines = audit(replace(BOOKS, sent=sent))
        (line,) = (line for line in lines if "promotional texts to a phone" in line.name)
        return not line.balances

    assert over(*texts)
    assert not over(*texts[:3])
    assert not over(*texts[:3], replace(texts[3], sent_at=texts[0].sent_at + timedelta(days=1)))


def test_a_text_after_start_is_none_after_stop() -> None:
    start = Heard(id="i2", phone=PHONE, body="START", told_at=at(hours=1, minutes=30), handled_at=LATE)
    books = replace(with_text(LATE_TEXT, LATE_ROW), heard=(STOP, start))

    (line,) = (line for line in audit(books) if line.name == "no text after STOP")

    assert line.balances


def test_a_text_that_was_under_way_when_stop_came_is_told_and_no_finding() -> None:
    under_way = replace(LATE_TEXT, sent_at=at(hours=1, seconds=1))
    books = with_text(under_way, replace(LATE_ROW, claimed_at=at(hours=1, seconds=1)))

    (line,) = (line for line in audit(books) if line.name == "no text after STOP")

    assert line.balances
    assert line.note == "1 were under way when STOP came, the last one was claimed 1.0 s after it"


def test_a_stop_that_nobody_handled_for_an_hour_excuses_no_text() -> None:
    under_way = replace(LATE_TEXT, sent_at=at(hours=1, minutes=20))
    books = with_text(under_way, replace(LATE_ROW, claimed_at=at(hours=1, minutes=20)))

    lines = audit(replace(books, heard=(replace(STOP, handled_at=LATE),)))

    assert any("was claimed after STOP" in finding for line in lines for finding in line.findings)


def test_the_sheet_shows_the_first_findings_and_how_many_more_there_are() -> None:
    text = table(audit(replace(BOOKS, dead_letters={f"queue{number}": 1 for number in range(7)})))

    assert "| dead-letter queues are empty, no execution failed | 8 | 7 | 1 messages wait in queue0;" in text
    assert "and 2 more |" in text
    assert PHONE not in text


def test_one_text_too_many_is_found_however_little_it_is_too_early():
    def findings(seconds: float):
        spread = (0, 1, 2, 24 * 3600 - seconds)
        sent = [
            replace(TEXT, message_id=f"m{n}", is_promotional=True, sent_at=at(seconds=second))
            for n, second in enumerate(spread)
        ]
        return cap_is_kept(Books(now=at(days=9), sent=sent)).findings

    assert findings(0) == ()
    assert findings(2) == ("a phone got one too early by 2.0 s",)
