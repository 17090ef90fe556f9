"""What the public may know of who wrote a review: a first name and an initial."""

from __future__ import annotations

import unicodedata
from typing import Final

from sms_engagement_runtime.channel.domain.person_names import first_name

MAX_LENGTH: Final = 30
"""Code points of the first name."""


def public_name(name: str | None) -> str | None:
    """Return ``Zoë D.`` for ``Zoë Doe``; None where a name tells nothing.

    Where a name is one word, it stands alone. One word in a script without capital letters may be a whole
    name (王小明), so of such a word only the first character is given. What cannot be seen goes: control
    characters, and marks that turn the direction of what follows.
    """
    visible = "".join(
        " " if character.isspace() else character
        for character in name or ""
        if character.isspace() or not unicodedata.category(character).startswith("C")
    )
    given = first_name(visible)
    if given is None:
        return None
    whole = given.strip(",;")
    given = whole[:MAX_LENGTH]
    surname, comma, _ = visible.partition(",")
    words = (surname if comma and whole not in surname.split() else visible.replace(",", " ")).split()
    others = [word for word in words if word.strip(",;") != whole and any(map(str.isalpha, word))]
    if others:
        initial = next(filter(str.isalpha, others[-1]))
        return f"{given} {initial.upper()}."
    if given.upper() == given.lower():
        return f"{given[0]}."
    return given
