"""The lifecycle rules of a bucket that CloudFormation makes can be read.

Reason
    An archive that is to move to colder storage, and quarantined records that are to go, depend on rules
    that nobody would notice to be missing.
AWS
    ``LifecycleConfiguration`` of a bucket is what ``GetBucketLifecycleConfiguration`` answers.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-s3-bucket-lifecycleconfiguration.html
    https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLifecycleConfiguration.html
MiniStack 1.5.33
    Its S3 API keeps and answers rules; its CloudFormation drops the property.
Hook
    After a bucket is created or updated, the emulated API is called with what the template says. Rules are
    kept, and carried out by nobody.
"""

from collections.abc import Mapping
from typing import Any, Final
from xml.etree.ElementTree import Element, SubElement, tostring

from sms_local.emulator.patches._cloudformation import Properties, after_provisioning
from sms_local.emulator.patches._pinned import PatchSettings, require

FILTERS: Final = ("Prefix", "ObjectSizeGreaterThan", "ObjectSizeLessThan")


def apply(_: PatchSettings) -> None:
    """Keep the rules."""
    from ministack.services import s3

    for name in ("_put_bucket_lifecycle", "_delete_bucket_lifecycle"):
        require(holds=hasattr(s3, name), what=f"s3.{name}")
    after_provisioning("AWS::S3::Bucket", _set_rules)


def _set_rules(bucket: str, properties: Properties) -> None:
    from ministack.services import s3

    rules = (properties.get("LifecycleConfiguration") or {}).get("Rules") or []
    if not rules:
        s3._delete_bucket_lifecycle(bucket)
        return
    configuration = Element("LifecycleConfiguration")
    for number, rule in enumerate(rules):
        _add_rule(configuration, number, rule)
    status, _, body = s3._put_bucket_lifecycle(bucket, tostring(configuration))
    if status >= 300:
        message = f"S3 refused the lifecycle of bucket {bucket}: {body!r}"
        raise ValueError(message)


def _add_rule(parent: Element, number: int, rule: Mapping[str, Any]) -> None:
    """Add a rule of a template, whose members are named after their units, as the API has it."""
    element = SubElement(parent, "Rule")
    _add(element, "ID", rule.get("Id") or f"rule-{number + 1}")
    _add(element, "Status", rule["Status"])
    _add_filter(element, rule)
    expiration = {
        "Days": rule.get("ExpirationInDays"),
        "Date": rule.get("ExpirationDate"),
        "ExpiredObjectDeleteMarker": _truth(rule.get("ExpiredObjectDeleteMarker")),
    }
    _add_group(element, "Expiration", expiration)
    for transition in rule.get("Transitions") or [each for each in [rule.get("Transition")] if each]:
        given = {
            "Days": transition.get("TransitionInDays"),
            "Date": transition.get("TransitionDate"),
            "StorageClass": transition.get("StorageClass"),
        }
        _add_group(element, "Transition", given)
    former = rule.get("NoncurrentVersionExpiration") or {
        "NoncurrentDays": rule.get("NoncurrentVersionExpirationInDays")
    }
    _add_group(element, "NoncurrentVersionExpiration", former)
    for transition in rule.get("NoncurrentVersionTransitions") or []:
        given = {
            "NoncurrentDays": transition.get("TransitionInDays"),
            "StorageClass": transition.get("StorageClass"),
        }
        _add_group(element, "NoncurrentVersionTransition", given)
    _add_group(element, "AbortIncompleteMultipartUpload", rule.get("AbortIncompleteMultipartUpload") or {})


def _add_filter(element: Element, rule: Mapping[str, Any]) -> None:
    conditions = [(name, rule[name]) for name in FILTERS if rule.get(name) is not None]
    tags = rule.get("TagFilters") or []
    chosen = SubElement(element, "Filter")
    if len(conditions) + len(tags) > 1:
        chosen = SubElement(chosen, "And")
    for name, value in conditions:
        _add(chosen, name, value)
    for tag in tags:
        _add_group(chosen, "Tag", {"Key": tag["Key"], "Value": tag["Value"]})


def _add_group(parent: Element, name: str, members: Mapping[str, Any]) -> None:
    given = {member: value for member, value in members.items() if value is not None}
    if given:
        group = SubElement(parent, name)
        for member, value in given.items():
            _add(group, member, value)


def _add(parent: Element, name: str, value: object) -> None:
    SubElement(parent, name).text = str(value)


def _truth(value: object) -> str | None:
    return None if value is None else str(value).lower()
