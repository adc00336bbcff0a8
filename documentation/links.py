"""Links of the documents, which work in the repository, made to work on the site.

Pages outside `docs/` get a place there, figures and tables of leaderboards come along under their
own paths, and a link to anything else of the repository is left as its text.
"""

import os
import re
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parents[1]
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "leaderboards/README.md": "leaderboards/index.md",
}
"""Path in the repository -> that of the page on the site, for those that are not in docs/."""
FILES = ("leaderboards/*/figures/*", "leaderboards/*/studies/*", "leaderboards/*/tables/*")
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\(([^()\s]+)\)")


def brought_along() -> dict[str, Path]:
    """Path on the site -> the file, of all that the site has beside docs/."""
    pages = {page: ROOT / path for path, page in PAGES.items()}
    files = (file for pattern in FILES for file in sorted(ROOT.glob(pattern)))
    return pages | {file.relative_to(ROOT).as_posix(): file for file in files}


def as_on_site(markdown: str, page: str) -> str:
    """A page's Markdown with its relative links as the site has them; `page` is its path there."""
    places = {site: path for path, site in PAGES.items()}
    own = PurePosixPath(places.get(page, f"docs/{page}"))

    def changed(found: re.Match[str]) -> str:
        mark, text, target = found.groups()
        path, hash_, anchor = target.partition("#")
        if not path or ":" in path:
            return found[0]
        inside = os.path.normpath(own.parent / path).replace(os.sep, "/")
        if not (ROOT / inside).exists():
            return found[0]  # mkdocs says which
        site = _place(inside)
        if site is None:
            return text
        relative = os.path.relpath(site, PurePosixPath(page).parent).replace(os.sep, "/")
        return f"{mark}[{text}]({relative}{hash_}{anchor})"

    return LINK.sub(changed, markdown)


def _place(path: str) -> str | None:
    """Of a file of the repository on the site; None where it is not there."""
    if path in PAGES:
        return PAGES[path]
    if path.startswith("docs/") and (ROOT / path).is_file():
        return path.removeprefix("docs/")
    matches = (PurePosixPath(path).match(pattern) for pattern in FILES)
    return path if any(matches) and (ROOT / path).is_file() else None
