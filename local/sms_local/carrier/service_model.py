"""The service's own model, as botocore ships it: operations, shapes and their constraints."""

from functools import cache
from typing import Final

from botocore.loaders import Loader
from botocore.model import ServiceModel, StringShape

SERVICE: Final = "pinpoint-sms-voice-v2"
TARGET_PREFIX: Final = "PinpointSMSVoiceV2"


@cache
def service_model() -> ServiceModel:
    """Return the model of ``pinpoint-sms-voice-v2``, loaded once."""
    return ServiceModel(Loader().load_service_model(SERVICE, "service-2"), SERVICE)


def reasons_of(exception: str) -> tuple[str, ...]:
    """Return the values of `exception`'s ``Reason``, none where the shape has no such member."""
    reason = service_model().shape_for(exception).members.get("Reason")  # type: ignore[attr-defined]
    return tuple(reason.enum) if isinstance(reason, StringShape) else ()


def errors_of(operation: str) -> frozenset[str]:
    """Return the names of the exceptions that `operation` may answer."""
    return frozenset(shape.name for shape in service_model().operation_model(operation).error_shapes)
