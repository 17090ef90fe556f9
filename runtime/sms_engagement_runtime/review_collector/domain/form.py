"""The review pages, as HTML: the form, and the one-message pages around it.

Pure: text in, text out. Everything that came from outside is escaped. The style and the script are constants,
so that the content security policy can name them by their hash and nothing else can run, an injected
attribute or tag included. The page needs no script, no image, no font and no cookie; the script only counts
characters and keeps an impatient finger from sending twice.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import Final

from sms_engagement_runtime.review_collector.domain.form_texts import DEFAULT, Texts, Words
from sms_engagement_runtime.review_collector.domain.reviews import (
    MAX_TEXT_LENGTH,
    TEXT_NOT_TEXT,
    TEXT_TOO_LONG,
)

SUBMIT_PATH: Final = "submit-review"
NEW_LINK_PATH: Final = "new-link"

# Beside this module as files of their own, so that editors and reviewers see what they are.
_STYLE: Final = Path(__file__).with_name("form.css").read_text("utf-8")
_SCRIPT: Final = Path(__file__).with_name("form.js").read_text("utf-8")

_STAR: Final = (
    '<svg viewBox="0 0 24 24" aria-hidden="true" focusable="false">'
    '<path d="m12 2.6 2.9 5.9 6.5.95-4.7 4.6 1.1 6.45L12 17.45 6.2 20.5l1.1-6.45-4.7-4.6 6.5-.95z"/></svg>'
)


def _hash_source(content: str) -> str:
    return f"'sha256-{b64encode(sha256(content.encode()).digest()).decode('ascii')}'"


CONTENT_SECURITY_POLICY: Final = (
    f"default-src 'none'; style-src {_hash_source(_STYLE)}; script-src {_hash_source(_SCRIPT)}; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
"""Policy of every page: its own style and script by hash, forms to its own origin, and nothing else."""


def review_form(
    token: str,
    texts: Texts = DEFAULT,
    *,
    root: str = "",
    rating: object = None,
    text: str = "",
    errors: Iterable[str] = (),
) -> str:
    """Render the form.

    Parameters
    ----------
    token
        Goes back with the form in a hidden field.
    texts
        Language of the page.
    root
        What leads from the page's own path to where the API begins: ``""`` from ``/review``, ``"../"`` from
        ``/r/{token}``. Relative, so that the page works behind any prefix and front door.
    rating, text
        What was typed before, when the form comes back with errors; a rating that is none of the five stars
        chooses none.
    errors
        In the fixed English words; said in the page's language.
    """
    errors = tuple(errors)
    text_is_wrong = not _TEXT_ERRORS.isdisjoint(errors)
    rating_is_wrong = not _TEXT_ERRORS.issuperset(errors)
    return _page(
        texts,
        texts.heading,
        f"<h1>{escape(texts.heading)}</h1>"
        f"{_error_summary(texts, errors)}"
        f'<form method="post" action="{escape(root + SUBMIT_PATH)}" accept-charset="utf-8" novalidate'
        f' data-sending="{escape(texts.sending)}">'
        f"{_token_field(token)}"
        f"{_rating_field(texts, rating, _SEE_ERRORS if rating_is_wrong else '')}"
        f"{_text_field(texts, text, _SEE_ERRORS + ' aria-invalid="true"' if text_is_wrong else '')}"
        f'<button type="submit">{escape(texts.submit)}</button></form>'
        f"<script>{_SCRIPT}</script>",
    )


def message_page(words: Words, texts: Texts = DEFAULT) -> str:
    """Render a page that says one thing and asks for nothing."""
    return _page(texts, words.heading, _message(words))


def thanks_page(words: Words, texts: Texts = DEFAULT) -> str:
    """Render the page after a review: a message under a star."""
    return _page(texts, words.heading, _STAR.replace("<svg ", '<svg class="sign" ') + _message(words))


def expired_page(token: str, texts: Texts = DEFAULT, *, root: str = "") -> str:
    """Render the page of an expired link, with the button that asks for a new one."""
    return _page(
        texts,
        texts.expired.heading,
        f"{_message(texts.expired)}"
        f'<form method="post" action="{escape(root + NEW_LINK_PATH)}">{_token_field(token)}'
        f'<button type="submit">{escape(texts.expired.action)}</button></form>',
    )


def still_good_page(token: str, texts: Texts = DEFAULT) -> str:
    """Render the answer to somebody who asks for a new link while the old one works."""
    words = texts.still_good
    link = f'<a class="button" href="r/{escape(token)}">{escape(words.action)}</a>'
    return _page(texts, words.heading, _message(words) + link)


_TEXT_ERRORS: Final = frozenset({TEXT_TOO_LONG, TEXT_NOT_TEXT})
_SEE_ERRORS: Final = ' aria-describedby="errors"'


def _page(texts: Texts, title: str, content: str) -> str:
    return (
        f'<!DOCTYPE html>\n<html lang="{texts.locale}" dir="{texts.direction}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="robots" content="noindex,nofollow"><meta name="referrer" content="no-referrer">'
        '<meta name="format-detection" content="telephone=no">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><main>{content}</main></body></html>\n"
    )


def _message(words: Words) -> str:
    return f"<h1>{escape(words.heading)}</h1><p>{escape(words.detail)}</p>"


def _token_field(token: str) -> str:
    return f'<input type="hidden" name="token" value="{escape(token)}">'


def _rating_field(texts: Texts, rating: object, attributes: str) -> str:
    # Radio buttons in reading order, so that arrow keys and screen readers go from one to five. `required` is
    # what the style tells "nothing chosen yet" by; `novalidate` on the form leaves saying so to the
    # server, in the page's own words.
    stars = "".join(
        f'<input type="radio" name="rating" id="rating-{value}" value="{value}" required'
        f"{' checked' if str(rating) == str(value) else ''}>"
        f'<label for="rating-{value}">{_STAR}<span class="unseen">{escape(label)}</span></label>'
        for value, label in enumerate(texts.stars, start=1)
    )
    return (
        f'<fieldset{attributes}><legend>{escape(texts.rate)}</legend><div class="stars">{stars}</div>'
        f'<p class="scale" aria-hidden="true"><span>{escape(texts.worst)}</span>'
        f"<span>{escape(texts.best)}</span></p></fieldset>"
    )


def _text_field(texts: Texts, text: str, attributes: str) -> str:
    return (
        f'<div class="feedback"><label class="field" for="review-text">{escape(texts.tell_more)}</label>'
        f'<textarea id="review-text" name="reviewText" maxlength="{MAX_TEXT_LENGTH}" rows="5"'
        f' placeholder="{escape(texts.placeholder)}"{attributes}>'
        # HTML drops one line end right after the tag ("the textarea element"), so one is given for that.
        f"\n{escape(text)}</textarea>"
        f'<p class="count" data-template="{escape(texts.remaining)}" hidden></p></div>'
    )


def _error_summary(texts: Texts, errors: tuple[str, ...]) -> str:
    if not errors:
        return ""
    items = "".join(f"<li>{escape(texts.errors.get(error, error))}</li>" for error in errors)
    # `role=alert` is announced by most screen readers; the focus, which needs no script, brings the others
    # and the keyboard there.
    return (
        '<div class="errors" id="errors" role="alert" tabindex="-1" autofocus>'
        f"<p>{escape(texts.please_check)}</p><ul>{items}</ul></div>"
    )
