"""The exceptions of the service, as its JSON protocol writes them."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any


class ServiceError(Exception):
    """An answer of the service other than success.

    Parameters
    ----------
    code
        Name of the exception shape, e.g. ``ConflictException``.
    message
        Sentence for people. Holds no phone number and no message body.
    members
        The further members of the exception shape, e.g. ``{"Reason": "RESOURCE_NOT_EMPTY"}``.
    status
        HTTP status: 400 for everything but a failure of the service itself.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        members: Mapping[str, Any] | None = None,
        status: HTTPStatus = HTTPStatus.BAD_REQUEST,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.members = dict(members or {})
        self.status = status

    def body(self) -> dict[str, Any]:
        """Return the JSON body: ``{"__type", "Message", ...}``, members spelled as in the service model."""
        return {"__type": self.code, "Message": self.message, **self.members}


def validation_error(reason: str, message: str, *, fields: Sequence[tuple[str, str]] = ()) -> ServiceError:
    """Return a ``ValidationException``; `fields` are pairs of member path and what is wrong with it."""
    members: dict[str, Any] = {"Reason": reason}
    if fields:
        members["Fields"] = [{"Name": name, "Message": problem} for name, problem in fields]
    return ServiceError("ValidationException", message, members=members)


def conflict(
    reason: str, message: str, *, resource_type: str | None = None, resource_id: str | None = None
) -> ServiceError:
    """Return a ``ConflictException``."""
    members = {"Reason": reason, "ResourceType": resource_type, "ResourceId": resource_id}
    return ServiceError(
        "ConflictException",
        message,
        members={name: value for name, value in members.items() if value is not None},
    )


def not_found(resource_type: str, resource_id: str) -> ServiceError:
    """Return a ``ResourceNotFoundException``."""
    return ServiceError(
        "ResourceNotFoundException",
        f"The {resource_type} does not exist.",
        members={"ResourceType": resource_type, "ResourceId": resource_id},
    )


def quota_exceeded(reason: str, message: str) -> ServiceError:
    """Return a ``ServiceQuotaExceededException``."""
    return ServiceError("ServiceQuotaExceededException", message, members={"Reason": reason})


def throttled() -> ServiceError:
    """Return a ``ThrottlingException``."""
    return ServiceError("ThrottlingException", "Rate exceeded")


def scripted(code: str, reason: str | None) -> ServiceError:
    """Return the error that a script asked for by name, e.g. ``ConflictException`` and its reason."""
    if code == "InternalServerException":
        return ServiceError(
            code, reason or "The service failed.", status=HTTPStatus.INTERNAL_SERVER_ERROR, members={}
        )
    members = {"Reason": reason} if reason else {}
    return ServiceError(code, f"Scripted: {reason or code}", members=members)
