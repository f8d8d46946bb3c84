"""Puts a report's sections on one page that needs nothing besides itself."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import jinja2

import kerasft
from kerasft.files import write_text
from kerasft.plots.highlighting import STYLE
from kerasft.printable import make_page
from kerasft.report.content import ReportContent
from kerasft.report.sections import AFTER, BEFORE
from kerasft.tasks.display import Section

_FOLDER = Path(__file__).parent


def build_sections(content: ReportContent) -> list[Section]:
    """The sections that there is something to show in."""
    split = content.choose_main_split()
    if split is None:
        return []
    own = content.shown[split].sections if split in content.shown else ()
    before = [build(content, split) for build in BEFORE]
    after = [build(content, split) for build in AFTER]
    return [section for section in (*before, *own, *after) if section is not None]


def render_report(content: ReportContent) -> str:
    """The page as HTML text.

    Everything that is not markup of this package is escaped, and the page forbids scripts and foreign addresses
    (Content-Security-Policy): texts and labels may be hostile. Control characters are shown escaped.
    """
    split = content.choose_main_split()
    parts = []
    for number, section in enumerate(build_sections(content)):
        template = _open_templates(section.folder).get_template(section.template)
        anchor = re.sub(r"\W+", "-", section.heading.lower()).strip("-") or f"section-{number}"
        body = template.render(content=content, split=split, **section.data)
        parts.append({"heading": section.heading, "anchor": anchor, "body": jinja2.filters.Markup(body)})
    page = (
        _open_templates(None)
        .get_template("page.html")
        .render(
            content=content,
            split=split,
            sections=parts,
            style=(_FOLDER / "style.css").read_text(encoding="utf-8") + STYLE,
            version=kerasft.__version__,
        )
    )
    return make_page(page)


@functools.lru_cache(maxsize=8)
def _open_templates(folder: Path | None) -> jinja2.Environment:
    """The templates of a folder, each compiled once; what it lacks, such as `parts.html`, is the report's own."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader([_FOLDER] if folder is None else [folder, _FOLDER]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def write_report(path: Path, content: ReportContent) -> None:
    """Writes the report whole or not at all.

    Args:
        path: the HTML file.
        content: what is shown.
    """
    write_text(path, render_report(content))
