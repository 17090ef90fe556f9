"""What is held from here for macOS and Windows: line endings, paths, and no shell where the app is made.

Neither system was at hand; these are the mistakes that would show there first.
"""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TRACKED = [
    ROOT / name
    for name in subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    if name
]
SYNTHESIS = [ROOT / "app.py", *(ROOT / "stacks").rglob("*.py"), *(ROOT / "constructs").rglob("*.py")]
# Functions run on Linux only; what people run does not.
COMMANDS = [
    *(ROOT / "runtime" / "sms_engagement_runtime" / "commands").rglob("*.py"),
    *(ROOT / "tools").rglob("*.py"),
    ROOT / "build_layer.py",
]

# Device names, and characters that no file name may have (Microsoft, *Naming files, paths, and namespaces*).
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?|.*[<>:\"|?*\\].*|.*[ .]", re.IGNORECASE)


def calls(path: Path) -> list[ast.Call]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call)]


def test_line_endings_are_fixed_by_the_repository() -> None:
    assert "* text=auto eol=lf" in (ROOT / ".gitattributes").read_text(encoding="utf-8")


def test_no_text_has_line_endings_of_windows() -> None:
    texts = [path for path in TRACKED if path.suffix in {".py", ".json", ".md", ".toml", ".lock", ".sql"}]

    assert len(texts) > 300
    assert not [path for path in texts if path.is_file() and b"\r\n" in path.read_bytes()]


def test_every_file_can_have_its_name_on_every_system() -> None:
    names = [path.relative_to(ROOT).as_posix() for path in TRACKED]

    assert not [name for name in names if any(RESERVED.fullmatch(part) for part in name.split("/"))]
    assert len({name.lower() for name in names}) == len(names), "two names differ by case only"
    # 260 characters with the folder that somebody clones into.
    assert max(map(len, names)) < 180


@pytest.mark.parametrize("path", SYNTHESIS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_synthesis_starts_no_process_and_knows_no_separator(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert not re.search(r"^\s*(import|from) (subprocess|pwd|grp|fcntl|resource)\b", text, re.MULTILINE)
    assert "os.sep" not in text
    assert '"/tmp' not in text


@pytest.mark.parametrize("path", [*SYNTHESIS, *COMMANDS], ids=lambda path: path.relative_to(ROOT).as_posix())
def test_texts_are_read_and_written_as_utf_8(path: Path) -> None:
    """Without the argument Windows takes its own code page."""
    bare = [
        f"{path.name}:{call.lineno}"
        for call in calls(path)
        if isinstance(call.func, ast.Attribute)
        and call.func.attr in {"read_text", "write_text"}
        and not any(keyword.arg == "encoding" for keyword in call.keywords)
        and len(call.args) < (1 if call.func.attr == "read_text" else 2)
    ]

    assert bare == []


def test_every_make_target_has_a_way_without_make() -> None:
    targets = re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    page = (ROOT / "docs" / "platforms.md").read_text(encoding="utf-8")

    told = {target for target in targets if f"`make {target}`" in page}
    assert told >= set(targets) - {"help", "clean"}
