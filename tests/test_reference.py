"""Every public name is documented, and the pages that are made of it are current."""

import ast
import dataclasses
import inspect
import re
import textwrap
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

import sms_engagement
from tools import reference

NAMES = sorted(sms_engagement.__all__)
CLASSES = [name for name in NAMES if isinstance(getattr(sms_engagement, name), type)]
CONSTRUCTS = [name for name in CLASSES if issubclass(getattr(sms_engagement, name), Construct)]
# What the CDK's own base class says of a function is not said again.
_INHERITED = {name for name in dir(lambda_.Function) if not name.startswith("_")}


@pytest.mark.parametrize("path", sorted(reference.pages()), ids=lambda path: path.name)
def test_a_page_is_what_the_code_says(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == reference.pages()[path], (
        f"{path.name} is out of date: run python -m tools.reference"
    )


def test_there_are_no_pages_of_names_that_are_gone() -> None:
    assert set(reference.REFERENCE.glob("*.md")) == {
        path for path in reference.pages() if path.parent == reference.REFERENCE
    }


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_says_what_it_is_for(name: str) -> None:
    member = getattr(sms_engagement, name)

    docstring = inspect.cleandoc(member.__doc__ or "")

    assert docstring
    assert not docstring.startswith(f"{name}("), "it is the text that dataclass makes"
    assert docstring.partition("\n\n")[0].rstrip().endswith((".", ":", "::"))


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_is_documented(name: str) -> None:
    member = getattr(sms_engagement, name)
    if isinstance(member, type) and issubclass(member, Enum):
        return
    given = _parameters(member)

    missing = given - reference.documented_names(member) - _named_in_prose(member)

    assert not missing, f"{name} does not say what {', '.join(sorted(missing))} mean"


@pytest.mark.parametrize("name", CONSTRUCTS)
def test_every_public_attribute_is_documented(name: str) -> None:
    member = getattr(sms_engagement, name)
    documented: set[str] = set()
    assigned: set[str] = set()
    for owner in member.__mro__:
        if not owner.__module__.startswith("sms_engagement"):
            continue
        documented |= reference.documented_names(owner) | _named_in_prose(owner)
        assigned |= _assigned_attributes(owner)

    missing = {each for each in assigned if not each.startswith("_")} - documented - _INHERITED

    assert not missing, f"{name} does not say what its attributes {', '.join(sorted(missing))} are"


@pytest.mark.parametrize("name", NAMES)
def test_every_public_method_is_documented(name: str) -> None:
    member = getattr(sms_engagement, name)
    if not isinstance(member, type):
        return

    for method, value in reference.public_methods(member).items():
        target = value.fget if isinstance(value, property) else value
        assert inspect.cleandoc(target.__doc__ or ""), f"{name}.{method} has no docstring"


@pytest.mark.parametrize("name", CONSTRUCTS)
def test_grants_and_metrics_have_the_shape_that_the_cdk_gives_them(name: str) -> None:
    methods = reference.public_methods(getattr(sms_engagement, name))
    for method, value in methods.items():
        if isinstance(value, property):
            continue
        answer = str(inspect.signature(value).return_annotation)
        if method.startswith("grant_"):
            assert "Grant" in answer, f"{name}.{method} returns {answer}"
        if method.startswith("metric_"):
            assert "Metric" in answer or "MathExpression" in answer, f"{name}.{method} returns {answer}"
            assert "period" in inspect.signature(value).parameters


@pytest.mark.parametrize("name", CONSTRUCTS)
def test_props_are_keywords_and_the_smallest_use_is_short(name: str) -> None:
    parameters = list(inspect.signature(getattr(sms_engagement, name).__init__).parameters.values())[3:]

    assert all(each.kind is inspect.Parameter.KEYWORD_ONLY for each in parameters)


def _parameters(member: Any) -> set[str]:
    if dataclasses.is_dataclass(member):
        return {field.name for field in dataclasses.fields(member) if field.init}
    function = member.__init__ if isinstance(member, type) else member
    return set(inspect.signature(function).parameters) - {"self", "scope", "id", "kwargs", "args"}


def _named_in_prose(member: Any) -> set[str]:
    """Names in backticks: two or three that are one matter are told of in one sentence."""
    return set(re.findall(r"`+(\w+)`+", member.__doc__ or ""))


def _assigned_attributes(member: type) -> set[str]:
    assigned: set[str] = set()
    for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(member)))):
        if isinstance(node, ast.Assign):
            targets = [each for target in node.targets for each in getattr(target, "elts", [target])]
        elif isinstance(node, ast.AnnAssign):
            targets = [node.target]
        else:
            continue
        for target in targets:
            if isinstance(target, ast.Attribute) and ast.unparse(target.value) == "self":
                assigned.add(target.attr)
    return assigned
