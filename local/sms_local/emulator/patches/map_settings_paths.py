"""A Distributed Map takes its concurrency and failure thresholds from the input, by their ``Path`` fields.

Reason
    How many parts of a broadcast run side by side is decided when it is planned; without the field all of
    them run at once, which the account's concurrency and a small machine do not bear.
AWS
    ``MaxConcurrencyPath``, ``ToleratedFailureCountPath`` and ``ToleratedFailurePercentagePath``.
    https://docs.aws.amazon.com/step-functions/latest/dg/state-map-distributed.html
MiniStack 1.5.33
    Ignores the three, and ``MaxConcurrencyPath`` of an inline ``Map`` as well.
Hook
    Before a ``Map`` state runs, each path is replaced by what it leads to.
"""

from functools import wraps
from typing import Any, Final

from sms_local.emulator.patches._pinned import PatchSettings, require

SETTINGS: Final = ("MaxConcurrency", "ToleratedFailureCount", "ToleratedFailurePercentage")


def apply(_: PatchSettings) -> None:
    """Resolve the paths."""
    from ministack.services import stepfunctions

    for name in ("_run_map_items", "_apply_input_path", "_resolve_path_or_ctx"):
        require(holds=hasattr(stepfunctions, name), what=f"stepfunctions.{name}")
    run = stepfunctions._run_map_items

    @wraps(run)
    def run_map_items(state: dict[str, Any], state_input: Any, execution: Any, context: Any) -> Any:
        paths = {name: state[f"{name}Path"] for name in SETTINGS if f"{name}Path" in state}
        if paths:
            seen = stepfunctions._apply_input_path(state, state_input, context)
            found = {
                name: stepfunctions._resolve_path_or_ctx(path, seen, context) for name, path in paths.items()
            }
            for name, value in found.items():
                if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
                    text = f"{name}Path {paths[name]} leads to {value!r}, which is no number from 0 on"
                    raise stepfunctions._ExecutionError("States.Runtime", text)
            state = {**state, **found}
        return run(state, state_input, execution, context)

    stepfunctions._run_map_items = run_map_items
