"""Puts load on a deployed stage: ``python -m examples.load.run bookings …`` or ``… form …``.

Bookings are webhooks signed as Calendly signs them; each one that is taken leads to a confirmation text. All
of them name a phone number that AWS simulates and nobody owns, so that no person is texted. The form is asked
for with links that are signed and lead to no request: rendering and refusal, without a text.

Nothing is sent before the cost of the texts is below ``--max-usd`` and somebody has said yes; a stage named
``prod`` is refused.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import hmac
import json
import secrets
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from sms_engagement_runtime.review_collector.domain.link_keys import parse_keys

SIMULATORS: Final = {"success": "+14254147755", "failure": "+14254147167"}
"""Destinations in the US that AWS simulates (End User Messaging SMS user guide, *Test phone numbers*): events
are real, no handset gets anything. Texts to them are billed as others are."""

PRICE_PER_PART: Final = 0.00881
"""A part and its carrier fee, in dollars; ``sms-engagement cost`` has where that is from."""

TEXTS_PER_BOOKING: Final = 4
"""Confirmation, follow-up, reminder, and the review request: the most."""

MOST: Final = 10_000
_PAYLOAD: Final = Path(__file__).resolve().parents[2] / "tests" / "events" / "calendly-invitee.created.json"
_TIMEOUT_SECONDS: Final = 15.0
"""Calendly's own (*Webhook errors*)."""

_WORKERS: Final = 50

type Call = Callable[[], tuple[int, float]]


class LoadError(Exception):
    """Something that must not be done; the message says what to do instead."""


def booking(phone: str, number: int, *, starts_at: datetime) -> dict[str, Any]:
    """Make the payload of one booking, unlike any other."""
    body: dict[str, Any] = copy.deepcopy(json.loads(_PAYLOAD.read_text(encoding="utf-8")))
    code = f"LOAD{secrets.token_hex(6).upper()}{number:05}"
    event, invitee = (
        f"https://api.calendly.com/scheduled_events/{code}{tail}" for tail in ("", "/invitees/1")
    )
    now = datetime.now(UTC)
    body["created_at"] = _instant(now)
    payload = body["payload"]
    payload.update(
        uri=invitee,
        event=event,
        name="Load Test",
        email="load@example.com",
        text_reminder_number=phone,
        created_at=_instant(now),
        updated_at=_instant(now),
    )
    payload["scheduled_event"].update(
        uri=event, start_time=_instant(starts_at), end_time=_instant(starts_at + timedelta(minutes=30))
    )
    return body


def signature(key: bytes, body: bytes, *, at: int) -> str:
    """Sign as Calendly does (*Webhook signatures*): HMAC-SHA256 over time, dot, body."""
    digest = hmac.new(key, f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


def guard(stage: str, texts: int, *, max_usd: float) -> float:
    """Return what texts cost.

    Raises
    ------
    LoadError
        The stage is one that people depend on, or the texts cost more than was allowed.
    """
    if "prod" in stage.lower():
        raise LoadError(f"{stage} is for people; put load on dev or staging")
    cost = texts * PRICE_PER_PART
    if cost > max_usd:
        raise LoadError(
            f"{texts} texts cost up to ${cost:.2f}, which is more than --max-usd {max_usd:.2f}; "
            f"send fewer, or allow more"
        )
    return cost


def drive(calls: Sequence[Call], *, rate: float) -> dict[str, Any]:
    """Make calls at a rate, and report statuses and times."""
    started = time.monotonic()

    def at_its_time(number: int) -> tuple[int, float]:
        delay = started + number / rate - time.monotonic()
        if delay > 0:
            time.sleep(delay)
        return calls[number]()

    with ThreadPoolExecutor(_WORKERS) as pool:
        answers = list(pool.map(at_its_time, range(len(calls))))
    seconds = sorted(each for _, each in answers)
    return {
        "calls": len(answers),
        "statuses": dict(sorted(Counter(str(status) for status, _ in answers).items())),
        "seconds": {
            f"p{percent}": round(seconds[min(len(seconds) - 1, len(seconds) * percent // 100)], 3)
            for percent in (50, 95, 99)
        },
        "perSecond": round(len(answers) / max(time.monotonic() - started, 0.001), 1),
    }


def request(url: str, *, body: bytes | None = None, headers: Mapping[str, str]) -> tuple[int, float]:
    """Make one request; a status of 0 is no answer at all."""
    began = time.monotonic()
    asked = urllib.request.Request(url, data=body, headers=dict(headers))  # noqa: S310 - checked in `main`
    try:
        with urllib.request.urlopen(asked, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310 - as above
            answer.read()
            status = answer.status
    except urllib.error.HTTPError as error:
        status = error.code
    except OSError:
        status = 0
    return status, time.monotonic() - began


def bookings(url: str, key: bytes, count: int, *, phone: str, starts_at: datetime) -> list[Call]:
    """Return calls that book."""

    def call(number: int) -> tuple[int, float]:
        body = json.dumps(booking(phone, number, starts_at=starts_at)).encode()
        signed = signature(key, body, at=int(time.time()))
        headers = {"content-type": "application/json", "calendly-webhook-signature": signed}
        return request(url, body=body, headers=headers)

    return [lambda number=number: call(number) for number in range(count)]  # type: ignore[misc]


def forms(url: str, link_keys: str, count: int) -> list[Call]:
    """Return calls that ask for the form and post to it, in turn."""
    keys = parse_keys(link_keys)
    expires_at = datetime.now(UTC) + timedelta(days=6)
    headers = {"accept": "text/html", "content-type": "application/x-www-form-urlencoded"}

    def call(number: int) -> tuple[int, float]:
        token = keys.mint(secrets.token_bytes(12), expires_at=expires_at)
        if number % 2 == 0:
            return request(f"{url}/r/{token}", headers=headers)
        body = urlencode({"token": token, "rating": "5", "reviewText": "load"}).encode()
        return request(f"{url}/submit-review", body=body, headers=headers)

    return [lambda number=number: call(number) for number in range(count)]  # type: ignore[misc]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it."""
    options = _parser().parse_args(arguments)
    try:
        local = options.url.startswith("http://127.0.0.1:")
        if not (local or options.url.startswith("https://")):
            raise LoadError(f"--url must begin with https://, got {options.url!r}")
        texts = TEXTS_PER_BOOKING * options.count if options.what == "bookings" else 0
        cost = guard(options.stage, texts, max_usd=options.max_usd)
        print(
            f"{options.count} calls to {options.stage}, {texts} texts at most, ${cost:.2f}", file=sys.stderr
        )
        if not options.yes and input("Type yes to go on: ").strip() != "yes":
            raise LoadError("nothing was sent")
        secret = Path(options.key_file).read_text(encoding="utf-8").strip()
        if options.what == "bookings":
            starts_at = options.starts_at or datetime.now(UTC) + timedelta(days=3)
            phone = SIMULATORS[options.phone]
            calls = bookings(options.url, secret.encode(), options.count, phone=phone, starts_at=starts_at)
        else:
            calls = forms(options.url.rstrip("/"), secret, options.count)
    except (LoadError, OSError, ValueError) as error:
        print(f"load: {error}", file=sys.stderr)
        return 1
    report = drive(calls, rate=options.rate)
    print(json.dumps(report, indent=2))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m examples.load.run", description="Put load on a stage.")
    parser.add_argument("what", choices=["bookings", "form"])
    parser.add_argument("--stage", required=True, help="its name, as dev; prod is refused")
    parser.add_argument("--url", required=True, help="output CalendlyWebhookUrl, or ApiUrl for the form")
    parser.add_argument("--key-file", required=True, help="signing key, or the value of the link secret")
    parser.add_argument("--count", type=_count, default=10, help=f"calls, at most {MOST} (10)")
    parser.add_argument("--rate", type=float, default=5.0, help="calls a second (5)")
    parser.add_argument("--phone", choices=sorted(SIMULATORS), default="success", help="what AWS simulates")
    parser.add_argument("--starts-at", type=_moment, help="of the appointments (in three days)")
    parser.add_argument("--max-usd", type=float, default=1.0, help="what the texts may cost (1)")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 to {MOST}, got {text!r}")
    return int(text)


def _moment(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time; write it like 2026-11-21T17:00:00Z") from None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _instant(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


if __name__ == "__main__":
    raise SystemExit(main())
