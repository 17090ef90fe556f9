"""Whether an inbound text is pleased, displeased or neither.

A lexicon with rules: each word has a value; a negation turns the values in its reach; an intensifier raises
the next one; what follows a "but" weighs more than what precedes it; what a question asks about says little.
English, Spanish, French, German and Portuguese have vocabularies of their own; of other languages a few words
of thanks, praise and complaint are known. Who opts out, or says that the number is not theirs, is never
pleased.

The rules follow the heuristics of VADER (Hutto and Gilbert, *VADER: A Parsimonious Rule-based Model for
Sentiment Analysis of Social Media Text*, ICWSM 2014). The words and values are our own. How often it is right
is in ``docs/sentiment.md``.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from enum import StrEnum
from functools import cache
from typing import Final, NamedTuple, Protocol

from sms_engagement_runtime.channel.domain.keywords import MAX_CHARACTERS, Keyword, recognise
from sms_engagement_runtime.channel.domain.sentiment_words import others
from sms_engagement_runtime.channel.domain.sentiment_words.english import ENGLISH
from sms_engagement_runtime.channel.domain.sentiment_words.french import FRENCH
from sms_engagement_runtime.channel.domain.sentiment_words.german import GERMAN
from sms_engagement_runtime.channel.domain.sentiment_words.portuguese import PORTUGUESE
from sms_engagement_runtime.channel.domain.sentiment_words.spanish import SPANISH
from sms_engagement_runtime.channel.domain.sentiment_words.vocabulary import Vocabulary, phrases


class Sentiment(StrEnum):
    """How the person who wrote a text feels about us."""

    POSITIVE = "positive"
    NEGATIVE = "negative"
    NEUTRAL = "neutral"


class SentimentAnalyser(Protocol):
    """Judges texts: :func:`analyse` here, or any function that is given in its place."""

    def __call__(self, text: str | None) -> Sentiment:
        """Judge a text; one without a body is neutral."""


def _words_of(text: str) -> frozenset[str]:
    return frozenset(text.split())


# How text becomes tokens.

_INVISIBLE: Final = frozenset({"Cf", "Mn", "Me", "Cs"})
_APOSTROPHES: Final = "'\u2018\u2019\u02bc\u00b4`\u2032"
_AN_APOSTROPHE: Final = re.compile(f"[{_APOSTROPHES}]")
_ELISION: Final = re.compile(rf"\b([jnldcsmt]|qu)[{_APOSTROPHES}](?=[a-z])")
_APOSTROPHE: Final = re.compile(rf"(?<=[a-z])[{_APOSTROPHES}](?=[a-z])")
_SYMBOLS: Final = "\u2190-\u2bff\U0001f000-\U0001faff"
_TOKEN: Final = re.compile(
    rf"[:;=8]'?-?[)(\]\[dp3*](?![a-z0-9])|:[/|](?!/)|<3|[^\W_]+|[.!?;,:\n\u2026\u3002\u00a1\u00bf]+|[{_SYMBOLS}]"
)
_STRETCHED: Final = re.compile(r"([a-z])\1{2,}")
_BREAKS: Final = ".!?;,:\n\u2026\u3002\u00a1\u00bf"


def _fold(text: str, most: int | None = 2 * MAX_CHARACTERS) -> str:
    """Fold case, width and accents, and drop what cannot be seen: of texts, and of whole lists of words."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text)[:most].casefold()
    category = unicodedata.category
    return "".join([c for c in decomposed if c < "\x7f" or category(c) not in _INVISIBLE])


def _tokens(folded: str) -> list[str]:
    if _AN_APOSTROPHE.search(folded) is not None:
        folded = _APOSTROPHE.sub("", _ELISION.sub(r"\1 ", folded))
    return _TOKEN.findall(folded)


# What tokens mean.


class _Kind(StrEnum):
    VALUE = "value"
    COURTESY = "courtesy"
    AGREEMENT = "agreement"
    REFUSAL = "refusal"
    NEGATION = "negation"
    LATE_NEGATION = "late negation"
    INTENSIFIER = "intensifier"
    CONTRAST = "contrast"
    CONCESSION = "concession"
    SYMBOL = "symbol"


class _Entry(NamedTuple):
    kind: _Kind
    value: float = 0.0
    denied: float = 0.0
    """The value under a negation."""
    is_verb: bool = False


_COURTESIES: Final = _words_of(
    """thanks thank thankyou thx thnx tnx ty tysm gracias grax merci danke dank obrigado obrigada obg obgd
    obgda vlw valeu grazie bedankt cheers"""
)
_EMOTICONS: Final = {
    mark: value
    for value, marks in (
        (1.0, ":) :-) =) ;) ;-) :] :d :-d =d ;d :p <3 :* :') :3"),
        (-1.0, ":( :-( =( :[ :'( ;( :/ :|"),
    )
    for mark in marks.split()
}
_EMOJI: Final = {
    mark: value
    for value, marks in (
        (1.0, "👍👌🙌👏🤝💪🫶❤💕💖💗💓💞💘💙💚💛🧡💜🖤🤍♥😀😃😄😁😊😍🥰😘🤩😎☺🙂😇🤗🥳😻😋"),
        (1.0, "🎉🎊💯🔥✨⭐🌟🏆✅✔🌹💐"),
        (0.6, "😂🤣😆😅😉😜🙏😌🙃🌸☀"),
        (-1.0, "👎😡😠🤬😤😞😔😟🙁☹😣😖😫😩😢😭😱🤮🤢💩🖕😒🙄💔😾😑🚫❌⛔🛑😰😨🥱"),
    )
    for mark in marks
}

_STRONG, _PLAIN, _WEAK = 1.5, 1.0, 0.4
_AGREED: Final = 0.8
_REFUSED: Final = -0.5
_DENIED_PRAISE: Final = -0.8
_DENIED_BLAME: Final = 0.6


def _praise(value: float) -> _Entry:
    return _Entry(_Kind.VALUE, value, min(_DENIED_PRAISE, -0.8 * value))


def _blame(value: float) -> _Entry:
    return _Entry(_Kind.VALUE, -value, _DENIED_BLAME if value > _WEAK else 0.0)


def _entries(vocabulary: Vocabulary) -> dict[str, _Entry]:
    """Give what each word means; where it stands in several lists, the last of these decides."""
    of = vocabulary
    lists = (
        (of.expected, _Entry(_Kind.VALUE, 0.0, _DENIED_PRAISE)),
        (of.weak_positive, _praise(_WEAK)),
        (of.weak_negative, _blame(_WEAK)),
        (of.positive, _praise(_PLAIN)),
        (of.negative, _blame(_PLAIN)),
        (of.strong_positive, _praise(_STRONG)),
        (of.strong_negative, _blame(_STRONG)),
        (of.unwanted, _Entry(_Kind.VALUE, -0.8, 0.0)),
        (of.intensifiers, _Entry(_Kind.INTENSIFIER, 0.0, 1.4)),
        (of.diminishers, _Entry(_Kind.INTENSIFIER, 0.0, 0.5)),
        (of.proud_intensifiers, _Entry(_Kind.INTENSIFIER, _AGREED, 1.4)),
        (of.contrasts, _Entry(_Kind.CONTRAST)),
        (of.concessions, _Entry(_Kind.CONCESSION)),
        (of.negations, _Entry(_Kind.NEGATION)),
        (of.late_negations, _Entry(_Kind.LATE_NEGATION)),
        (of.refusals, _Entry(_Kind.REFUSAL)),
        (of.agreements, _Entry(_Kind.AGREEMENT, _AGREED, _DENIED_PRAISE)),
    )
    found: dict[str, _Entry] = {}
    for words, entry in lists:
        found.update(dict.fromkeys(_folded_forms(of, words), entry))
    for word in _folded_forms(of, of.verbs):
        found[word] = found[word]._replace(is_verb=True)
    for word in _COURTESIES & found.keys():
        found[word] = found[word]._replace(kind=_Kind.COURTESY, value=_AGREED)
    return found


def _folded_forms(vocabulary: Vocabulary, words: str) -> Iterator[str]:
    # The list is folded, not each form: it takes a third of the time of every start of a function.
    return vocabulary.forms(_fold(words, None))


_LANGUAGES: Final = (ENGLISH, SPANISH, FRENCH, GERMAN, PORTUGUESE, others.OTHER_LATIN)

type _Readings = dict[int, _Entry | None]


def _readings() -> dict[str, _Readings]:
    """Give for each word what it means by language; None where a language has it and means nothing by it."""
    found: dict[str, _Readings] = {}
    for number, vocabulary in enumerate(_LANGUAGES):
        for word, entry in _entries(vocabulary).items():
            found.setdefault(word, {})[number] = entry
        for word in _folded_forms(vocabulary, vocabulary.innocent):
            found.setdefault(word, {})[number] = None
    return found


def _homes(readings: dict[str, _Readings]) -> dict[str, int]:
    """Give for each word that only one language has, the number of that language."""
    homes: dict[str, int | None] = {
        word: number for word, by_language in readings.items() for number in by_language
    } | {word: None for word, by_language in readings.items() if len(by_language) > 1}
    for number, vocabulary in enumerate(_LANGUAGES):
        for word in _fold(vocabulary.markers, None).split():
            if homes.setdefault(word, number) != number:
                homes[word] = None
    return {word: number for word, number in homes.items() if number is not None}


_READINGS: Final = _readings()
_HOMES: Final = _homes(_READINGS)
_CONTESTED: Final = {
    word: by_language
    for word, by_language in _READINGS.items()
    if len(by_language) > 1 and len(set(by_language.values())) > 1
}
_MEANINGS: Final = {
    word: next(entry for entry in by_language.values() if entry is not None)
    for word, by_language in _READINGS.items()
    if any(entry is not None for entry in by_language.values())
} | {mark: _Entry(_Kind.SYMBOL, value) for mark, value in (_EMOTICONS | _EMOJI).items()}
"""What a word means where its language cannot be told: what it means in the first that has it."""


_DENIALS: Final = frozenset(
    word
    for word, entry in _MEANINGS.items()
    if entry.kind in (_Kind.NEGATION, _Kind.LATE_NEGATION, _Kind.REFUSAL)
)


def _phrase_table(
    lists: Iterable[tuple[str, _Entry]],
) -> dict[str, tuple[tuple[list[str], _Entry], ...]]:
    table: dict[str, dict[tuple[str, ...], _Entry]] = {}
    for text, entry in lists:
        for phrase in phrases(_fold(text, None)):
            # "Nope, not for me": what says no by itself is not turned by another no.
            says_no = not _DENIALS.isdisjoint(phrase)
            table.setdefault(phrase[0], {})[phrase[1:]] = (
                entry._replace(denied=entry.value) if says_no else entry
            )
    return {
        first: tuple(
            (list(rest), entry) for rest, entry in sorted(rests.items(), key=lambda item: -len(item[0]))
        )
        for first, rests in table.items()
    }


_PHRASES: Final = _phrase_table(
    (text, entry)
    for of in _LANGUAGES
    for text, entry in (
        (of.positive_phrases, _Entry(_Kind.VALUE, _PLAIN, _DENIED_PRAISE)),
        (of.negative_phrases, _Entry(_Kind.VALUE, -_PLAIN)),
        (of.rebukes, _Entry(_Kind.VALUE, -3.0, -3.0)),
        (of.neutral_phrases, _Entry(_Kind.VALUE)),
    )
)
_QUESTION_STARTS: Final = _phrase_table((of.question_starts, _Entry(_Kind.VALUE)) for of in _LANGUAGES)


def _alone(words: dict[str, _Entry]) -> dict[str, Sentiment]:
    """Give what each word says that is a text of its own."""
    found = {
        word: Sentiment.POSITIVE if entry.value > 0 else Sentiment.NEGATIVE
        for word, entry in words.items()
        if entry.value > 0 or entry.value <= -_AGREED or entry.kind is _Kind.REFUSAL
    }
    found.update(dict.fromkeys(("y", "1"), Sentiment.POSITIVE))
    no = _words_of("n 0 never nunca jamais nie niemals end quit remove delete")
    found.update(dict.fromkeys(no, Sentiment.NEGATIVE))
    return found


_ALONE: Final = _alone(_MEANINGS)

# Ratings.

_NUMBERS: Final = {
    word: value
    for value, words in enumerate(
        (
            "zero cero null",
            "one una un une ein eine uma um",
            "two dos deux zwei duas dois",
            "three tres trois drei",
            "four cuatro quatre vier quatro",
            "five cinco cinq funf fuenf",
        )
    )
    for word in words.split()
}
_NUMBER: Final = rf"(?:\d{{1,2}}(?:[.,]\d)?|\b(?:{'|'.join(_NUMBERS)}))"
_RATING: Final = re.compile(
    rf"(?P<stars>{_NUMBER})[ -]?(?:stars?|estrellas?|etoiles?|sterne?|estrelas?|\u2b50)(?!\w)"
    rf"|(?<![\d/.,-])(?P<part>\d{{1,3}}(?:[.,]\d)?) ?(?:/|out of|von|sur|de|su) ?(?P<of>5|10|100)"
    r"(?![\d/.,%]\d?|\w)"
    r"|(?P<filled>[\u2b50\u2605]+(?=\u2606)|[\u2b50\u2605]{2,})(?P<empty>\u2606*)"
)
_RATING_HINT: Final = re.compile("\\d|\u2b50|\u2605|st[ea]r|stre|etoile")
_BEFORE_A_DATE: Final = re.compile(
    r"\b(?:on|at|by|for|until|before|after|since|el|le|am|dia|em|vom|bis|den|till) $"
)


def _rating(match: re.Match[str]) -> float | None:
    """Give the value of a rating; None for what looks like one and is a date."""
    if stars := match["stars"]:
        share = (_NUMBERS[stars] if stars in _NUMBERS else float(stars.replace(",", "."))) / 5
    elif part := match["part"]:
        if _BEFORE_A_DATE.search(match.string[: match.start()][-8:]):
            return None
        share = float(part.replace(",", ".")) / float(match["of"])
    else:
        share = len(match["filled"]) / max(5, len(match["filled"]) + len(match["empty"]))
    if share > 1:
        return None
    for least, value in ((0.9, 2.0), (0.7, 1.2), (0.5, 0.0), (0.3, -1.2)):
        if share >= least:
            return value
    return -2.0


def _take_ratings(folded: str) -> tuple[str, float]:
    """Take the ratings out of a text, and give what they come to."""
    value = 0.0
    pieces: list[str] = []
    start = 0
    for match in _RATING.finditer(folded):
        rating = _rating(match)
        if rating is None:
            continue
        value += rating
        pieces += folded[start : match.start()], " "
        start = match.end()
    return "".join(pieces) + folded[start:], value


# Other scripts.


@cache
def _other_script() -> re.Pattern[str]:
    return re.compile("[\u0370-\u1fff\u3041-\ud7ff\uf900-\ufaff]")


@cache
def _other_phrases() -> tuple[re.Pattern[str], frozenset[str]]:
    positive, negative = (
        frozenset(folded for phrase in text.split("|") if (folded := _fold(phrase.strip())))
        for text in (others.POSITIVE, others.NEGATIVE)
    )
    ordered = sorted(positive | negative, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, ordered))), positive


# Opt-outs.

_MAY_ASK_TO_STOP: Final = _words_of(
    """stop stopall unsubscribe unsub optout opt opting arret cancel end quit revoke remove td delete drop
    pull strike erase cease withdraw rescind alone consent more further off out from text texts texted
    texting message messages messaged messaging msg msgs msging txt txting sms contact contacted
    contacting send sending spam spamming bother bothering bug write harass disturb notification
    notifications communication communications updates alerts reminders promotions promos ads stuff crap
    subscription subscriptions alto basta baja parar detener cancelar arreter arretez desabonner
    desinscrire stopp stoppen abmelden abbestellen austragen pare sair removed deleted unsubscribed"""
)
_MAY_SAY_WRONG_NUMBER: Final = re.compile(
    r"num|nmber|nunber|nbr|phone|telef|celular|contato|w\w{0,2}ng|incorrect|right|equivo|confun|errone|errad"
    "|mauvais|faux|erreur|tromp|falsch|verwa|geirrt|vertan|engan"
)
_MAY_BE_STRETCHED: Final = re.compile(
    r"\b(?:s+t+o+p|u+n+s+u+b|o+p+t+o|a+r+e+t|c+a+n+c+e+l|e+nn|e+ndd|q+u+i+t|r+e+v+o+k|r+e+m+o+v)"
)
"""Without one of these :func:`recognise`, which is slower than all the rest, would find no opt-out."""


def _asked(text: str, folded: str, tokens: list[str], *, is_stretched: bool) -> Keyword:
    is_suspect = (
        is_stretched
        or not _MAY_ASK_TO_STOP.isdisjoint(tokens)
        or _MAY_SAY_WRONG_NUMBER.search(folded) is not None
        or _MAY_BE_STRETCHED.search(folded) is not None
        # "S T O P"
        or all(len(token) == 1 or not token[0].isalnum() for token in tokens)
    )
    return recognise(text) if is_suspect else Keyword.FREE_TEXT


_NEGATION_REACH: Final = 4
_INTENSIFIER_REACH: Final = 2
_VERB_REACH: Final = 4
_BEFORE_CONTRAST: Final = 0.3
_ASKED_ABOUT: Final = 0.25
_EVIDENCE: Final = 0.5
"""How much makes a text positive or negative."""

_FILLERS: Final = _words_of(
    """please pls plz por favor svp bitte sorry oh ah um uh hi hello hey hola bonjour hallo oi ola well so
    and y et und e lol haha"""
)


class _Reader:
    """Reads the tokens of one text from left to right, clause by clause."""

    __slots__ = (
        "_boost", "_boosted_until", "_clause", "_courtesy", "_denied_sign", "_denied_until", "_has_begun",
        "_has_refused", "_is_conceded", "_is_question", "_language", "_pending_praise", "_refuses", "_tokens",
        "_verb", "_verb_at", "_verb_value", "courtesy", "has_question", "main", "symbols",
    )  # fmt: skip

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._language: int | None = None
        self._has_refused = False
        self.main = self.courtesy = self.symbols = 0.0
        self.has_question = False
        self._begin_clause()

    def _begin_clause(self) -> None:
        self._clause = self._courtesy = self._pending_praise = self._denied_sign = 0.0
        self._has_begun = self._refuses = self._is_conceded = self._is_question = False
        self._denied_until = self._boosted_until = -1
        self._verb: _Entry | None = None

    def read(self) -> float:
        """Read all, and give what it comes to: above zero pleased, below displeased."""
        tokens = self._tokens
        position = 0
        while position < len(tokens):
            token = tokens[position]
            length, entry = self._look_up(token, position)
            if entry is not None:
                self._take(entry, position, length)
            elif token[0] in _BREAKS:
                self._end_clause(token)
            elif not self._has_begun:
                self._begin(token, position)
            position += length
        self._end_clause("")
        courtesy = self.courtesy * (_ASKED_ABOUT if self.has_question else 1)
        # "No, thank you": the thanks are none.
        said = self.main + (0 if self._has_refused else courtesy)
        return said + max(-1.0, min(1.0, self.symbols))

    def _look_up(self, token: str, position: int) -> tuple[int, _Entry | None]:
        """Give what begins here, and how many tokens it is long."""
        tokens = self._tokens
        for rest, entry in _PHRASES.get(token, ()):
            if tokens[position + 1 : position + 1 + len(rest)] == rest:
                return len(rest) + 1, entry
        if token in _CONTESTED:
            return 1, self._contested(token)
        return 1, _MEANINGS.get(token)

    def _contested(self, word: str) -> _Entry | None:
        if self._language is None:
            seen = Counter(home for token in self._tokens if (home := _HOMES.get(token)) is not None)
            self._language = max(seen, key=seen.__getitem__) if seen else -1
        by_language = _CONTESTED[word]
        return by_language[self._language] if self._language in by_language else _MEANINGS.get(word)

    def _begin(self, token: str, position: int) -> None:
        """Take the first word of a clause that says nothing by itself."""
        for rest, _ in _QUESTION_STARTS.get(token, ()):
            if self._tokens[position + 1 : position + 1 + len(rest)] == rest:
                self._is_question = True
        self._has_begun = token not in _FILLERS

    def _take(self, entry: _Entry, position: int, length: int) -> None:
        match entry.kind:
            case _Kind.VALUE | _Kind.COURTESY:
                self._judge(entry, position)
            case _Kind.SYMBOL:
                self.symbols += entry.value
                return
            case _Kind.AGREEMENT:
                self._agree(entry, position)
                return
            case _Kind.REFUSAL:
                self._refuses = not self._has_begun
                self._deny(position)
                return
            case _Kind.NEGATION:
                self._deny(position)
            case _Kind.LATE_NEGATION:
                self._take_back(position)
                self._deny(position)
            case _Kind.INTENSIFIER:
                self._boost, self._boosted_until = entry.denied, position + _INTENSIFIER_REACH
                is_denied = entry.value > 0 and position <= self._denied_until
                self._pending_praise = _DENIED_PRAISE if is_denied else entry.value
            case _Kind.CONTRAST:
                self._end_clause("")
                self.main *= _BEFORE_CONTRAST
                self.courtesy *= _BEFORE_CONTRAST
                return
            case _Kind.CONCESSION:
                self._is_conceded = True
        self._has_begun = True
        self._denied_until += length - 1

    def _deny(self, position: int) -> None:
        # "Neither good nor bad": what one negation has turned does not bind the next.
        self._denied_sign = 0.0
        self._denied_until = position + _NEGATION_REACH

    def _judge(self, entry: _Entry, position: int) -> None:
        value = entry.value
        sign = -1.0 if value < 0 else 1.0
        is_denied = position <= self._denied_until and self._denied_sign in (0.0, sign)
        if is_denied and (value or entry.denied):
            # One negation turns words of one kind: "not good and slow".
            self._denied_sign = sign
            value = entry.denied
        elif entry.is_verb:
            self._verb, self._verb_at, self._verb_value = entry, position, value
        if value and position <= self._boosted_until:
            value *= self._boost
            self._pending_praise = 0.0
        if entry.kind is _Kind.COURTESY and not is_denied:
            self._courtesy += value
        else:
            self._clause += value

    def _agree(self, entry: _Entry, position: int) -> None:
        if position <= self._denied_until:
            self._clause += entry.denied
        elif not self._has_begun:
            self._courtesy += entry.value

    def _take_back(self, position: int) -> None:
        """Deny the verb before a negation that follows it."""
        if self._verb is not None and position - self._verb_at <= _VERB_REACH:
            self._clause += self._verb.denied - self._verb_value
            self._verb = None

    def _end_clause(self, mark: str) -> None:
        if self._refuses and not self._has_begun:
            self._has_refused = True
            self._clause += _REFUSED
        weight = _BEFORE_CONTRAST if self._is_conceded else 1.0
        if "?" in mark or (self._is_question and "!" not in mark):
            weight = _ASKED_ABOUT
            self.has_question = True
        self.main += weight * (self._clause + self._pending_praise)
        self.courtesy += weight * self._courtesy
        self._begin_clause()
        # The mark with which a Spanish question begins.
        self._is_question = "\u00bf" in mark


def analyse(text: str | None) -> Sentiment:
    """Judge a text by the words, emoji and ratings in it.

    Case, width, accents and invisible characters make no difference. Who opts out or says that the number is
    not theirs is displeased, whatever else they say. What may be an opt-out counts against the rest. The work
    is proportional to the length, and bounded by ``MAX_CHARACTERS``.
    """
    body = (text or "")[:MAX_CHARACTERS]
    if (said := _ALONE.get(body.strip().lower())) is not None:
        return said
    folded = _fold(body)
    tokens = _tokens(folded)
    if not tokens:
        return Sentiment.NEUTRAL
    is_stretched = _STRETCHED.search(folded) is not None
    keyword = _asked(body, folded, tokens, is_stretched=is_stretched)
    if keyword in (Keyword.OPT_OUT, Keyword.WRONG_NUMBER):
        return Sentiment.NEGATIVE
    if is_stretched:
        tokens = list(map(_shortened, tokens))
    words = [token for token in tokens if token[0] not in _BREAKS or token in _EMOTICONS]
    if len(words) == 1 and "?" not in folded and (said := _ALONE.get(words[0])) is not None:
        return said
    return _verdict(_score(folded, tokens, keyword))


def _score(folded: str, tokens: list[str], keyword: Keyword) -> float:
    rating = 0.0
    if _RATING_HINT.search(folded) is not None:
        rest, rating = _take_ratings(folded)
        if rest is not folded:
            tokens = list(map(_shortened, _tokens(rest)))
    reader = _Reader(tokens)
    score = reader.read() + rating
    if keyword is Keyword.AMBIGUOUS_OPT_OUT and not reader.has_question:
        score -= _AGREED
    if _other_script().search(folded) is not None:
        weight = _ASKED_ABOUT if reader.has_question else 1.0
        # Made for the first text that needs it, which few do.
        pattern, positive = _other_phrases()
        for phrase in pattern.findall(folded):
            score += weight if phrase in positive else -weight
    return score


def _shortened(word: str) -> str:
    """Give "soooo" and "yesss" as the word that they are."""
    if _STRETCHED.search(word) is None:
        return word
    doubled = _STRETCHED.sub(r"\1\1", word)
    return doubled if doubled in _READINGS else _STRETCHED.sub(r"\1", word)


def _verdict(score: float) -> Sentiment:
    if score >= _EVIDENCE:
        return Sentiment.POSITIVE
    return Sentiment.NEGATIVE if score <= -_EVIDENCE else Sentiment.NEUTRAL
