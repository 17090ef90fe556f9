"""What an inbound text asks for: to stop, to start, to confirm, for help, or something for a human to read.

An opt-out wins over everything else. There are three ways to say one: a keyword alone, courtesies aside
("Stop. Thank you"); a keyword as a sentence of its own ("I'm done with this. Stop."); plain language at the
start of a clause ("please stop texting me"). A first word alone is none: "END of month works", "quit my job".
What may be an opt-out is AMBIGUOUS: a human is told, and the text is otherwise treated as any other.

Sources: the words of 47 CFR 64.1200(a)(10), those of AWS (*Keywords*), and the CTIA Messaging Principles
5.1.3 (ignore case and punctuation, honour natural language).
"""

import re
import unicodedata
from collections.abc import Collection
from enum import StrEnum
from functools import cache
from typing import Final

from sms_engagement_runtime.channel.domain import wrong_number
from sms_engagement_runtime.channel.domain.wrong_number import Clause


class Keyword(StrEnum):
    """What a text asks for."""

    OPT_OUT = "OPT_OUT"
    AMBIGUOUS_OPT_OUT = "AMBIGUOUS_OPT_OUT"
    """May be an opt-out: a human decides."""
    WRONG_NUMBER = "WRONG_NUMBER"
    """The number is another person's: an opt-out, and the end of whatever we talk about."""
    AMBIGUOUS_WRONG_NUMBER = "AMBIGUOUS_WRONG_NUMBER"
    """May say so: a human decides."""
    CONFIRM = "CONFIRM"
    START = "START"
    HELP = "HELP"
    EMPTY = "EMPTY"
    """Nothing but white space and invisible characters, or no body at all."""
    FREE_TEXT = "FREE_TEXT"


MAX_CHARACTERS: Final = 1600
"""The longest body that the service delivers. What comes after it is not read."""


def _words_of(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _phrases_of(text: str) -> frozenset[str]:
    return frozenset(" ".join(line.split()) for line in text.split("|"))


_STRONG: Final = _phrases_of("stop|stopall|stop all|unsubscribe|unsub|optout|opt out|arret")
"""Keywords that cannot mean anything else: a sentence of their own is enough in a longer text."""

_WEAK: Final = _phrases_of("cancel|end|quit|revoke|remove|td")
"""Keywords that could mean an appointment or a job too: they count alone."""

_OPT_OUTS: Final = _STRONG | _WEAK
_CANCELS: Final = frozenset({"cancel"})
_OPT_OUT_WORDS: Final = frozenset(word for phrase in _OPT_OUTS for word in phrase.split()) - {
    "all",
    "opt",
    "out",
}

_ALONE: Final = _phrases_of(
    """stop it|stop this|stop that|stop them|stop these|stop everything|make it stop|i said stop
    |unsubscribe me|unsubscribe all|opt me out|i opt out|opting out|remove me|delete me|remove my number
    |delete my number|remove this number|delete this number|take me off|lose my number|leave me alone
    |no more|no texts|quit it|stop texting|stop messaging|stop contacting|stop sending|stop spamming
    |quit texting|dont text|do not text|dont contact|do not contact|revoke consent|cease and desist
    |end this"""
)
"""Clauses that are an opt-out where they say nothing else."""

_CONFIRMS: Final = _phrases_of(
    "yes|y|confirm|ok|okay|1|i confirm|yes i confirm|yes confirm|yes yes|ok yes|yes ok"
)
_STARTS: Final = _phrases_of("start|unstop")
_HELPS: Final = _phrases_of("help|info|help me|help info")

_COURTESIES: Final = _words_of(
    """please pls plz thanks thank thankyou thx ty kindly hi hello hey dear sir madam maam folks guys now
    immediately asap already right just regards sincerely cheers re fwd bye goodbye gracias merci svp"""
)
_TAILS: Final = _words_of("you u so very much a lot away")
"""Words that belong to a courtesy before them: thank *you so much*, right *away*."""
_INTERJECTIONS: Final = _COURTESIES | _words_of("yes no yeah nope sorry oh ok okay omg wtf and")

# Building blocks of plain language. Every repetition is bounded, so that matching stays proportional to the
# text.
_DETERMINER: Final = (
    "(?:(?:your|ur|the|this|that|these|those|all|any|my|of|more|future|further|such|annoying|stupid|damn|"
    "fucking|mailing|texting|marketing|promotional|promo|spam|review|text|sms|phone|call|contact|automated|"
    "unwanted) ){0,5}"
)
_LIST: Final = (
    _DETERMINER + "(?:lists?|database|system|records|files|texts|messages|program|campaign|thread|chat)"
)
_MESSAGES: Final = _DETERMINER + (
    "(?:texts?|messages?|msgs?|sms|spam|notifications?|communications?|updates|alerts|reminders|promotions|promos|"
    "ads|stuff|crap|subscriptions?)"
)
_TEXTING: Final = (
    "(?:texting|messaging|contacting|sending|spamming|bothering|harassing|msging|txting|bugging|emailing|writing|"
    "pestering|disturbing|calling)"
)
_TEXT: Final = "(?:text|message|contact|send|spam|bother|msg|txt|bug|write|harass|disturb)"
_ME: Final = "(?:to )?(?:me|us|this number|my number|my phone|my cell|here)"
_LEAD: Final = (
    "(?:(?:i|we|id|im|you|u|can|could|would|will|want|wanna|wish|like|need|must|have|going|ask|asking|asked|told|"
    "demand|to|do|please|pls|plz|just|really|hereby|now|also|and|kindly|so|then) ){0,7}"
)
_ORDER_LEAD: Final = "(?:(?:please|pls|plz|just|and|kindly|so|then|also) ){0,3}"

_ALL_MESSAGES_TO_ME: Final = f"(?:{_ME}(?: {_MESSAGES})?|{_MESSAGES}(?: {_ME})?)"


@cache
def _plain() -> re.Pattern[str]:
    """Compile what plain language for an opt-out begins with, with the first text that needs it."""
    return re.compile(
        "(?:"
        + "|".join(
            (
                f"{_LEAD}(?:stop|quit|cease|end) (?:all )?{_TEXTING} {_ALL_MESSAGES_TO_ME}",
                f"{_LEAD}(?:stop|end|cancel|cease) (?:receiving |getting )?{_MESSAGES}",
                f"{_LEAD}(?:unsubscribe|unsub|optout|opt out) (?:me|us|this number|my number|from|of|now)",
                f"{_LEAD}opt (?:me|us|this number|my number) out",
                f"{_LEAD}(?:take|get|remove|delete|drop|pull|strike|erase) "
                "(?:me|us|my (?:phone |cell )?(?:number|name|info)|this (?:phone |cell )?number) "
                f"(?:off|from|out)(?: of)? {_LIST}",
                f"{_LEAD}(?:revoke|withdraw|rescind) (?:my |all |any )?(?:consent|permission)",
                f"{_ORDER_LEAD}(?:do not|dont|never) (?:ever )?{_TEXT} {_ALL_MESSAGES_TO_ME}",
                f"{_ORDER_LEAD}(?:i|we) (?:do not|dont|no longer) (?:want|wish) (?:you |u )?(?:to )?"
                "(?:(?:get|receive|be|getting|receiving|have|see) )?"
                f"(?:{_MESSAGES}|contacted|texted|messaged|{_TEXT} {_ME})",
                f"{_ORDER_LEAD}(?:i|we|id) (?:(?:would|really|just|do) ){{0,2}}"
                "(?:want|wanna|wish|like|need)(?: to)? "
                "(?:unsubscribe|unsub|opt out|optout|be (?:removed|taken off|deleted|unsubscribed)|"
                "(?:you|u|this|it) to stop)",
                f"{_ORDER_LEAD}no (?:more|further) {_MESSAGES}",
                f"{_ORDER_LEAD}(?:leave (?:me|us) alone|lose (?:my|this) number)",
                "how (?:do|can) i (?:unsubscribe|opt out|get off|(?:stop|end) "
                "(?:this|these|receiving|getting))",
            )
        )
        + r")\b"
    )


# What follows may limit a request to a time or a subject: "don't text me before nine" does not ask to stop
# for good.
_LIMITS: Final = _words_of(
    """before after until till while when whenever during unless if on at in today tonight tomorrow the
    that this a an about between by like for monday tuesday wednesday thursday friday saturday sunday so"""
)
_NO_LIMIT: Final = re.compile(
    "(?:on|at|to|from) (?:this|my)|for (?:good|ever|the love|gods|christs)|in (?:the )?future|this is|at all|"
    "(?:this|that)$"
)

# Signs that a human should look: orders that begin with a keyword, wishes to end something, talk about
# unsubscribing.
_ORDERS: Final = _words_of("stop cancel revoke remove unsubscribe unsub optout stopall delete cease")
_BENIGN: Final = re.compile(
    " stop (?:by|in|over|at|off|sign|light|watch|for|short|there|near|along|past|on)(?= )"
)
_SIGNS: Final = re.compile(
    " (?:"
    "unsubscribed?|unsub|opt out|optout|opted out|opting out|not interested|no interest|go away|fuck off|"
    f"(?:stop|quit) (?:it|this|that|them|these|all|{_TEXTING})|end (?:this|these|all)|take me off|remove me|"
    f"delete me|no more texts?|(?:do not|dont) {_TEXT} {_ME}|how did you get (?:my|this) number|"
    "reporting? you|do not call list|to stop|"
    "(?:want|wanna|need|like|have|going|lets|please|must|(?:can|could|may|would) (?:i|we|you)) "
    "(?:(?:i|we|you|to|us|just|really|please) ){0,3}(?:stop|cancel|quit|end|revoke|remove)"
    ") "
)
_NEGATED: Final = re.compile(
    " (?:dont|do not|never|not|cant|cannot|couldnt|didnt|did not|wont|wouldnt|shouldnt|non|did you|"
    "why (?:did|do) you) "
    "(?:(?:you|ever|want|to|please|just|make|me|them|it|need|have) ){0,4}"
    "(?:stop|cancel|quit|end|remove|revoke|unsubscribed?|opt out|optout) "
)

# Neighbours' words for the same, not on the fixed list: a human is told.
_FOREIGN: Final = _words_of(
    """alto basta baja parar detener cancelar arreter arretez desabonner desinscrire stopp stoppen abmelden
    abbestellen austragen pare sair"""
)

_SENTENCE_ENDS: Final = re.compile(
    "[.!?;:|\n\r\u0085\u2028\u2029\u3002\u2026\u00bf\u00a1]+|(?<=\\s)[-\u2013\u2014]+(?=\\s)"
)
_NUMBER_SIGN: Final = re.compile(r"\bwrong\s?#(?!\w)")
_APOSTROPHE: Final = re.compile("(?<=[a-z])['\u2018\u2019\u02bc\u00b4`\u2032](?=[a-z])")
_NOT_A_WORD: Final = re.compile(r"[\W_]+")
_INVISIBLE: Final = frozenset({"Cf", "Mn", "Me", "Cs"})
_DOUBLED: Final = re.compile(r"(.)\1+")


def recognise(text: str | None) -> Keyword:
    """Say what an inbound text asks for.

    Case, punctuation, emoji, accents, invisible and full-width characters, and courtesies make no difference.
    The work is proportional to the length, and bounded by ``MAX_CHARACTERS``.
    """
    readable = _readable(text or "")
    if not readable.strip():
        return Keyword.EMPTY
    sentences = [sentence for part in _SENTENCE_ENDS.split(readable) if (sentence := _words(part))]
    words = [word for sentence in sentences for word in sentence]
    clauses = [
        clause
        for part in _SENTENCE_ENDS.split(readable)
        for piece in part.split(",")
        if (clause := _words(piece))
    ]
    if _is_opt_out(words, sentences, clauses):
        return Keyword.OPT_OUT
    statements = _statements(readable)
    if wrong_number.says_wrong_number(statements):
        return Keyword.WRONG_NUMBER
    phrase = " ".join(_trim(words, _COURTESIES))
    for keyword, phrases in ((Keyword.START, _STARTS), (Keyword.HELP, _HELPS), (Keyword.CONFIRM, _CONFIRMS)):
        if phrase in phrases:
            return keyword
    if any(map(_may_be_opt_out, clauses)):
        return Keyword.AMBIGUOUS_OPT_OUT
    is_doubtful = wrong_number.may_say_wrong_number(statements)
    return Keyword.AMBIGUOUS_WRONG_NUMBER if is_doubtful else Keyword.FREE_TEXT


def says_wrong_number(text: str | None) -> bool:
    """Say whether a text states that the number is another person's, whatever else it asks for.

    "Wrong number. Stop texting me" is an opt-out for :func:`recognise`, and this too.
    """
    return wrong_number.says_wrong_number(_statements(_readable(text or "")))


def says_cancel(text: str | None) -> bool:
    """Say whether a text says "cancel" and nothing else, in any of the ways in which it is an opt-out.

    Whoever was asked about an appointment may mean the appointment.
    """
    words = _words(_readable(text or ""))
    return _spelled(words) == "cancel" or _says_only(words, _CANCELS, _COURTESIES)


def _statements(readable: str) -> list[Clause]:
    spelled = _NUMBER_SIGN.sub("wrong number", readable)
    clauses = []
    start = 0
    # The mark that a Spanish question begins with may be all that is there of it.
    is_opened = False
    for end in (*_SENTENCE_ENDS.finditer(spelled), None):
        mark = end.group() if end else ""
        words = [
            words
            for piece in spelled[start : end.start() if end else None].split(",")
            if (words := _words(piece))
        ]
        is_question = is_opened or "?" in mark
        clauses += [
            Clause(" ".join(clause), is_question and number == len(words))
            for number, clause in enumerate(words, start=1)
        ]
        start = end.end() if end else len(spelled)
        is_opened = "\u00bf" in mark
    return clauses


def _readable(text: str) -> str:
    """Fold case, width and accents, and drop what cannot be seen."""
    decomposed = unicodedata.normalize("NFKD", text[:MAX_CHARACTERS])[: 2 * MAX_CHARACTERS].casefold()
    return "".join(c for c in decomposed if unicodedata.category(c) not in _INVISIBLE)


def _words(text: str) -> list[str]:
    return _NOT_A_WORD.sub(" ", _APOSTROPHE.sub("", text)).split()


def _trim(words: list[str], courtesies: Collection[str]) -> list[str]:
    """Take courtesies off both ends; "thank you very much" goes as a whole."""
    start, end = 0, len(words)
    while start < end and words[start] in courtesies:
        start += 1
        if words[start - 1] in ("thank", "thanks"):
            while start < end and words[start] in _TAILS:
                start += 1
    cut = end
    while cut > start:
        if words[cut - 1] in courtesies:
            end = cut = cut - 1
        elif words[cut - 1] in _TAILS:
            cut -= 1
        else:
            break
    return words[start:end]


def _is_opt_out(words: list[str], sentences: list[list[str]], clauses: list[list[str]]) -> bool:
    if spelled := _spelled(words):
        return spelled in _OPT_OUTS
    return (
        _says_only(words, _OPT_OUTS, _COURTESIES)
        or any(_says_only(sentence, _STRONG, _INTERJECTIONS) for sentence in sentences)
        or any(map(_is_plain_opt_out, clauses))
    )


def _spelled(words: list[str]) -> str | None:
    """Put "s t o p" together; None for what is not written letter by letter."""
    return "".join(words) if len(words) >= 3 and all(len(word) == 1 for word in words) else None


def _says_only(words: list[str], keywords: frozenset[str], courtesies: Collection[str]) -> bool:
    said = _trim(words, courtesies)
    phrase = " ".join(said)
    if phrase in keywords:
        return True
    if len(said) == 1:
        # "STOPPP", "sstop": stretched, where doubling a letter makes no other keyword.
        return len(phrase) > 3 and _DOUBLED.sub(r"\1", phrase) in keywords
    return bool(said) and keywords.issuperset(said)


def _is_plain_opt_out(clause: list[str]) -> bool:
    # "No more texts" must keep its "no", "no, stop texting me" must lose it.
    return any(_asks_to_stop(" ".join(_trim(clause, some))) for some in (_COURTESIES, _INTERJECTIONS))


def _asks_to_stop(said: str) -> bool:
    if said in _ALONE:
        return True
    match = _plain().match(said)
    if match is None:
        return False
    rest = said[match.end() :].strip()
    return rest.partition(" ")[0] not in _LIMITS or _NO_LIMIT.match(rest) is not None


def _may_be_opt_out(clause: list[str]) -> bool:
    said = _BENIGN.sub("", f" {' '.join(_trim(clause, _INTERJECTIONS))} ")
    phrase = said.strip()
    if not phrase or _NEGATED.search(said):
        return False
    return (
        phrase.partition(" ")[0] in _ORDERS
        or phrase in _OPT_OUTS
        or phrase in _FOREIGN
        or _plain().match(phrase) is not None
        or _SIGNS.search(said) is not None
    )


_SERVICE_WORDS: Final = _words_of(
    "ARRET CANCEL END OPT-OUT OPTOUT QUIT REMOVE STOP STOPALL TD UNSUBSCRIBE REVOKE HELP START UNSTOP"
) | {"OPT OUT"}
_SERVICE_OPT_OUTS: Final = _SERVICE_WORDS - {"HELP", "START", "UNSTOP"}
_SERVICE_PREFIX: Final = re.compile(
    rf"\s*(?:{'|'.join(sorted(map(re.escape, _SERVICE_WORDS), key=len, reverse=True))})(?!\w)", re.IGNORECASE
)


def is_answered_by_service(body: str | None, matched_keyword: str | None) -> bool:
    """Say whether End User Messaging answers a text itself on a number with AWS-managed opt-outs.

    It does where the text begins with one of its keywords: its own ten opt-out words and HELP, and those that
    our custom resource adds (REVOKE, OPT OUT, STOPALL, START, UNSTOP). Source: AWS, *Keywords*.

    Parameters
    ----------
    matched_keyword
        ``messageKeyword`` of the inbound payload: the keyword, or ``KEYWORD_<account>`` where none matched.
    """
    is_matched = (matched_keyword or "").upper() in _SERVICE_WORDS
    return is_matched or _SERVICE_PREFIX.match((body or "")[:MAX_CHARACTERS]) is not None


def is_service_opt_out(matched_keyword: str | None) -> bool:
    """Say whether the service opted the person out because of this keyword, whatever else the text says."""
    return (matched_keyword or "").upper() in _SERVICE_OPT_OUTS
