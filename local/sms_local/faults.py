"""Switches what goes wrong in an embedded cloud, from outside."""

from collections.abc import Mapping
from typing import Any, Final

import httpx

from sms_local.failures import LocalCloudError

FAULTS: Final[Mapping[str, tuple[type[int] | type[float], str]]] = {
    "duplicate": (float, "share of events, texts of phones and deliveries to functions that come twice"),
    "reorder": (
        float,
        "share of events and texts of phones that are overtaken, and of batches shuffled or split",
    ),
    "delay": (float, "seconds up to which events and texts of phones are late"),
    "throttle": (float, "share of the carrier's answers that are ThrottlingException"),
    "service_throttle": (
        float,
        "share of the functions' calls of DynamoDB and Step Functions that are throttled",
    ),
    "accept_crash": (float, "share of accepted texts that are never answered"),
    "after_accept_crash": (int, "so many accepted texts from now on are never answered"),
    "function_crash": (float, "share of invocations whose process ends in the middle"),
    "seed": (int, "of all draws: the same one repeats them"),
}
"""The switches by their names in the carrier's control API, with type and meaning. Shares are 0 to 1."""


def switch_faults(
    carrier_endpoint: str, fields: Mapping[str, float], *, is_cleared: bool = False
) -> dict[str, Any]:
    """Set those that are named, the others to 0 where they are to be cleared; return how all are.

    Raises
    ------
    LocalCloudError
        The carrier does not answer, or refuses a value; the message says which.
    """
    wanted = {**(dict.fromkeys(FAULTS, 0) if is_cleared else {}), **fields}
    url = f"{carrier_endpoint}/control/fault"
    try:
        with httpx.Client(timeout=20, trust_env=False) as client:
            answer = client.post(url, json=wanted) if wanted else client.get(url)
            if answer.is_success:
                answer = client.get(url)
    except httpx.HTTPError as error:
        msg = f"the carrier simulator does not answer ({type(error).__name__})"
        raise LocalCloudError(msg) from error
    found: dict[str, Any] = answer.json()
    if not answer.is_success:
        raise LocalCloudError(found.get("error", f"the carrier simulator answered {answer.status_code}"))
    return found
