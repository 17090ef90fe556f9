"""How Sphinx makes the site of this folder; ``make docs`` runs it and treats every warning as an error."""

from pathlib import Path
from typing import Any

HERE = Path(__file__).parent

project = "SMS engagement"
author = "The SMS engagement authors"
html_title = "SMS engagement"

extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_site", "README.md"]

# Links to headings, as GitHub makes them, so that one source serves both.
myst_heading_anchors = 4
myst_enable_extensions = ["deflist"]
# Pages that begin at the second level are parts of another.
suppress_warnings = ["myst.header"]

html_theme = "furo"
html_static_path = ["site"]
html_css_files = ["site.css"]
# Furo brings its fonts and scripts along: a page asks nobody else for anything.
html_theme_options = {"navigation_with_keys": True}
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
html_show_sphinx = False


def setup(app: Any) -> None:
    """Let the navigation name groups of pages that a branch does not have yet."""
    app.connect("source-read", _drop_empty_patterns)


def _drop_empty_patterns(_app: Any, name: str, source: list[str]) -> None:
    if name != "index":
        return
    lines = source[0].splitlines()
    kept = [line for line in lines if not line.endswith("*") or any(HERE.glob(f"{line}.md"))]
    source[0] = "\n".join(kept)
