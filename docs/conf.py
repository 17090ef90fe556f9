"""How Sphinx makes the site of this folder; ``make docs`` runs it and treats every warning as an error."""

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
# Patterns of a navigation may be ahead of their pages.
suppress_warnings = ["myst.header", "toc.empty_glob"]

html_theme = "furo"
html_static_path = ["site"]
html_css_files = ["site.css"]
# Furo brings its fonts and scripts along: a page asks nobody else for anything.
html_theme_options = {"navigation_with_keys": True}
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
html_show_sphinx = False
