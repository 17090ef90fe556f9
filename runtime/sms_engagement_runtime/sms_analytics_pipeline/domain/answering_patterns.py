"""Patterns that somebody wants to hear of: words and phrases, and no regular expressions.

What is configured is matched by whole words, without regard to case, width, accents and punctuation: the work
is proportional to the text, whoever wrote the patterns. Scripts without spaces between words are matched by
the sentence.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sms_engagement_runtime.channel.domain.keywords import MAX_CHARACTERS

MOST_PATTERNS: Final = 50
MOST_PHRASES: Final = 100
"""A pattern has so many words and phrases at the most."""
LONGEST_NAME: Final = 60
LONGEST_PHRASE: Final = 100

_INVISIBLE: Final = frozenset({"Cf", "Mn", "Me", "Cs"})
_APOSTROPHE: Final = re.compile("(?<=\\w)['\u2018\u2019\u02bc\u00b4`\u2032](?=\\w)")
_NOT_A_WORD: Final = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True)
class AnsweringPatterns:
    """Patterns by name; each has phrases of folded words, with a space before and after."""

    phrases: Mapping[str, Sequence[str]]

    @classmethod
    def from_settings(cls, given: Mapping[str, Any]) -> AnsweringPatterns:
        """Read ``{name: [word or phrase, …]}``.

        Raises
        ------
        ValueError
            It is of another shape, too much, or a phrase has nothing in it that could be found.
        """
        if len(given) > MOST_PATTERNS:
            raise ValueError(f"there may be {MOST_PATTERNS} patterns, got {len(given)}")
        return cls({name: _phrases(name, phrases) for name, phrases in given.items()})

    def __bool__(self) -> bool:
        return bool(self.phrases)

    def matching(self, text: str | None) -> tuple[str, ...]:
        """Return the names of the patterns that a text has a phrase of, in their order."""
        if not text or not self.phrases:
            return ()
        words = _folded(text)
        return tuple(
            name for name, phrases in self.phrases.items() if any(phrase in words for phrase in phrases)
        )


def _phrases(name: str, given: object) -> tuple[str, ...]:
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
        raise ValueError(f"the name of a pattern has 1 to {LONGEST_NAME} printable characters, got {name!r}")
    if not isinstance(given, Sequence) or isinstance(given, str) or not 0 < len(given) <= MOST_PHRASES:
        raise ValueError(f"pattern {name!r} must be a list of 1 to {MOST_PHRASES} words or phrases")
    for phrase in given:
        if not isinstance(phrase, str) or len(phrase) > LONGEST_PHRASE or not _folded(phrase).strip():
            raise ValueError(
                f"pattern {name!r}: a phrase is a text of 1 to {LONGEST_PHRASE} characters with a letter or "
                f"digit in it, got {phrase!r}"
            )
    return tuple(dict.fromkeys(_folded(phrase) for phrase in given))


def _folded(text: str) -> str:
    """Return the words of a text, with one space before, between and after them."""
    decomposed = unicodedata.normalize("NFKD", text[:MAX_CHARACTERS]).casefold()
    seen = "".join(c for c in decomposed if unicodedata.category(c) not in _INVISIBLE)
    return f" {_NOT_A_WORD.sub(' ', _APOSTROPHE.sub('', seen)).strip()} "
