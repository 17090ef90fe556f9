"""Texts with placeholders: checked when they are written, filled in once, kept within their parts.

A value is put in as it is and never read as a template again, so nobody's name can smuggle in another
placeholder.
"""

import re
import unicodedata
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from sms_engagement_runtime.channel.domain.encoding import (
    Encoding,
    Measured,
    measure,
    normalise,
    transliterate,
)

_PLACEHOLDER: Final = re.compile(r"(?<!\{)\{\{ ?([a-z][a-z0-9_]*) ?\}\}(?!\})")


@dataclass(frozen=True, slots=True)
class Template:
    """A text with ``{{name}}`` placeholders: lower-case letters, digits and underscores.

    Raises
    ------
    ValueError
        Where the text is blank, or double braces hold something else than such a name.
    """

    text: str
    placeholders: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise ValueError("a template must not be blank")
        rest = _PLACEHOLDER.sub("", self.text)
        if "{{" in rest or "}}" in rest:
            raise ValueError(
                f"malformed braces in {self.text!r}: a placeholder is written {{{{name}}}}, in lower case"
            )
        object.__setattr__(self, "placeholders", frozenset(_PLACEHOLDER.findall(self.text)))

    def require_known(self, known: Collection[str]) -> None:
        """Refuse placeholders that nobody fills in.

        Raises
        ------
        ValueError
            Naming the unknown placeholders and the known ones.
        """
        unknown = self.placeholders.difference(known)
        if unknown:
            raise ValueError(
                f"unknown placeholder {', '.join(sorted(unknown))} in {self.text!r}; "
                f"known are {', '.join(sorted(known)) or 'none'}"
            )

    def render(self, values: Mapping[str, str]) -> str:
        """Fill in the placeholders. Values without a placeholder are left out.

        Raises
        ------
        ValueError
            Where a placeholder has no value.
        """
        missing = self.placeholders.difference(values)
        if missing:
            raise ValueError(f"no value for {', '.join(sorted(missing))}")
        return _PLACEHOLDER.sub(lambda match: values[match[1]], self.text)


def worst_case(template: Template, widths: Mapping[str, int]) -> Measured:
    """Measure a template with values as long as they can get, for a check before anything is deployed.

    Parameters
    ----------
    widths
        The most GSM septets of each placeholder's value.
    """
    return measure(normalise(template.render({name: "W" * width for name, width in widths.items()})))


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """One text in several languages.

    Attributes
    ----------
    templates
        By locale: ``en``, ``fr-CA``. Case and ``_`` for ``-`` make no difference.
    default
        The locale at the end of every fallback chain.

    Raises
    ------
    ValueError
        Where the default is missing or two locales are the same.
    """

    templates: Mapping[str, Template]
    default: str = "en"
    _by_locale: Mapping[str, Template] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_locale = {_canonical(locale): template for locale, template in self.templates.items()}
        if len(by_locale) != len(self.templates):
            raise ValueError(f"a locale is given twice: {', '.join(sorted(self.templates))}")
        if _canonical(self.default) not in by_locale:
            raise ValueError(
                f"no text in the default locale {self.default}: {', '.join(sorted(self.templates))}"
            )
        object.__setattr__(self, "_by_locale", by_locale)

    def closest(self, locale: str | None) -> str:
        """Choose the language for a locale: ``fr-CA``, else ``fr``, else the default; in lower case."""
        wanted = _canonical(locale or self.default)
        while wanted:
            if wanted in self._by_locale:
                return wanted
            wanted = wanted.rpartition("-")[0]
        return _canonical(self.default)

    def resolve(self, locale: str | None) -> Template:
        """Choose the text for a locale, as `closest`."""
        return self._by_locale[self.closest(locale)]


def _canonical(locale: str) -> str:
    return locale.strip().replace("_", "-").lower()


_LONGEST_NAME: Final = 40


def fit_name(render: Callable[[str | None], str], name: str | None, max_parts: int = 1) -> str:
    """Render a text with somebody's name, if it stays within so many message parts, and else without.

    A name outside GSM is transliterated, since one letter of it would double the price of the text. It is
    left out where that cannot be done, where it is too long, and where it is no name (a link, markup,
    braces): never cut, since half a name is worse than none.

    Parameters
    ----------
    render
        Gives the whole text for a name, and for None.
    """
    without = normalise(render(None))
    spoken = _clean(name or "")
    if spoken is None:
        return without
    keeps_script = measure(without).encoding is Encoding.UNICODE
    written = spoken if keeps_script else transliterate(spoken)
    if written is None:
        return without
    text = normalise(render(written))
    return text if measure(text).parts <= max_parts else without


def _clean(name: str) -> str | None:
    """Take away what is no part of a name. None where nothing is left, or where it is no name at all."""
    visible = "".join(" " if c.isspace() else c for c in name if c.isspace() or not _is_decoration(c))
    words = normalise(visible).split()
    spoken = " ".join(words)
    is_name = (
        0 < len(spoken) <= _LONGEST_NAME
        and any(c.isalpha() for c in spoken)
        and all(map(_is_name_word, words))
    )
    return spoken if is_name else None


def _is_decoration(character: str) -> bool:
    # Emoji with their modifiers and joiners, control and invisible characters, and halves of surrogate pairs.
    return (
        unicodedata.category(character) in ("So", "Sk", "Cc", "Cf", "Cs", "Co", "Cn", "Me")
        or "\ufe00" <= character <= "\ufe0f"
    )


def _is_name_word(word: str) -> bool:
    # A dot ends an abbreviation or an initial ("Jr.", "J.R."); elsewhere it makes a link that phones
    # underline.
    dotted = word.split(".")
    if len(dotted) > 2 or (len(dotted) == 2 and dotted[1]):
        return all(len(part) <= 1 for part in dotted)
    return all(c.isalnum() or c in "'-." or unicodedata.category(c) in ("Mn", "Mc") for c in word)
