"""Texts to customers, measured at synthesis with the code that measures them when they are sent."""

from collections.abc import Iterator, Mapping
from typing import Final

from aws_cdk import Token

from sms_engagement_runtime.channel.domain.encoding import exceeds_cap
from sms_engagement_runtime.channel.domain.templates import Template, worst_case
from sms_engagement_runtime.review_collector.domain.confirming import (
    STANDARD_CONFIRMATIONS,
    confirmation_texts,
)
from sms_engagement_runtime.review_collector.domain.request_texts import STANDARD_TEXTS, RequestTexts

# `/r/` and the token; see docs/adr on the token's layout.
_LINK_PATH_LENGTH: Final = 3 + 40

# An HTTP API's own address in the Region with the longest name: https://<10>.execute-api.<14>.amazonaws.com
_LONGEST_API_ADDRESS: Final = len("https://") + 10 + len(".execute-api.") + 14 + len(".amazonaws.com")

# Longer than 95 % of first names; one that does not fit is left out when the text is sent.
_FIRST_NAME_LENGTH: Final = 10


def check_texts(texts: Mapping[str, str], *, link_base_url: str | None, max_parts: int) -> Iterator[str]:
    """Measure the texts with values as long as they get.

    Parameters
    ----------
    texts
        Template by locale; the runtime's standard texts when empty.
    link_base_url
        Before ``/r/<token>``; None for the API's own address.
    max_parts
        What the gate lets through.

    Yields
    ------
    What is legal but doubtful, one sentence each.

    Raises
    ------
    ValueError
        An unknown placeholder, no link, no English text, or a text that the gate or the service would refuse.
    """
    RequestTexts(texts)
    is_known = link_base_url is not None and not Token.is_unresolved(link_base_url)
    link_length = (len(link_base_url or "") if is_known else _LONGEST_API_ADDRESS) + _LINK_PATH_LENGTH
    yield from _measure("review", texts or STANDARD_TEXTS, {"link": link_length}, max_parts)


def check_confirmations(texts: Mapping[str, str], *, max_parts: int) -> Iterator[str]:
    """Measure the thanks for a review as :func:`check_texts` measures the requests.

    Yields
    ------
    What is legal but doubtful, one sentence each.

    Raises
    ------
    ValueError
        An unknown placeholder, no English text, or a text that the gate or the service would refuse.
    """
    confirmation_texts(texts)
    yield from _measure("confirmation", texts or STANDARD_CONFIRMATIONS, {}, max_parts)


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


def _because(offending: tuple[str, ...]) -> str:
    if not offending:
        return ""
    return f"; {' '.join(offending)} is outside the GSM alphabet and halves what a part holds"
