"""First step of a journey's state machine: what it was started with, and when each of its moments is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from sms_engagement_runtime import settings
from sms_engagement_runtime.channel.adapters.clock import build_clock
from sms_engagement_runtime.channel.adapters.later import timestamp
from sms_engagement_runtime.journeys.domain.runs import start
from sms_engagement_runtime.observability import instrumented, logger


@dataclass(frozen=True, slots=True, kw_only=True)
class StartJourneySettings:
    """Environment of this function.

    Attributes
    ----------
    max_parts
        The most message parts of one text.
    """

    max_parts: int = 1


_settings = settings.load(StartJourneySettings)
_clock = build_clock()


@instrumented
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Check the input, and say which runs of the engine the journey consists of.

    Parameters
    ----------
    event
        ``{"runId", "journey": description, "input": {"segment"?, "subscriberIds"?, "values"?, "campaign"?,
        "occasion"?, "reason"?, "dryRun"?}}``.

    Returns
    -------
    dict
        ``{"dryRun", "journey", "steps": {"step1": {"name", "startsAt", "input"}, …}}``, by the number of the
        moment; a dry run has the first one only. The journey is there once, and not in the ``about`` of each
        input: together they could be more than a state holds.

    Raises
    ------
    JourneyInputError
        See ``start``; the execution fails with its sentence.
    """
    steps = start(event, now=_clock.now(), max_parts=_settings.max_parts)
    is_dry = bool(steps[0].engine_input["dryRun"])
    logger.info(
        "Journey started",
        run_id=event["runId"],
        journey=event["journey"]["name"],
        steps=[step.run_id for step in steps],
        dry_run=is_dry,
    )
    return {
        "dryRun": is_dry,
        "journey": event["journey"],
        "steps": {
            f"step{number}": {
                "name": step.run_id,
                "startsAt": timestamp(step.starts_at),
                "input": {**step.engine_input, "about": _without_journey(step.engine_input["about"])},
            }
            for number, step in enumerate(steps, start=1)
        },
    }


def _without_journey(about: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in about.items() if name != "journey"}
