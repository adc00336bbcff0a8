"""What the site needs beside Markdown, as hooks of mkdocs: links, formulas, generated parts."""

from typing import Any

from formulas import as_mathml
from links import as_on_site, brought_along
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from reference import filled_in


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """The pages and files of the repository that the site has from outside docs/."""
    for place, path in brought_along().items():
        files.append(File.generated(config, place, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Generated parts in the place of their marks, links as the site has them."""
    return filled_in(as_on_site(markdown, page.file.src_uri))


def on_page_content(html: str, **_: Any) -> str:
    """Formulas as MathML."""
    return as_mathml(html)
