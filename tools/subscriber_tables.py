"""The parts of ``docs/subscribers.md`` that are made from the code: statuses, transitions, what events say.

``python -m tools.subscriber_tables`` writes them into the page; a test holds the page to them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from sms_engagement_runtime.channel.domain.sentiment import analyse
from sms_engagement_runtime.sms_analytics_pipeline.domain import lifecycle
from sms_engagement_runtime.sms_analytics_pipeline.domain.answering_patterns import (
    LONGEST_NAME,
    LONGEST_PHRASE,
    MOST_PATTERNS,
    MOST_PHRASES,
)
from sms_engagement_runtime.sms_analytics_pipeline.domain.events import CanonicalEvent, EventType
from sms_engagement_runtime.sms_analytics_pipeline.domain.lifecycle import (
    PENDING_FOR,
    STRIKES,
    TRANSITIONS,
    AsBefore,
    Happening,
    SubscriptionStatus,
)
from sms_engagement_runtime.sms_analytics_pipeline.domain.responses import (
    KEPT_FOR_SECONDS,
    NORMALIZED_CHARACTERS,
    response_of,
)
from sms_engagement_runtime.sms_analytics_pipeline.domain.subscribers import facts_of
from tools.appointment_tables import ROOT, table, write_block
from tools.appointment_tables import _meanings as meanings

PAGE: Final = ROOT / "docs" / "subscribers.md"
COMMAND: Final = "python -m tools.subscriber_tables"

_DAY_SECONDS: Final = 24 * 3600


def statuses() -> str:
    """Write what the statuses are."""
    what = meanings(lifecycle, SubscriptionStatus)
    return f"{table(['status', 'what it says'], [[_code(s), what[s]] for s in SubscriptionStatus])}\n"


def transitions() -> str:
    """Write what can happen, and the table of happening and status."""
    what = meanings(lifecycle, Happening)
    happens = table(["happening", "what happened"], [[_code(h), what[h]] for h in Happening])
    rows = [
        [f"**{_spoken(happening)}**", *(_cell(status, happening) for status in SubscriptionStatus)]
        for happening in Happening
    ]
    cells = table(["", *map(_spoken, SubscriptionStatus)], rows)
    return f"{happens}\n\n{cells}\n"


def _cell(status: SubscriptionStatus, happening: Happening) -> str:
    target = TRANSITIONS[status][happening]
    if isinstance(target, AsBefore):
        return "as before it"
    return "·" if target == status else _spoken(target)


_RECORD_STATUSES: Final = (
    (EventType.BUFFERED, "PENDING"),
    (EventType.SUCCESS, "SUCCESSFUL"),
    (EventType.SUCCESS, "DELIVERED"),
    (EventType.FAILURE, "INVALID"),
    (EventType.FAILURE, "UNREACHABLE"),
    (EventType.FAILURE, "CARRIER_UNREACHABLE"),
    (EventType.FAILURE, "UNKNOWN"),
    (EventType.FAILURE, "OPTED_OUT"),
    (EventType.FAILURE, "TTL_EXPIRED"),
    (EventType.FAILURE, "INVALID_MESSAGE"),
    (EventType.FAILURE, "BLOCKED"),
    (EventType.FAILURE, "CARRIER_BLOCKED"),
    (EventType.FAILURE, "SPAM"),
    (EventType.FAILURE, "PROTECT_BLOCKED"),
    (EventType.FAILURE, "MAX_PRICE_EXCEEDED"),
    (EventType.OPTOUT, None),
)


def events() -> str:
    """Write what each event says of its subscriber."""
    rows = [
        [_code(kind.value), _code(status) if status else "", _said(_event(kind, record_status=status))]
        for kind, status in _RECORD_STATUSES
    ]
    return f"{table(['event', 'record status', 'happenings'], rows)}\n"


_ANSWERS: Final = (
    "YES",
    "ok!",
    "START",
    "STOP",
    "Please stop texting me",
    "wrong number",
    "not interested",
    "Great!",
    "ＹＥＳ",
    "When do you open?",
)


def answers() -> str:
    """Write what samples of answers say, and how they are kept."""
    rows = []
    for text in _ANSWERS:
        event = _event(EventType.RECEIVED, response_text=text)
        response = response_of(event, analyse)
        rows.append([_code(text), _said(event), _code(response.normalized_response), response.sentiment])
    return f"{table(['answer', 'happenings', 'normalized_response', 'sentiment'], rows)}\n"


def limits() -> str:
    """Write the numbers."""
    rows = [
        ["texts in a row that did not arrive until the number counts as dead", str(STRIKES)],
        ["a question to confirm waits for its YES", f"{PENDING_FOR // 1000 // _DAY_SECONDS} days"],
        ["an answer is kept", f"{KEPT_FOR_SECONDS // _DAY_SECONDS} days"],
        ["characters of `normalized_response`", str(NORMALIZED_CHARACTERS)],
        ["patterns; words and phrases of one", f"{MOST_PATTERNS}; {MOST_PHRASES}"],
        ["characters of a pattern's name; of a phrase", f"{LONGEST_NAME}; {LONGEST_PHRASE}"],
    ]
    return f"{table(['what', 'how much'], rows)}\n"


def _event(
    kind: EventType, *, record_status: str | None = None, response_text: str | None = None
) -> CanonicalEvent:
    return CanonicalEvent(
        event_type=kind.value,
        event_id="e",
        event_timestamp=0,
        arrival_timestamp=0,
        subscriber_id="v1:…",
        record_status=record_status,
        response_text=response_text,
    )


def _said(event: CanonicalEvent) -> str:
    return ", ".join(_code(fact.happening) for fact in facts_of(event))


def _spoken(name: str) -> str:
    return name.replace("_", " ")


def _code(text: str) -> str:
    return f"`{text}`"


BLOCKS: Final[Mapping[str, Callable[[], str]]] = {
    "statuses": statuses,
    "transitions": transitions,
    "events": events,
    "answers": answers,
    "limits": limits,
}
"""By the names that the page has in its marks."""


def main() -> None:
    """Write them all."""
    for name, make in BLOCKS.items():
        write_block(name, make(), PAGE)


if __name__ == "__main__":
    main()
