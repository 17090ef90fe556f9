"""Build hook: the wheel and every editable install bring the dependency layer with them."""

import importlib.util
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class DependencyLayerHook(BuildHookInterface):  # type: ignore[type-arg]  # hatchling's own generic has no default
    """Builds the layer of both architectures before the wheel is put together."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the layer; hatchling then ships it, since ``artifacts`` names its folder."""
        del version, build_data
        # The project is not importable in an isolated build, so its builder is loaded by its path.
        root = Path(self.root)
        spec = importlib.util.spec_from_file_location("build_layer", root / "build_layer.py")
        if spec is None or spec.loader is None:
            msg = f"build_layer.py is missing from {root}"
            raise RuntimeError(msg)
        builder = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(builder)
        builder.build(root)
