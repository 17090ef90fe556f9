"""What people answer: a row an answer, kept for a year, and what it changes in the row of its subscriber."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, NamedTuple, Protocol

from sms_engagement_runtime.channel.domain.errors import TransientError
from sms_engagement_runtime.channel.domain.keywords import MAX_CHARACTERS
from sms_engagement_runtime.channel.domain.sentiment import SentimentAnalyser
from sms_engagement_runtime.sms_analytics_pipeline.domain.answering_patterns import AnsweringPatterns
from sms_engagement_runtime.sms_analytics_pipeline.domain.events import LATEST_TIMESTAMP
from sms_engagement_runtime.sms_analytics_pipeline.domain.subscribers import (
    Subscriber,
    SubscriberChangedError,
    Told,
    facts_of,
    record,
)

KEPT_FOR_SECONDS: Final = 365 * 24 * 3600
"""How long an answer is kept: exactly 365 days from the time of its event."""

NORMALIZED_CHARACTERS: Final = 160
"""So much of an answer is kept in the form by which it is compared and grouped: one GSM text."""

NOTICE_SUBJECT: Final = "An answer matches a pattern"
"""Always the same: subjects of mails are no place for what people write."""

MOST_ATTEMPTS: Final = 8
FIRST_PAUSE_SECONDS: Final = 0.02
"""Between attempts at a row that others write too, doubled each time; at random up to that."""

_SEEN_AS_SPACE: Final = frozenset({"Zs", "Zl", "Zp", "Cc"})
_INVISIBLE: Final = frozenset({"Cf", "Cs"})
# They choose between two looks of the sign before them.
_VARIATION_SELECTORS: Final = frozenset(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))


class Answer(Told, Protocol):
    """What is read of an event ``_SMS.RECEIVED``; see ``CanonicalEvent``."""

    @property
    def subscriber_id(self) -> str: ...  # noqa: D102
    @property
    def phone_number(self) -> str | None: ...  # noqa: D102
    @property
    def campaign_id(self) -> str | None: ...  # noqa: D102
    @property
    def journey_id(self) -> str | None: ...  # noqa: D102
    @property
    def keyword(self) -> str | None: ...  # noqa: D102


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """A row of ``responses``.

    Attributes
    ----------
    response_key
        ``<epoch milliseconds, 13 digits>#<event id>``: in the order of time, one an answer, however many come
        in a second.
    response_timestamp
        Epoch milliseconds.
    response_text
        As written, up to what the service delivers; the archive has all of what came.
    normalized_response
        See :func:`normalized`.
    sentiment
        ``positive``, ``negative`` or ``neutral``.
    campaign_id, journey_id
        Of the text that it answers.
    keyword
        Of the inbound message.
    ttl
        Epoch seconds from which on the row is deleted.
    """

    subscriber_id: str
    response_key: str
    response_timestamp: int
    response_text: str
    normalized_response: str
    sentiment: str
    ttl: int
    phone_number: str | None = None
    campaign_id: str | None = None
    journey_id: str | None = None
    message_id: str | None = None
    keyword: str | None = None


class PageKey(NamedTuple):
    """Where a page of answers ended."""

    subscriber_id: str
    response_key: str


class ResponsePage(NamedTuple):
    """Some answers, and where the next ones begin; None after the last."""

    responses: tuple[Response, ...]
    next_page: PageKey | None


class ResponseStore(Protocol):
    """Answers, and the rows of their subscribers, which are written together."""

    def exists(self, subscriber_id: str, response_key: str) -> bool:
        """Whether an answer is kept."""

    def add(self, response: Response, subscriber: Subscriber) -> bool:
        """Keep an answer and what it makes of its subscriber, both or neither.

        Parameters
        ----------
        subscriber
            With the version in which the row was read.

        Returns
        -------
        bool
            False where the answer was kept already: then nothing changes.

        Raises
        ------
        SubscriberChangedError
            The subscriber's row was written by somebody else meanwhile, or is just being written.
        TransientError
            The tables did not answer.
        """


class SubscriberSource(Protocol):
    """Rows of subscribers."""

    def find(self, ids: Iterable[str]) -> Mapping[str, Subscriber]:
        """Read rows, strongly consistent; unknown people are left out."""


class NoticeTopic(Protocol):
    """Who wants to hear of answers."""

    def publish(self, subject: str, message: str) -> None:
        """Publish one notice."""


class Kept(Enum):
    """What became of an answer."""

    ADDED = auto()
    DUPLICATE = auto()
    """It was there already."""


def normalized(text: str | None) -> str:
    """Make a text comparable and still readable: case and width folded, white space as single spaces.

    What cannot be seen is gone. The first :data:`NORMALIZED_CHARACTERS` of that.
    """
    composed = unicodedata.normalize("NFKC", (text or "")[:MAX_CHARACTERS]).casefold()
    seen = "".join(
        " " if category in _SEEN_AS_SPACE else character
        for character in composed
        if (category := unicodedata.category(character)) not in _INVISIBLE
        and character not in _VARIATION_SELECTORS
    )
    return " ".join(seen.split())[:NORMALIZED_CHARACTERS].rstrip()


def response_key(event_timestamp: int, event_id: str) -> str:
    """Return the sort key of an answer."""
    return f"{earliest_key(event_timestamp)}#{event_id}"


def earliest_key(timestamp: int) -> str:
    """Return what no key of an answer from this instant on is before. Epoch milliseconds."""
    return f"{min(max(timestamp, 0), LATEST_TIMESTAMP):013d}"


def response_of(answer: Answer, analyse: SentimentAnalyser) -> Response:
    """Make the row of an answer."""
    at, text = answer.event_timestamp, answer.response_text or ""
    return Response(
        subscriber_id=answer.subscriber_id,
        response_key=response_key(at, answer.event_id),
        response_timestamp=at,
        response_text=text[:MAX_CHARACTERS],
        normalized_response=normalized(text),
        sentiment=analyse(text).value,
        ttl=at // 1000 + KEPT_FOR_SECONDS,
        phone_number=answer.phone_number,
        # An empty one is none, and no key of an index.
        campaign_id=answer.campaign_id or None,
        journey_id=answer.journey_id or None,
        message_id=answer.message_id,
        keyword=answer.keyword,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseKeeper:
    """Keeps answers.

    Attributes
    ----------
    topic
        None where nobody wants to hear of any.
    sleep, jitter
        Waits so many seconds; gives a number from 0 to 1.
    """

    store: ResponseStore
    subscribers: SubscriberSource
    analyse: SentimentAnalyser
    patterns: AnsweringPatterns
    topic: NoticeTopic | None
    sleep: Callable[[float], None]
    jitter: Callable[[], float]

    def keep(self, answer: Answer, subscriber: Subscriber | None) -> tuple[Kept, Subscriber | None]:
        """Keep an answer, once, however often it comes.

        A notice goes out before the answer is kept: a process that ends between the two sends it again when
        the answer comes again. So each answer that matches is told of at least once, and as a rule once.

        Parameters
        ----------
        subscriber
            The row as it was read last; None where there is none.

        Returns
        -------
        tuple
            What became of the answer, and the row of the subscriber as it is now, for their next answer.

        Raises
        ------
        TransientError
            Something did not answer, or the subscriber's row kept changing. The answer shall come again.
        """
        response = response_of(answer, self.analyse)
        matching = self.patterns.matching(answer.response_text)
        if matching and self.topic is not None:
            if self.store.exists(response.subscriber_id, response.response_key):
                return Kept.DUPLICATE, subscriber
            self.topic.publish(NOTICE_SUBJECT, _notice(response, matching))
        return self._add(answer, response, subscriber)

    def _add(
        self, answer: Answer, response: Response, subscriber: Subscriber | None
    ) -> tuple[Kept, Subscriber | None]:
        facts = facts_of(answer)
        row = subscriber
        for number in range(MOST_ATTEMPTS):
            if number:
                self.sleep(FIRST_PAUSE_SECONDS * 2 ** (number - 1) * self.jitter())
                row = self.subscribers.find([answer.subscriber_id]).get(answer.subscriber_id)
            becomes = record(
                row,
                facts,
                subscriber_id=answer.subscriber_id,
                phone_number=answer.phone_number,
                responses=1,
            )
            try:
                if self.store.add(response, becomes):
                    return Kept.ADDED, becomes.written()
            except SubscriberChangedError:
                continue
            return Kept.DUPLICATE, row
        raise SubscriberBusyError("the row of a subscriber kept changing")


class SubscriberBusyError(TransientError):
    """Others kept writing the row of a subscriber. The message never names them."""


def _notice(response: Response, patterns: tuple[str, ...]) -> str:
    """Name the patterns and where the answer is, neither number nor text."""
    return "\n".join(
        (
            f"Pattern: {', '.join(patterns)}",
            f"Campaign: {response.campaign_id or 'none'}",
            f"Subscriber: {response.subscriber_id}",
            f"Response: {response.response_key}",
        )
    )
