import json
import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sms_engagement_runtime.channel.domain.encoding import (
    GSM_BASIC,
    GSM_EXTENSION,
    Encoding,
    exceeds_cap,
    measure,
    normalise,
    transliterate,
)

VECTORS = json.loads((Path(__file__).parents[2] / "events" / "encoding-vectors.json").read_text("utf-8"))
GSM_TEXT = st.text(st.sampled_from(sorted(GSM_BASIC | GSM_EXTENSION)), max_size=700)


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: case["text"][:12])
def test_counts_as_the_service_does(case):
    measured = measure(case["text"])

    assert (measured.encoding, measured.units, measured.parts) == (
        case["encoding"],
        case["units"],
        case["parts"],
    )


def test_knows_the_alphabet_of_the_service():
    assert set(VECTORS["gsm_basic"]) == GSM_BASIC
    assert set(VECTORS["gsm_extension_counted_as_2"]) == GSM_EXTENSION
    assert len(GSM_BASIC) == 127


@pytest.mark.parametrize(
    ("text", "units", "parts"),
    [
        ("", 0, 0),
        ("a", 1, 1),
        ("a" * 160, 160, 1),
        ("a" * 161, 161, 2),
        ("a" * 306, 306, 2),
        ("a" * 307, 307, 3),
        ("a" * 1530, 1530, 10),
        ("€" * 80, 160, 1),
        ("€" * 81, 162, 2),
        (
            "a" * 152 + "€" + "a" * 152,
            306,
            3,
        ),  # the escape pair may not straddle the boundary: 152 + (2 + 151) + 1
        ("a" * 152 + "€" + "a" * 151, 305, 2),
        ("a" * 151 + "€" + "a" * 153, 306, 2),
    ],
)
def test_counts_septets(text, units, parts):
    measured = measure(text)

    assert (measured.encoding, measured.units, measured.parts, measured.offending) == (
        Encoding.GSM,
        units,
        parts,
        (),
    )


@pytest.mark.parametrize(
    ("text", "units", "parts"),
    [
        ("ж" * 70, 70, 1),
        ("ж" * 71, 71, 2),
        ("ж" * 134, 134, 2),
        ("ж" * 135, 135, 3),
        ("😀" * 35, 70, 1),
        ("😀" * 36, 72, 2),
        ("ж" * 66 + "😀" + "ж" * 66, 134, 3),  # the pair does not fit into the 67th unit
        ("ж" * 66 + "😀" + "ж" * 65, 133, 2),
        ("\ud83d", 1, 1),  # half a pair, as a broken client may send it
    ],
)
def test_counts_utf16_units(text, units, parts):
    measured = measure(text)

    assert (measured.encoding, measured.units, measured.parts) == (Encoding.UNICODE, units, parts)


def test_names_the_characters_that_make_a_text_dear():
    assert measure("Ça va, naïve “ami”? Ça").offending == ("ï", "“", "”")


@pytest.mark.parametrize(
    ("text", "exceeds"),
    [("a" * 1530, False), ("a" * 1531, True), ("ж" * 630, False), ("ж" * 631, True), ("😀" * 316, True)],
)
def test_knows_where_the_service_stops(text, exceeds):
    assert exceeds_cap(measure(text)) is exceeds


@given(GSM_TEXT)
def test_gsm_units_and_parts_agree(text):
    measured = measure(text)

    assert measured.units == sum(2 if c in GSM_EXTENSION else 1 for c in text)
    if measured.units > 160:
        # Every part is full but for the one septet that an escape pair may leave empty.
        assert -(-measured.units // 153) <= measured.parts <= -(-measured.units // 152)


@given(st.text(max_size=200))
def test_unicode_units_are_utf16_code_units(text):
    measured = measure(text + "ж")

    assert measured.units == len((text + "ж").encode("utf-16-le", "surrogatepass")) // 2
    if measured.units > 70:
        assert -(-measured.units // 67) <= measured.parts <= -(-measured.units // 66)


@given(st.text(max_size=200), st.text(max_size=50))
def test_more_text_never_takes_fewer_parts(text, more):
    assert measure(text + more).parts >= measure(text).parts


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("Dr. Salazar’s office", "Dr. Salazar's office"),
        ("“Hi” – he said… ‘yes’ — «no»", '"Hi" - he said... \'yes\' - "no"'),
        ("a\u00a0b\u202fc\u2009d\te", "a b c d e"),
        ("line\r\nbreak\u2028here", "line\nbreak\nhere"),
        ("old\rline \r\u200b\n end \r\x85", "old\nline \n end \n"),
        ("`a`", "'a'"),
        ("e\u200b\u0301", "é"),
        ("in\u200bvi\ufeffsi\u00adble\u2060", "invisible"),
        ("cafe\u0301", "café"),
        ("Ω \u2126 \u212b", "Ω Ω Å"),
        ("👩\u200d👧 ok", "👩\u200d👧 ok"),
        ("José Łukasz", "José Łukasz"),
        ("", ""),
    ],
)
def test_normalises_typography_and_nothing_else(text, normal):
    assert normalise(text) == normal


@given(st.text(max_size=200))
def test_normalising_twice_changes_nothing_more(text):
    assert normalise(normalise(text)) == normalise(text)


@given(st.text(max_size=200))
def test_normalising_never_makes_a_gsm_text_dear(text):
    before, after = measure(text), measure(normalise(text))

    assert before.encoding is Encoding.UNICODE or after.encoding is Encoding.GSM


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("José", "José"),
        ("Ñandú", "Ñandu"),
        ("Søren", "Søren"),
        ("Straße", "Straße"),
        ("Łukasz", "Lukasz"),
        ("Đorđe", "Dorde"),
        ("Şükrü Iğdır", "Sükrü Igdir"),
        ("Þórdís Æsa", "Thordis Æsa"),
        ("François", "Francois"),
        ("Zoë", "Zoe"),
        ("Nguyễn", "Nguyen"),
        ("Lőrinc", "Lorinc"),
        ("Œuvre", "OEuvre"),
        ("D’Arcy", "D'Arcy"),
        ("ΑΘΗΝΑ", "AΘHNA"),
        ("Zoe\u0308", "Zoe"),
        ("Ｊｏｈｎ", "John"),
        ("", ""),
        ("Елена", None),
        ("Έλενα", None),
        ("李雷", None),
        ("محمد", None),
        ("राम", None),
        ("John 😀", None),
    ],
)
def test_transliterates_names(name, written):
    assert transliterate(name) == written


@given(st.text(max_size=100))
@example("ﬁ ŉ ǆ")
def test_what_is_transliterated_is_gsm(text):
    written = transliterate(text)

    assert written is None or measure(written).encoding is Encoding.GSM


@given(GSM_TEXT)
def test_gsm_text_is_left_as_it_is(text):
    if normalise(text) == text:
        assert transliterate(text) == text


@given(
    st.text(
        st.characters(min_codepoint=0x0C0, max_codepoint=0x17F, categories=["L"]), min_size=1, max_size=20
    )
)
def test_every_latin_letter_of_europe_can_be_written(text):
    written = transliterate(text)

    assert written is not None
    assert written.isalpha() or unicodedata.normalize("NFKC", text) != text or "'" in written
