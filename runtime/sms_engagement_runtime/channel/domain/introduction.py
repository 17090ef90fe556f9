"""The first text to a person says who speaks and how to opt out.

Source: CTIA, *Messaging Principles and Best Practices* (May 2023), 5.1: messages identify their sender and
tell how to opt out. The word is STOP in every language: it is the one that carriers and the service act on.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Final

from sms_engagement_runtime.channel.domain.encoding import Measured, exceeds_cap, measure, normalise
from sms_engagement_runtime.channel.domain.templates import Catalogue, Template

# GSM characters only: one other would double the parts of most texts.
_HOW: Final = Catalogue(
    templates={
        "en": Template("Reply STOP to opt out"),
        "es": Template("Responde STOP para darte de baja"),
        "fr": Template("Répondez STOP pour vous désinscrire"),
        "de": Template("Antworten Sie STOP zum Abmelden"),
        # Not "para cancelar": behind an appointment that would mean the appointment.
        "pt": Template("Responda STOP para sair"),
    }
)

# What a text says of STOP that tells how to opt out, in any case. To cancel is none: that may be what the
# text is about. In another language than these, the whole introduction is said.
_TO_OPT_OUT: Final = (
    r"(?:to|2|=) ?(?:opt[ -]?out|unsubscribe|be removed|stop (?:receiving|these|all|our))"
    r"|para (?:dar(?:te|se|le|me) de baja|cancelar (?:la|tu|su|a|sua) (?:suscripción|assinatura|inscrição))"
    r"|pour (?:(?:vous|te|se) d[ée]s(?:inscrire|abonner)|ne plus)"
    r"|(?:zum (?:abmelden|abbestellen)|,? ?um (?:sich|dich) abzumelden)"
)
# What may be said of a stop on the way, too: only of STOP in capitals.
_TO_LEAVE: Final = r"(?:to|2|=) ?(?:end|quit|leave)|para (?:sair|salir)"
_QUOTE: Final = "[\"']?"
_TELLS_HOW: Final = (
    re.compile(rf"\bSTOP{_QUOTE} ?(?:{_TO_OPT_OUT})\b", re.IGNORECASE),
    re.compile(rf"\bSTOP{_QUOTE} ?(?i:{_TO_LEAVE})\b"),
    # "To unsubscribe, reply STOP."
    re.compile(
        r"\b(?i:opt[ -]?out|unsubscribe|de baja|d[ée]s(?:inscrire|abonner)|abmelde\w*|abzumelden|abbestellen)"
        r"\b[^.!?\n]{0,30}\bSTOP\b"
    ),
)


@dataclass(frozen=True, slots=True)
class Text:
    """What is sent, measured.

    Attributes
    ----------
    body
        Normalised.
    """

    body: str
    measured: Measured


def plain(body: str) -> Text:
    """Normalise and measure a body. Nothing but white space measures as empty: the service refuses it."""
    body = normalise(body)
    return Text(body, measure("" if body.isspace() else body))


def introduced(
    text: Text, *, shorter_body: str | None, sender_name: str | None, locale: str | None
) -> Text | None:
    """Add who speaks and how to opt out; None where that would take more message parts.

    What is most useful comes first: sender and STOP behind the whole body, the same without the person's
    name, then STOP alone behind either. A body that tells how to opt out itself gets the sender alone, where
    it does not name it and where that fits.

    Parameters
    ----------
    text
        The body, which stays the beginning, as does the shorter one.
    sender_name
        None leaves STOP alone.
    locale
        Language of the body.
    """
    bodies = [text.body] if shorter_body is None else [text.body, normalise(shorter_body)]
    tells_how = any(phrase.search(text.body) for phrase in _TELLS_HOW)
    if tells_how and (sender_name is None or normalise(sender_name).casefold() in text.body.casefold()):
        return text
    suffixes = (
        (f" {normalise(sender_name)}",) if tells_how and sender_name else _suffixes(sender_name, locale)
    )
    for suffix, body in product(suffixes, bodies):
        longer = body + suffix
        measured = measure(longer)
        if measured.parts <= text.measured.parts and not exceeds_cap(measured):
            return Text(longer, measured)
    return text if tells_how else None


@lru_cache(maxsize=1024)
def _suffixes(sender_name: str | None, locale: str | None) -> tuple[str, ...]:
    how = f" {_HOW.resolve(locale).text}"
    return (how,) if sender_name is None else (f" {normalise(sender_name)}:{how}", how)
