"""Link tokens: what is accepted, what is not, and that the layout stays that of the links sent already."""

import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sms_engagement_runtime.review_collector.domain import tokens
from sms_engagement_runtime.review_collector.domain.tokens import Rejected, Rejection, Verified, mint, verify

NOW = datetime(2026, 11, 21, 17, 0, tzinfo=UTC)
LIFETIME = timedelta(days=7)
KEY = b"a link key of the tests"
OTHER_KEY = b"another link key of the tests"
KEYS = {1: KEY, 2: OTHER_KEY}
REFERENCE = bytes(range(12))

references = st.binary(min_size=12, max_size=12)


def minted(**changes):
    fields = {"expires_at": NOW + LIFETIME, "key_id": 1, "key": KEY} | changes
    return mint(fields.pop("reference", REFERENCE), **fields)


def verified(token, *, keys=KEYS, now=NOW, max_lifetime=LIFETIME):
    return verify(token, keys=keys, now=now, max_lifetime=max_lifetime)


# The vectors of docs/adr/0002-link-token.md: links of these bytes lie on people's phones.
VECTORS = [
    ("000102030405060708090a0b", 1, "2026-11-28T17:00:00+00:00", "EQ9O_AABAgMEBQYHCAkKCyPqUUm4BsHTq5PzxXjd"),
    ("ffffffffffffffffffffffff", 2, "2025-01-01T00:01:00+00:00", "EgAAAf_______________-aSDWHIQnX6AXmIv8rk"),
    ("8f3c1d0072aa9e5b44c0d6e1", 15, "2056-11-24T20:15:00+00:00", "H____488HQByqp5bRMDW4R7ZfShEUpkPAbZqn_aX"),
]


@pytest.mark.parametrize(("reference", "key_id", "expires_at", "token"), VECTORS)
def test_layout_is_that_of_the_vectors(reference, key_id, expires_at, token):
    key = {1: KEY, 2: OTHER_KEY, 15: b"the last link key of the tests"}[key_id]

    made = mint(
        bytes.fromhex(reference), expires_at=datetime.fromisoformat(expires_at), key_id=key_id, key=key
    )

    assert made == token


@given(reference=references, key_id=st.sampled_from([1, 2]), minutes=st.integers(1, 7 * 24 * 60))
@settings(max_examples=100)
def test_what_is_minted_is_verified(reference, key_id, minutes):
    expires_at = NOW + timedelta(minutes=minutes)

    token = mint(reference, expires_at=expires_at, key_id=key_id, key=KEYS[key_id])

    assert len(token) == 40
    assert verified(token) == Verified(reference, expires_at)


def test_expiry_is_rounded_up_to_the_minute():
    token = minted(expires_at=NOW + timedelta(seconds=1))

    assert verified(token) == Verified(REFERENCE, NOW + timedelta(minutes=1))


def test_a_link_of_the_longest_lifetime_is_good_at_once_even_where_the_minute_was_rounded_up():
    now = NOW + timedelta(seconds=1)

    assert isinstance(verified(minted(expires_at=now + LIFETIME), now=now), Verified)


@given(reference=references, bit=st.integers(0, 239))
@settings(max_examples=100)
def test_any_flipped_bit_is_rejected(reference, bit):
    raw = bytearray(urlsafe_b64decode(minted(reference=reference)))
    raw[bit // 8] ^= 1 << bit % 8

    result = verified(urlsafe_b64encode(bytes(raw)).decode())

    assert isinstance(result, Rejected)
    assert result.reference is None


@given(position=st.integers(0, 39), character=st.characters())
@settings(max_examples=100)
def test_any_other_character_is_rejected(position, character):
    token = minted()
    changed = token[:position] + character + token[position + 1 :]

    assert changed == token or isinstance(verified(changed), Rejected)


@given(st.text(max_size=60))
@settings(max_examples=100)
def test_arbitrary_text_is_rejected_and_never_raises(text):
    assert isinstance(verified(text), Rejected)


@pytest.mark.parametrize("length", range(40))
def test_a_cut_token_is_malformed(length):
    assert verified(minted()[:length]) == Rejected(Rejection.MALFORMED)


@pytest.mark.parametrize(
    "change",
    [
        lambda token: token + "=",
        lambda token: token + "==",
        lambda token: token[:-1] + "=",
        lambda token: token[:-2] + "==",
        lambda token: token + "\n",
        lambda token: " " + token,
        lambda token: token[:20] + " " + token[20:],
        lambda token: token[:39] + "\n",
        lambda token: token[:-1] + "é",
        lambda token: token[:-1] + "\N{FULLWIDTH LATIN CAPITAL LETTER A}",
        lambda token: token[:-1] + "\ud800",
        lambda token: token[:-1] + "\0",
        lambda token: token + token,
    ],
    ids=[
        "padding", "double padding", "padding inside", "double padding inside", "line end", "space before",
        "space inside", "line end inside", "not ASCII", "full width", "surrogate", "NUL", "twice",
    ],
)  # fmt: skip
def test_what_is_spelled_otherwise_is_malformed(change):
    assert verified(change(minted())) == Rejected(Rejection.MALFORMED)


def test_the_ordinary_base64_alphabet_is_malformed():
    token = next(
        made for made in (minted(reference=bytes([n]) * 12) for n in range(256)) if "-" in made or "_" in made
    )

    assert verified(token.replace("-", "+").replace("_", "/")) == Rejected(Rejection.MALFORMED)


def test_every_token_has_one_spelling_only():
    # Thirty bytes fill forty characters: no bits are left over that a decoder would pass by.
    token = minted()
    accepted = [
        last
        for last in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        if isinstance(verified(token[:-1] + last), Verified)
    ]

    assert accepted == [token[-1]]


def test_a_token_of_a_foreign_key_is_forged():
    assert verified(minted(key=b"a key of somebody else's")) == Rejected(Rejection.FORGED)


def test_a_token_of_another_key_of_ours_under_the_wrong_id_is_forged():
    assert verified(minted(key_id=1, key=OTHER_KEY)) == Rejected(Rejection.FORGED)


@pytest.mark.parametrize("key_id", range(3, 16))
def test_a_key_id_that_we_do_not_have_is_told_apart(key_id):
    assert verified(minted(key_id=key_id)) == Rejected(Rejection.UNKNOWN_KEY)


def test_another_version_is_malformed_even_with_a_right_mac(monkeypatch):
    monkeypatch.setattr(tokens, "_VERSION", 2)
    token = minted()
    monkeypatch.undo()

    assert verified(token) == Rejected(Rejection.MALFORMED)


def test_an_expired_token_says_what_it_was_for():
    token = minted(expires_at=NOW)

    assert verified(token) == Rejected(Rejection.EXPIRED, REFERENCE)
    assert isinstance(verified(token, now=NOW - timedelta(seconds=1)), Verified)


def test_an_expired_token_of_a_foreign_key_says_nothing():
    token = minted(expires_at=NOW - timedelta(days=1), key=b"a key of somebody else's")

    assert verified(token) == Rejected(Rejection.FORGED)


def test_a_token_beyond_the_longest_lifetime_is_from_the_future():
    skew = tokens.CLOCK_SKEW + timedelta(minutes=1)

    assert isinstance(verified(minted(expires_at=NOW + LIFETIME + skew)), Verified)
    assert verified(minted(expires_at=NOW + LIFETIME + skew + timedelta(minutes=1))) == Rejected(
        Rejection.FUTURE
    )


def test_a_megabyte_costs_no_more_than_a_token():
    huge = "A" * 1_000_000
    token = minted()

    def seconds_for(text):
        return min(_timed(lambda: [verified(text) for _ in range(200)]) for _ in range(5))

    assert verified(huge) == Rejected(Rejection.MALFORMED)
    assert seconds_for(huge) < seconds_for(token)


def _timed(action):
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def test_the_mac_is_compared_in_constant_time(monkeypatch):
    compared = []
    monkeypatch.setattr(tokens, "compare_digest", lambda a, b: compared.append((a, b)) or False)

    assert verified(minted()) == Rejected(Rejection.FORGED)
    assert [len(side) for side in compared[0]] == [14, 14]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reference": b"short"}, "reference must be 12 bytes, got 5"),
        ({"key_id": 0}, "key_id must be between 1 and 15, got 0"),
        ({"key_id": 16}, "key_id must be between 1 and 15, got 16"),
        ({"key": b"short"}, "key must have at least 16 bytes, got 5"),
        ({"expires_at": datetime(2024, 12, 31, tzinfo=UTC)}, "between 2025-01-01 and 2056"),
        ({"expires_at": datetime(2057, 1, 1, tzinfo=UTC)}, "between 2025-01-01 and 2056"),
    ],
)
def test_what_does_not_fit_is_not_minted(changes, message):
    with pytest.raises(ValueError, match=message):
        minted(**changes)
