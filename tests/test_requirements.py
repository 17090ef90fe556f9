"""``requirements.txt`` is what ``uv.lock`` says, for people without uv."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

_PINNED = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^ ;]+)(?: ; .+)?")


def test_first_requirement_is_the_project_itself_with_its_layer() -> None:
    assert _requirements()[0] == "-e ."


def test_every_version_is_that_of_the_lock() -> None:
    locked = {package["name"]: package.get("version") for package in _lock()}

    pinned = {
        match["name"]: match["version"] for match in map(_PINNED.fullmatch, _requirements()[1:]) if match
    }

    assert len(pinned) == len(_requirements()) - 1
    assert pinned == {name: locked[name] for name in pinned}


def test_everything_that_the_project_needs_is_there() -> None:
    pinned = {line.partition("==")[0] for line in _requirements()[1:]}

    assert pinned == _needed_by("sms-engagement")


def test_no_hashes_since_pip_refuses_them_beside_an_editable_project() -> None:
    assert "--hash" not in (ROOT / "requirements.txt").read_text(encoding="utf-8")


def _requirements() -> list[str]:
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.lstrip().startswith("#")]


def _lock() -> list[dict[str, object]]:
    packages: list[dict[str, object]] = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))[
        "package"
    ]
    return packages


def _needed_by(project: str) -> set[str]:
    """Names of everything that a project and its extra ``runtime`` need, directly or not."""
    by_name = {package["name"]: package for package in _lock()}
    found: set[str] = set()
    waiting = [(project, ["runtime"])]
    while waiting:
        name, extras = waiting.pop()
        package = by_name[name]
        dependencies = list(package.get("dependencies", ()))
        for extra in extras:
            dependencies += package.get("optional-dependencies", {}).get(extra, ())
        for dependency in dependencies:
            if dependency["name"] not in found or dependency.get("extra"):
                found.add(dependency["name"])
                waiting.append((dependency["name"], dependency.get("extra", [])))
    return found
