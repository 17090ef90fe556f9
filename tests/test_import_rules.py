"""Who may import what, and what the pure domain may not do (see the architecture in ``docs/``).

A rule that changes, changes here too, with an ADR.
"""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CONSTRUCTS = ROOT / "constructs" / "sms_engagement"
RUNTIME = ROOT / "runtime" / "sms_engagement_runtime"
# The commands are held to the rules of a capability, but for one: they import any of them (ADR 13). Nobody
# imports the commands.
CAPABILITIES = sorted(folder.name for folder in RUNTIME.iterdir() if (folder / "__init__.py").is_file())

# What a decision must be given instead of fetching it: a clock, randomness, the environment, a network.
IMPURE_MODULES = {"os", "random", "secrets", "socket", "subprocess", "time", "urllib.request", "uuid"}
IMPURE_CALLS = {"now", "utcnow", "today", "monotonic", "perf_counter", "getenv"}


@dataclass(frozen=True, slots=True)
class Module:
    """A source file; ``name`` is its import name."""

    name: str
    path: Path

    @property
    def parts(self) -> list[str]:
        return self.name.split(".")

    def tree(self) -> ast.Module:
        return ast.parse(self.path.read_text(encoding="utf-8"))

    def imports(self) -> Iterator[str]:
        """Import names, with what is imported from them: ``a.b`` of ``from a import b``."""
        for node in ast.walk(self.tree()):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{self.name} has a relative import"
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def modules_of(package: Path) -> list[Module]:
    return [
        Module(".".join(path.relative_to(package.parent).with_suffix("").parts), path)
        for path in sorted(package.rglob("*.py"))
    ]


RUNTIME_MODULES = modules_of(RUNTIME)
CONSTRUCT_MODULES = modules_of(CONSTRUCTS)
DOMAIN_MODULES = [module for module in RUNTIME_MODULES if "domain" in module.parts]


def test_there_is_something_to_check() -> None:
    assert {"channel", "review_collector"} <= set(CAPABILITIES)
    assert len(DOMAIN_MODULES) > 20
    assert len(CONSTRUCT_MODULES) > 10


def test_source_roots_are_no_packages() -> None:
    assert not list(ROOT.glob("constructs/__init__.py")) + list(ROOT.glob("runtime/__init__.py"))


def test_tests_are_no_packages() -> None:
    assert not list((ROOT / "tests").rglob("__init__.py"))


@pytest.mark.parametrize("module", DOMAIN_MODULES, ids=lambda module: module.name)
def test_domain_imports_the_standard_library_and_domains(module: Module) -> None:
    capability = module.parts[1]
    allowed = (
        f"sms_engagement_runtime.{capability}.domain",
        "sms_engagement_runtime.channel.domain",
    )

    foreign = [
        name
        for name in module.imports()
        if name.partition(".")[0] not in sys.stdlib_module_names and not name.startswith(allowed)
    ]

    assert foreign == []


@pytest.mark.parametrize("module", DOMAIN_MODULES, ids=lambda module: module.name)
def test_domain_has_no_clock_no_randomness_and_no_environment(module: Module) -> None:
    impure = [
        name
        for name in module.imports()
        if name in IMPURE_MODULES or name.partition(".")[0] in IMPURE_MODULES
    ]
    calls = [
        ast.unparse(node.func)
        for node in ast.walk(module.tree())
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in IMPURE_CALLS
        and ast.unparse(node.func.value) in {"datetime", "date", "datetime.datetime", "datetime.date"}
    ]

    assert impure == []
    assert calls == []


@pytest.mark.parametrize("module", RUNTIME_MODULES, ids=lambda module: module.name)
def test_runtime_never_imports_the_cdk(module: Module) -> None:
    assert not [
        name
        for name in module.imports()
        if name.partition(".")[0]
        in {"aws_cdk", "constructs", "jsii", "sms_engagement", "stacks", "sms_local"}
    ]


@pytest.mark.parametrize(
    "module",
    [module for module in RUNTIME_MODULES if "adapters" in module.parts],
    ids=lambda module: module.name,
)
def test_adapters_never_import_handlers(module: Module) -> None:
    assert not [name for name in module.imports() if ".handlers" in name]


@pytest.mark.parametrize("module", RUNTIME_MODULES, ids=lambda module: module.name)
def test_capabilities_import_the_channel_and_never_one_another(module: Module) -> None:
    own = module.parts[1] if len(module.parts) > 1 else ""
    others = {
        f"sms_engagement_runtime.{capability}"
        for capability in CAPABILITIES
        if capability not in {own, "channel"}
    }
    if own == "commands":
        others.clear()

    assert not [name for name in module.imports() if name.startswith(tuple(others))]


@pytest.mark.parametrize(
    "module",
    [module for module in RUNTIME_MODULES if module.parts[1:2] != ["channel"]],
    ids=lambda module: module.name,
)
def test_nobody_imports_the_channels_handlers(module: Module) -> None:
    assert not [
        name for name in module.imports() if name.startswith("sms_engagement_runtime.channel.handlers")
    ]


@pytest.mark.parametrize(
    "module",
    [module for module in RUNTIME_MODULES if module.parts[1:2] == ["commands"]],
    ids=lambda module: module.name,
)
def test_commands_never_import_handlers(module: Module) -> None:
    """A handler reads its settings when it is imported, which only a function has."""
    assert not [name for name in module.imports() if ".handlers" in name]


@pytest.mark.parametrize("module", CONSTRUCT_MODULES, ids=lambda module: module.name)
def test_constructs_import_the_pure_domain_only(module: Module) -> None:
    runtime = [name for name in module.imports() if name.startswith("sms_engagement_runtime")]

    assert not [name for name in runtime if ".domain." not in name]


@pytest.mark.parametrize("module", CONSTRUCT_MODULES, ids=lambda module: module.name)
def test_constructs_know_neither_the_app_nor_the_machine(module: Module) -> None:
    forbidden = {
        "stacks",
        "app",
        "sms_local",
        "os",
        "subprocess",
        "socket",
        "httpx",
        "boto3",
        "botocore",
        "urllib",
    }

    assert not [name for name in module.imports() if name.partition(".")[0] in forbidden]


@pytest.mark.parametrize(
    "module",
    [module for module in CONSTRUCT_MODULES if len(module.parts) > 2],
    ids=lambda module: module.name,
)
def test_construct_packages_import_the_channel_and_never_one_another(module: Module) -> None:
    packages = {folder.name for folder in CONSTRUCTS.iterdir() if (folder / "__init__.py").is_file()}
    others = tuple(f"sms_engagement.{package}." for package in packages - {module.parts[1], "channel"})

    assert not [name for name in module.imports() if f"{name}.".startswith(others)]


def test_imports_never_go_through_the_source_roots() -> None:
    """``constructs.sms_engagement`` would be a second copy of every class."""
    everything = [
        *RUNTIME_MODULES,
        *CONSTRUCT_MODULES,
        *modules_of(ROOT / "stacks"),
        *modules_of(ROOT / "tests"),
    ]

    assert not [
        (module.name, name)
        for module in everything
        for name in module.imports()
        if name.startswith(("constructs.sms_engagement", "runtime.sms_engagement_runtime"))
    ]
