"""The pages of the moderators' console, as HTML.

Pure: what came from outside is escaped, links are relative, so that the pages work behind any prefix and
proxy. Everything can be done without script, by keyboard, and with a thumb; the script adds keys.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping
from datetime import datetime
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

from sms_engagement_runtime.review_collector.domain.charts import Bar, bars, columns, line
from sms_engagement_runtime.review_collector.domain.figures import SENTIMENTS, Figures, Overview
from sms_engagement_runtime.review_collector.domain.moderation import MAX_REASON_LENGTH
from sms_engagement_runtime.review_collector.domain.queries import Asked, Page, ReviewQuery
from sms_engagement_runtime.review_collector.domain.reviews import Review, ReviewStatus

_STYLE: Final = Path(__file__).with_name("console.css").read_text("utf-8")
_SCRIPT: Final = Path(__file__).with_name("console.js").read_text("utf-8")


def _hash_source(content: str) -> str:
    return f"'sha256-{b64encode(sha256(content.encode()).digest()).decode('ascii')}'"


CONTENT_SECURITY_POLICY: Final = (
    f"default-src 'none'; style-src {_hash_source(_STYLE)}; script-src {_hash_source(_SCRIPT)}; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
"""Policy of every page: its own style and script by hash, forms to its own origin, and nothing else."""

PERIODS: Final = (30, 90, 365)

_REASONS: Final = (
    "Spam or advertising",
    "Abusive language",
    "Personal data of somebody",
    "Not about us",
    "Written by somebody who was no customer",
)
_NAMES: Final = {"new": "Waiting", "approved": "Approved", "rejected": "Rejected"}


def list_page(
    asked: Asked, page: Page, *, zone: ZoneInfo, errors: Iterable[str] = (), decided: str | None = None
) -> str:
    """Render a list of reviews.

    Parameters
    ----------
    decided
        Id of the review that was decided just now.
    """
    query = asked.query
    said = "".join(f'<p class="alarm" role="alert">{escape(error)}</p>' for error in errors)
    if decided is not None:
        link = f'<a href="reviews/{quote(decided, safe="")}">See it, or change it</a>'
        said += f'<p class="note" role="status">The decision is stored. {link}.</p>'
    articles = "".join(_article(review, zone=zone, root="") for review in page.reviews)
    if not page.reviews:
        articles = f'<p class="card">{_nothing(query)}</p>'
    return _page(
        _title(query),
        f"{said}{_search(query)}{articles}{_paging(asked, page)}{_keys(page)}",
        root="",
        current=_current(query),
    )


def review_page(review: Review, *, zone: ZoneInfo, root: str = "../", notice: str = "") -> str:
    """Render one review with all that became of it."""
    said = f'<p class="alarm" role="alert">{escape(notice)}</p>' if notice else ""
    customer = urlencode({"userId": review.user_id})
    facts = {
        "Customer": f'<a href="{root}reviews?{escape(customer)}">{escape(review.user_id)}</a>',
        "Shown as": escape(review.author_name or "A customer"),
        "Votes": f"{review.helpful} found it helpful",
        "Version": str(review.version),
        "Id": escape(review.review_id),
    }
    rows = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in facts.items())
    return _page(
        "One review",
        f"{said}{_article(review, zone=zone, root=root, is_alone=True)}"
        f'<section class="card"><h2>About it</h2><dl>{rows}</dl>'
        f'<h2>History</h2><ol class="history">{_history(review, zone)}</ol></section>',
        root=root,
        current="",
    )


def figures_page(overview: Overview, *, days: int, zone: ZoneInfo) -> str:
    """Render the charts."""
    period, ever = overview.period, overview.ever
    every = Figures(first=period.first, last=period.last, counts=ever)
    periods = "".join(
        f'<li><a href="figures?days={one}"{_current_mark(one, days)}>{one} days</a></li>' for one in PERIODS
    )
    numbers = {
        "reviews": f"{period.reviews:,}",
        "stars on average": "–" if period.average is None else f"{period.average:.2f}",
        "of those asked answered": _percent(period.response_rate),
        "wait for a decision": f"{every.of('new'):,}",
    }
    cards = "".join(f'<p class="card"><b>{value}</b> {name}</p>' for name, value in numbers.items())
    return _page(
        "Figures",
        f'<nav aria-label="Period"><ul>{periods}</ul></nav><div class="numbers">{cards}</div>'
        f'<div class="charts">{_distribution(period)}{_trend(overview)}{_stars(overview)}'
        f"{_responses(overview)}{_sentiment(period)}</div>"
        f'<p class="keys">Since the beginning: {every.reviews:,} reviews, '
        f"{'–' if every.average is None else f'{every.average:.2f}'} stars on average. "
        f"Days are those of {escape(zone.key)}. A request counts on the day it went out, "
        "whenever it is answered. A second or two may pass until a review is counted.</p>",
        root="",
        current="figures",
    )


def message_page(title: str, sentence: str, *, root: str) -> str:
    """Render a page that says one thing."""
    return _page(title, f'<p class="alarm" role="alert">{escape(sentence)}</p>', root=root, current="")


def _article(review: Review, *, zone: ZoneInfo, root: str, is_alone: bool = False) -> str:
    rating = review.opinion.rating
    identifier = quote(review.review_id, safe="")
    text = (
        f'<p class="text{" whole" if is_alone else ""}" dir="auto">{escape(review.opinion.text)}</p>'
        if review.opinion.text
        else '<p class="text none">No words, stars alone.</p>'
    )
    edited = f" · edited {_moment(review.updated_at, zone)}" if review.updated_at else ""
    sentiment = (
        f'<span class="chip {escape(review.sentiment)}">{escape(review.sentiment)}</span>'
        if review.sentiment in SENTIMENTS
        else ""
    )
    more = "" if is_alone else f'<a class="id" href="{root}reviews/{identifier}">History</a>'
    return (
        f'<article tabindex="-1" id="review-{escape(review.review_id)}"><header>'
        f'<span class="stars" role="img" aria-label="{rating} of 5 stars">'
        f"{'★' * rating}{'☆' * (5 - rating)}</span>"
        f'<span class="name"><bdi>{escape(review.author_name or "A customer")}</bdi></span>'
        f'<span class="when">{_moment(review.created_at, zone)}{edited}</span>{sentiment}'
        f'<span class="chip {review.status.value}">{_NAMES[review.status.value].lower()}</span>'
        f"{more}</header>"
        f"{text}{_actions(review, identifier, root, is_alone=is_alone)}</article>"
    )


def _actions(review: Review, identifier: str, root: str, *, is_alone: bool) -> str:
    shown = (
        f'<input type="hidden" name="version" value="{review.version}">'
        f'<input type="hidden" name="status" value="{review.status.value}">'
        f'<input type="hidden" name="then" value="{"review" if is_alone else "list"}">'
    )
    path = f"{root}reviews/{identifier}"
    whose = f'<span class="skip"> the review with {review.opinion.rating} stars</span>'
    approve = (
        f'<form method="post" action="{path}/approve">{shown}'
        f'<button class="approve">Approve{whose}</button></form>'
    )
    reject = (
        f"<details><summary>Reject{whose} …</summary>"
        f'<form method="post" action="{path}/reject">{shown}'
        "<label><span>Reason, for your colleagues</span>"
        f'<input type="text" name="reason" list="reasons" required maxlength="{MAX_REASON_LENGTH}"'
        ' autocomplete="off"></label><button class="reject">Reject</button></form></details>'
    )
    return (
        '<div class="actions">'
        + ("" if review.status is ReviewStatus.APPROVED else approve)
        + ("" if review.status is ReviewStatus.REJECTED else reject)
        + "</div>"
    )


def _history(review: Review, zone: ZoneInfo) -> str:
    events = [(review.created_at, f"Submitted, {_moment(review.created_at, zone)}")]
    if review.updated_at is not None:
        events.append(
            (
                review.updated_at,
                f"Edited by the customer, {_moment(review.updated_at, zone)}: version {review.version}, "
                "waiting again",
            )
        )
    for decision in review.decisions:
        reason = f": <bdi>{escape(decision.reason)}</bdi>" if decision.reason else ""
        events.append(
            (
                decision.decided_at,
                f"{_NAMES[decision.status.value]} (version {decision.version}) by "
                f"{escape(decision.decided_by)}, {_moment(decision.decided_at, zone)}{reason}",
            )
        )
    events.sort(key=lambda event: event[0])
    return "".join(f"<li>{sentence}</li>" for _, sentence in events)


def _distribution(period: Figures) -> str:
    total = period.reviews
    entries = [
        Bar(
            f"{rating} {'star' if rating == 1 else 'stars'}",
            times,
            f"{times:,}" + (f" ({times / total:.0%})" if total else ""),
        )
        for rating, times in reversed(list(enumerate(period.ratings, start=1)))
    ]
    summary = (
        "No reviews in these days."
        if period.average is None
        else f"{total:,} reviews, {period.average:.2f} stars on average."
    )
    return bars("Ratings", summary, entries)


def _trend(overview: Overview) -> str:
    entries = [Bar(_span(step), step.reviews, f"{step.reviews:,}") for step in overview.steps]
    best = max(overview.steps, key=lambda step: step.reviews)
    summary = f"At the most {best.reviews:,}, {_span(best)}." if best.reviews else "No reviews in these days."
    return columns("Reviews over time", summary, entries)


def _stars(overview: Overview) -> str:
    entries = [
        Bar(_span(step), step.average, "–" if step.average is None else f"{step.average:.2f}")
        for step in overview.steps
    ]
    known = [step.average for step in overview.steps if step.average is not None]
    summary = (
        f"Between {min(known):.2f} and {max(known):.2f} stars." if known else "No reviews in these days."
    )
    return line("Stars over time", summary, entries, most=5, most_shown="5 stars")


def _responses(overview: Overview) -> str:
    entries = [
        Bar(
            _span(step),
            step.response_rate,
            f"{_percent(step.response_rate)} ({step.of('answered'):,} of {step.of('asked'):,})",
        )
        for step in overview.steps
    ]
    period = overview.period
    summary = (
        f"{period.of('answered'):,} of {period.of('asked'):,} requests were answered: "
        f"{_percent(period.response_rate)}."
        if period.response_rate is not None
        else "Nobody was asked in these days."
    )
    return line("Response rate", summary, entries, most=1, most_shown="100%")


def _sentiment(period: Figures) -> str:
    total = sum(period.of(name) for name in SENTIMENTS)
    entries = [
        Bar(
            name.capitalize(),
            period.of(name),
            f"{period.of(name):,}" + (f" ({period.of(name) / total:.0%})" if total else ""),
            f"bar-{name}",
        )
        for name in SENTIMENTS
    ]
    summary = "What the words say, whatever the stars." if total else "No reviews in these days."
    return bars("Sentiment", summary, entries)


def _page(title: str, content: str, *, root: str, current: str) -> str:
    tabs = {
        "new": ("reviews?status=new", "Waiting"),
        "approved": ("reviews?status=approved", "Approved"),
        "rejected": ("reviews?status=rejected", "Rejected"),
        "recent": ("reviews?status=all&hours=24", "Last 24 hours"),
        "figures": ("figures", "Figures"),
    }
    links = "".join(
        f'<li><a href="{root}{escape(path)}"{_current_mark(key, current)}>{name}</a></li>'
        for key, (path, name) in tabs.items()
    )
    reasons = "".join(f'<option value="{escape(reason)}"></option>' for reason in _REASONS)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="robots" content="noindex,nofollow"><meta name="format-detection" content="telephone=no">'
        f"<title>{escape(title)} · Reviews</title><style>{_STYLE}</style></head><body>"
        '<a class="skip" href="#content">To the content</a>'
        f'<header><h1>{escape(title)}</h1><nav aria-label="Lists"><ul>{links}</ul></nav></header>'
        f'<main id="content">{content}</main><datalist id="reasons">{reasons}</datalist>'
        f"<script>{_SCRIPT}</script></body></html>\n"
    )


def _search(query: ReviewQuery) -> str:
    return (
        '<form class="search" method="get" action="reviews" role="search">'
        "<label><span>Reviews of a customer, by id</span>"
        '<input type="search" name="userId" required maxlength="256"'
        f' value="{escape(query.user_id or "")}"></label>'
        "<button>Show</button></form>"
    )


def _paging(asked: Asked, page: Page) -> str:
    links = []
    if asked.cursor is not None:
        links.append(f'<a class="button" href="reviews?{_parameters(asked)}">Newest</a>')
    if page.cursor is not None:
        after = _parameters(asked, {"cursor": page.cursor})
        links.append(f'<a class="button" rel="next" href="reviews?{after}">Older</a>')
    return f'<p class="actions">{" ".join(links)}</p>' if links else ""


def _parameters(asked: Asked, more: Mapping[str, str] | None = None) -> str:
    query = asked.query
    said: dict[str, str] = {"limit": str(asked.limit)}
    if query.user_id is not None:
        said["userId"] = query.user_id
    else:
        said["status"] = query.status.value if query.status else "all"
    if query.hours is not None:
        said["hours"] = str(query.hours)
    return escape(urlencode(said | dict(more or {})))


def _keys(page: Page) -> str:
    if not page.reviews:
        return ""
    return (
        '<p class="keys">Keys: <kbd>j</kbd> next, <kbd>k</kbd> previous, <kbd>a</kbd> approve, '
        "<kbd>r</kbd> reject.</p>"
    )


def _title(query: ReviewQuery) -> str:
    if query.user_id is not None:
        return "Reviews of one customer"
    said = f"{_NAMES[query.status.value]} reviews" if query.status else "All reviews"
    return said if query.hours is None else f"{said}, last {query.hours} hours"


def _nothing(query: ReviewQuery) -> str:
    if query == ReviewQuery(status=ReviewStatus.NEW):
        return "Nothing waits for a decision."
    return "There are no such reviews."


def _current(query: ReviewQuery) -> str:
    if query.user_id is not None:
        return ""
    if query.status is None:
        return "recent" if query.hours == 24 else ""
    return query.status.value


def _current_mark(one: object, current: object) -> str:
    return ' aria-current="page"' if one == current else ""


def _moment(instant: datetime, zone: ZoneInfo) -> str:
    local = instant.astimezone(zone)
    return f'<time datetime="{local.isoformat(timespec="seconds")}">{local:%Y-%m-%d %H:%M}</time>'


def _span(step: Figures) -> str:
    if step.first == step.last:
        return step.first.isoformat()
    return f"{step.first.isoformat()} to {step.last:%m-%d}"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.0%}"
