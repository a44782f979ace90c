from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trajerr.errors import ConfigError, DataError, GcodeError
from trajerr.gcode.sources import Source, find_sources, select_layers

SIXTY = np.arange(1, 61)


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        ("all", list(range(1, 61))),
        ("sampled:5", list(range(1, 61, 5))),
        ("sampled:100", [1]),
        ("10-20", list(range(10, 21))),
        ("7", [7]),
        (7, [7]),
        ([25, 1, 25], [1, 25]),
    ],
)
def test_forms_of_layers(spec: object, wanted: list[int]) -> None:
    assert select_layers(spec, SIXTY, "tugboat") == wanted


@given(layers=st.sets(st.integers(1, 300), min_size=1), step=st.integers(1, 50), data=st.data())
def test_sampling_takes_the_first_and_every_nth_that_prints(
    layers: set[int], step: int, data: st.DataObject
) -> None:
    available = np.array(sorted(layers))
    chosen = select_layers(f"sampled:{step}", available, "part")
    assert chosen == [n for i, n in enumerate(available) if i % step == 0]
    some = data.draw(st.lists(st.sampled_from(sorted(layers)), min_size=1))
    assert select_layers(some, available, "part") == sorted(set(some))


@pytest.mark.parametrize("spec", [999, [1, 999], "999", "55-65", 0])
def test_missing_layer_names_source_and_range(spec: object) -> None:
    said = r"^layers: got \[\d+[\d, ]*\], expected layers that print in tugboat, 1 to 60$"
    with pytest.raises(ConfigError, match=said):
        select_layers(spec, SIXTY, "tugboat")


@pytest.mark.parametrize("spec", ["most", "sampled:0", "20-10", "", [], [1.5], [True]])
def test_unknown_form_lists_the_forms(spec: object) -> None:
    with pytest.raises(ConfigError, match=r"layers: got .*sampled:5, 10-20"):
        select_layers(spec, SIXTY, "tugboat")


def test_a_print_without_layers_is_refused() -> None:
    with pytest.raises(DataError, match="no layer prints"):
        select_layers("all", np.array([], dtype=int), "empty")


def test_parts_and_files_become_sources(tmp_path: Path) -> None:
    assert find_sources(["boat"], None) == (Source("boat"),)
    for name in ("b.gcode", "a.gcode", "with space.g"):
        (tmp_path / name).write_text("G1 X1\n")
    found = find_sources(["boat"], str(tmp_path / "*.gcode"))
    assert [source.name for source in found] == ["a", "b"]
    both = find_sources([], [str(tmp_path / "with space.g"), str(tmp_path / "*.gcode")])
    assert [source.name for source in both] == ["with_space", "a", "b"]
    twice = find_sources([], [str(tmp_path / "a.gcode"), str(tmp_path / "*.gcode")])
    assert [source.name for source in twice] == ["a", "b"]


def test_unusable_choices_of_sources(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="parts: got benchy, expected one of tugboat"):
        find_sources(["benchy"], None)
    with pytest.raises(ConfigError, match=r"parts: got \[\], expected something to collect"):
        find_sources([], None)
    with pytest.raises(ConfigError, match=r"gcode: got \[\], expected something to collect"):
        find_sources(["boat"], [])
    with pytest.raises(GcodeError, match=r"nowhere\.gcode: no such file"):
        find_sources([], "nowhere.gcode")
    (tmp_path / "one").mkdir()
    for path in (tmp_path / "a.gcode", tmp_path / "one" / "a.gcode"):
        path.write_text("G1 X1\n")
    with pytest.raises(
        ConfigError, match=r"gcode: got \[.*a\.gcode.*\], expected one source of the name a"
    ):
        find_sources([], str(tmp_path / "**" / "*.gcode"))
