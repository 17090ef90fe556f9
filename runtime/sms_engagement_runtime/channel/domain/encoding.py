"""How a text is encoded, what it costs in message parts, and how to keep it cheap.

Source of every figure: AWS, *SMS character limits* (``sms-limitations-character``). 140 bytes a part: 160
characters of the GSM 7-bit alphabet, 70 UTF-16 code units otherwise; 153 and 67 where a text has several
parts. Parts are billed and throttled.
"""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

GSM_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡"
    "ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
"""The basic character set of GSM 03.38 as AWS lists it: one septet each. No national shift tables."""

GSM_EXTENSION = frozenset("^{}\\[~]|€")
"""The extension table: an escape and a septet each."""

_GSM = GSM_BASIC | GSM_EXTENSION

_GSM_SINGLE, _GSM_PART, _GSM_CAP = 160, 153, 1530
_UNICODE_SINGLE, _UNICODE_PART, _UNICODE_CAP = 70, 67, 630


class Encoding(StrEnum):
    """The two encodings of a text; the names are those of ``messageEncoding`` in delivery events."""

    GSM = "GSM"
    UNICODE = "UNICODE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A text, measured.

    Attributes
    ----------
    units
        Septets (GSM) or UTF-16 code units (UNICODE).
    parts
        Message parts; 0 for an empty text.
    offending
        The characters outside GSM that force the dearer encoding, each once, in order of appearance.
    """

    encoding: Encoding
    units: int
    parts: int
    offending: tuple[str, ...]


def measure(text: str) -> Measured:
    """Count the message parts of a text as the service will.

    Extension characters and surrogate pairs are never split across two parts, so a part may end one unit
    early.
    """
    if _GSM.issuperset(text):
        wide = sum(map(text.count, GSM_EXTENSION))
        units = len(text) + wide
        if units <= _GSM_SINGLE:
            parts = 1 if units else 0
        else:
            parts = (
                _parts((2 if c in GSM_EXTENSION else 1 for c in text), _GSM_PART)
                if wide
                else -(-units // _GSM_PART)
            )
        return Measured(encoding=Encoding.GSM, units=units, parts=parts, offending=())
    sizes = [2 if ord(c) > 0xFFFF else 1 for c in text]
    units = sum(sizes)
    return Measured(
        encoding=Encoding.UNICODE,
        units=units,
        parts=1 if units <= _UNICODE_SINGLE else _parts(sizes, _UNICODE_PART),
        offending=tuple(dict.fromkeys(c for c in text if c not in _GSM)),
    )


def _parts(sizes: Iterable[int], capacity: int) -> int:
    parts, room = 0, 0
    for size in sizes:
        if size > room:
            parts, room = parts + 1, capacity
        room -= size
    return parts


def exceeds_cap(measured: Measured) -> bool:
    """Say whether the service fails a text of this length as invalid, although its API takes it."""
    return measured.units > (_GSM_CAP if measured.encoding is Encoding.GSM else _UNICODE_CAP)


def _table(replacements: dict[str, str]) -> dict[int, str]:
    return {
        ord(character): replacement
        for characters, replacement in replacements.items()
        for character in characters
    }


# Punctuation and white space only: what people and word processors type for a character that GSM has. Joiners
# (U+200C, U+200D) stay, since scripts and emoji need them; invisible characters without such a use go.
_TYPOGRAPHY = _table(
    {
        "\u2018\u2019\u201a\u201b\u2032\u2035\u02b9\u02bb\u02bc\u02bd\u00b4\u0060\u2039\u203a\uff07": "'",
        "\u201c\u201d\u201e\u201f\u2033\u2036\u00ab\u00bb\uff02": '"',
        "\u2010\u2011\u2012\u2013\u2014\u2015\u2043\u2212\ufe58\ufe63\uff0d": "-",
        "\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a": " ",
        "\u202f\u205f\u3000\t\v\f": " ",
        "\u2028\u2029\u0085": "\n",
        "\u2026": "...",
        "\u00ad\u200b\u2060\ufeff": "",
    }
)


_CHANGES_IN_ASCII: Final = frozenset("\r\t\v\f`")


def normalise(text: str) -> str:
    """Replace typographic quotes, dashes, spaces and the ellipsis by their GSM forms, and compose accents.

    One curly apostrophe doubles the price of a text. Letters keep their meaning and their accents; emoji
    stay.
    """
    # Most texts are ASCII, and looking is five times as fast as translating.
    if text.isascii() and _CHANGES_IN_ASCII.isdisjoint(text):
        return text
    # Composed before, since some characters are another way to write one of the table, and after, since what
    # goes may have stood between a letter and its accent.
    plain = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).translate(_TYPOGRAPHY))
    return plain.replace("\r\n", "\n").replace("\r", "\n")


# Letters that do not decompose into a base letter and marks, as the machine-readable zone of passports writes
# them (ICAO Doc 9303-3, section 6 A), in the letter's case; Hausa hooks and the African open vowels by their
# base letter.
_LETTERS = _table(
    {
        "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ð": "d", "Ð": "D", "ħ": "h", "Ħ": "H", "ŧ": "t", "Ŧ": "T",
        "ı": "i", "œ": "oe", "Œ": "OE", "þ": "th", "Þ": "Th", "ŋ": "n", "Ŋ": "N", "ĸ": "q", "ẞ": "SS",
        "ə": "e", "Ə": "E", "ɓ": "b", "Ɓ": "B", "ɗ": "d", "Ɗ": "D", "ƙ": "k", "Ƙ": "K", "ƴ": "y", "Ƴ": "Y",
        "ɔ": "o", "Ɔ": "O", "ɛ": "e", "Ɛ": "E", "ɨ": "i", "Ɨ": "I", "ʉ": "u", "Ʉ": "U",
        "·": "",  # of the Catalan l·l
        # Greek capitals that GSM shares with Latin by their shape; lower case has no such twin.
        "Α": "A", "Β": "B", "Ε": "E", "Ζ": "Z", "Η": "H", "Ι": "I", "Κ": "K", "Μ": "M", "Ν": "N", "Ο": "O",
        "Ρ": "P", "Τ": "T", "Υ": "Y", "Χ": "X",
    }
)  # fmt: skip


def transliterate(text: str) -> str | None:
    """Write a text in the GSM alphabet, or say that it cannot be done faithfully.

    Letters that GSM has stay as they are (é, ñ, ø, ß). Others lose their marks (ő → o) or take the spelling
    of passports (ł → l, þ → th). Other scripts give None: a guess at somebody's name is worse than none.
    """
    written = []
    for character in normalise(text):
        replacement = character if character in _GSM else _in_gsm(character)
        if replacement is None:
            return None
        written.append(replacement)
    return "".join(written)


def _in_gsm(character: str) -> str | None:
    if unicodedata.combining(character):
        return ""
    bare = "".join(
        c for c in unicodedata.normalize("NFKD", character) if not unicodedata.combining(c)
    ).translate(_LETTERS)
    bare = bare.translate(_TYPOGRAPHY)
    return bare if bare and _GSM.issuperset(bare) else None
