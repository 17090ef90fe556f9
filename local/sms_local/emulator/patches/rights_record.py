"""Which rights of a role its requests take: each is decided again without what allowed it.

Reason
    Least privilege is a promise about every action of every statement. A request that is allowed, and is
    refused once an action is taken out of the statement that allowed it, shows that the role needs this
    action; one that no request ever needs is too much. Noting it while the other tests run costs nothing and
    leaves out no path that they go.
AWS
    Has the like in *last accessed information*, by service and for some actions.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_last-accessed.html
MiniStack 1.5.33
    Decides a request and forgets it.
Hook
    ``iam_evaluator.enforce`` notes what came out and asks itself once more, with an action, then with a
    resource, left out by ``iam_evaluator.evaluate``. The second answer goes nowhere else. What is known is
    served at ``/_sms_local/rights``.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any

from sms_local.emulator.patches._pinned import PatchSettings, require

type AsgiCallable = Callable[[Any, Any, Any], Any]

PATH = "/_sms_local/rights"

_MOST_REQUESTS = 100_000
"""How many kinds of requests are remembered as decided; objects of S3 have names without end."""


@dataclass(frozen=True, slots=True)
class Without:
    """What is left out of a role's rights for one decision."""

    statement: str
    action: str | None = None
    resource: str | None = None


@dataclass(slots=True)
class Noted:
    """What a decision was about.

    Attributes
    ----------
    without
        What is to be left out of the role's rights.
    """

    without: Without | None = None
    role: str = ""
    action: str = ""
    resource: str = ""
    policies: Sequence[Sequence[Any]] = ()


@dataclass(slots=True)
class Taken:
    """What requests took of one statement: an example of a request that its removal refuses, or none yet."""

    statement: Mapping[str, Any]
    actions: dict[str, str | None] = field(default_factory=dict)
    resources: dict[str, str | None] = field(default_factory=dict)
    pairs: set[tuple[str, str]] = field(default_factory=set)


@dataclass(slots=True)
class RightsRecord:
    """What the requests of roles took, and what they were refused."""

    taken: dict[tuple[str, str], Taken] = field(default_factory=dict)
    refused: dict[tuple[str, str, str], int] = field(default_factory=dict)
    decided: set[tuple[str, str, str, int]] = field(default_factory=set)

    def refuse(self, noted: Noted) -> None:
        """Note a request that no statement allows."""
        request = (noted.role, noted.action, noted.resource)
        self.refused[request] = self.refused.get(request, 0) + 1

    def allow(self, noted: Noted, is_refused_without: Callable[[Without], bool]) -> None:
        """Note an allowed request, and whether it is refused without what allowed it."""
        from ministack.core.iam_evaluator import fnmatch_iam, fnmatch_iam_cs

        statements = [statement for policy in noted.policies for statement in policy]
        request = (noted.role, noted.action, noted.resource, len(statements))
        if request in self.decided:
            return
        if len(self.decided) < _MOST_REQUESTS:
            self.decided.add(request)
        example = f"{noted.action} on {noted.resource}"
        for statement in statements:
            actions = [each for each in statement.actions if fnmatch_iam(noted.action, each)]
            resources = [each for each in statement.resources if fnmatch_iam_cs(noted.resource, each)]
            if statement.effect != "Allow" or not (actions and resources):
                continue
            key = statement_key(statement)
            taken = self.taken.setdefault((noted.role, key), Taken(described(statement)))
            for action in actions:
                if taken.actions.get(action) is None:
                    refused = is_refused_without(Without(key, action=action))
                    taken.actions[action] = example if refused else None
                taken.pairs.update((action, resource) for resource in resources)
            for resource in resources:
                if taken.resources.get(resource) is None:
                    refused = is_refused_without(Without(key, resource=resource))
                    taken.resources[resource] = example if refused else None

    def written(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "taken": [
                {
                    "role": role,
                    "statement": taken.statement,
                    "actions": taken.actions,
                    "resources": taken.resources,
                    "pairs": sorted(taken.pairs),
                }
                for (role, _), taken in sorted(self.taken.items())
            ],
            "refused": [
                {"role": role, "action": action, "resource": resource, "times": times}
                for (role, action, resource), times in sorted(self.refused.items())
            ],
        }


_noted: ContextVar[Noted | None] = ContextVar("sms_local_noted", default=None)


def apply(_: PatchSettings) -> None:
    """Note what is decided, and serve what is known."""
    from ministack import app as gateway
    from ministack.core import iam_evaluator

    for name in ("enforce", "evaluate", "fnmatch_iam", "fnmatch_iam_cs"):
        require(holds=callable(getattr(iam_evaluator, name, None)), what=f"iam_evaluator.{name}")
    enforce, evaluate = iam_evaluator.enforce, iam_evaluator.evaluate
    record = RightsRecord()

    def noting_evaluate(ctx: Any, policies: Any, *limits: Any) -> Any:
        noted = _noted.get()
        # The role's own policies are evaluated first, those of the resource after them.
        if noted is not None and not noted.role and ":assumed-role/" in ctx.principal_arn:
            noted.role = ctx.principal_arn.split("/")[1]
            noted.action, noted.resource, noted.policies = ctx.action, ctx.resource_arn, policies
            if noted.without is not None:
                policies = remaining(policies, noted.without)
        return evaluate(ctx, policies, *limits)

    def noting_enforce(*arguments: Any, **options: Any) -> Any:
        def decided(noted: Noted) -> Any:
            with _set(_noted, noted):
                return enforce(*arguments, **options)

        noted = Noted()
        answer = decided(noted)
        if not noted.role:
            return answer
        if answer is None:
            record.allow(noted, lambda without: isinstance(decided(Noted(without)), iam_evaluator.EvalResult))
        elif getattr(answer, "decision", "") == "ImplicitDeny":
            record.refuse(noted)
        return answer

    iam_evaluator.evaluate = noting_evaluate
    iam_evaluator.enforce = noting_enforce
    require(holds=callable(getattr(gateway, "app", None)), what="ASGI application ministack.app.app")
    gateway.app = _with_record(gateway.app, record)


def remaining(policies: Sequence[Sequence[Any]], without: Without) -> list[list[Any]]:
    """Return a role's statements without one action or one resource of one of them."""
    return [[left for each in policy if (left := _left_of(each, without))] for policy in policies]


def _left_of(statement: Any, without: Without) -> Any:
    if statement_key(statement) != without.statement:
        return statement
    left = replace(
        statement,
        actions=[each for each in statement.actions if each != without.action],
        resources=[each for each in statement.resources if each != without.resource],
    )
    # A statement with an empty list of actions or resources would match all of them.
    return left if left.actions and left.resources else None


def described(statement: Any) -> dict[str, Any]:
    """Return a statement as a policy has it, all lists sorted."""
    found: dict[str, Any] = {
        "Effect": statement.effect,
        "Action": sorted(statement.actions),
        "Resource": sorted(statement.resources),
    }
    if statement.conditions:
        found["Condition"] = statement.conditions
    return found


def statement_key(statement: Any) -> str:
    """Return what tells a statement of a role from its others."""
    return json.dumps(described(statement), sort_keys=True)


@contextmanager
def _set[T](variable: ContextVar[T], value: T) -> Iterator[None]:
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)


def _with_record(application: AsgiCallable, record: RightsRecord) -> AsgiCallable:
    async def application_with_record(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["path"] != PATH:
            await application(scope, receive, send)
            return
        body = json.dumps(record.written()).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return application_with_record
