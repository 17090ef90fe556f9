"""Why somebody did or did not get a text, in the order of time and in words."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sms_engagement_runtime.channel.domain.gate import objections
from sms_engagement_runtime.channel.domain.ledger import MessageState
from sms_engagement_runtime.channel.domain.reasons import Reason
from sms_engagement_runtime.channel.domain.timeline import (
    REASONS,
    ChannelRows,
    Words,
    conclude,
    timeline,
)

NOW = datetime(2026, 11, 21, 17, tzinfo=UTC)
MS = int(NOW.timestamp() * 1000)

# Of events and of replies: no text of a person's timeline has them.
_OF_OTHERS = {
    Reason.NOT_A_TEXT_EVENT,
    Reason.MALFORMED_EVENT,
    Reason.UNKNOWN_MESSAGE,
    Reason.STALE_KEYWORD,
    Reason.ALREADY_OPTED_OUT,
    Reason.ANSWERED_BY_SERVICE,
}


def text(state, reason=None, *, minutes=0, **fields):
    at = MS + minutes * 60_000
    return {
        "messageKey": "key",
        "construct": "reviews",
        "purpose": "review-request",
        "state": state,
        "reason": reason,
        "claimedAt": at,
        "updatedAt": at,
        "parts": 1,
        **fields,
    }


def test_every_reason_that_a_text_can_have_is_explained_with_what_can_be_done():
    assert {*map(str, Reason)} - {*map(str, _OF_OTHERS)} <= set(REASONS)
    assert all(why and remedy for why, remedy in REASONS.values())
    assert objections.__doc__


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (text("SUPPRESSED", "OPTED_OUT"), "was not sent because they opted out; what can be done: only they"),
        (
            text("DEFERRED", "QUIET_HOURS", deferredUntil=MS + 3_600_000),
            "waits until 2026-11-21 18:00 UTC because it is not the hour",
        ),
        (text("DELIVERED"), "was delivered at 2026-11-21 17:00 UTC"),
        (text("FAILED", "CARRIER_BLOCKED"), "not delivered, because their carrier blocked it"),
        (text("FAILED", "SOMETHING_NEW"), "the service said SOMETHING_NEW"),
        (text("ACCEPTED", messageId="m-1"), "taken by AWS"),
        (text("CLAIMED"), "going out at this moment"),
        (text("CLAIMED", minutes=-5), "ended without an answer"),
    ],
)
def test_the_conclusion_says_why_and_what_can_be_done(row, expected):
    assert expected in conclude(ChannelRows(messages=[row]), NOW)


def test_the_conclusion_is_about_the_last_text_and_not_about_our_reply_to_them():
    rows = ChannelRows(
        messages=[
            text("SUPPRESSED", "QUIET_HOURS", minutes=-60),
            text("SUPPRESSED", "OPTED_OUT", minutes=-10),
            text("DELIVERED", construct="channel", purpose="keyword-reply"),
        ]
    )

    assert "because they opted out" in conclude(rows, NOW)


def test_who_was_never_meant_is_told_from_who_opted_out_and_from_who_was_erased():
    contact = {"subscriberId": "v1:a", "record": "contact", "consents": {"reviews": "OPTED_OUT"}}

    assert "ever decided about" in conclude(ChannelRows(), NOW)
    assert "opted out" in conclude(ChannelRows([contact]), NOW)
    assert "erased" in conclude(ChannelRows([contact | {"erasedAt": MS}], [text("DELIVERED")]), NOW)


def test_entries_are_in_the_order_of_time_with_the_words_of_people_hidden():
    contacts = [
        {"record": "contact", "introducedAt": MS, "pendingSince": MS - 1000},
        {
            "record": "consent#a",
            "scope": "reviews",
            "state": "OPTED_OUT",
            "source": "inbound-message",
            "words": "stop it, my name is Maria",
            "at": MS + 5000,
        },
        {
            "record": "prompt#+1#key",
            "construct": "appointments",
            "purpose": "confirmation",
            "askedAt": MS + 1000,
            "openUntil": MS + 9000,
            "answeredBy": "in-1",
        },
    ]

    told = timeline(ChannelRows(contacts, [text("DELIVERED", messageId="m-1")]), now=NOW)

    assert [entry.at for entry in told.entries] == sorted(entry.at for entry in told.entries)
    assert [entry.what for entry in told.entries] == [
        "contact",
        "contact",
        "text",
        "text",
        "question",
        "consent",
    ]
    assert "(25 characters, hidden)" in told.entries[-1].sentence
    assert "answered" in told.entries[-2].sentence
    unmasked = timeline(ChannelRows(contacts), now=NOW, words=Words(is_masked=False))
    assert "“stop it, my name is Maria”" in unmasked.entries[-1].sentence


def test_a_keyword_is_shown_though_words_are_hidden():
    assert Words().shown("Stop") == "“Stop”"
    assert Words().shown("Maria") == "(5 characters, hidden)"


def test_what_somebody_wrote_neither_steers_a_terminal_nor_looks_like_a_line_of_ours():
    words = "\x1b[2J\x9b1mHi\r\n2026-11-21 17:00:00 UTC  text  delivered\u202e"

    shown = Words(is_masked=False).shown(words)

    assert shown.isprintable()
    assert "Hi" in shown
    assert "delivered" in shown


@given(st.sampled_from(MessageState), st.none() | st.sampled_from([*Reason, "NEW"]), st.integers(0, 10**7))
def test_whatever_a_row_says_there_is_a_sentence_with_an_end(state, reason, seconds):
    at = int((NOW - timedelta(seconds=seconds)).timestamp() * 1000)
    row = text(state, reason) | {"claimedAt": at, "updatedAt": at}

    told = timeline(ChannelRows(messages=[row]), now=NOW)

    assert told.conclusion.endswith(".")
    assert all(entry.sentence.endswith(".") for entry in told.entries)
