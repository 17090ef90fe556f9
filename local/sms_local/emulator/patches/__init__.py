"""What MiniStack lacks and this product needs, one module a gap, applied in order before the server starts.

Each module says why the gap matters here, what AWS does, what the pinned MiniStack does and how the patch
hooks in. Names given to ``--without`` are the modules' names.
"""

import importlib

from sms_local.emulator.patches._pinned import PatchSettings

PATCHES = (
    "secure_loopback",
    "sms_voice_service",
    "sms_voice_resources",
    "lambda_errors",
    "lambda_log_wait",
    "function_files",
    "forked_workers",
    "dynamodb_properties",
    "time_to_live_stream",
    "stream_batch_failures",
    "queue_batching_window",
    "long_queues",
    "bucket_lifecycle",
    "kinesis_properties",
    "rights_by_id",
    "rights_record",
    "kinesis_shards",
    "event_source_properties",
    "kinesis_event_sources",
    "reserved_concurrency",
    "metric_math_alarms",
    "metric_math_queries",
    "embedded_metrics",
    "athena_queries",
    "athena_named_queries",
    "log_query_definitions",
    "budgets",
    "map_children_stop",
    "map_result_writer",
    "secret_reference",
    "secret_rotation",
    "custom_resource_errors",
    "sns_timestamps",
    "bus_invocations",
    "schedule_properties",
    "virtual_time",
    "map_settings_paths",
    "execution_waits",
    "execution_time_outs",
    "nested_executions",
    "schedules",
    "scheduled_rules",
    "time_to_live_sweep",
    "faults",
    "invocation_slots",
)
"""Names of the patches in the order in which they are applied.

Those about time come late, since they wrap what others rewrite; faults last, since they wrap those.
"""


def apply_patches(settings: PatchSettings, *, without: frozenset[str] = frozenset()) -> None:
    """Apply every patch but those in ``without``.

    Raises
    ------
    PatchMismatchError
        When MiniStack is not what a patch was written for.
    ValueError
        When ``without`` names no patch.
    """
    if unknown := without - set(PATCHES):
        message = f"there is no patch {', '.join(sorted(unknown))}; the patches are {', '.join(PATCHES)}"
        raise ValueError(message)
    for name in PATCHES:
        if name not in without:
            importlib.import_module(f"{__name__}.{name}").apply(settings)
