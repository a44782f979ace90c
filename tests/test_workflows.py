"""What GitHub runs and asks: workflows that name what exists, pinned, with few rights."""

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.paths import PROJECT

GITHUB = PROJECT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
FORMS = sorted((GITHUB / "ISSUE_TEMPLATE").glob("*.yml"))
PINNED = re.compile(r"[\w./-]+@[0-9a-f]{40}")
EVENTS = {"push", "pull_request"}
FIELDS = {"markdown", "input", "textarea", "dropdown", "checkboxes"}
RUNNERS = {"ubuntu-24.04", "macos-15", "windows-2025"}


def read(path: Path) -> dict:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def jobs() -> Iterator[tuple[str, dict]]:
    for path in WORKFLOWS:
        for name, job in read(path)["jobs"].items():
            yield f"{path.stem}: {name}", job


def steps() -> Iterator[dict]:
    for _, job in jobs():
        yield from job["steps"]


def project() -> dict:
    return tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_there_are_workflows_and_forms():
    assert {path.stem for path in WORKFLOWS} == {"check", "release"}
    assert {path.stem for path in FORMS} == {"config", "gcode", "recording", "printer"}


def test_every_action_is_pinned_to_a_commit_with_its_version_beside():
    lines = [
        line
        for path in WORKFLOWS
        for line in path.read_text(encoding="utf-8").splitlines()
        if "uses:" in line
    ]
    assert len(lines) == sum("uses" in step for step in steps()) > 0
    for line in lines:
        action, _, version = line.partition("uses:")[2].partition("#")
        assert PINNED.fullmatch(action.strip()), line
        assert re.fullmatch(r"v\d+\.\d+\.\d+", version.strip()), line


def test_one_action_has_one_commit():
    used = {step["uses"] for step in steps() if "uses" in step}
    assert len(used) == len({action.partition("@")[0] for action in used})


def test_every_command_names_what_exists():
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    for step in steps():
        words = shlex.split(step.get("run", ""))
        if words[:1] == ["make"]:
            assert {word for word in words[1:] if "=" not in word} <= targets
        elif words[:2] == ["python", "-m"]:
            assert words[2] in {"pip", "pytest"}
            places = [word for word in words if word.startswith("tests/")]
            assert [place for place in places if not (PROJECT / place).exists()] == []
        elif words:
            assert words[0] == "python"
            assert (PROJECT / words[1]).is_file()


def test_what_is_installed_is_an_extra():
    extras = project()["optional-dependencies"]
    stated = [
        name for step in steps() for name in re.findall(r'"\.\[([\w,]+)\]"', step.get("run", ""))
    ]
    stated += re.findall(r'"\.\[([\w,]+)\]"', (PROJECT / "Makefile").read_text(encoding="utf-8"))
    assert len(stated) >= 3
    assert {extra for names in stated for extra in names.split(",")} <= set(extras)


def test_workflows_have_no_more_rights_than_reading():
    for path in WORKFLOWS:
        workflow = read(path)
        assert workflow["permissions"] == {"contents": "read"}
        assert set(workflow[True]) <= EVENTS  # YAML reads `on` as a truth value
    granted = {name: job["permissions"] for name, job in jobs() if "permissions" in job}
    assert granted == {"release: publish": {"id-token": "write"}}


def test_no_secret_is_used():
    for path in WORKFLOWS:
        assert "secrets." not in path.read_text(encoding="utf-8")


def test_checkouts_keep_no_credentials():
    found = [step for step in steps() if step.get("uses", "").startswith("actions/checkout@")]
    assert found
    assert all(step["with"] == {"persist-credentials": False} for step in found)


def test_systems_and_pythons():
    systems, pythons = set(), set()
    for _, job in jobs():
        matrix = job.get("strategy", {}).get("matrix", {})
        pythons |= set(matrix.get("python", []))
        systems |= set(matrix.get("system", [])) | ({job["runs-on"]} - {"${{ matrix.system }}"})
    assert systems == RUNNERS
    prefix = "Programming Language :: Python :: 3."
    classified = {
        c.removeprefix(prefix[:-2]) for c in project()["classifiers"] if c.startswith(prefix)
    }
    assert pythons == classified


@pytest.mark.parametrize(
    "path", [path for path in FORMS if path.stem != "config"], ids=lambda p: p.stem
)
def test_forms_ask_for_what_is_needed(path):
    form = read(path)
    assert {"name", "description", "body"} <= set(form)
    ids = [field["id"] for field in form["body"] if field["type"] != "markdown"]
    assert len(ids) == len(set(ids)) > 0
    for field in form["body"]:
        assert field["type"] in FIELDS
        assert field["attributes"].get("value" if field["type"] == "markdown" else "label")
    assert any(field.get("validations", {}).get("required") for field in form["body"])


def test_dependabot_watches_actions_and_packages():
    updates = read(GITHUB / "dependabot.yml")["updates"]
    assert {update["package-ecosystem"] for update in updates} == {"github-actions", "pip"}


def test_the_version_stands_in_one_place_and_others_agree():
    version = project()["version"]
    assert f"\nversion: {version}\n" in (PROJECT / "CITATION.cff").read_text(encoding="utf-8")
    changelog = (PROJECT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## {re.escape(version)}\b", changelog, re.MULTILINE)
    source = [path.read_text(encoding="utf-8") for path in (PROJECT / "src").rglob("*.py")]
    assert not any(f'"{version}"' in text for text in source)


def test_every_extra_of_a_release_has_lower_bounds():
    """So that `make lower-bounds` can install them."""
    for name, lines in project()["optional-dependencies"].items():
        for line in lines:
            assert ">=" in line or line.startswith("trajerr[") or line == "joblib<1.6", (name, line)
