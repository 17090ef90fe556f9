"""Texts that greet a person by name, and go without it where no name fits into their one message part."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from sms_engagement_runtime.channel.domain.encoding import normalise
from sms_engagement_runtime.channel.domain.templates import Catalogue, Template, fit_name

NAME: Final = "name"
"""Placeholder of the person's name."""

_OPENING_NAME: Final = re.compile(r"^\{\{ ?name ?\}\}[,:]?[ \u00a0]?")
_NAME: Final = re.compile(r"(?:,?[ \u00a0])?\{\{ ?name ?\}\}")


@dataclass(frozen=True, slots=True)
class PersonalText:
    """A text to one person.

    Attributes
    ----------
    body
        With the person's name where it fits.
    locale
        Language of it, which is not always the person's.
    without_name
        The same without it; None where `body` has none.
    """

    body: str
    locale: str
    without_name: str | None = None


class NamedTexts:
    """Templates by locale, with ``{{name}}`` and what else the purpose has.

    Parameters
    ----------
    texts
        Locale to template; one must be ``en``.
    others
        Further placeholders, all of which :meth:`render` is given.

    Raises
    ------
    ValueError
        A template has another placeholder, or is nothing but a name; or there is none in English.
    """

    def __init__(self, texts: Mapping[str, str], *, others: Collection[str] = ()) -> None:
        named = {locale: Template(text) for locale, text in texts.items()}
        for template in named.values():
            template.require_known((NAME, *others))
        self._named = Catalogue(templates=named)
        self._nameless = Catalogue(
            templates={locale: Template(without_name(template.text)) for locale, template in named.items()}
        )

    def render(self, *, locale: str | None, first_name: str | None, **values: str) -> PersonalText:
        """Return the text in the language closest to a locale, within one part by leaving the name out."""
        named, nameless = self._named.resolve(locale), self._nameless.resolve(locale)
        plain = normalise(nameless.render(values))

        def text(name: str | None) -> str:
            return plain if name is None else named.render({NAME: name, **values})

        body = fit_name(text, first_name)
        return PersonalText(body, self._named.closest(locale), None if body == plain else plain)


def without_name(text: str) -> str:
    """Take the name out of a template, with the space and the comma that led to it.

    ``Hi {{name}}!`` becomes ``Hi!``, ``Thank you, {{name}}!`` becomes ``Thank you!``, and ``{{name}}, how was
    it?`` becomes ``How was it?``.
    """
    rest = _OPENING_NAME.sub("", text)
    if rest != text:
        rest = rest[:1].upper() + rest[1:]
    return _NAME.sub("", rest)
