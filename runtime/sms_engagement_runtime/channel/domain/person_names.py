"""What a person is called by."""

from typing import Final

_HONORIFICS: Final = frozenset(
    {"mr", "mrs", "ms", "miss", "mx", "dr", "prof", "sir", "herr", "frau", "sr", "sra"}
)


def first_name(name: str | None) -> str | None:
    """Return what a person is called by, or None where a name tells nothing of the kind.

    The first word with a letter in it, titles passed over; of ``Doe, John`` the word after the comma. Whether
    it can stand in a text (length, alphabet, links) is for ``fit_name`` to say.
    """
    surname, _, given = (name or "").partition(",")
    is_surname_first = len(surname.split()) == 1 and bool(given.strip())
    words = [
        word
        for word in (given if is_surname_first else surname).split()
        if any(character.isalpha() for character in word)
    ]
    called = [word for word in words if word.rstrip(".").casefold() not in _HONORIFICS]
    return next(iter(called or words), None)
