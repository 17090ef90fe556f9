import itertools
from datetime import UTC, datetime, timedelta

import pytest

from sms_engagement_runtime.channel.domain.errors import TransientError
from sms_engagement_runtime.channel.domain.sentiment import Sentiment, analyse
from sms_engagement_runtime.sms_analytics_pipeline.domain.answering_patterns import (
    LONGEST_PHRASE,
    MOST_PATTERNS,
    MOST_PHRASES,
    AnsweringPatterns,
)
from sms_engagement_runtime.sms_analytics_pipeline.domain.events import CanonicalEvent
from sms_engagement_runtime.sms_analytics_pipeline.domain.lifecycle import SubscriptionStatus
from sms_engagement_runtime.sms_analytics_pipeline.domain.responses import (
    MOST_ATTEMPTS,
    NOTICE_SUBJECT,
    Kept,
    ResponseKeeper,
    normalized,
    response_key,
    response_of,
)
from sms_engagement_runtime.sms_analytics_pipeline.domain.subscribers import SubscriberChangedError

NUMBER = "+12025550101"
AT = 1_795_280_400_123


def answer(text="Great!", number=0, **fields):
    return CanonicalEvent(
        event_type="_SMS.RECEIVED",
        event_id=fields.pop("event_id", f"in-{number}"),
        event_timestamp=fields.pop("event_timestamp", AT + number),
        arrival_timestamp=AT,
        subscriber_id="v1:a",
        phone_number=NUMBER,
        message_id=f"in-{number}",
        response_text=text,
        **fields,
    )


# The row


def test_the_row_of_an_answer():
    row = response_of(answer(" Great!\n", campaign_id="spring", journey_id="welcome", keyword="K"), analyse)

    assert row.response_key == "1795280400123#in-0"
    assert (row.response_timestamp, row.ttl) == (AT, 1_795_280_400 + 365 * 86400)
    assert (row.response_text, row.normalized_response, row.sentiment) == (" Great!\n", "great!", "positive")
    assert (row.campaign_id, row.journey_id, row.message_id, row.keyword) == (
        "spring",
        "welcome",
        "in-0",
        "K",
    )


@pytest.mark.parametrize("year", [2023, 2024, 2026, 2028])
def test_an_answer_is_kept_for_365_days_in_a_leap_year_too(year):
    at = datetime(year, 2, 20, 12, tzinfo=UTC)

    row = response_of(answer(event_timestamp=int(at.timestamp() * 1000)), analyse)

    assert datetime.fromtimestamp(row.ttl, UTC) == at + timedelta(days=365)


def test_an_answer_without_text_and_with_an_empty_campaign():
    row = response_of(answer(None, campaign_id="", journey_id=""), analyse)

    assert (row.response_text, row.normalized_response, row.sentiment) == ("", "", "neutral")
    assert (row.campaign_id, row.journey_id) == (None, None)


def test_keys_are_in_the_order_of_time_and_differ_within_a_millisecond():
    early = response_key(999, "b")
    keys = [early, response_key(AT, "a"), response_key(AT, "b"), response_key(AT + 1, "a")]

    assert keys == sorted(keys)
    assert len(set(keys)) == 4


def test_any_analyser_can_be_given():
    assert response_of(answer("Great!"), lambda text: Sentiment.NEGATIVE).sentiment == "negative"


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        (None, ""),
        ("  YES \r\n", "yes"),
        ("ＹＥＳ", "yes"),
        ("\u200bYES\u200b", "yes"),
        ("Straße", "strasse"),
        ("No,\tthank\u00a0you", "no, thank you"),
        ("❤\ufe0f nice", "❤ nice"),
        ("🎉🎉", "🎉🎉"),
        ("Sí, gracias", "sí, gracias"),
        ("ﬁne", "fine"),
        ("बहुत अच्छा", "बहुत अच्छा"),
        ("x" * 500, "x" * 160),
        ("x" * 159 + " y", "x" * 159),
        ("\ufdfa" * 9000, ("صلى الله عليه وسلم" * 10)[:160].rstrip()),
    ],
)
def test_a_text_is_folded_and_stays_readable(text, folded):
    assert normalized(text) == folded


# Patterns


def patterns(**given):
    return AnsweringPatterns.from_settings(given)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("I want a REFUND!", ("money",)),
        ("refunded?", ()),
        ("my money back, now", ("money",)),
        ("money. back", ("money",)),
        ("Don’t call me my lawyer will", ("angry",)),
        ("RÉCLAMATION", ("angry",)),
        ("ｒｅｆｕｎｄ", ("money",)),
        ("re\u200bfund", ("money",)),
        ("refund or my lawyer", ("money", "angry")),
        (".*", ()),
        ("", ()),
        (None, ()),
        ("a" * 2000 + " refund", ()),
    ],
)
def test_patterns_are_found_as_whole_words(text, names):
    given = patterns(money=["refund", "Money  back"], angry=["lawyer", "reclamation", "dont call"])

    assert given.matching(text) == names


def test_what_is_configured_is_text_and_no_expression():
    assert patterns(odd=["(a+)+$"]).matching("aaaaaaaaaaaaaaaaaaaaaaaaaaaa!") == ()
    assert patterns(odd=["(a+)+$"]).matching("a") == ("odd",)


def test_without_patterns_nothing_matches():
    assert not patterns()
    assert patterns().matching("refund") == ()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({f"p{n}": ["x"] for n in range(MOST_PATTERNS + 1)}, "there may be 50 patterns"),
        ({"": ["x"]}, "the name of a pattern"),
        ({"a\nb": ["x"]}, "the name of a pattern"),
        ({"n" * 61: ["x"]}, "the name of a pattern"),
        ({"p": []}, "must be a list"),
        ({"p": "refund"}, "must be a list"),
        ({"p": 5}, "must be a list"),
        ({"p": ["x"] * (MOST_PHRASES + 1)}, "must be a list"),
        ({"p": [5]}, "a phrase is a text"),
        ({"p": ["..."]}, "a phrase is a text"),
        ({"p": ["x" * (LONGEST_PHRASE + 1)]}, "a phrase is a text"),
    ],
)
def test_patterns_that_cannot_be_are_refused(given, sentence):
    with pytest.raises(ValueError, match=sentence):
        AnsweringPatterns.from_settings(given)


# Keeping


class Tables:
    """Both tables in memory; `in_between` is done before a write, as another writer would."""

    def __init__(self):
        self.responses, self.people = {}, {}
        self.in_between = []
        self.broken = 0

    def exists(self, subscriber_id, key):
        return (subscriber_id, key) in self.responses

    def find(self, ids):
        return {i: self.people[i] for i in ids if i in self.people}

    def add(self, response, subscriber):
        if self.broken:
            self.broken -= 1
            raise TransientError("the table does not answer")
        if self.in_between:
            self.in_between.pop(0)()
        stored = self.people.get(subscriber.subscriber_id)
        if self.exists(response.subscriber_id, response.response_key):
            return False
        if subscriber.version != (stored.version if stored else 0):
            raise SubscriberChangedError
        self.responses[response.subscriber_id, response.response_key] = response
        self.people[subscriber.subscriber_id] = subscriber.written()
        return True


class Topic:
    def __init__(self):
        self.notices = []

    def publish(self, subject, message):
        self.notices.append((subject, message))


@pytest.fixture
def tables():
    return Tables()


@pytest.fixture
def topic():
    return Topic()


@pytest.fixture
def keeper(tables, topic):
    return ResponseKeeper(
        store=tables,
        subscribers=tables,
        analyse=analyse,
        patterns=patterns(money=["refund"], angry=["lawyer"]),
        topic=topic,
        sleep=lambda seconds: None,
        jitter=lambda: 0.5,
    )


def test_answers_of_a_person_follow_one_another(keeper, tables):
    row = None
    for number, text in enumerate(["hello", "STOP", "yes", "START"]):
        outcome, row = keeper.keep(answer(text, number), row)
        assert outcome is Kept.ADDED

    stored = tables.people["v1:a"]
    assert stored == row
    assert (stored.total_responses, stored.last_response_at) == (4, AT + 3)
    assert stored.subscription_status == SubscriptionStatus.ACTIVE
    assert len(tables.responses) == 4


def test_an_answer_that_comes_again_changes_nothing(keeper, tables):
    keeper.keep(answer("STOP"), None)
    before = dict(tables.people), dict(tables.responses)

    # As a new process, that has not read the row, and as one that has.
    for row in (None, tables.people["v1:a"]):
        assert keeper.keep(answer("STOP"), row) == (Kept.DUPLICATE, row)

    assert (tables.people, tables.responses) == before


def test_any_order_gives_the_same_tables(tables, keeper, topic):
    answers = [answer(text, n) for n, text in enumerate(["yes", "STOP", "hello", "START", "no"])]
    results = []
    for order in itertools.permutations(answers):
        tables.people, tables.responses = {}, {}
        row = None
        for one in [*order, order[0], order[-1]]:
            _, row = keeper.keep(one, row)
        results.append((tables.people, tables.responses))

    assert all(result == results[0] for result in results)


def test_a_row_that_others_write_at_the_same_time_is_read_again(keeper, tables):
    def by_another():
        keeper.keep(answer("hello", 5), tables.people.get("v1:a"))

    tables.in_between = [by_another]

    outcome, row = keeper.keep(answer("STOP", 6), None)

    assert outcome is Kept.ADDED
    assert (row.total_responses, row.version) == (2, 2)
    assert row.subscription_status == SubscriptionStatus.OPTED_OUT


def test_a_row_that_never_rests_fails_the_answer(keeper, tables):
    numbers = itertools.count(10)

    def by_another():
        waiting, tables.in_between = tables.in_between, []
        keeper.keep(answer("hello", next(numbers)), tables.people.get("v1:a"))
        tables.in_between = waiting

    tables.in_between = [by_another] * MOST_ATTEMPTS

    with pytest.raises(TransientError, match="kept changing"):
        keeper.keep(answer("STOP", 6), None)

    assert len(tables.responses) == MOST_ATTEMPTS


def test_an_answer_that_matches_is_told_of_once_and_without_its_text(keeper, topic):
    text = "REFUND! or my lawyer"
    for _ in range(3):
        keeper.keep(answer(text, campaign_id="spring"), None)

    ((subject, message),) = topic.notices
    assert subject == NOTICE_SUBJECT
    assert message.splitlines() == [
        "Pattern: money, angry",
        "Campaign: spring",
        "Subscriber: v1:a",
        "Response: 1795280400123#in-0",
    ]
    assert NUMBER[1:] not in message


def test_an_answer_that_matches_nothing_is_told_to_nobody(keeper, topic):
    keeper.keep(answer("Great!"), None)

    assert topic.notices == []


def test_a_notice_is_repeated_rather_than_lost(keeper, tables, topic):
    tables.broken = 1
    with pytest.raises(TransientError):
        keeper.keep(answer("refund"), None)
    keeper.keep(answer("refund"), None)

    assert len(topic.notices) == 2
    assert len(tables.responses) == 1


def test_an_answer_whose_notice_fails_is_not_kept_yet(keeper, tables, topic, monkeypatch):
    def fails(subject, message):
        raise TransientError("no topic")

    monkeypatch.setattr(topic, "publish", fails)

    with pytest.raises(TransientError):
        keeper.keep(answer("refund"), None)

    assert tables.responses == {}
