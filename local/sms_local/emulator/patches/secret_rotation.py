"""Secrets rotate: ``RotateSecret`` runs the function; stacks may have schedules and resource policies.

Reason
    The key of the review links rotates by a function of ours; the stack that says so must deploy, and "rotate
    now" must run that function, not replace it by a label moved from one version to the next.
AWS
    ``RotateSecret`` makes an empty version labelled ``AWSPENDING`` and, after it answered, invokes the
    function with ``{"Step", "SecretId", "ClientRequestToken"}`` for ``createSecret``, ``setSecret``,
    ``testSecret`` and ``finishSecret``. A schedule rotates when it is made or changed, unless
    ``RotateImmediatelyOnUpdate`` is false. The CDK adds a resource policy to each secret with a schedule,
    against its deletion by the root user.
    https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html
    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-secretsmanager-rotationschedule.html
MiniStack 1.5.33
    ``RotateSecret`` copies the current value to a new current version and invokes nothing;
    ``AWS::SecretsManager::RotationSchedule`` and ``::ResourcePolicy`` are unknown.
Hook
    ``RotateSecret`` is replaced for secrets with a function; the two types are registered. The schedule is
    kept and described, but nothing rotates by time.
"""

import contextvars
import json
import logging
import threading
import time
from typing import Any

from sms_local.emulator.patches._cloudformation import Properties, is_true
from sms_local.emulator.patches._pinned import PatchSettings, require

STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")
NOT_FOUND = "ResourceNotFoundException"

logger = logging.getLogger(__name__)


def apply(_: PatchSettings) -> None:
    """Replace the operation and register the types."""
    from ministack.services import lambda_svc, secretsmanager
    from ministack.services.cloudformation import provisioners

    for name in ("_rotate_secret", "_get_secret_value", "_put_resource_policy", "_delete_resource_policy"):
        require(holds=hasattr(secretsmanager, name), what=f"secretsmanager.{name}")
    for name in (
        "_get_func_record_for_ref",
        "_execution_record_for_config",
        "_execute_function_with_config_scope",
    ):
        require(holds=hasattr(lambda_svc, name), what=f"lambda_svc.{name}")
    _replace_rotate_secret(secretsmanager)
    _hide_empty_versions(secretsmanager)
    provisioners._RESOURCE_HANDLERS["AWS::SecretsManager::RotationSchedule"] = {
        "create": _create_schedule,
        "update": _update_schedule,
        "delete": _delete_schedule,
    }
    provisioners._RESOURCE_HANDLERS["AWS::SecretsManager::ResourcePolicy"] = {
        "create": _create_policy,
        "update": lambda _physical_id, _old, new, stack: _create_policy("", new, stack),
        "delete": _delete_policy,
    }


def _replace_rotate_secret(secretsmanager: Any) -> None:
    original = secretsmanager._rotate_secret

    def rotate_secret(request: dict[str, Any]) -> Any:
        _, secret = secretsmanager._resolve(request.get("SecretId"))
        function = request.get("RotationLambdaARN") or (secret or {}).get("RotationLambdaARN")
        if not secret or secret.get("DeletedDate") or not function:
            return original(request)
        secret["RotationLambdaARN"] = function
        secret["RotationEnabled"] = True
        if rules := request.get("RotationRules") or secret.get("RotationRules"):
            secret["RotationRules"] = rules
        answer = {"ARN": secret["ARN"], "Name": secret["Name"]}
        if request.get("RotateImmediately", True):
            answer["VersionId"] = _begin_rotation(secretsmanager, secret, request.get("ClientRequestToken"))
        from ministack.core.responses import json_response

        return json_response(answer)

    secretsmanager._rotate_secret = rotate_secret


def _begin_rotation(secretsmanager: Any, secret: dict[str, Any], token: str | None) -> str:
    """Label an empty version as pending and run the function's steps beside. Return the version's id."""
    pending, version = secretsmanager._find_stage_version(secret, "AWSPENDING")
    if version is not None and "AWSCURRENT" not in version["Stages"]:
        # A rotation that did not come to its end is taken up again.
        token = pending
    else:
        from ministack.core.responses import new_uuid

        token = token or new_uuid()
        secret["Versions"][token] = {
            "SecretString": None,
            "SecretBinary": None,
            "CreatedDate": int(time.time()),
            "Stages": ["AWSPENDING"],
        }
    threading.Thread(
        target=contextvars.copy_context().run, args=(_run_steps, secret, token), name="rotation", daemon=True
    ).start()
    return str(token)


def _run_steps(secret: dict[str, Any], token: str) -> None:
    from ministack.services import lambda_svc

    for step in STEPS:
        event = {"Step": step, "SecretId": secret["ARN"], "ClientRequestToken": token}
        function, config, name = lambda_svc._get_func_record_for_ref(secret["RotationLambdaARN"])
        if not function or not config:
            logger.warning("Rotation of %s: there is no function %s", secret["Name"], name)
            return
        record = lambda_svc._execution_record_for_config(function, config)
        result = lambda_svc._execute_function_with_config_scope(record, event)
        if result.get("error"):
            # The function's own log group has the error; its text may hold what must not be logged here.
            logger.warning("Rotation of %s: %s failed in %s", secret["Name"], name, step)
            return
    secret["LastRotatedDate"] = int(time.time())


def _hide_empty_versions(secretsmanager: Any) -> None:
    """Answer "not found" for a version without a value, which tells a rotation function to make one."""
    original = secretsmanager._get_secret_value

    def get_secret_value(request: dict[str, Any]) -> Any:
        answer = original(request)
        if answer[0] == 200 and not {"SecretString", "SecretBinary"} & json.loads(answer[2]).keys():
            from ministack.core.responses import error_response_json

            stage = request.get("VersionStage", "AWSCURRENT")
            text = f"Secrets Manager can't find the specified secret value for staging label: {stage}"
            return error_response_json(NOT_FOUND, text, 400)
        return answer

    secretsmanager._get_secret_value = get_secret_value


def _create_schedule(_logical_id: str, properties: Properties, _stack: str) -> tuple[str, dict[str, str]]:
    from ministack.services import secretsmanager

    rules = dict(properties.get("RotationRules") or {})
    if "AutomaticallyAfterDays" in rules:
        rules["AutomaticallyAfterDays"] = int(rules["AutomaticallyAfterDays"])
    answer = _call(
        secretsmanager._rotate_secret,
        {
            "SecretId": properties["SecretId"],
            "RotationLambdaARN": properties.get("RotationLambdaARN"),
            "RotationRules": rules,
            "RotateImmediately": is_true(properties.get("RotateImmediatelyOnUpdate", True)),
        },
    )
    return answer["ARN"], {"Id": answer["ARN"]}


def _update_schedule(
    _physical_id: str, _old: Properties, new: Properties, stack: str
) -> tuple[str, dict[str, str]]:
    return _create_schedule("", new, stack)


def _delete_schedule(physical_id: str, _properties: Properties) -> None:
    from ministack.services import secretsmanager

    _, secret = secretsmanager._resolve(physical_id)
    if secret:
        secret["RotationEnabled"] = False


def _create_policy(_logical_id: str, properties: Properties, _stack: str) -> tuple[str, dict[str, str]]:
    from ministack.services import secretsmanager

    policy = properties["ResourcePolicy"]
    text = policy if isinstance(policy, str) else json.dumps(policy)
    answer = _call(
        secretsmanager._put_resource_policy, {"SecretId": properties["SecretId"], "ResourcePolicy": text}
    )
    return answer["ARN"], {"Id": answer["ARN"]}


def _delete_policy(physical_id: str, _properties: Properties) -> None:
    from ministack.services import secretsmanager

    secretsmanager._delete_resource_policy({"SecretId": physical_id})


def _call(operation: Any, request: dict[str, Any]) -> dict[str, Any]:
    status, _, body = operation({key: value for key, value in request.items() if value is not None})
    if status != 200:
        message = f"Secrets Manager refused a property of {request['SecretId']}: {body!r}"
        raise ValueError(message)
    answer: dict[str, Any] = json.loads(body)
    return answer
