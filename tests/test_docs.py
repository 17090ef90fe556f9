"""The pages: every one is found from the first, no link leads nowhere, every sample payload is told of."""

import fnmatch
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if "_site" not in path.parts)
LINK = re.compile(r"(?<!`)\[[^\]]*\]\(([^)\s]+)\)")


def without_code(text: str) -> str:
    return re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)


def anchors(path: Path) -> set[str]:
    """Names of headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    plain = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower() for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in plain}


@pytest.mark.parametrize(
    "page", [*PAGES, ROOT / "README.md"], ids=lambda path: path.relative_to(ROOT).as_posix()
)
def test_no_link_leads_nowhere(page: Path) -> None:
    dead = []
    for link in LINK.findall(without_code(page.read_text(encoding="utf-8"))):
        if "://" in link or link.startswith("mailto:"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(link)

    assert dead == []


def test_every_page_is_in_the_navigation() -> None:
    entries: list[str] = []
    for page in PAGES:
        for tree in re.findall(r"```\{toctree\}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            folder = page.parent.relative_to(DOCS).as_posix()
            entries += [
                f"{'' if folder == '.' else f'{folder}/'}{line}"
                for line in tree.splitlines()
                if line and not line.startswith(":")
            ]
    names = {page.relative_to(DOCS).with_suffix("").as_posix() for page in PAGES} - {"index"}

    lost = [name for name in sorted(names) if not any(fnmatch.fnmatch(name, entry) for entry in entries)]
    assert lost == [], "add them to a toctree, as in docs/index.md"


def test_every_sample_payload_is_told_of() -> None:
    page = (DOCS / "payloads.md").read_text(encoding="utf-8")

    assert not [path.name for path in (ROOT / "tests" / "events").iterdir() if f"`{path.name}`" not in page]


def test_the_site_asks_nobody_else_for_anything() -> None:
    configuration = (DOCS / "conf.py").read_text(encoding="utf-8")
    style = (DOCS / "site" / "site.css").read_text(encoding="utf-8")

    assert "://" not in configuration + style


def test_every_decision_has_a_number_of_its_own() -> None:
    records = sorted(path.name for path in (DOCS / "adr").glob("0*.md"))

    assert [int(name[:4]) for name in records] == list(range(1, len(records) + 1))
    for name in records:
        assert (DOCS / "adr" / name).read_text(encoding="utf-8").startswith(f"# {int(name[:4])}. ")
