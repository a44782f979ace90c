"""Build the wheel and the sdist, and try both as somebody would who has no repository.

    python scripts/make_release.py [v0.1.0]

Leaves them in ``dist/`` and uploads nothing. Ends with 1 where the tag, the changelog or
``CITATION.cff`` say another version, a file is missing from the sdist, or its tests fail.
"""

import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
DIST = PROJECT / "dist"
TRIED = ("tests/test_checks.py", "tests/test_workflows.py", "tests/gcode/test_cases.py")
# What the repository has and the sdist needs not.
LEFT_OUT = (".ci/", ".gitignore")
IN_WHEEL = (
    "trajerr/conf/correct.yaml",
    "trajerr/gcode/parts_data/tugboat.gcode.xz",
    "trajerr/py.typed",
)


def main() -> int:
    """Build and try; return the exit code."""
    stated = version()
    wrong = disagreements(stated, sys.argv[1] if len(sys.argv) > 1 else "")
    if wrong:
        print(f"release: {wrong[0]}", file=sys.stderr)
        return 1
    shutil.rmtree(DIST, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "build", "--outdir", str(DIST)], cwd=PROJECT, check=True)
    wheel, sdist = DIST / f"trajerr-{stated}-py3-none-any.whl", DIST / f"trajerr-{stated}.tar.gz"
    lacking = lacks(wheel, sdist)
    if lacking:
        print(f"release: lacks {', '.join(lacking)}", file=sys.stderr)
        return 1
    return try_sdist(sdist)


def version() -> str:
    """Return the version, which stands in pyproject.toml alone."""
    text = (PROJECT / "pyproject.toml").read_text(encoding="utf-8")
    return str(tomllib.loads(text)["project"]["version"])


def disagreements(stated: str, tag: str) -> list[str]:
    """Return which places say another version; no tag says none."""
    changelog = (PROJECT / "CHANGELOG.md").read_text(encoding="utf-8")
    citation = (PROJECT / "CITATION.cff").read_text(encoding="utf-8")
    wrong = []
    if tag and tag != f"v{stated}":
        wrong.append(f"tag: got {tag}, expected v{stated}")
    if not re.search(rf"^## {re.escape(stated)}\b", changelog, re.MULTILINE):
        wrong.append(f"CHANGELOG.md: got no section {stated}, expected '## {stated}'")
    elif tag and re.search(rf"^## {re.escape(stated)}.*unreleased", changelog, re.MULTILINE):
        wrong.append(f"CHANGELOG.md: got {stated} unreleased, expected its day")
    if f"\nversion: {stated}\n" not in citation:
        wrong.append(f"CITATION.cff: got another version, expected {stated}")
    return wrong


def lacks(wheel: Path, sdist: Path) -> list[str]:
    """Return what is missing in either."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=PROJECT, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    with tarfile.open(sdist) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    with zipfile.ZipFile(wheel) as file:
        packed = set(file.namelist())
    missing = [
        f"{name} in the sdist"
        for name in listed
        if not name.startswith(LEFT_OUT)
        if name not in held
    ]
    return missing + [f"{name} in the wheel" for name in IN_WHEEL if name not in packed]


def try_sdist(sdist: Path) -> int:
    """Unpack the sdist elsewhere and run some of its tests on its own source."""
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(sdist) as archive:
            archive.extractall(folder, filter="data")
        root = Path(folder) / sdist.name.removesuffix(".tar.gz")
        own = f"import pytest, sys; sys.path[:0] = [{str(root / 'src')!r}, {str(root)!r}]"
        tests = f"sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', *{TRIED!r}]))"
        return subprocess.run(
            [sys.executable, "-c", f"{own}; {tests}"], cwd=root, check=False
        ).returncode


if __name__ == "__main__":
    sys.exit(main())
