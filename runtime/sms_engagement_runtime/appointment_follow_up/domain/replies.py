"""What an answer to a text about an appointment means: it is confirmed, it should move, or a human reads it.

An answer confirms only where it says nothing else, courtesies aside: "yes, but can I bring my dog?" is for a
human. It asks for another time where a clause of it does, and nothing takes that back: what follows is but a
link. Opt-outs and wrong numbers are recognised before, by the channel.

Case, accents, punctuation, emoji, invisible and full-width characters make no difference. The words of all
languages count in every one: people answer in their own.
"""

import re
import unicodedata
from collections.abc import Sequence
from typing import Final

from sms_engagement_runtime.appointment_follow_up.domain.reply_kinds import ReplyKind
from sms_engagement_runtime.appointment_follow_up.domain.reply_words import (
    ABOUT_NUMBERS,
    ANOTHER_TIME,
    BEFORE_RESCHEDULES,
    CHANGES,
    CONFIRMS,
    COURTESIES,
    NOT_BEFORE,
    NOT_RIGHT_BEFORE,
    NUMBERS,
    RESCHEDULES,
    TAKES_BACK,
    Phrases,
)


def read_reply(body: str | None) -> ReplyKind:
    """Say what an answer means. The work is bounded, whatever its length."""
    readable = _readable(body or "").translate(_SIGNS_OF_YES)
    clauses = [words for part in _CLAUSE_ENDS.split(readable) if (words := _words(part))]
    said = [word for words in clauses for word in words]
    if len(said) > _MAX_WORDS:
        return ReplyKind.OTHER
    if (
        _consists_of(said, RESCHEDULES, _AROUND_RESCHEDULES)
        or _consists_of(said, CHANGES, COURTESIES)
        or any(map(_asks_for_another_time, clauses))
    ):
        return ReplyKind.RESCHEDULE
    is_doubtful = "?" in readable or not _SIGNS_OF_NO.isdisjoint(readable)
    is_yes = not is_doubtful and _consists_of(said, CONFIRMS, COURTESIES)
    return ReplyKind.CONFIRM if is_yes else ReplyKind.OTHER


def read_choice(body: str | None, count: int) -> int | None:
    """Return the number that an answer chooses, 1 to `count`; None where it is none of them, or several."""
    readable = _readable(body or "")
    words = _words(readable)
    if "?" in readable or len(words) > _MAX_WORDS or not _consists_of(words, _NUMBERS, _AROUND_NUMBERS):
        return None
    chosen = {NUMBERS[word] for word in words if word in NUMBERS}
    if not chosen and "one" in words:
        # Elsewhere the word counts nothing: "the second one".
        chosen = {1}
    number = chosen.pop() if len(chosen) == 1 else 0
    return number if 1 <= number <= count else None


# More is a letter, which a human reads.
_MAX_WORDS: Final = 30

# The longest body that the service delivers.
_MAX_CHARACTERS: Final = 1600

_CLAUSE_ENDS: Final = re.compile(
    "[,.!?;:|\n\r\u0085\u2028\u2029\u3002\u3001\u00bf\u00a1()]+|(?<=\\s)[-\u2013\u2014]+(?=\\s)"
)
_APOSTROPHES: Final = re.compile("(?<=\\w)['\u2018\u2019\u02bc\u00b4`\u2032](?=[^\\W\\d])")
_NOT_A_WORD: Final = re.compile(r"[\W_]+")
_INVISIBLE: Final = frozenset({"Cf", "Mn", "Me", "Cs"})

# Of all emoji, those that are an answer.
_SIGNS_OF_YES: Final = dict.fromkeys(map(ord, "👍👌✅✔☑🆗"), " yes ")
_SIGNS_OF_NO: Final = frozenset("👎❌❎✖🚫🙅")

_AROUND_RESCHEDULES: Final = COURTESIES | BEFORE_RESCHEDULES
_NUMBERS: Final[Phrases] = frozenset((word,) for word in (*NUMBERS, "one"))
_AROUND_NUMBERS: Final = COURTESIES | ABOUT_NUMBERS
_LONGEST_PHRASE: Final = max(map(len, CONFIRMS | RESCHEDULES | _AROUND_RESCHEDULES | _AROUND_NUMBERS))

# "No another time please" has lost its comma; "no other time works" has not.
_LEADING_NO: Final = re.compile(
    r"(?:no|nope|sorry|non|nein|nao) (?=(?:another|a|different|can|could|please|lets|i|we|otr[oa]|puedo"
    r"|podemos|podriamos|une?|autre|ein|einen|eine|ander\w+|konnen|outr[oa]|posso|poderiamos)\b)"
)


def _readable(text: str) -> str:
    """Fold case, width and accents, and drop what cannot be seen."""
    # First, since an acute accent that stands for an apostrophe would come apart into a space and a mark.
    joined = _APOSTROPHES.sub("", text[:_MAX_CHARACTERS])
    decomposed = unicodedata.normalize("NFKD", joined)[: 2 * _MAX_CHARACTERS].casefold()
    return "".join(c for c in decomposed if unicodedata.category(c) not in _INVISIBLE)


def _words(text: str) -> list[str]:
    return _NOT_A_WORD.sub(" ", text).split()


def _consists_of(words: Sequence[str], needed: Phrases, allowed: Phrases) -> bool:
    """Say whether words are nothing but such phrases, at least one of them a needed one."""
    # Whether a needed phrase was among those that lead to a position.
    reached: dict[int, bool] = {0: False}
    for start in range(len(words)):
        if start not in reached:
            continue
        for end in range(start + 1, min(start + _LONGEST_PHRASE, len(words)) + 1):
            phrase = tuple(words[start:end])
            is_needed = phrase in needed
            if is_needed or phrase in allowed:
                reached[end] = reached.get(end, False) or is_needed or reached[start]
    return reached.get(len(words), False)


def _asks_for_another_time(words: Sequence[str]) -> bool:
    clause = _LEADING_NO.sub("", " ".join(words), count=1)
    if TAKES_BACK.search(clause):
        return False
    return any(_is_meant(clause[: match.start()].split()) for match in ANOTHER_TIME.finditer(clause))


def _is_meant(before: Sequence[str]) -> bool:
    return NOT_BEFORE.isdisjoint(before[-3:]) and NOT_RIGHT_BEFORE.isdisjoint(before[-1:])
