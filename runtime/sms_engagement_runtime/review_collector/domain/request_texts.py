"""The texts that ask for a review and remind of it: one message part, whatever the person is called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from sms_engagement_runtime.channel.domain.introduction import plain
from sms_engagement_runtime.channel.domain.named_texts import NAME, NamedTexts, PersonalText, without_name
from sms_engagement_runtime.channel.domain.templates import Catalogue, Template, worst_case
from sms_engagement_runtime.review_collector.domain.reasons import TextFault
from sms_engagement_runtime.review_collector.domain.requests import GivenText

# Every letter is in the GSM alphabet, which has é and ñ but neither ó nor ã: one other would more than halve
# what a part holds. With the longest link and ten letters of a name each is one part.
STANDARD_TEXTS: Final[Mapping[str, str]] = {
    "en": "Hi {{name}}! Please review your recent purchase: {{link}}",
    "es": "¡Hola, {{name}}! Valora tu compra reciente: {{link}}",
    "fr": "Bonjour {{name}} ! Donnez votre avis sur votre achat : {{link}}",
    "de": "Hallo {{name}}! Bitte bewerten Sie Ihren Einkauf: {{link}}",
    "pt": "Oi, {{name}}! Avalie a sua compra recente: {{link}}",
}
"""Of the text that asks."""

STANDARD_REMINDERS: Final[Mapping[str, str]] = {
    "en": "Hi {{name}}! A reminder to review your recent purchase: {{link}}",
    "es": "¡Hola, {{name}}! Te recordamos que valores tu compra: {{link}}",
    "fr": "Bonjour {{name}}, rappel : votre avis sur votre achat : {{link}}",
    "de": "Hallo {{name}}! Zur Erinnerung: Wie war Ihr Einkauf? {{link}}",
    "pt": "Oi, {{name}}! Um lembrete para avaliar a sua compra: {{link}}",
}
"""Of its one reminder."""

MAX_TEMPLATE_LENGTH: Final = 500
"""Characters of a text that an event brings: three times what one part holds."""

_LINK: Final = "link"


class RequestTexts:
    """Templates by locale, with ``{{name}}`` and ``{{link}}``.

    Where a person has no name that fits, the text goes without it and without the space before it:
    ``Hi! Please review your recent purchase: …``.

    Parameters
    ----------
    texts
        Locale to template; nothing means the standard texts.
    standard
        `STANDARD_TEXTS` or `STANDARD_REMINDERS`.

    Raises
    ------
    ValueError
        A template has another placeholder, or none for the link; or there is none in English.
    """

    def __init__(
        self, texts: Mapping[str, str] | None = None, *, standard: Mapping[str, str] = STANDARD_TEXTS
    ) -> None:
        texts = texts or standard
        self._texts = NamedTexts(texts, others=(_LINK,))
        for locale, text in texts.items():
            if _LINK not in Template(text).placeholders:
                raise ValueError(f"the review text for {locale} must contain {{{{{_LINK}}}}}")

    def render(self, *, locale: str | None, first_name: str | None, link: str) -> PersonalText:
        """Return the text in the language closest to a locale, within one part by leaving the name out."""
        return self._texts.render(locale=locale, first_name=first_name, link=link)


def find_fault(text: GivenText, *, link_length: int) -> TextFault | None:
    """Say why a text cannot be sent with a link of this length; None where it can."""
    if len(text.template) > MAX_TEMPLATE_LENGTH:
        return TextFault.TOO_LONG
    try:
        template = Template(text.template)
        nameless = Template(without_name(text.template))
    except ValueError:
        return TextFault.MALFORMED
    if _LINK not in template.placeholders:
        return TextFault.NO_LINK
    if not template.placeholders <= {NAME, _LINK}:
        return TextFault.UNKNOWN_PLACEHOLDER
    return TextFault.TOO_LONG if worst_case(nameless, {_LINK: link_length}).parts > 1 else None


_REMINDERS: Final = Catalogue(
    templates={
        "en": Template("Reminder: {{text}}"),
        "es": Template("Recordatorio: {{text}}"),
        "fr": Template("Rappel : {{text}}"),
        "de": Template("Zur Erinnerung: {{text}}"),
        "pt": Template("Lembrete: {{text}}"),
    }
)
"""How the reminder of a given text begins: the same words a second time would look like a mistake."""


def render_given(
    text: GivenText,
    *,
    locale: str | None,
    first_name: str | None,
    link: str,
    is_reminder: bool = False,
) -> PersonalText:
    """Fill a text in, within one part by leaving the name out.

    Parameters
    ----------
    locale
        Of the customer.
    is_reminder
        Whether to say that it is one, as far as that fits into the part.

    Raises
    ------
    ValueError
        `find_fault` finds one.
    """
    spoken = text.locale or locale
    template = text.template
    if is_reminder:
        reminder = _REMINDERS.resolve(spoken).render({"text": template})
        shortest = Template(without_name(reminder)).render({"link": link})
        if plain(shortest).measured.parts <= 1:
            template = reminder
    # A catalogue has to have an English text, and of one text alone everybody gets that one.
    rendered = RequestTexts({"en": template}).render(locale=None, first_name=first_name, link=link)
    return replace(rendered, locale=spoken or rendered.locale)
