"""``sms-engagement cost``: what a month costs, before the first text."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from sms_engagement_runtime.commands.exits import ExitStatus, fail
from sms_engagement_runtime.costs.domain.bill import Profile, VolumeError, Volumes, reckon
from sms_engagement_runtime.costs.domain.prices import PriceError, PriceList
from sms_engagement_runtime.costs.domain.standing import standing_by_system
from sms_engagement_runtime.costs.domain.statement import as_data, as_text

_PROFILE: Final = "measured.json"

_EPILOG: Final = """\
Without volumes it prints what stands: what is paid for before the first text. Prices are those of us-east-1,
each with where it is from; docs/cost.md has what was measured, what was assumed, and what was published.
Nothing is read from an account, and no credentials are needed.
"""


def add_cost_command(commands: Any) -> None:
    """Add the command to its parser."""
    cost = commands.add_parser(
        "cost",
        help="reckon what a month costs, for given volumes",
        description="Reckon what a month costs, for given volumes.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    sent = cost.add_argument_group("what is sent")
    for option, name, what in (
        ("--reviews-per-day", "reviews_per_day", "review requests a day"),
        ("--reminded-share", "reminded_share", "of them, those who get the reminder (0.9)"),
        ("--review-share", "review_share", "of them, those who write a review (0.1)"),
        ("--appointments-per-month", "appointments_per_month", "bookings a month"),
        ("--confirmed-share", "confirmed_share", "of them, those who answer before the follow-up (0.3)"),
        ("--reminders-per-appointment", "reminders_per_appointment", "reminders of each (1)"),
        ("--feedback-share", "feedback_share", "of them, those after which a review is asked for (1)"),
        ("--promotions-per-month", "promotions_per_month", "texts of journeys and promotions a month"),
        ("--reply-share", "reply_share", "of reviews and promotions, those answered by text (0.03)"),
        ("--parts-per-text", "parts_per_text", "message parts of a promotion (1)"),
    ):
        sent.add_argument(option, dest=name, type=_number, metavar="N", help=what)
    sent.add_argument(
        "--countries",
        type=_countries,
        metavar="US=0.9,CA=0.1",
        help="shares of texts by country (US=1)",
    )
    where = cost.add_argument_group("where")
    where.add_argument(
        "--parts-per-second",
        type=_number,
        metavar="N",
        help="rate of the number (1)",
    )
    where.add_argument("--retention-months", type=_number, metavar="N", help="how long data is kept (12)")
    where.add_argument("--environments", type=_count, metavar="N", help="side by side (1)")
    where.add_argument("--numbers", type=_count, metavar="N", help="phone numbers (1)")
    where.add_argument("--campaigns", type=_count, metavar="N", help="10DLC campaigns (1)")
    where.add_argument(
        "--function-time",
        dest="function_time",
        type=_number,
        metavar="N",
        help="how long functions take, relative to what is assumed: 10 ms a call to DynamoDB, 50 ms a text, "
        "30 ms others, 50 ms of code, 1.5 s a cold start (1)",
    )
    where.add_argument(
        "--environment",
        metavar="NAME",
        help="count what stands in the templates of this environment, which `cdk synth` wrote",
    )
    where.add_argument(
        "--assembly", type=Path, default=Path("cdk.out"), metavar="FOLDER", help="of `cdk synth` (cdk.out)"
    )
    cost.add_argument("--prices", type=Path, metavar="FILE", help="JSON with prices of your own")
    cost.add_argument("--json", action="store_true", help="for programs")
    cost.set_defaults(run=_cost, is_offline=True)


def _cost(options: argparse.Namespace) -> ExitStatus:
    names = Volumes.__dataclass_fields__
    given = {name: value for name in names if (value := getattr(options, name, None)) is not None}
    try:
        volumes = Volumes(**given)
        profile = read_profile()
        if options.environment is not None:
            profile = Profile(
                profile.flows, _standing(options.assembly, options.environment), profile.send_part_gigabytes
            )
        prices = PriceList()
        if options.prices is not None:
            prices = prices.with_changes(_read(options.prices))
        bill = reckon(volumes, profile, prices)
    except (VolumeError, PriceError, OSError) as error:
        return fail(str(error))
    if options.json:
        print(json.dumps(as_data(bill, volumes, profile, prices), indent=2))
    else:
        print(as_text(bill, volumes, profile, prices))
    return ExitStatus.DONE


def read_profile() -> Profile:
    """Read what was measured, which ships with the package."""
    text = files("sms_engagement_runtime.costs").joinpath(_PROFILE).read_text(encoding="utf-8")
    return Profile.read(json.loads(text))


def _standing(assembly: Path, environment: str) -> Mapping[str, Mapping[str, float]]:
    folder = assembly / f"assembly-{environment}"
    templates = sorted(folder.glob("*.template.json"))
    if not templates:
        raise VolumeError(f"{folder} has no templates; run `cdk synth '{environment}/*'` first")
    return standing_by_system(
        {
            path.name.removesuffix(".template.json").removeprefix(environment): _read(path)
            for path in templates
        }
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise PriceError(f"{path} is no JSON: {error}") from error
    if not isinstance(content, dict):
        raise PriceError(f"{path} must hold a JSON object")
    return content


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number") from None
    return int(number) if number.is_integer() else number


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 on")
    return int(text)


def _countries(text: str) -> dict[str, float]:
    shares = {}
    for item in text.split(","):
        country, _, share = item.partition("=")
        try:
            shares[country.strip().upper()] = float(share)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{item!r} is no share; write it like US=0.9,CA=0.1") from None
    return shares
