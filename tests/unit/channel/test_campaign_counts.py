from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sms_engagement_runtime.channel.domain.campaign_counts import Counts, answered_text, tally_ended
from sms_engagement_runtime.channel.domain.ledger import FINAL_STATES, LedgerRow, MessageState
from tests.support.fakes import START

WEEK = timedelta(days=7)


def row(*, state=MessageState.DELIVERED, campaign_id="run-1", age=timedelta(0), key="key"):
    return LedgerRow(
        key=key,
        construct="reviews",
        subscriber_id="v1:person",
        purpose="review-request",
        occasion="order-1",
        state=state,
        rank=90,
        reason=None,
        message_id="m-1",
        parts=1,
        claimed_at=START - age,
        updated_at=START,
        campaign_id=campaign_id,
    )


class TestTally:
    def test_of_nothing_is_nothing(self):
        assert tally_ended([]) == {}

    def test_tells_what_was_delivered_from_what_was_not(self):
        ended = [
            row(state=MessageState.DELIVERED),
            row(state=MessageState.DELIVERED),
            row(state=MessageState.FAILED),
            row(state=MessageState.EXPIRED),
        ]

        assert tally_ended(ended) == {"run-1": Counts(delivered=2, failed=2)}

    def test_texts_of_no_campaign_are_left_out(self):
        assert tally_ended([row(campaign_id=None), row(campaign_id="run-2")]) == {
            "run-2": Counts(delivered=1)
        }

    @given(st.lists(st.tuples(st.sampled_from(["a", "b", None]), st.sampled_from(sorted(FINAL_STATES)))))
    def test_every_text_of_a_campaign_is_counted_once(self, texts):
        counts = tally_ended(row(campaign_id=campaign, state=state) for campaign, state in texts)

        for campaign in ("a", "b"):
            ended = counts.get(campaign, Counts())
            assert ended.delivered + ended.failed == sum(of == campaign for of, _ in texts)
            assert ended.opted_out == 0


class TestAnsweredText:
    @pytest.mark.parametrize(
        ("texts", "answered"),
        [
            ([], None),
            ([row(age=timedelta(days=1))], "run-1"),
            ([row(age=WEEK)], "run-1"),
            ([row(age=WEEK + timedelta(milliseconds=1))], None),
            # The latest one, not the latest of a campaign.
            ([row(campaign_id="run-2"), row(age=timedelta(days=1))], "run-2"),
            ([row(campaign_id=None), row(age=timedelta(days=1))], None),
            # What may have reached the person.
            ([row(state=MessageState.ACCEPTED)], "run-1"),
            ([row(state=MessageState.CLAIMED)], "run-1"),
            # What has not.
            ([row(state=MessageState.SUPPRESSED)], None),
            ([row(state=MessageState.DEFERRED)], None),
            ([row(state=MessageState.FAILED)], None),
            ([row(state=MessageState.EXPIRED)], None),
            ([row(state=MessageState.FAILED), row(campaign_id="run-0", age=timedelta(days=1))], "run-0"),
            # Nobody answers what came later, as a message that is delivered late may seem to.
            ([row(age=-timedelta(seconds=1)), row(campaign_id="run-0")], "run-0"),
        ],
    )
    def test_is_the_latest_that_may_have_reached_the_person(self, texts, answered):
        found = answered_text(texts, received_at=START)

        assert (found.campaign_id if found else None) == answered
