"""A page of the documentation for each package's public names, from their ``__init__.pyi``.

A hook of MkDocs (`mkdocs.yml`): the pages exist while the site is built and in no other place.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

SOURCE = Path(__file__).resolve().parents[1] / "src"
NAV = "API"  # where the pages stand


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put a page for each package behind what the navigation has already."""
    (section,) = (entry[NAV] for entry in config.nav if NAV in entry)
    section += [{package: place(package)} for package, _ in packages()]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages."""
    for package, stub in packages():
        files.append(File.generated(config, place(package), content=page(package, stub)))
    return files


def packages() -> Iterator[tuple[str, Path]]:
    """Yield each package that has public names, and the file that lists them."""
    for stub in [SOURCE / "trajerr/__init__.pyi", *sorted(SOURCE.glob("trajerr/*/__init__.pyi"))]:
        yield ".".join(stub.parent.relative_to(SOURCE).parts), stub


def place(package: str) -> str:
    """Return the page's path among the documents."""
    return f"reference/{package}.md"


def page(package: str, stub: Path) -> str:
    """Return a page's text: each name, under which mkdocstrings puts what its docstring says."""
    parts = [f"# {package}\n"]
    for name, origin in sorted(names(package, stub), key=lambda pair: pair[0].lower()):
        parts.append(
            f"::: {origin}\n    options:\n      heading: {name}\n      toc_label: {name}\n"
        )
    return "\n".join(parts)


def names(package: str, stub: Path) -> Iterator[tuple[str, str]]:
    """Yield the names that a stub exports and where each is defined."""
    for node in ast.parse(stub.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield alias.asname or alias.name, f"{package}.{node.module}.{alias.name}"
