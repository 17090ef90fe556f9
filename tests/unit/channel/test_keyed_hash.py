"""The keyed hash against the standard library's HMAC."""

import hmac

from hypothesis import example, given, settings
from hypothesis import strategies as st

from sms_engagement_runtime.channel.domain.keyed_hash import keyed_digest


@given(key=st.binary(max_size=200), message=st.binary(max_size=300))
@example(key=b"", message=b"")
@example(key=b"k" * 64, message=b"m")
@example(key=b"k" * 65, message=b"m")
@settings(max_examples=100)
def test_equals_hmac_sha256(key, message):
    assert keyed_digest(key, message) == hmac.digest(key, message, "sha256")


def test_a_key_used_again_gives_the_same():
    assert keyed_digest(b"key", b"one") == keyed_digest(b"key", b"one")
    assert keyed_digest(b"key", b"two") == hmac.digest(b"key", b"two", "sha256")
