"""Execute the notebooks, in place or into a folder, without what differs from run to run.

    python scripts/run_notebooks.py [--out FOLDER] [NOTEBOOK …]

Ends with an error where a cell fails or writes to stderr: what is committed shows no warning.
"""

import argparse
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
SECONDS_A_CELL = 600
LARGEST_BYTES = 500_000


def execute(source: Path, target: Path) -> None:
    """Execute one notebook and write the result."""
    began = time.monotonic()
    notebook = nbformat.read(source, as_version=4)
    client = NotebookClient(notebook, timeout=SECONDS_A_CELL, record_timing=False)
    client.execute(cwd=str(source.parent))
    notebook.metadata["language_info"] = {"name": "python"}
    for cell in notebook.cells:
        cell.metadata.clear()
        for output in cell.get("outputs", ()):
            if output.get("name") == "stderr":
                sys.exit(f"{source}: a cell wrote to stderr:\n{output['text']}")
    target.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, target)
    size = target.stat().st_size
    print(f"{source.name}: {time.monotonic() - began:.0f} s, {size / 1000:.0f} kB", flush=True)
    if size > LARGEST_BYTES:
        sys.exit(f"{target}: {size} bytes, expected at most {LARGEST_BYTES}")


def main() -> None:
    """Execute those named, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", nargs="*", type=Path)
    parser.add_argument("--out", type=Path, help="folder; in place by default")
    arguments = parser.parse_args()
    for source in arguments.notebooks or sorted(NOTEBOOKS.glob("*.ipynb")):
        execute(source, (arguments.out or source.parent) / source.name)


if __name__ == "__main__":
    main()
