"""``docs/reference/`` and ``docs/configuration.md``, made from docstrings and from the table of settings.

``python -m tools.reference`` writes them; ``tests/test_reference.py`` holds them to the code.
"""

import ast
import dataclasses
import inspect
import re
import sys
import textwrap
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import FunctionType
from typing import Any

import sms_engagement
from stacks.settings import SETTINGS

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / "docs" / "reference"
CONFIGURATION = ROOT / "docs" / "configuration.md"

_SECTION = re.compile(r"^(Parameters|Attributes|Raises|Returns|Notes|Examples)\n-+$", re.MULTILINE)
_ROLE = re.compile(r":(?:class|meth|data|func):`~?\.?([^`]+)`")
_INTERPRETED = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")


@dataclass(frozen=True)
class Section:
    """One section of a numpy docstring."""

    title: str
    body: str


def sections_of(docstring: str) -> list[Section]:
    """Return the sections of a docstring; what stands before the first has no title."""
    text = inspect.cleandoc(docstring)
    found = list(_SECTION.finditer(text))
    starts = [match.end() for match in found]
    ends = [*(match.start() for match in found), len(text)]
    titles = ["", *(match[1] for match in found)]
    begins = [0, *starts]
    return [
        Section(title=title, body=text[begin:end].strip("\n"))
        for title, begin, end in zip(titles, begins, ends, strict=True)
    ]


def entries_of(body: str) -> list[tuple[str, str]]:
    """Return the entries of a section of parameters: names, and what is said of them."""
    entries: list[tuple[str, list[str]]] = []
    for line in body.splitlines():
        if line and not line.startswith(" "):
            entries.append((line, []))
        elif entries:
            entries[-1][1].append(line)
    return [(names, textwrap.dedent("\n".join(lines)).strip()) for names, lines in entries]


def documented_names(member: Any) -> set[str]:
    """Return the parameters and attributes that a docstring tells of."""
    names: set[str] = set()
    for section in sections_of(member.__doc__ or ""):
        if section.title in {"Parameters", "Attributes"}:
            for entry, _ in entries_of(section.body):
                names |= {name.strip(" *:") for name in entry.partition(" : ")[0].split(",")}
    return names


def public_methods(member: type) -> dict[str, Any]:
    """Return the methods and properties of a class that this library makes, inherited ones included."""
    found: dict[str, Any] = {}
    for owner in reversed(member.__mro__):
        if not owner.__module__.startswith("sms_engagement"):
            continue
        for name, value in vars(owner).items():
            plain = value.__func__ if isinstance(value, staticmethod | classmethod) else value
            if not name.startswith("_") and isinstance(plain, FunctionType | property):
                found[name] = plain
    return dict(sorted(found.items()))


def page(name: str) -> str:
    """Return the reference of one public name."""
    member = getattr(sms_engagement, name)
    kind = "function" if inspect.isfunction(member) else "enumeration" if _is_enum(member) else "class"
    lines = [f"# {name}", "", f"*{kind} of `sms_engagement`*", ""]
    lines += _described(member.__doc__ or "")
    if _is_enum(member):
        lines += ["## Members", "", "| member | value |", "|---|---|"]
        lines += [f"| `{each.name}` | `{each.value}` |" for each in member] + [""]
    elif inspect.isfunction(member):
        lines += ["## Signature", "", *_signature(name, member)]
    else:
        is_made = dataclasses.is_dataclass(member)
        signature = _fields(name, member) if is_made else _signature(name, member.__init__)
        lines += ["## Signature", "", *signature]
        for method, value in public_methods(member).items():
            target = value.fget if isinstance(value, property) else value
            lines += [f"## {method}", ""]
            if not isinstance(value, property):
                lines += _signature(method, value)
            lines += _described(target.__doc__ or "", heading="####")
    return "\n".join(lines).rstrip() + "\n"


def index() -> str:
    """Return the page that lists all names."""
    lines = [
        "# Reference",
        "",
        "Every public name of `sms_engagement`, from its docstring. Written by `python -m tools.reference`.",
        "",
        "| name | is for |",
        "|---|---|",
    ]
    for name in sms_engagement.__all__:
        summary = inspect.cleandoc(getattr(sms_engagement, name).__doc__ or "").partition("\n\n")[0]
        lines.append(f"| [{name}]({name}.md) | {_markdown(' '.join(summary.split()))} |")
    return "\n".join(lines) + "\n"


def configuration() -> str:
    """Return the page of all keys of an environment."""
    lines = [
        "# Configuration of an environment",
        "",
        "Keys below `context.environments.<name>` in `cdk.json`. An environment's name is the first",
        "part of its stacks' names: lower-case letters, digits and hyphens; `local` is the embedded cloud's.",
        "What is wrong is refused at synthesis, with the field, the value, what is allowed and what to do.",
        "Written by `python -m tools.reference` from `stacks/settings.py`.",
        "",
        "| key | must be | left out | what it is for |",
        "|---|---|---|---|",
    ]
    for key, setting in SETTINGS.items():
        cells = (f"`{key}`", setting.kind.allowed, setting.left_out, setting.meaning)
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines) + "\n" + _CONFIGURATION_NOTES


_CONFIGURATION_NOTES = """
## The environments of this repository

| | local | dev | staging | prod |
|---|---|---|---|---|
| is for | the embedded cloud; the app makes it | trying things | rehearsing a release | customers |
| data | deleted with its stack | deleted | deleted | retained; tables and stacks protected |
| alarms | notify nobody | notify nobody | by e-mail | by e-mail, with a monthly budget |
| logs | 90 days | 90 days | 30 days | 365 days |
| addresses | the embedded cloud's front door | the APIs' own | the APIs' own | domain names |

All have the same stacks: `<name>-Data` with everything that must not be lost, which is deployed first and
refers to no other, and `<name>-Channel`, `-Reviews`, `-Appointments`, `-Analytics` and `-Journeys`, which can
all be made again. `cdk diff 'prod/*'` shows what a deployment would change, `cdk deploy 'prod/*'` does it, in
that order.

The values with `111122223333` in them are placeholders: such an environment can be synthesized, and says that
it has them.

A second Region is a second environment, with a number of that Region: a number sends from the Region it was
bought in.
"""


def pages() -> dict[Path, str]:
    """Return every page by its path."""
    return {
        CONFIGURATION: configuration(),
        REFERENCE / "README.md": index(),
        **{REFERENCE / f"{name}.md": page(name) for name in sms_engagement.__all__},
    }


def _is_enum(member: Any) -> bool:
    return isinstance(member, type) and issubclass(member, Enum)


def _described(docstring: str, heading: str = "##") -> list[str]:
    lines: list[str] = []
    for section in sections_of(docstring):
        if section.title:
            lines += [f"{heading} {section.title}", ""]
        if section.title in {"Parameters", "Attributes", "Raises", "Returns"}:
            for names, said in entries_of(section.body):
                shown = ", ".join(f"`{name.strip()}`" for name in names.split(","))
                lines += [f"- {shown}: {_markdown(' '.join(said.split()))}"]
            lines.append("")
        elif section.body:
            lines += [*_prose(section.body), ""]
    return lines


def _prose(body: str) -> list[str]:
    """Return paragraphs as Markdown; an indented block after ``::`` is code."""
    lines: list[str] = []
    for paragraph in re.split(r"\n\n+", body):
        if paragraph.startswith("    "):
            lines += ["```python", *textwrap.dedent(paragraph).splitlines(), "```", ""]
        elif paragraph.strip() != "::":
            lines += [_markdown(paragraph.removesuffix("::").rstrip()), ""]
    return lines[:-1]


def _markdown(text: str) -> str:
    return _INTERPRETED.sub(r"`\1`", _ROLE.sub(r"`\1`", text)).replace("``", "`")


def _fields(name: str, member: type) -> list[str]:
    """Return the signature that `dataclass` makes, from the fields as they are written."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(member))).body[0]
    assert isinstance(tree, ast.ClassDef)
    fields = [ast.unparse(each) for each in tree.body if isinstance(each, ast.AnnAssign)]
    return ["```python", f"{name}(", "    *,", *(f"    {each}," for each in fields), ")", "```", ""]


def _signature(name: str, function: Any) -> list[str]:
    """Return a signature as it is written: annotations are not resolved, defaults are short."""
    try:
        source = textwrap.dedent(inspect.getsource(function))
        tree = ast.parse(source).body[0]
    except (OSError, TypeError, SyntaxError, IndexError):
        return []
    assert isinstance(tree, ast.FunctionDef)
    arguments = tree.args
    given: list[str] = []
    plain = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(plain) - len(arguments.defaults)) + list(arguments.defaults)
    for argument, default in zip(plain, defaults, strict=True):
        if argument.arg not in {"self", "cls"}:
            given.append(_argument(argument, default))
    if arguments.kwonlyargs:
        given.append("*")
        given += [
            _argument(argument, default)
            for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        ]
    answer = "" if tree.returns is None or name[0].isupper() else f" -> {ast.unparse(tree.returns)}"
    return ["```python", f"{name}(", *(f"    {each}," for each in given), f"){answer}", "```", ""]


def _argument(argument: ast.arg, default: ast.expr | None) -> str:
    annotation = "" if argument.annotation is None else f": {ast.unparse(argument.annotation)}"
    return f"{argument.arg}{annotation}{'' if default is None else f' = {ast.unparse(default)}'}"


def main() -> None:
    """Write the pages, and take away those of names that are gone."""
    wanted = pages()
    REFERENCE.mkdir(exist_ok=True)
    for path in REFERENCE.glob("*.md"):
        if path not in wanted:
            path.unlink()
    for path, text in wanted.items():
        path.write_text(text, encoding="utf-8")
    sys.stdout.write(f"{len(wanted)} pages\n")


if __name__ == "__main__":
    main()
