"""Texts about appointments, measured at synthesis with the code that measures them when they are sent."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from aws_cdk import Token

from sms_engagement_runtime.appointment_follow_up.domain.purposes import Purpose
from sms_engagement_runtime.appointment_follow_up.domain.texts import (
    CHOICES,
    EVENT,
    HOST,
    LINK,
    LONGEST_RESCHEDULE_LINK,
    LONGEST_REVIEW_LINK,
    MAX_CHOICES,
    TIME,
    AppointmentTexts,
    general_words,
    numbered,
)
from sms_engagement_runtime.appointment_follow_up.domain.times import MAX_MARKED_TIME_LENGTH
from sms_engagement_runtime.channel.domain.encoding import (
    Encoding,
    Measured,
    exceeds_cap,
    measure,
    normalise,
)
from sms_engagement_runtime.channel.domain.introduction import introduced, plain
from sms_engagement_runtime.channel.domain.named_texts import NAME, without_name
from sms_engagement_runtime.channel.domain.templates import Template

# Longer than 95 % of first names, and than most titles; what does not fit is left out when a text is sent.
_FIRST_NAME: Final = "N" * 10
_TITLE: Final = "E" * 30

_LONGEST_TIME: Final = "T" * MAX_MARKED_TIME_LENGTH

# What opts out on every number: 47 CFR 64.1200(a)(10), and AWS, *Keywords*. Without TD, a bank's name.
_OPT_OUT_WORDS: Final = (
    r"STOP(?:[ -]?ALL)?|UNSUB(?:SCRIBE)?|CANCEL|END|QUIT|REVOKE|REMOVE|OPT[ -]?OUT|ARR[EÊ]T(?:EZ)?"
)
_IN_CAPITALS: Final = re.compile(rf"(?<![\w-])(?:{_OPT_OUT_WORDS})(?![\w-])")
_AS_AN_ANSWER: Final = re.compile(
    r"\b(?:reply|text|answer|send|respond|type|write|say"
    r"|responde|contesta|env[ií]a|manda|escribe"
    r"|répond(?:ez|s)|envoyez|tapez|écrivez"
    r"|antworten sie|antworte|senden sie|sende|schreiben sie|schreibe?"
    r"|responda|envie|mande|escreva|digite)"
    rf"(?: (?:with|con|par|avec|mit|com))?:? [\"']?({_OPT_OUT_WORDS})(?![\w-])",
    re.IGNORECASE,
)

# To say how to opt out is right, as long as it cannot be taken for how to cancel the appointment.
_HOW_TO_OPT_OUT: Final = re.compile(
    r"\bSTOP (?:to (?:opt[ -]out|unsubscribe)|para darte de baja|para sair|pour vous désinscrire|"
    r"zum Abmelden)",
    re.IGNORECASE,
)


def check_texts(
    given: Mapping[str, Mapping[str, str | Sequence[str]]],
    *,
    max_parts: int,
    review_link_length: int = LONGEST_REVIEW_LINK,
) -> Iterator[str]:
    """Measure texts with values as long as they get.

    Parameters
    ----------
    given
        As ``AppointmentTexts`` takes them.
    max_parts
        What the channel's gate lets through.
    review_link_length
        The most characters of a link to a review form.

    Yields
    ------
    What is legal but doubtful, one sentence each.

    Raises
    ------
    ValueError
        What ``AppointmentTexts`` refuses, a text that is not known at synthesis, one that suggests an opt-out
        word as an answer, or one that the gate or the service would refuse.
    """
    _check_known(given)
    AppointmentTexts(given)
    links = {Purpose.FEEDBACK: review_link_length, Purpose.RESCHEDULE: LONGEST_RESCHEDULE_LINK}
    for purpose, texts in given.items():
        for locale, variants in texts.items():
            variants = [variants] if isinstance(variants, str) else variants
            for number, text in enumerate(variants, start=1):
                what = f"the {purpose} text{f' {number}' if len(variants) > 1 else ''} for {locale}"
                values = {
                    **general_words(locale),
                    TIME: _LONGEST_TIME,
                    LINK: "L" * links.get(Purpose(purpose), 0),
                    CHOICES: numbered([_LONGEST_TIME] * MAX_CHOICES),
                }
                _check_answers(what, text)
                yield from _measure(what, text, values, max_parts)
                if purpose == Purpose.CONFIRMATION:
                    yield from _introduction(what, text, locale)


def _check_known(given: Mapping[str, Mapping[str, str | Sequence[str]]]) -> None:
    """Refuse what CloudFormation alone will know: it can neither be measured nor put into a file."""
    if _has_token(given):
        msg = (
            "texts must be known at synthesis, since they are measured and written to a layer; "
            "got one with a token in it: write out what it stands for"
        )
        raise ValueError(msg)


def _has_token(value: object) -> bool:
    if isinstance(value, str):
        return Token.is_unresolved(value)
    if isinstance(value, Mapping):
        return any(map(_has_token, value.values()))
    return isinstance(value, Sequence) and any(map(_has_token, value))


def _check_answers(what: str, text: str) -> None:
    rest = _HOW_TO_OPT_OUT.sub("", normalise(text))
    suggested = _AS_AN_ANSWER.search(rest) or _IN_CAPITALS.search(rest)
    if suggested:
        word = suggested[suggested.lastindex or 0]
        msg = (
            f"{what} has {word} in it, which opts whoever answers with it out of all texts and leaves the "
            f"appointment as it is: ask for 1 to confirm and R for another time, and write the word in small "
            f"letters where it is no answer"
        )
        raise ValueError(msg)


def _measure(what: str, text: str, values: Mapping[str, str], max_parts: int) -> Iterator[str]:
    shortest = _measured(without_name(text), values)
    if shortest.parts > max_parts or exceeds_cap(shortest):
        msg = (
            f"{what} takes {shortest.parts} message parts without a name and a title, and max_parts of the "
            f"channel is {max_parts}: shorten it{_because(shortest)}"
        )
        raise ValueError(msg)
    if shortest.parts > 1:
        yield (
            f"{what} takes {shortest.parts} message parts, so it costs as many times as much"
            f"{_because(shortest)}"
        )
        return
    if shortest.encoding is Encoding.UNICODE:
        yield f"{what} has room for 70 characters instead of 160{_because(shortest)}"
    if _measured(text, {**values, EVENT: _TITLE, HOST: _TITLE, NAME: _FIRST_NAME}).parts > 1:
        yield (
            f"{what} has no room for a first name of {len(_FIRST_NAME)} letters with a title of "
            f"{len(_TITLE)} in its one message part, so many people get it without one of them"
        )


def _measured(text: str, values: Mapping[str, str]) -> Measured:
    return measure(normalise(Template(text).render(values)))


def _introduction(what: str, text: str, locale: str) -> Iterator[str]:
    values = {**general_words(locale), TIME: _LONGEST_TIME}
    shortest = plain(Template(without_name(text)).render(values))
    if introduced(shortest, shorter_body=None, sender_name=None, locale=locale) is None:
        yield (
            f"{what} has no room for how to opt out, not even without a name and a title, so the first text "
            f"to a person will not say it: shorten it"
        )


def _because(measured: Measured) -> str:
    if not measured.offending:
        return ""
    return f"; {' '.join(measured.offending)} is outside the GSM alphabet and halves what a part holds"
