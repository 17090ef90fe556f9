"""Texts to customers, measured at synthesis with the code that measures them when they are sent."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from aws_cdk import Token

from sms_engagement_runtime.channel.domain.encoding import exceeds_cap, normalise
from sms_engagement_runtime.channel.domain.introduction import introduced, plain
from sms_engagement_runtime.channel.domain.named_texts import without_name
from sms_engagement_runtime.channel.domain.templates import Template, worst_case
from sms_engagement_runtime.review_collector.domain.confirming import (
    STANDARD_CONFIRMATIONS,
    confirmation_texts,
)
from sms_engagement_runtime.review_collector.domain.request_texts import (
    STANDARD_REMINDERS,
    STANDARD_TEXTS,
    RequestTexts,
)

# `/r/` and the token; see docs/adr on the token's layout.
_LINK_PATH_LENGTH: Final = 3 + 40

# Region with the longest name.
_LONGEST_REGION: Final = "ap-southeast-2"

# Longer than 95 % of first names; one that does not fit is left out when the text is sent.
_FIRST_NAME_LENGTH: Final = 10

# Of the 4 KB of a function's environment (Lambda, quotas); names, ARNs, countries and the channel's rules
# take the rest.
_MAX_BYTES: Final = 1_600


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewTexts:
    """The texts of a collector, template by locale; an empty mapping means the standard texts.

    Attributes
    ----------
    requests, reminders
        With ``{{name}}`` and ``{{link}}``; None for reminders that nobody gets.
    confirmations
        With ``{{name}}``; None for confirmations that nobody gets.
    """

    requests: Mapping[str, str]
    reminders: Mapping[str, str] | None
    confirmations: Mapping[str, str] | None

    def check(self, *, link_base_url: str | None, region: str, max_parts: int) -> Iterator[str]:
        """Measure all texts with values as long as they get.

        Parameters
        ----------
        link_base_url
            Before ``/r/<token>``; None for the API's own address.
        region
            Of the stack; it is a part of that address.
        max_parts
            What the gate lets through.

        Yields
        ------
        What is legal but doubtful, one sentence each.

        Raises
        ------
        ValueError
            An unknown placeholder, no link, no English text, a text that the gate or the service would
            refuse, or more of them than fit into the environment of a function.
        """
        self._check_size()
        link = {"link": _link_length(link_base_url, region)}
        RequestTexts(self.requests)
        requests = self.requests or STANDARD_TEXTS
        yield from _measure("review", requests, link, max_parts)
        # Of the standard texts, everybody may get the English one, and others only who speaks its language.
        yield from _introduction(self.requests or {"en": STANDARD_TEXTS["en"]}, link["link"])
        if self.reminders is not None:
            RequestTexts(self.reminders, standard=STANDARD_REMINDERS)
            yield from _measure("reminder", self.reminders or STANDARD_REMINDERS, link, max_parts)
        if self.confirmations is not None:
            confirmation_texts(self.confirmations)
            yield from _measure("confirmation", self.confirmations or STANDARD_CONFIRMATIONS, {}, max_parts)

    def _check_size(self) -> None:
        given = (self.requests, self.reminders or {}, self.confirmations or {})
        size = sum(len(as_setting(texts).encode()) for texts in given)
        if size > _MAX_BYTES:
            msg = (
                f"texts, reminder_texts and confirmation_texts take {size} bytes, and {_MAX_BYTES} at the "
                f"most fit into the environment of a function: shorten them, or leave out a locale whose "
                f"people read another one"
            )
            raise ValueError(msg)


def as_setting(texts: Mapping[str, str]) -> str:
    """Return the text of an environment variable."""
    return json.dumps(dict(texts), ensure_ascii=False, separators=(",", ":"))


def _link_length(link_base_url: str | None, region: str) -> int:
    if link_base_url is not None and not Token.is_unresolved(link_base_url):
        return len(link_base_url.rstrip("/")) + _LINK_PATH_LENGTH
    known = _LONGEST_REGION if Token.is_unresolved(region) else region
    # An HTTP API's own address has ten letters before that.
    return len(f"https://{'x' * 10}.execute-api.{known}.amazonaws.com") + _LINK_PATH_LENGTH


def _measure(kind: str, texts: Mapping[str, str], widths: Mapping[str, int], max_parts: int) -> Iterator[str]:
    for locale, text in texts.items():
        template = Template(text)
        measured = worst_case(template, {**widths, "name": 0})
        if measured.parts > max_parts or exceeds_cap(measured):
            msg = (
                f"the {kind} text for {locale} takes {measured.parts} message parts without a name, and "
                f"max_parts of the channel is {max_parts}: shorten it{_because(measured.offending)}"
            )
            raise ValueError(msg)
        if measured.parts > 1:
            yield (
                f"the {kind} text for {locale} takes {measured.parts} message parts, so it costs as many "
                f"times as much{_because(measured.offending)}"
            )
        elif worst_case(template, {**widths, "name": _FIRST_NAME_LENGTH}).parts > 1:
            yield (
                f"the {kind} text for {locale} has no room for a first name of {_FIRST_NAME_LENGTH} letters "
                f"in its one message part, so most people get it without their name"
            )


def _introduction(texts: Mapping[str, str], link_length: int) -> Iterator[str]:
    for locale, text in texts.items():
        nameless = Template(without_name(text)).render({"link": "x" * link_length})
        shortest = plain(normalise(nameless))
        if introduced(shortest, shorter_body=None, sender_name=None, locale=locale) is None:
            yield (
                f"the review text for {locale} has no room for how to opt out, not even without a name, so "
                f"the first text to a person will not say it: shorten the text, or give a shorter "
                f"link_base_url"
            )


def _because(offending: tuple[str, ...]) -> str:
    if not offending:
        return ""
    return f"; {' '.join(offending)} is outside the GSM alphabet and halves what a part holds"
