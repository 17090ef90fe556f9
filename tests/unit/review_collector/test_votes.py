"""A vote is counted once a visitor, and nobody can be told by what is kept of them."""

import pytest

from sms_engagement_runtime.review_collector.domain.votes import vote_bucket


def test_the_same_address_has_the_same_bucket_at_one_review_and_others_elsewhere() -> None:
    buckets = {vote_bucket(f"review-{number}", "192.0.2.1") for number in range(20)}

    assert vote_bucket("review-1", "192.0.2.1") == vote_bucket("review-1", "192.0.2.1")
    assert len(buckets) > 15


def test_a_bucket_stands_for_thousands_of_addresses() -> None:
    bucket = vote_bucket("review-1", "192.0.2.1")

    assert bucket is not None
    assert len(bucket) == 5
    assert int(bucket, 16) < 2**20


def test_one_subscribers_addresses_are_one_visitor() -> None:
    assert vote_bucket("r", "2001:db8::1") == vote_bucket("r", "2001:db8::ffff:1")
    assert vote_bucket("r", "2001:db8::1") != vote_bucket("r", "2001:db8:0:1::1")
    assert vote_bucket("r", "::ffff:192.0.2.1") == vote_bucket("r", "192.0.2.1")


@pytest.mark.parametrize("address", ["", "unknown", "192.0.2.999", "192.0.2.1, 198.51.100.2"])
def test_what_is_no_address_has_no_bucket(address: str) -> None:
    assert vote_bucket("r", address) is None
