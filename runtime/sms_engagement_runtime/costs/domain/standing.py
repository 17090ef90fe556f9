"""What a stack costs by being there: counted in its template."""

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

_BY_TYPE: Final = {
    "AWS::KMS::Key": "KMS keys",
    "AWS::SecretsManager::Secret": "secrets",
    "AWS::CloudWatch::Dashboard": "dashboards",
}

SYSTEMS: Final = ("Channel", "Reviews", "Appointments", "Analytics", "Journeys")
"""Stacks of an environment, or how their names begin."""

OTHERS: Final = "Others"

_ON_DEMAND: Final = "ON_DEMAND"


def standing_by_system(templates: Mapping[str, Mapping[str, Any]]) -> dict[str, Counter[str]]:
    """Count what stands in an environment, by system.

    Parameters
    ----------
    templates
        By name of the stack, without the environment's: ``Channel``, ``ReviewsF0D4A959``. What lies in
        a stack of no system, as the data of all of them, goes by the beginning of its logical id.
    """
    counted: dict[str, Counter[str]] = {}
    for name, template in templates.items():
        resources = template.get("Resources", {})
        of_system: dict[str, dict[str, Any]] = {}
        for logical_id, resource in resources.items():
            system = _system(name) or _system(logical_id) or OTHERS
            of_system.setdefault(system, {})[logical_id] = resource
        for system, some in of_system.items():
            counted.setdefault(system, Counter()).update(standing_of({"Resources": some}))
    order = (*SYSTEMS, OTHERS)
    return {system: counted[system] for system in order if counted.get(system)}


def _system(name: str) -> str | None:
    return next((system for system in SYSTEMS if name.startswith(system)), None)


def standing_of(template: Mapping[str, Any]) -> Counter[str]:
    """Count what is paid for by the month, however much is sent.

    Parameters
    ----------
    template
        Of one stack, as ``cdk synth`` writes it.

    Returns
    -------
    Counter
        By unit: keys, secrets, dashboards, metrics that alarms watch, our own among them, queues that Lambda
        polls, streams and shards.
    """
    counted: Counter[str] = Counter()
    custom: set[str] = set()
    for resource in template.get("Resources", {}).values():
        properties = resource.get("Properties", {})
        kind = resource["Type"]
        if kind in _BY_TYPE:
            counted[_BY_TYPE[kind]] += 1
        elif kind == "AWS::CloudWatch::Alarm":
            counted["alarm metrics"] += _metrics(properties)
            custom |= _custom_metrics(properties)
        elif kind == "AWS::Lambda::EventSourceMapping" and _reads_a_queue(properties):
            counted["polled queues"] += 1
        elif kind == "AWS::Kinesis::Stream":
            mode = properties.get("StreamModeDetails", {}).get("StreamMode")
            if mode == _ON_DEMAND:
                counted["streams on demand"] += 1
            else:
                counted["shards"] += properties.get("ShardCount", 1)
    if custom:
        counted["custom metrics"] = len(custom)
    return counted


def _custom_metrics(alarm: Mapping[str, Any]) -> set[str]:
    """Name what an alarm looks at that is no service's own: billed for the hours in which it gets values."""
    looked_at = [each["MetricStat"]["Metric"] for each in alarm.get("Metrics", ()) if "MetricStat" in each]
    found = looked_at or [alarm]
    parts = ("Namespace", "MetricName", "Dimensions")
    return {
        json.dumps([metric.get(part) for part in parts], sort_keys=True)
        for metric in found
        if not str(metric.get("Namespace", "AWS/")).startswith("AWS/")
    }


def _metrics(alarm: Mapping[str, Any]) -> int:
    """CloudWatch bills an alarm by the metrics that it looks at; expressions over them are free."""
    return sum("MetricStat" in metric for metric in alarm.get("Metrics", ())) or 1


def _reads_a_queue(mapping: Mapping[str, Any]) -> bool:
    source = mapping.get("EventSourceArn", "")
    if isinstance(source, Mapping):
        # A queue by reference; streams are mapped with a place to begin at.
        return "StartingPosition" not in mapping
    return ":sqs:" in source
