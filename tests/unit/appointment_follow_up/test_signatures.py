"""Signatures under webhooks, by published schemes and vectors computed outside of this code."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sms_engagement_runtime.appointment_follow_up.domain.signatures import (
    SignatureResult,
    sign_calcom,
    sign_calendly,
    verify_calcom,
    verify_calendly,
)

EVENTS = Path(__file__).parents[2] / "events"
CALENDLY = json.loads((EVENTS / "calendly-signature-vector.json").read_text("utf-8"))
CALCOM = json.loads((EVENTS / "calcom-signature-vector.json").read_text("utf-8"))

VALID, STALE, INVALID = SignatureResult.VALID, SignatureResult.STALE, SignatureResult.INVALID

KEY = b"key-of-a-test"
BODY = b'{"event":"invitee.created"}'
NOW = 1_764_000_000


def header_of(vector):
    """Name and value of the header line of a vector."""
    name, _, value = vector["header"].partition(": ")
    return name, value


class TestCalendly:
    def test_the_vector_is_authentic(self):
        name, value = header_of(CALENDLY)
        body, key = CALENDLY["raw_body"].encode(), CALENDLY["signing_key"].encode()

        assert name == "Calendly-Webhook-Signature"
        assert verify_calendly(value, body, [key], int(CALENDLY["t"])) is VALID
        assert sign_calendly(body, key, int(CALENDLY["t"])) == value

    @pytest.mark.parametrize("way", [-1, 1])
    def test_three_minutes_off_is_good_enough_and_a_second_more_is_stale(self, way):
        header = sign_calendly(BODY, KEY, NOW)

        assert verify_calendly(header, BODY, [KEY], NOW + way * 180) is VALID
        assert verify_calendly(header, BODY, [KEY], NOW + way * 180.5) is STALE
        assert verify_calendly(header, BODY, [KEY], NOW + way * 86_400 * 365) is STALE

    def test_the_tolerance_can_be_chosen(self):
        header = sign_calendly(BODY, KEY, NOW)

        assert verify_calendly(header, BODY, [KEY], NOW + 11, tolerance_seconds=10) is STALE
        assert verify_calendly(header, BODY, [KEY], NOW + 10, tolerance_seconds=10) is VALID

    def test_an_old_signature_that_is_not_authentic_is_invalid_and_not_stale(self):
        assert verify_calendly(sign_calendly(BODY, b"other", 0), BODY, [KEY], NOW) is INVALID

    def test_the_time_is_signed(self):
        signature = sign_calendly(BODY, KEY, NOW - 1000).partition(",")[2]

        assert verify_calendly(f"t={NOW},{signature}", BODY, [KEY], NOW) is INVALID

    @pytest.mark.parametrize("keys", [[KEY, b"other"], [b"other", KEY]])
    def test_during_a_rotation_either_key_will_do(self, keys):
        assert verify_calendly(sign_calendly(BODY, KEY, NOW), BODY, keys, NOW) is VALID

    @pytest.mark.parametrize("keys", [[], [b""]])
    def test_without_a_key_nothing_is_valid(self, keys):
        assert verify_calendly(sign_calendly(BODY, b"", NOW), BODY, keys, NOW) is INVALID

    def test_pairs_are_read_by_their_key(self):
        time, signature = sign_calendly(BODY, KEY, NOW).split(",")

        for header in (
            f"{signature},{time}",
            f"{time}, {signature}",
            f" {time} ,v0=1,{signature} , v2=abc,=,x",
            f"{time},v1={'0' * 64},{signature}",
            f"{time},{signature},v1=",
        ):
            assert verify_calendly(header, BODY, [KEY], NOW) is VALID, header

    def test_what_is_not_the_header_s_form_is_invalid(self):
        time, signature = sign_calendly(BODY, KEY, NOW).split(",")
        value = signature.removeprefix("v1=")

        for header in (
            None,
            "",
            ",",
            "=",
            time,
            signature,
            value,
            f"{time},v0={value}",
            f"{time},V1={value}",
            f"{time},{time},{signature}",
            f"{time},{signature},t={NOW + 1}",
            f"t=,{signature}",
            f"t=-{NOW},{signature}",
            f"t={NOW}.0,{signature}",
            f"t= {NOW},{signature}",
            f"t={'9' * 5000},{signature}",
            f"t=١٧٦٤٠٠٠٠٠٠,{signature}",
            f"{time},v1={value[:-1]}",
            f"{time},v1={value}0",
            f"{time},v1={value.upper()}",
            f"{time},v1={'é' * 64}",
            f"{time},v1=\ud800",
            f"{time},{signature}" + "," * 10_000,
        ):
            assert verify_calendly(header, BODY, [KEY], NOW) is INVALID, header

    def test_a_time_in_digits_of_another_script_is_refused_even_where_it_was_signed(self):
        # The sender below signs what it states, so that only the digits can be the reason.
        digits = str(NOW).translate({48 + digit: 0x660 + digit for digit in range(10)})
        value = sign_calcom(digits.encode() + b"." + BODY, KEY)

        assert verify_calendly(f"t={digits},v1={value}", BODY, [KEY], NOW) is INVALID

    def test_the_same_json_written_anew_has_no_valid_signature(self):
        _, value = header_of(CALENDLY)
        key, time = CALENDLY["signing_key"].encode(), int(CALENDLY["t"])
        anew = json.dumps(json.loads(CALENDLY["raw_body"])).encode()

        assert json.loads(anew) == json.loads(CALENDLY["raw_body"])
        assert verify_calendly(value, anew, [key], time) is INVALID

    @given(st.binary(max_size=300), st.binary(min_size=1, max_size=80), st.integers(0, 10**11))
    def test_what_was_signed_verifies(self, body, key, at):
        assert verify_calendly(sign_calendly(body, key, at), body, [key], at) is VALID

    @given(st.binary(min_size=1, max_size=300), st.data())
    def test_a_changed_byte_makes_it_invalid(self, body, data):
        header = sign_calendly(body, KEY, NOW)
        place = data.draw(st.integers(0, len(body) - 1))
        changed = bytearray(body)
        changed[place] ^= data.draw(st.integers(1, 255))

        assert verify_calendly(header, bytes(changed), [KEY], NOW) is INVALID
        assert verify_calendly(header, body + b"\n", [KEY], NOW) is INVALID
        assert verify_calendly(header, body[:-1], [KEY], NOW) is INVALID

    # HMAC fills a key of less than a block with zeros, so one with zeros behind it is the same key.
    @given(st.binary(min_size=1, max_size=80).filter(lambda key: key.rstrip(b"\0") != KEY))
    def test_another_key_makes_it_invalid(self, other):
        assert verify_calendly(sign_calendly(BODY, other, NOW), BODY, [KEY], NOW) is INVALID

    @given(st.one_of(st.text(max_size=200), st.text(alphabet="tv1=,0aé \ud800", max_size=60)))
    def test_no_header_raises(self, header):
        assert verify_calendly(header, BODY, [KEY], NOW) is INVALID
        assert verify_calcom(header, BODY, [KEY]) is INVALID


class TestCalcom:
    def test_the_vector_is_authentic(self):
        name, value = header_of(CALCOM)
        body, key = CALCOM["raw_body"].encode(), CALCOM["secret"].encode()

        assert name == "X-Cal-Signature-256"
        assert verify_calcom(value, body, [key]) is VALID
        assert sign_calcom(body, key) == value

    def test_the_same_json_written_anew_has_no_valid_signature(self):
        _, value = header_of(CALCOM)
        anew = json.dumps(json.loads(CALCOM["raw_body"])).encode()

        assert verify_calcom(value, anew, [CALCOM["secret"].encode()]) is INVALID

    @pytest.mark.parametrize("keys", [[KEY, b"other"], [b"other", KEY]])
    def test_during_a_rotation_either_key_will_do(self, keys):
        assert verify_calcom(sign_calcom(BODY, KEY), BODY, keys) is VALID

    @pytest.mark.parametrize("keys", [[], [b""]])
    def test_without_a_key_nothing_is_valid(self, keys):
        assert verify_calcom(sign_calcom(BODY, b""), BODY, keys) is INVALID

    @pytest.mark.parametrize(
        "header",
        [
            None,
            "",
            "no-secret-provided",
            sign_calcom(BODY, KEY)[:-1],
            "sha256=" + sign_calcom(BODY, KEY),
            "é" * 64,
            "\ud800",
            sign_calcom(BODY, KEY) + " " * 10_000,
        ],
    )
    def test_what_is_no_signature_is_invalid(self, header):
        assert verify_calcom(header, BODY, [KEY]) is INVALID

    @given(st.binary(min_size=1, max_size=300), st.data())
    def test_a_changed_byte_makes_it_invalid(self, body, data):
        header = sign_calcom(body, KEY)
        changed = bytearray(body)
        changed[data.draw(st.integers(0, len(body) - 1))] ^= data.draw(st.integers(1, 255))

        assert verify_calcom(header, body, [KEY]) is VALID
        assert verify_calcom(header, bytes(changed), [KEY]) is INVALID
        assert verify_calcom(sign_calcom(body, b"other"), body, [KEY]) is INVALID
