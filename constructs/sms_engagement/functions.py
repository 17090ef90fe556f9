"""Lambda functions of the constructs: one role, one log group and one secure default for all of them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from aws_cdk import Duration, RemovalPolicy, Size, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from sms_engagement._acknowledge import acknowledge
from sms_engagement._runtime_code import PYTHON_RUNTIME, RUNTIME_PACKAGE, layer_code, runtime_code
from sms_engagement.metrics import service_name

# Lambda, *Environment variables*: letters, digits and underscores, a letter first; two prefixes are its own.
_VARIABLE: Final = re.compile(r"(?!AWS_|LAMBDA_)[A-Za-z][A-Za-z0-9_]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionOptions:
    """What all functions of a construct have in common.

    Attributes
    ----------
    architecture
        arm64 by default: a fifth cheaper a GB-second than x86_64, and not slower here.
    log_retention
        How long logs are kept. They hold no phone number, message body or live link.
    log_level
        Of the structured logger: ``DEBUG``, ``INFO``, ``WARNING`` or ``ERROR``.
    layers
        Instead of the dependency layer that ships with the wheel; must hold the same libraries.
    environment
        Further variables of every function, as ``{"CLOCK": "virtual"}`` in a test cloud whose clock jumps.
        One that the function's own settings have as well has no effect.
    removal_policy
        Of the log groups.
    saved_queries
        Whether queries over the logs are saved in CloudWatch Logs Insights. They cost nothing, and each is a
        resource of its stack, which may hold 500.

    Raises
    ------
    ValueError
        `log_level` is none of the four, or Lambda takes no variable of such a name.
    """

    architecture: lambda_.Architecture = lambda_.Architecture.ARM_64
    log_retention: logs.RetentionDays = logs.RetentionDays.THREE_MONTHS
    log_level: str = "INFO"
    layers: Sequence[lambda_.ILayerVersion] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    removal_policy: RemovalPolicy = RemovalPolicy.DESTROY
    saved_queries: bool = True

    def __post_init__(self) -> None:
        allowed = ("DEBUG", "INFO", "WARNING", "ERROR")
        if self.log_level not in allowed:
            msg = f"log_level must be one of {', '.join(allowed)}, got {self.log_level!r}"
            raise ValueError(msg)
        for name in self.environment:
            if not _VARIABLE.fullmatch(name):
                msg = (
                    f"environment must have names of letters, digits and underscores, without AWS_ or "
                    f"LAMBDA_ in front, got {name!r}"
                )
                raise ValueError(msg)


class RuntimeFunction(lambda_.Function):
    """A function of the runtime package, with a role, a log group and the dependency layer.

    Its role may write to its own log group and send traces; every other right is granted by the construct
    that makes it.

    Parameters
    ----------
    handler
        Module below the runtime package, as ``channel.handlers.router``; its function is named ``handler``.
    service
        Name in log lines and traces.
    description
        What it does, in one clause.
    options
        What it has in common with the other functions of its construct.
    environment
        Variables of the handler's settings.
    timeout, memory_size
        Half a GB is where a Python start no longer gets faster for the money.
    reserved_concurrency
        For what the public can call: a flood of it then starves nothing else of the account.
    ephemeral_storage
        Of ``/tmp``; half a GB when left out.

    Attributes
    ----------
    execution_role
        Its role.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        handler: str,
        service: str,
        description: str,
        options: FunctionOptions,
        environment: Mapping[str, str],
        timeout: Duration,
        memory_size: int = 512,
        reserved_concurrency: int | None = None,
        ephemeral_storage: Size | None = None,
    ) -> None:
        log_group = logs.LogGroup(
            scope, f"{id}Logs", retention=options.log_retention, removal_policy=options.removal_policy
        )
        role = iam.Role(
            scope,
            f"{id}Role",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            description=description,
        )
        log_group.grant_write(role)
        layers = options.layers if options.layers is not None else [_layer(scope, options.architecture)]
        super().__init__(
            scope,
            id,
            code=runtime_code(handler),
            handler=f"{RUNTIME_PACKAGE}.{handler}.handler",
            runtime=PYTHON_RUNTIME,
            architecture=options.architecture,
            description=description,
            environment={
                **options.environment,
                "POWERTOOLS_SERVICE_NAME": service_name(scope, service),
                "POWERTOOLS_LOG_LEVEL": options.log_level,
                **environment,
            },
            layers=layers,
            ephemeral_storage_size=ephemeral_storage,
            log_group=log_group,
            memory_size=memory_size,
            reserved_concurrent_executions=reserved_concurrency,
            role=role,
            timeout=timeout,
            tracing=lambda_.Tracing.ACTIVE,
        )
        self.execution_role = role
        acknowledge(self, "L1", "the newest Python starts 27 % slower; the layer is compiled for this one")
        acknowledge(role, "IAM5[Resource::*]", "X-Ray has no resources to name (PutTraceSegments)")


def grant_key(function: lambda_.Function, key: kms.IKey | None) -> None:
    """Let a function read and write data that is under a customer managed key, if there is one."""
    if key is not None:
        key.grant_encrypt_decrypt(function)
        acknowledge_key_actions(function)


def acknowledge_key_actions(function: lambda_.Function) -> None:
    """Accept the wildcards of the L2 grants on a key in a function's role."""
    if function.role is None:
        return
    for action in ("kms:GenerateDataKey*", "kms:ReEncrypt*"):
        acknowledge(
            function.role,
            f"IAM5[Action::{action}]",
            "variants of one action, on the key alone; which one is called is the service's choice",
        )


def _layer(scope: Construct, architecture: lambda_.Architecture) -> lambda_.ILayerVersion:
    """Return the stack's one dependency layer of an architecture.

    One a stack: a layer version from another stack would be an export that its next version cannot replace.
    """
    stack = Stack.of(scope)
    layer_id = f"SmsEngagementLibraries{architecture.name.replace('_', '').capitalize()}"
    existing = stack.node.try_find_child(layer_id)
    if isinstance(existing, lambda_.LayerVersion):
        return existing
    return lambda_.LayerVersion(
        stack,
        layer_id,
        code=layer_code(architecture),
        compatible_architectures=[architecture],
        compatible_runtimes=[PYTHON_RUNTIME],
        description="Third-party libraries of the SMS engagement functions",
    )
