"""The texts about an appointment: one message part each, whatever the person and the event are called.

Names and titles are somebody else's input. They are put in as they are, never read as templates, and give way
to a general word where they do not fit, are no words, or would become a link on the phone.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from sms_engagement_runtime.appointment_follow_up.domain.purposes import Purpose
from sms_engagement_runtime.appointment_follow_up.domain.standard_texts import GENERAL_WORDS, STANDARD_TEXTS
from sms_engagement_runtime.channel.domain.encoding import Encoding, measure, normalise, transliterate
from sms_engagement_runtime.channel.domain.named_texts import NAME, PersonalText, without_name
from sms_engagement_runtime.channel.domain.person_names import first_name
from sms_engagement_runtime.channel.domain.templates import Catalogue, Template, fit_name

EVENT: Final = "event"
"""Placeholder of what was booked."""
TIME: Final = "time"
"""Placeholder of when it is."""
HOST: Final = "host"
"""Placeholder of whom it is with."""
LINK: Final = "link"
"""Placeholder of the review form, or of the page with other times."""
CHOICES: Final = "choices"
"""Placeholder of the numbered appointments to choose from."""

MAX_VARIANTS: Final = 5
"""The most texts of one purpose that are compared with one another."""

LONGEST_REVIEW_LINK: Final = 102
"""Of a form on the API's own address in the Region with the longest name; ReviewCollector may have a shorter
one."""

LONGEST_RESCHEDULE_LINK: Final = 100

MAX_CHOICES: Final = 3
"""The most appointments that one part has room for."""

_ABOUT_ONE: Final = frozenset({NAME, EVENT, TIME, HOST})
_OTHER_PLACEHOLDERS: Final[Mapping[Purpose, frozenset[str]]] = {
    Purpose.FEEDBACK: _ABOUT_ONE | {LINK},
    Purpose.RESCHEDULE: _ABOUT_ONE | {LINK},
    Purpose.WHICH: frozenset({NAME, CHOICES}),
}
_REQUIRED: Final[Mapping[Purpose, str]] = {
    Purpose.FEEDBACK: LINK,
    Purpose.RESCHEDULE: LINK,
    Purpose.WHICH: CHOICES,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a text can say of an appointment.

    Attributes
    ----------
    event, name, host
        As the provider gives them; anything.
    time
        As ``spoken_time`` writes it.
    link
        Of the page with other times, or of the review form.
    """

    event: str
    time: str
    name: str | None = None
    host: str | None = None
    link: str | None = None


def known_placeholders(purpose: Purpose) -> frozenset[str]:
    """Return what a text of this purpose may have in double braces."""
    return _OTHER_PLACEHOLDERS.get(purpose, _ABOUT_ONE)


def general_words(locale: str | None) -> Mapping[str, str]:
    """Return what stands for ``{{event}}`` and ``{{host}}`` where theirs cannot be said."""
    language = (locale or "en").replace("_", "-").lower().partition("-")[0]
    event, host = GENERAL_WORDS.get(language, GENERAL_WORDS["en"])
    return {EVENT: event, HOST: host}


class AppointmentTexts:
    """Templates by purpose, locale and variant.

    Parameters
    ----------
    given
        Purpose to locale to one template, or to a list of variants of it. A purpose that is given has these
        alone, so whoever speaks none of their languages reads English; one that is not has the standard ones.

    Raises
    ------
    ValueError
        An unknown purpose, no English text, locales with different numbers of variants or more than
        `MAX_VARIANTS`, a malformed template, an unknown placeholder, or no ``{{link}}`` or ``{{choices}}``
        where the text is of no use without.
    """

    def __init__(self, given: Mapping[str, Mapping[str, str | Sequence[str]]] | None = None) -> None:
        given = given or {}
        unknown = sorted(set(given).difference(Purpose))
        if unknown:
            msg = (
                f"unknown purpose {', '.join(map(repr, unknown))}; known are "
                f"{', '.join(purpose.value for purpose in Purpose)}"
            )
            raise ValueError(msg)
        self._texts = {
            purpose: tuple(_read(purpose, given.get(purpose, STANDARD_TEXTS[purpose]))) for purpose in Purpose
        }

    def variants(self, purpose: Purpose) -> int:
        """Return how many texts of a purpose are compared; 1 where nothing is."""
        return len(self._texts[purpose])

    def render(
        self,
        purpose: Purpose,
        facts: Facts,
        *,
        locale: str | None,
        variant: int = 0,
        choices: str | None = None,
    ) -> PersonalText:
        """Return a text in the language closest to a locale, within one part wherever the template allows.

        What does not fit goes in this order: the person's name, the title with the host, all three. A name is
        never cut, and a title neither.

        Parameters
        ----------
        variant
            Number of the variant, 0 first. One that is no longer there is counted from the start again:
            conversations outlive deployments.
        choices
            For `Purpose.WHICH`: a line of ``1: Tue, Dec 1, 1:00 PM`` for each appointment.

        Raises
        ------
        ValueError
            The text needs a link or choices, and there is none.
        """
        text = self._texts[purpose][variant % self.variants(purpose)]
        needed = {LINK: facts.link, CHOICES: choices}
        values = {TIME: facts.time} | {key: value for key, value in needed.items() if value is not None}
        return text.render(facts, values, locale)

    def feedback_template(
        self,
        facts: Facts,
        *,
        locale: str | None,
        variant: int = 0,
        link_length: int = LONGEST_REVIEW_LINK,
    ) -> tuple[str, str]:
        """Return a template with ``{{name}}`` and ``{{link}}`` left open for ReviewCollector, and its locale.

        Parameters
        ----------
        link_length
            The most characters of a link to the form. The title gives way to a general word where the text
            would take a second part with such a link, and without a name.
        """
        text = self._texts[Purpose.FEEDBACK][variant % self.variants(Purpose.FEEDBACK)]
        return text.filled(facts, {TIME: facts.time}, locale, link_length)


def numbered(times: Sequence[str]) -> str:
    """Write appointments to choose from, one a line: ``1: Tue, Dec 1, 1:00 PM``."""
    return "\n".join(f"{number}: {time}" for number, time in enumerate(times, start=1))


def language_for(country: str | None, default: str) -> str:
    """Return the language of a country; the default where it has several, or is unknown.

    Parameters
    ----------
    country
        ISO 3166-1 alpha-2, of a phone number.
    """
    return _LANGUAGES.get((country or "").upper(), default)


# Where one of our languages is official, and most people read it (Unicode CLDR, supplemental
# ``territoryInfo``). Not here, among others: Belgium, Canada, Luxembourg, Switzerland. English has its
# country, which tells how it writes a time.
_COUNTRIES: Final = {
    "es": (
        "AR", "BO", "CL", "CO", "CR", "CU", "DO", "EC", "ES", "GT", "HN", "MX", "NI", "PA", "PE", "PY", "SV",
        "UY", "VE",
    ),
    "fr": ("FR", "GP", "MC", "MQ", "PM", "RE"),
    "de": ("AT", "DE", "LI"),
    "pt": ("BR", "PT"),
    "en": ("US",),
    "en-AU": ("AU",),
    "en-GB": ("GB",),
    "en-IE": ("IE",),
    "en-NZ": ("NZ",),
}  # fmt: skip
_LANGUAGES: Final = {country: language for language, countries in _COUNTRIES.items() for country in countries}


class _Text:
    """One variant in all its languages."""

    def __init__(self, templates: Mapping[str, Template]) -> None:
        self._named = Catalogue(templates=templates)
        self._nameless = Catalogue(
            templates={locale: Template(without_name(each.text)) for locale, each in templates.items()}
        )

    def render(self, facts: Facts, values: Mapping[str, str], locale: str | None) -> PersonalText:
        closest = self._named.closest(locale)
        named, nameless = self._named.resolve(closest), self._nameless.resolve(closest)
        shortest = _shortest(nameless, closest, values)
        # A template of two parts costs two without a title, and no third one with it.
        most = max(1, measure(shortest).parts)
        for words in _wordings(facts, closest, is_gsm=measure(shortest).encoding is Encoding.GSM):
            all_values = {**values, **words}
            plain = normalise(nameless.render(all_values))
            body = fit_name(partial(_with_name, named, all_values, plain), first_name(facts.name), most)
            if measure(body).parts <= most:
                break
        return PersonalText(body, closest, None if body == plain else plain)

    def filled(
        self, facts: Facts, values: Mapping[str, str], locale: str | None, link_length: int
    ) -> tuple[str, str]:
        closest = self._named.closest(locale)
        nameless = self._nameless.resolve(closest)
        link = {LINK: "x" * link_length}
        shortest = measure(_shortest(nameless, closest, {**values, **link}))
        wordings = _wordings(facts, closest, is_gsm=shortest.encoding is Encoding.GSM)
        # The last one is the general one, of which the shortest text is made, so one always fits.
        chosen = next(
            words
            for words in wordings
            if measure(normalise(nameless.render({**values, **words, **link}))).parts
            <= max(1, shortest.parts)
        )
        open_places = {NAME: "{{name}}", LINK: "{{link}}"}
        return self._named.resolve(closest).render({**values, **chosen, **open_places}), closest


def _read(purpose: Purpose, texts: Mapping[str, str | Sequence[str]]) -> Iterator[_Text]:
    """Make a text of each variant."""
    if not isinstance(texts, Mapping):
        msg = f"the {purpose} texts must be given by locale, as {{'en': 'Hi'}}, got {texts!r}"
        raise ValueError(msg)
    if "en" not in map(str.lower, texts):
        msg = (
            f"the {purpose} texts must have one for en, which whoever speaks none of the other languages "
            f"gets; got {', '.join(sorted(texts)) or 'none at all'}"
        )
        raise ValueError(msg)
    by_locale = {locale: (text,) if isinstance(text, str) else tuple(text) for locale, text in texts.items()}
    counts = {len(variants) for variants in by_locale.values()}
    if len(counts) != 1 or not 1 <= max(counts) <= MAX_VARIANTS:
        got = ", ".join(f"{len(variants)} for {locale}" for locale, variants in sorted(by_locale.items()))
        msg = (
            f"the {purpose} texts must have the same number of variants in every locale, and 1 to "
            f"{MAX_VARIANTS} of them, got {got}"
        )
        raise ValueError(msg)
    for number in range(max(counts)):
        yield _Text(
            {locale: _template(purpose, locale, variants[number]) for locale, variants in by_locale.items()}
        )


def _template(purpose: Purpose, locale: str, text: str) -> Template:
    try:
        template = Template(text)
        template.require_known(known_placeholders(purpose))
        Template(without_name(text))
    except ValueError as error:
        msg = f"the {purpose} text for {locale}: {error}"
        raise ValueError(msg) from error
    needed = _REQUIRED.get(purpose)
    if needed is not None and needed not in template.placeholders:
        msg = f"the {purpose} text for {locale} must contain {{{{{needed}}}}}, got {text!r}"
        raise ValueError(msg)
    return template


def _with_name(named: Template, values: Mapping[str, str], plain: str, name: str | None) -> str:
    return plain if name is None else named.render({**values, NAME: name})


def _shortest(nameless: Template, locale: str, values: Mapping[str, str]) -> str:
    return normalise(nameless.render({**values, **general_words(locale)}))


def _wordings(facts: Facts, locale: str, *, is_gsm: bool) -> Iterator[Mapping[str, str]]:
    """Give what stands for title and host: as they are called, then in general."""
    general = general_words(locale)
    yield {
        EVENT: _spoken(facts.event, is_gsm=is_gsm) or general[EVENT],
        HOST: _spoken(facts.host or "", is_gsm=is_gsm) or general[HOST],
    }
    yield general


_TAG: Final = re.compile(r"</?[A-Za-z][^<>]{0,200}>")

# What a phone underlines: an address with its scheme, or words with a dot between them. Some titles look like
# one and are none ("Node.js"): they become the general word, which does no harm.
_LINK_LIKE: Final = re.compile(r"://|\w\.[^\W\d_]{2}|\d\.\d+\.\d+\.\d", re.IGNORECASE)

# A longer title fits nowhere, and is not read at all.
_MAX_READ: Final = 500


def _spoken(title: str, *, is_gsm: bool) -> str | None:
    """Write a title or a host's name on one line; None where it is no words, or not in this alphabet."""
    if len(title) > _MAX_READ:
        return None
    visible = "".join(" " if c.isspace() else c for c in title if c.isspace() or _is_shown(c))
    words = _without_braces(_TAG.sub(" ", normalise(visible)))
    spoken = " ".join(words.split())
    if not any(map(str.isalnum, spoken)):
        return None
    plain = transliterate(spoken)
    if _LINK_LIKE.search(plain or unicodedata.normalize("NFKC", spoken)):
        return None
    return plain if is_gsm else spoken


def _is_shown(character: str) -> bool:
    # Neither emoji with their modifiers, nor control, format and unassigned characters, nor halves of
    # surrogate pairs.
    return unicodedata.category(character) not in ("So", "Sk", "Cc", "Cf", "Cs", "Co", "Cn", "Me") and not (
        "\ufe00" <= character <= "\ufe0f"
    )


def _without_braces(text: str) -> str:
    return text.replace("{", "").replace("}", "")
