"""The parts of ``docs/appointments.md`` that are made from the code: states, texts, answers, events, waits.

``python -m tools.appointment_tables`` writes them into the page; a test holds the page to them. What a month
costs is written by ``benchmarks/appointment_cost.py``, which takes longer.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Final

from sms_engagement_runtime.appointment_follow_up.domain import conversation, purposes
from sms_engagement_runtime.appointment_follow_up.domain.conversation import (
    MAY_SEND,
    TRANSITIONS,
    Event,
    Status,
)
from sms_engagement_runtime.appointment_follow_up.domain.policy import FollowUpPolicy
from sms_engagement_runtime.appointment_follow_up.domain.purposes import Purpose
from sms_engagement_runtime.appointment_follow_up.domain.replies import read_reply
from sms_engagement_runtime.appointment_follow_up.domain.reply_kinds import ReplyKind
from sms_engagement_runtime.appointment_follow_up.domain.standard_texts import STANDARD_TEXTS
from sms_engagement_runtime.appointment_follow_up.domain.texts import AppointmentTexts, Facts
from sms_engagement_runtime.appointment_follow_up.domain.times import spoken_time
from sms_engagement_runtime.channel.domain.encoding import Encoding, measure
from sms_engagement_runtime.channel.domain.keywords import (
    Keyword,
    recognise,
    says_cancel,
    says_wrong_number,
)

ROOT: Final = Path(__file__).resolve().parents[1]
PAGE: Final = ROOT / "docs" / "appointments.md"
COMMAND: Final = "python -m tools.appointment_tables"

_EVENTS: Final = ROOT / "docs" / "events"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table in Markdown."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def block_of(page: str, name: str) -> str:
    """Return what stands between the marks of a block.

    Raises
    ------
    ValueError
        The page has no such block, or two.
    """
    found = _pattern(name).findall(page)
    if len(found) != 1:
        raise ValueError(f"{PAGE.name} must have one block {name!r}, got {len(found)}")
    text: str = found[0][1]
    return text


def write_block(name: str, text: str, path: Path = PAGE) -> None:
    """Put a text between the marks of a block.

    Raises
    ------
    ValueError
        As ``block_of``.
    """
    page = path.read_text(encoding="utf-8")
    block_of(page, name)
    written = _pattern(name).sub(lambda match: f"{match[1]}{text}{match[3]}", page)
    path.write_text(written, encoding="utf-8")


def _pattern(name: str) -> re.Pattern[str]:
    return re.compile(rf"(<!-- made: {name}, by [^>]*-->\n)(.*?)(<!-- end -->)", re.DOTALL)


# States


def states() -> str:
    """Write what the states are, and the table of state and event."""
    meanings = _meanings(conversation, Status)
    what = table(["state", "what it says"], [[_code(state), meanings[state]] for state in Status])
    events = _meanings(conversation, Event)
    happens = table(["event", "what happened"], [[_code(event), events[event]] for event in Event])
    rows = [
        [f"**{state}**", *(_cell(state, str(TRANSITIONS[state][event])) for event in Event)]
        for state in Status
    ]
    transitions = table(["", *map(_narrow, Event)], rows)
    return f"{what}\n\n{happens}\n\n{transitions}\n"


def _cell(state: Status, target: str) -> str:
    if target == state:
        return "·"
    # An object that is no state says in words what it is.
    return target if target in set(Status) else "as before it"


def _narrow(event: Event) -> str:
    return event.replace("_", " ")


def texts_by_state() -> str:
    """Write which text may go out in which state."""
    meanings = _meanings(purposes, Purpose)
    rows = [
        [_code(purpose), meanings[purpose], *("✓" if state in may else "" for state in Status)]
        for purpose, may in MAY_SEND.items()
    ]
    answers = [
        [_code(purpose), meanings[purpose], *[""] * len(Status)]
        for purpose in Purpose
        if purpose not in MAY_SEND
    ]
    return f"{table(['text', 'what for', *(state.replace('_', ' ') for state in Status)], rows + answers)}\n"


def _meanings[E: StrEnum](module: ModuleType, enum: type[E]) -> Mapping[E, str]:
    """Read the texts under the members of an enumeration, which Python itself forgets."""
    assert module.__file__ is not None
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    (body,) = (
        node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == enum.__name__
    )
    found: dict[E, str] = {}
    for member, node in pairwise(body):
        match member, node:
            case ast.Assign(targets=[ast.Name(id=str(name))]), ast.Expr(value=ast.Constant(value=str(text))):
                found[enum[name]] = " ".join(text.split())
    return found


# Texts

_STARTS_AT: Final = datetime(2026, 12, 1, 18, tzinfo=UTC)
_OTHER_TIME: Final = datetime(2026, 12, 3, 15, 30, tzinfo=UTC)
_SAMPLES: Final = {
    "en": ("America/New_York", "Dental check-up"),
    "es": ("America/Mexico_City", "Revisión dental"),
    "fr": ("Europe/Paris", "Contrôle dentaire"),
    "de": ("Europe/Berlin", "Zahnkontrolle"),
    "pt": ("America/Sao_Paulo", "Consulta dental"),
}
_LINKS: Final = {
    Purpose.FEEDBACK: "https://example.com/r/AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQ",
    Purpose.RESCHEDULE: "https://calendly.com/reschedulings/7f1d2c3b",
}


def texts() -> str:
    """Write each standard text in its languages, as Ana gets it."""
    written = AppointmentTexts()
    rows = []
    for purpose in Purpose:
        for locale in STANDARD_TEXTS[purpose]:
            zone, event = _SAMPLES[locale]
            time, other = (
                spoken_time(instant, time_zone=zone, locale=locale, fallback_zone="UTC")
                for instant in (_STARTS_AT, _OTHER_TIME)
            )
            facts = Facts(event=event, time=time, name="Ana", link=_LINKS.get(purpose))
            choices = f"1: {time} 2: {other}"
            body = written.render(purpose, facts, locale=locale, choices=choices).body
            rows.append([_code(purpose), locale, body.replace("\n", "<br>"), _size(body)])
    return f"{table(['text', 'language', 'as Ana gets it', 'characters'], rows)}\n"


def _size(body: str) -> str:
    measured = measure(body)
    alphabet = "" if measured.encoding is Encoding.GSM else ", not GSM"
    parts = "" if measured.parts == 1 else f", {measured.parts} parts"
    return f"{len(body)}{alphabet}{parts}"


# Answers

_ANSWERS: Final = (
    "1",
    "Yes, see you then!",
    "C",
    "Sí, gracias",
    "D'accord",
    "Ja, bis morgen",
    "👍",
    "R",
    "Could we find another time?",
    "Yes, but can I bring my dog?",
    "Who is this?",
    "no",
    "STOP",
    "Please stop texting me",
    "CANCEL",
    "Wrong number",
)
_BY_KIND: Final = {
    ReplyKind.CONFIRM: "confirms",
    ReplyKind.RESCHEDULE: "gets the link to choose another time; the host reads it",
    ReplyKind.OTHER: "the host reads it",
}


def answers() -> str:
    """Write what samples of answers lead to."""
    return (
        f"{table(['answer', 'what follows'], [[_code(answer), _follows(answer)] for answer in _ANSWERS])}\n"
    )


def _follows(answer: str) -> str:
    """Say who takes an answer: the channel, which looks first, or the appointment."""
    if says_wrong_number(answer):
        return "opts the number out: its owner is not the invitee; the host reads it"
    if says_cancel(answer):
        return "opts out, by law; is told that the appointment itself stands; the host reads it"
    if recognise(answer) is Keyword.OPT_OUT:
        return "opts out; the host reads it, as the appointment itself stands"
    return _BY_KIND[read_reply(answer)]


# Events on the bus


def events() -> str:
    """Write when each event of an appointment comes, from its schema."""
    rows = []
    for path in sorted(_EVENTS.glob("Appointment*.schema.json")):
        schema = json.loads(path.read_text(encoding="utf-8"))
        rows.append([f"[`{schema['title']}`](events/{path.name})", schema["description"]])
    return f"{table(['event', 'when'], rows)}\n"


# Waits


def waits() -> str:
    """Write the spans and their props."""
    policy = FollowUpPolicy()
    reminders = ", ".join(map(_span, policy.reminders))
    assert policy.feedback_delay is not None
    rows = [
        ["`follow_up_delay`", _span(policy.follow_up_delay), "from the first text to the follow-up"],
        [
            "`near_start`",
            _span(policy.near_start),
            "before the start, in which nobody is followed up any more",
        ],
        ["`reminders`", reminders, "before the start: when reminders come, up to five of them"],
        ["`feedback_delay`", _span(policy.feedback_delay), "from the end to the request for a review"],
        [
            "",
            _span(policy.no_show_useful_for),
            "after the host's word, in which the text about a no-show is of use",
        ],
        ["`retention`", _span(policy.retention), "after the appointment, until its row is deleted"],
    ]
    return f"{table(['prop', 'default', 'what it spans'], rows)}\n"


def _span(span: timedelta) -> str:
    for unit, name in (
        (timedelta(days=2), "days"),
        (timedelta(hours=1), "hours"),
        (timedelta(minutes=1), "minutes"),
    ):
        if span >= unit:
            size = timedelta(days=1) if name == "days" else unit
            number = span // size
            return f"{number} {name if number != 1 else name.removesuffix('s')}"
    return f"{span // timedelta(seconds=1)} seconds"


def _code(text: str) -> str:
    return f"`{text}`"


BLOCKS: Final[Mapping[str, Callable[[], str]]] = {
    "states": states,
    "texts by state": texts_by_state,
    "texts": texts,
    "answers": answers,
    "events": events,
    "waits": waits,
}
"""By the names that the page has in its marks."""


def main() -> None:
    """Write them all."""
    for name, make in BLOCKS.items():
        write_block(name, make())


if __name__ == "__main__":
    main()
