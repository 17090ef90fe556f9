"""The keys in their secret, their rotation, and verifying with keys that may be a moment old."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from sms_engagement_runtime.review_collector.domain.link_keys import LinkKeys, parse_keys, rotated, verify
from sms_engagement_runtime.review_collector.domain.tokens import Rejected, Rejection, Verified
from tests.support.review_fakes import LINK_KEYS, FakeLinkKeys

NOW = datetime(2026, 11, 21, 17, 0, tzinfo=UTC)
WEEK = timedelta(days=7)
FIRST = json.dumps({"active": 1, "k1": "the first key of the tests"})


def check(token, source):
    return verify(token, source, now=NOW, max_lifetime=WEEK)


def test_the_secret_is_read():
    assert parse_keys('{"active": 2, "k1": "one", "k2": "two", "note": "x", "kind": "y"}') == LinkKeys(
        2, {1: b"one", 2: b"two"}
    )


@pytest.mark.parametrize(
    "secret",
    [
        "", "not json", "[]", "5", "null", "{}", '{"k1": "one"}', '{"active": 2, "k1": "one"}',
        '{"active": 0, "k0": "zero"}', '{"active": 16, "k16": "x"}', '{"active": 1, "k1": 5}',
        '{"active": 1, "k1": "one", "": "x"}',
    ],
)  # fmt: skip
def test_another_secret_is_refused_without_being_quoted(secret):
    with pytest.raises(ValueError, match="the link secret") as refusal:
        parse_keys(secret)

    assert "one" not in str(refusal.value)


def test_a_rotation_signs_with_the_new_key_and_still_verifies_the_old_links():
    before = parse_keys(FIRST)
    token = before.mint(bytes(12), expires_at=NOW + WEEK)

    after = parse_keys(rotated(FIRST, "the second key of the tests"))

    assert after.active == 2
    assert isinstance(check(token, FakeLinkKeys(after)), Verified)
    assert isinstance(check(after.mint(bytes(12), expires_at=NOW + WEEK), FakeLinkKeys(after)), Verified)


def test_rotations_keep_two_keys_before_the_new_one_and_go_round():
    secret, sizes, actives = FIRST, [], []
    for number in range(20):
        secret = rotated(secret, f"rotated key number {number}")
        keys = parse_keys(secret)
        sizes.append(len(keys.by_id))
        actives.append(keys.active)

    assert sizes == [2] + [3] * 19
    assert actives == [*range(2, 16), *range(1, 7)]
    assert set(parse_keys(secret).by_id) == {4, 5, 6}


def test_an_unknown_key_id_is_looked_up_once_more():
    new = parse_keys(rotated(FIRST, "the second key of the tests"))
    token = new.mint(bytes(12), expires_at=NOW + WEEK)
    source = FakeLinkKeys(parse_keys(FIRST), next_keys=new)

    assert isinstance(check(token, source), Verified)
    assert source.refreshes == 1


def test_an_unknown_key_id_that_stays_unknown_is_rejected():
    token = LinkKeys(9, {9: b"a key of somebody else's"}).mint(bytes(12), expires_at=NOW + WEEK)
    source = FakeLinkKeys()

    assert check(token, source) == Rejected(Rejection.UNKNOWN_KEY)


@pytest.mark.parametrize("token", ["", "x" * 40, LINK_KEYS.mint(bytes(12), expires_at=NOW)])
def test_nothing_else_reads_the_secret_again(token):
    source = FakeLinkKeys(LinkKeys(1, {n: bytes([n]) * 16 for n in range(16)} | LINK_KEYS.by_id))

    assert isinstance(check(token, source), Rejected)
    assert source.refreshes == 0
