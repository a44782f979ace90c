"""Hold the built site to what it promises: whole, and nothing asked of other hosts.

    python scripts/check_site.py site

Ends with 1 where a page would load something from elsewhere.
"""

import sys
from html.parser import HTMLParser
from pathlib import Path

LOADS = {  # elements that a browser loads without being asked, and the attribute that says what
    "audio": "src",
    "iframe": "src",
    "img": "src",
    "link": "href",
    "script": "src",
    "source": "src",
    "video": "src",
}
NOT_LOADED = {"canonical", "next", "prev", "alternate"}  # kinds of link


class Loads(HTMLParser):
    """Collects what a page loads from other hosts."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what an element loads."""
        given = dict(attrs)
        place = given.get(LOADS.get(tag, "")) or ""
        if place.startswith(("http:", "https:", "//")) and given.get("rel") not in NOT_LOADED:
            self.found.append(f"{tag} {place}")


def foreign(page: Path) -> list[str]:
    """Return what a page loads from other hosts."""
    loads = Loads()
    loads.feed(page.read_text(encoding="utf-8"))
    return loads.found


def main() -> int:
    """Check every page; return the exit code."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    pages = sorted(Path(sys.argv[1]).rglob("*.html"))
    if not pages:
        print(f"site: got no page in {sys.argv[1]}, expected a built site", file=sys.stderr)
        return 1
    found = [f"{page}: loads {place}" for page in pages for place in foreign(page)]
    print("\n".join(found) or f"{len(pages)} pages load nothing from elsewhere")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
