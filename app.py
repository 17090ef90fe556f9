"""The app: one stage an environment.

``cdk deploy 'dev/*'`` deploys one of ``cdk.json``; the stage ``local`` is for the embedded cloud. With
``--context stage=dev`` only that stage is synthesized.
"""

from pathlib import Path

import aws_cdk as cdk

import build_layer
from stacks.environments import Environment, configured_environments, local_environment
from stacks.stage import EngagementStage


def build_app(app: cdk.App) -> list[EngagementStage]:
    """Add a stage for every environment, or for the one of context ``stage``.

    Raises
    ------
    ValueError
        The configuration in ``cdk.json`` is wrong, or has no such stage.
    """
    environments = [
        local_environment(
            app.node.try_get_context("localUrl"),
            # Text, as the command line gives it.
            parts_per_second=int(app.node.try_get_context("localPartsPerSecond") or 0) or None,
        ),
        *configured_environments(app.node.try_get_context("environments")),
    ]
    chosen = _chosen(environments, app.node.try_get_context("stage"))
    return [EngagementStage(app, environment=environment) for environment in chosen]


def _chosen(environments: list[Environment], name: str | None) -> list[Environment]:
    if name is None:
        return environments
    chosen = [environment for environment in environments if environment.name == name]
    if not chosen:
        known = ", ".join(environment.name for environment in environments)
        msg = f"there is no stage {name!r}; cdk.json and the app know {known}"
        raise ValueError(msg)
    return chosen


def main() -> None:
    """Synthesize, from a layer that fits the lock."""
    root = Path(__file__).resolve().parent
    if not build_layer.is_current(root):
        raise SystemExit(
            f"the dependency layer was not built from this uv.lock; run `python build_layer.py` in {root}"
        )
    app = cdk.App()
    build_app(app)
    app.synth()


if __name__ == "__main__":
    main()
