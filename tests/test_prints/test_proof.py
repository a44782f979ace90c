"""The proof: one object, its upper half corrected, the lower as sliced."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.correction.cases import linear_printer, small_print
from trajerr.correction import TwinModel
from trajerr.correction.compensate import apply_correction
from trajerr.correction.run import CorrectionRun
from trajerr.correction.settings import CorrectionSettings
from trajerr.errors import GcodeError
from trajerr.test_prints import proof
from trajerr.test_prints.proof import write_proof


def correction_of(folder: Path, **changes) -> CorrectionRun:
    (folder / "part.gcode").write_bytes(small_print(4).text)
    values = {
        "gcode": str(folder / "part.gcode"),
        "bundle": None,
        "out": str(folder / "proof.gcode"),
        "in_place": False,
        "layers": "all",
        "report": True,
        "report_dir": None,
        "report_layers": 3,
        "report_page": False,
        "report_pictures": False,
        "page_layers": 1,
        "compare": (),
        "force": False,
        "other_machine": False,
        "sample_rate_hz": 400.0,
        "rounds": 0,
        "accelerator": "cpu",
        "settings": CorrectionSettings.shipped(method="twin"),
    }
    return CorrectionRun(**{**values, **changes})


@pytest.fixture
def _with_twin(monkeypatch):
    """The simulated printer stands for a bundle's network."""
    printer = linear_printer()
    monkeypatch.setattr(
        CorrectionRun, "_models", lambda self, given: ({"twin": TwinModel(printer)}, printer)
    )


@pytest.mark.usefixtures("_with_twin")
def test_the_upper_half_is_corrected_as_correct_does_and_the_lower_is_as_sliced(tmp_path):
    done = write_proof(correction_of(tmp_path))
    assert done.correction.layers == (3, 4)
    text = (tmp_path / "proof.gcode").read_bytes()
    assert b"; layers 3 to 4 are corrected, those below are as sliced" in text.split(b"\n")[2]
    original = small_print(4)
    lower = original.moves.line[original.moves.layer == 2].max()
    untouched = original.text.split(b"\n")[1:lower]
    assert b"\n".join(untouched) in text

    same = CorrectionSettings.shipped(method="twin", layers=(3, 4))
    printer = linear_printer()
    apply_correction(
        tmp_path / "part.gcode", tmp_path / "b.gcode", TwinModel(printer), printer, same
    )
    other = (tmp_path / "b.gcode").read_bytes().split(b"\n")
    assert [line for line in text.split(b"\n") if not line.startswith(b"; layers")] == other


@pytest.mark.usefixtures("_with_twin")
def test_where_nothing_would_be_seen_nothing_is_written(tmp_path):
    run = correction_of(tmp_path)
    settings = replace(run.settings, least_improvement=0.9999)
    with pytest.raises(GcodeError, match=r"expected 100 % or more to be seen; nothing is written"):
        write_proof(replace(run, settings=settings))
    assert not (tmp_path / "proof.gcode").exists()
    assert proof.UPPER == "upper"
