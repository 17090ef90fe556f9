"""``timeline``: why somebody did or did not get a text."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from sms_engagement_runtime.channel.adapters.clock import SystemClock
from sms_engagement_runtime.channel.domain.timeline import (
    ChannelRows,
    Entry,
    Row,
    Timeline,
    Words,
    instant,
    moment,
    timeline,
)
from sms_engagement_runtime.commands.exits import ExitStatus, fail
from sms_engagement_runtime.commands.people import Found, People, Person, WrongUseError


def show_timeline(options: argparse.Namespace) -> ExitStatus:
    """Tell everything of a phone in the order of time, and what follows from it."""
    try:
        people = People.of(options)
        person, found = people.rows(people.identify(options.phone, options.user_id))
    except WrongUseError as error:
        return fail(str(error))
    words = Words(is_masked=not options.unmask)
    told = timeline(
        ChannelRows(
            [each.row for each in found if each.kind == "contacts"],
            [each.row for each in found if each.kind == "messages"],
        ),
        now=SystemClock().now(),
        words=words,
        others=entries_of(found, words),
    )
    number = person.number.masked if words.is_masked else person.number.e164
    if options.json:
        print(json.dumps(_as_json(person, number, told), indent=2))
    else:
        print(f"{number}, subscriber {person.subscriber_id}")
        for entry in told.entries:
            print(f"{entry.at:%Y-%m-%d %H:%M:%S} UTC  {entry.what:<12} {entry.sentence}")
        print(told.conclusion)
    return ExitStatus.DONE


def _as_json(person: Person, number: str, told: Timeline) -> Mapping[str, object]:
    return {
        "subscriberId": person.subscriber_id,
        "phoneNumber": number,
        "entries": [entry.to_json() for entry in told.entries],
        "conclusion": told.conclusion,
    }


def entries_of(found: Iterable[Found], words: Words) -> Iterator[Entry]:
    """Tell of rows of the other systems: each has one, or two, or none."""
    for each in found:
        tell = _TELLERS.get(each.kind)
        if tell is not None:
            yield from tell(each.row, words)


def _response(row: Row, words: Words) -> Iterator[Entry]:
    yield Entry(
        at=instant(row["response_timestamp"]),
        what="reply",
        sentence=f"They wrote {words.shown(row.get('response_text'))}, taken as {row.get('sentiment')}.",
    )


def _subscriber(row: Row, _: Words) -> Iterator[Entry]:
    status, sent = row.get("subscription_status"), row.get("total_messages_sent", 0)
    answers = row.get("total_responses", 0)
    yield Entry(
        at=instant(row.get("updated_at") or 0),
        what="subscriber",
        sentence=f"As a subscriber they are {status}; {sent} texts sent, {answers} answers.",
    )


def _conversation(row: Row, _: Words) -> Iterator[Entry]:
    starts = f" for {moment(instant(row['startsAt'] * 1000))}" if row.get("startsAt") else ""
    yield Entry(
        at=instant(row["createdAt"]), what="appointment", sentence=f"An appointment{starts} was booked."
    )
    reason = f" ({row['reason']})" if row.get("reason") else ""
    yield Entry(
        at=instant(row["updatedAt"]),
        what="appointment",
        sentence=f"The appointment{starts} came to {row.get('status')}{reason}.",
        reason=row.get("reason"),
    )


_REQUEST_STEPS: Final = (
    ("recordedAt", "An occasion to ask for a review was recorded"),
    ("askedAt", "They were to be asked for a review"),
    ("remindedAt", "They were to be reminded of it"),
    ("answeredAt", "They wrote the review"),
)


def _request(row: Row, _: Words) -> Iterator[Entry]:
    for name, sentence in _REQUEST_STEPS:
        if row.get(name):
            yield Entry(at=instant(row[name] * 1000), what="review", sentence=f"{sentence}.")


def _review(row: Row, words: Words) -> Iterator[Entry]:
    text = f", {words.shown(row['reviewText'])}" if row.get("reviewText") else ""
    yield Entry(
        at=instant(row["timestamp"]),
        what="review",
        sentence=f"Their review has {row.get('rating')} of 5{text}; it is {row.get('status')}.",
    )


def _enrolment(row: Row, _: Words) -> Iterator[Entry]:
    ended = f", ended as {row['ended']}" if row.get("ended") else ""
    yield Entry(
        at=instant(row.get("updated_at") or 0),
        what="journey",
        sentence=f"They are on the journey {row.get('journey_id')}{ended}.",
    )


_TELLERS: Final[Mapping[str, Callable[[Row, Words], Iterator[Entry]]]] = {
    "responses": _response,
    "subscribers": _subscriber,
    "conversations": _conversation,
    "review_requests": _request,
    "reviews": _review,
    "enrolments": _enrolment,
}
