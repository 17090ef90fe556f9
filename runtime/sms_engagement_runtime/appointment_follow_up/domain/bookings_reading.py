"""How payloads of booking providers are read: what is configured, and what is the same for each of them."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from sms_engagement_runtime.appointment_follow_up.domain.bookings import PhoneCandidate

MAX_BODY_BYTES: Final = 256 * 1024
"""A hundred times what the providers' samples take."""

MAX_TEXT_LENGTH: Final = 200
"""Code points of a name, a title or a typed phone number."""

MAX_ID_LENGTH: Final = 500
"""Calendly's URIs have some 110 characters, Cal.com's ids 22."""

MAX_URL_LENGTH: Final = 500
"""A longer link fits into no text."""

DEFAULT_PHONE_QUESTIONS: Final = (
    # English; the first is Calendly's own wording for its reminders.
    "Send text messages to",
    "Phone",
    "Phone number",
    "Your phone",
    "Your phone number",
    "Phone no",
    "Mobile",
    "Mobile number",
    "Mobile phone",
    "Mobile phone number",
    "Your mobile number",
    "Cell",
    "Cell number",
    "Cell phone",
    "Cell phone number",
    "Cellphone",
    "Cellphone number",
    "Telephone",
    "Telephone number",
    "Contact number",
    "Contact phone",
    "Contact phone number",
    "SMS number",
    "Text number",
    "Best phone number",
    "Best phone number to reach you",
    "Best number to reach you",
    "What is your phone number?",
    "What's your phone number?",
    "What is your mobile number?",
    "What is your cell phone number?",
    "What is the best phone number to reach you?",
    "Please provide your phone number",
    "Please enter your phone number",
    # Spanish.
    "Teléfono",
    "Tu teléfono",
    "Su teléfono",
    "Número de teléfono",
    "Tu número de teléfono",
    "Su número de teléfono",
    "Teléfono móvil",
    "Número de teléfono móvil",
    "Móvil",
    "Número de móvil",
    "Número móvil",
    "Celular",
    "Número de celular",
    "Teléfono celular",
    "Teléfono de contacto",
    "Número de contacto",
    "¿Cuál es tu número de teléfono?",
    "¿Cuál es su número de teléfono?",
    # French.
    "Téléphone",
    "Votre téléphone",
    "Numéro de téléphone",
    "Votre numéro de téléphone",
    "Ton numéro de téléphone",
    "N° de téléphone",
    "Téléphone portable",
    "Téléphone mobile",
    "Portable",
    "Numéro de portable",
    "Numéro de téléphone portable",
    "Numéro de mobile",
    "Votre numéro de portable",
    "Quel est votre numéro de téléphone ?",
    # German.
    "Telefon",
    "Tel.",
    "Tel.-Nr.",
    "Telefonnummer",
    "Ihre Telefonnummer",
    "Deine Telefonnummer",
    "Handy",
    "Handynummer",
    "Ihre Handynummer",
    "Deine Handynummer",
    "Mobil",
    "Mobilnummer",
    "Ihre Mobilnummer",
    "Mobiltelefon",
    "Mobiltelefonnummer",
    "Mobilfunknummer",
    "Rufnummer",
    "Rückrufnummer",
    "Wie lautet Ihre Telefonnummer?",
    "Wie lautet deine Telefonnummer?",
    # Portuguese.
    "Telefone",
    "Seu telefone",
    "Número de telefone",
    "Seu número de telefone",
    "O seu número de telefone",
    "Telemóvel",
    "Número de telemóvel",
    "Telefone celular",
    "Número do celular",
    "Seu celular",
    "Telefone para contato",
    "Telefone de contacto",
    "Número de contato",
    "Qual é o seu número de telefone?",
)
"""Wordings that ask for a phone number and for nothing else. The words decide, not case, accents or marks."""

_LANGUAGE_NAMES: Final = {
    "english": "en",
    "ingles": "en",
    "anglais": "en",
    "englisch": "en",
    "spanish": "es",
    "espanol": "es",
    "espagnol": "es",
    "spanisch": "es",
    "espanhol": "es",
    "castellano": "es",
    "french": "fr",
    "francais": "fr",
    "frances": "fr",
    "franzosisch": "fr",
    "german": "de",
    "deutsch": "de",
    "aleman": "de",
    "allemand": "de",
    "alemao": "de",
    "portuguese": "pt",
    "portugues": "pt",
    "portugais": "pt",
    "portugiesisch": "pt",
}
"""Names of the languages that texts exist in, in these languages, as :func:`words_of` writes them."""

_LANGUAGE_TAG: Final = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})*")
_NOT_WORDS: Final = re.compile(r"[\W_]+")
# At the ends of the calendar no arithmetic is possible.
_YEARS: Final = range(2000, 2200)
_CONTROLS: Final = dict.fromkeys([*range(32), *range(127, 160)], " ")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingOptions:
    """What reading a payload depends on besides the payload.

    Attributes
    ----------
    received_at
        When the webhook arrived; aware.
    phone_questions
        Questions of the booking form whose answer is the invitee's phone number. Compared word by word,
        without case, accents, punctuation and spaces; for Cal.com also with the field's key.
    language_questions
        Questions whose answer is the invitee's language, by its tag or its name. None by default.
    """

    received_at: datetime
    phone_questions: tuple[str, ...] = DEFAULT_PHONE_QUESTIONS
    language_questions: tuple[str, ...] = ()

    def asks_for_phone(self, question: object) -> bool:
        """Whether a question of a booking form asks for the phone number."""
        return isinstance(question, str) and words_of(question) in _all_words(self.phone_questions)

    def asks_for_language(self, question: object) -> bool:
        """Whether a question of a booking form asks for the language."""
        return isinstance(question, str) and words_of(question) in _all_words(self.language_questions)


def words_of(text: str) -> str:
    """Reduce a question to its words: ``"¿Cuál es tu teléfono?"`` and ``"cual es tu telefono"`` are one."""
    decomposed = unicodedata.normalize("NFKD", text[:MAX_TEXT_LENGTH].casefold())
    bare = "".join(character for character in decomposed if not unicodedata.combining(character))
    return _NOT_WORDS.sub(" ", bare).strip()


# Called with what is configured, so with one or two arguments in the life of a process.
@lru_cache(maxsize=8)
def _all_words(questions: tuple[str, ...]) -> frozenset[str]:
    # A question without any word, as "…", would otherwise match every other one.
    return frozenset(words_of(question) for question in questions) - {""}


def language_tag(answer: object) -> str | None:
    """Language tag of an answer: a tag, or the name of a language in which there are texts; else None."""
    if not isinstance(answer, str):
        return None
    tag = answer.strip()
    named = _LANGUAGE_NAMES.get(words_of(tag))
    return named or (tag if len(tag) <= 35 and _LANGUAGE_TAG.fullmatch(tag) else None)


def text_of(value: object) -> str | None:
    """Return a name or a title: one line, trimmed, cut between two code points; None where there is none."""
    if not isinstance(value, str):
        return None
    return value[: 2 * MAX_TEXT_LENGTH].translate(_CONTROLS).strip()[:MAX_TEXT_LENGTH].rstrip() or None


def id_of(value: object) -> str | None:
    """Return a provider's id, unchanged; None where it is none."""
    return value if isinstance(value, str) and 0 < len(value) <= MAX_ID_LENGTH else None


def https_url_of(value: object) -> str | None:
    """Return a link that may stand in a text; None where it is none."""
    if not isinstance(value, str) or not value.startswith("https://") or len(value) > MAX_URL_LENGTH:
        return None
    return value if value.isascii() and value.isprintable() and " " not in value else None


def instant_of(value: object) -> datetime | None:
    """Return an ISO 8601 instant of our time in UTC; None where it is none, or says no zone."""
    if not isinstance(value, str):
        return None
    try:
        parsed = datetime.fromisoformat(value)
        if parsed.utcoffset() is None or parsed.year not in _YEARS:
            return None
        return parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def distinct_phones(candidates: Iterable[PhoneCandidate | None]) -> tuple[PhoneCandidate, ...]:
    """Leave out what is missing, and numbers that already stood further ahead."""
    kept: dict[str, PhoneCandidate] = {}
    for candidate in candidates:
        if candidate is not None:
            kept.setdefault(candidate.raw, candidate)
    return tuple(kept.values())


def event_key(*parts: str) -> str:
    """Derive a :attr:`Booked.key` from what makes a provider's event that event: 27 characters."""
    joined = json.dumps(parts).encode("ascii")
    return urlsafe_b64encode(hashlib.sha256(joined).digest()[:20]).rstrip(b"=").decode("ascii")
