"""The text that asks for a review: one message part, whatever the person is called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sms_engagement_runtime.channel.domain.templates import Template
from sms_engagement_runtime.review_collector.domain.named_texts import NamedTexts

STANDARD_TEXTS: Final[Mapping[str, str]] = {"en": "Hi {{name}}! Please review your recent purchase: {{link}}"}

_LINK: Final = "link"


class RequestTexts:
    """Templates by locale, with ``{{name}}`` and ``{{link}}``.

    Where a person has no name that fits, the text goes without it and without the space before it:
    ``Hi! Please review your recent purchase: …``.

    Parameters
    ----------
    texts
        Locale to template; nothing means the standard texts.

    Raises
    ------
    ValueError
        A template has another placeholder, or none for the link; or there is none in English.
    """

    def __init__(self, texts: Mapping[str, str] | None = None) -> None:
        texts = texts or STANDARD_TEXTS
        self._texts = NamedTexts(texts, others=(_LINK,))
        for locale, text in texts.items():
            if _LINK not in Template(text).placeholders:
                raise ValueError(f"the review text for {locale} must contain {{{{{_LINK}}}}}")

    def render(self, *, locale: str | None, first_name: str | None, link: str) -> str:
        """Return the text in the language closest to a locale, within one part by leaving the name out."""
        return self._texts.render(locale=locale, first_name=first_name, link=link)
