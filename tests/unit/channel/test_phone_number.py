import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber
from sms_engagement_runtime.channel.domain.subscriber import subscriber_id

KEY = b"0123456789abcdef"
E164 = st.from_regex(r"\A\+[1-9][0-9]{6,14}\Z")


@pytest.mark.parametrize(
    ("e164", "masked"),
    [
        ("+12065550123", "+1••••••0123"),
        ("+447860019066", "+4•••••••9066"),
        ("+123456789012345", "+1••••••••••2345"),
        ("+1234567", "+1••••67"),
    ],
)
def test_masks_the_middle(e164, masked):
    assert PhoneNumber(e164).masked == masked


@given(E164)
def test_never_prints_itself_whole(e164):
    number = PhoneNumber(e164)

    for text in (
        str(number),
        repr(number),
        f"{number}",
        f"{number!r}",
        repr([number]),
        repr({"number": number}),
    ):
        assert e164[1:] not in text
        assert sum(c.isdigit() for c in text) <= 5
    assert number.e164 == e164


@pytest.mark.parametrize(
    "text",
    [
        "", "+", "12065550123", "+0123456789", "+123456", "+1234567890123456", "+1 2065550123",
        "+1206555012a", " +12065550123", "+12065550123\n", "+١٢٠٦٥٥٥٠١٢٣", "STOP", "24273",
    ],
)  # fmt: skip
def test_refuses_what_is_not_e164_and_does_not_repeat_it(text):
    with pytest.raises(ValueError, match="a phone number must be") as refusal:
        PhoneNumber(text)
    assert len(text) < 5 or text.strip() not in str(refusal.value)


def test_is_a_value():
    assert PhoneNumber("+12065550123") == PhoneNumber("+12065550123")
    assert len({PhoneNumber("+12065550123"), PhoneNumber("+12065550123")}) == 1
    assert pickle.loads(pickle.dumps(PhoneNumber("+12065550123"))) == PhoneNumber("+12065550123")


def test_a_subscriber_id_is_a_keyed_hash_of_the_number():
    """Vector: HMAC-SHA256, key 0123456789abcdef, message +12065550123, by openssl."""
    assert subscriber_id(PhoneNumber("+12065550123"), KEY) == "v1:wEjs10NGzGZUF0cVpPkE7lnqMrNdp7BVdav1QRN80KQ"


@given(E164, E164)
def test_subscriber_ids_tell_people_apart_and_nothing_else(one, other):
    ids = subscriber_id(PhoneNumber(one), KEY), subscriber_id(PhoneNumber(other), KEY)

    assert (ids[0] == ids[1]) is (one == other)
    assert len(ids[0]) == 46
    assert ids[0] != subscriber_id(PhoneNumber(one), KEY[::-1])


def test_refuses_a_key_that_can_be_guessed():
    with pytest.raises(ValueError, match="at least 16 bytes, got 3"):
        subscriber_id(PhoneNumber("+12065550123"), b"key")
