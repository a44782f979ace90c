"""A bundle knows its machine, and is not used on another by accident."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.correction.cases import small_print
from trajerr import correct as command
from trajerr.bundle.machine import LearntMachine
from trajerr.bundle.manifest import MANIFEST, ONNX, ONNX_STEP, SEAL, open_bundle, write_manifest
from trajerr.bundle.runtime import Predictor
from trajerr.commands.configs import load_printer
from trajerr.correction.compensate import apply_correction
from trajerr.correction.run import CorrectionRun
from trajerr.correction.settings import CorrectionSettings
from trajerr.dynamics.printer import Printer
from trajerr.errors import ConfigError, GcodeError
from trajerr.exporting.export import export_bundle

MZV = {"type": "mzv", "frequency_hz": 24.1, "damping_ratio": 0.1}
RECORDING, ANOTHER = "ab" * 32, "cd" * 32
OF_RECORDINGS = {
    "printer": None,
    "stats": {"params": {"kind": "measured"}, "sources": [{"sha256": RECORDING}]},
}
DERIVED = ("kind", "schema_version", "files", SEAL)  # keys that writing a manifest adds


@pytest.fixture(scope="session")
def small(make_checkpoint, made_once) -> Path:
    """A bundle of the default printer's motion."""

    def export(folder: Path) -> None:
        export_bundle(make_checkpoint("lstm").path, folder / "bundle", ["onnx"])

    return made_once("small", export) / "bundle"


@pytest.fixture
def changed(small, tmp_path):
    """Return what writes the bundle with another manifest, without some keys."""

    def write(*without: str, **changes) -> Path:
        folder = tmp_path / "changed"
        folder.mkdir()
        for name in (ONNX, ONNX_STEP):
            (folder / name).write_bytes((small / name).read_bytes())
        manifest = json.loads((small / MANIFEST).read_text()) | changes
        write_manifest(folder, {k: v for k, v in manifest.items() if k not in (*DERIVED, *without)})
        return folder

    return write


@pytest.fixture
def workplace(tmp_path, monkeypatch) -> Path:
    (tmp_path / "part.gcode").write_bytes(small_print(1).text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    return tmp_path


def run(bundle: Path | None, *, other_machine: bool = False, method="inverse", compare=()):
    return CorrectionRun(
        gcode="part.gcode",
        bundle=None if bundle is None else str(bundle),
        out=None,
        in_place=False,
        layers="all",
        report=False,
        report_dir=None,
        report_layers=1,
        report_page=False,
        report_pictures=False,
        page_layers=1,
        compare=compare,
        force=False,
        other_machine=other_machine,
        sample_rate_hz=200.0,
        rounds=0,
        accelerator="cpu",
        settings=CorrectionSettings.shipped(method=method),
    )


def machine(conf: str = "ender3_v2", **changes) -> Printer:
    return Printer.from_dict({**load_printer(conf).to_dict(), **changes})


def test_the_manifest_names_its_machine(small):
    known = load_printer("ender3_v2")
    told = {"name": "ender3_v2", "identity": known.identity, "recordings": []}
    assert open_bundle(small).manifest["machine"] == told
    assert LearntMachine.of_bundle(open_bundle(small)).to_dict() == told


def test_a_model_of_recordings_names_these_and_no_printer():
    stats = OF_RECORDINGS["stats"] | {"sources": [{"sha256": ANOTHER}, {"sha256": RECORDING}] * 2}
    told = {"name": None, "identity": None, "recordings": [RECORDING, ANOTHER]}
    assert LearntMachine.of(None, stats).to_dict() == told
    of_two = {"params": {"simulation_rate_hz": 1e4}, "sources": [{"sha256": RECORDING}]}
    assert LearntMachine.of(None, of_two).recordings == ()  # simulated, of several printers


@pytest.mark.parametrize("earlier", [False, True])
def test_limits_bed_and_name_may_differ(small, changed, workplace, earlier):
    """``earlier``: a bundle that says no more than its printer."""
    bundle = changed("machine") if earlier else small
    assert ("machine" in open_bundle(bundle).manifest) != earlier
    limits = load_printer("klipper_fast").to_dict()["limits"]
    for same in (None, machine(), machine(name="mine", bed_mm=[300, 300, 300], limits=limits)):
        prepared = run(bundle).prepare(same)
        assert prepared.printer == (same or load_printer("ender3_v2"))


@pytest.mark.parametrize("earlier", [False, True])
@pytest.mark.parametrize(
    ("other", "differs"),
    [
        (machine("corexy"), "belt_imbalance, kinematics, x, y"),
        (machine("ender3_stock"), "x, y"),
        (machine(shaper={"x": MZV, "y": MZV}), "shaper"),
        (machine(recordings=[RECORDING]), "recordings"),
        (machine(effects=["friction"]), "effects"),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_another_machine_is_refused_before_any_work(
    small, changed, workplace, earlier, other, differs
):
    (workplace / "part.gcode").unlink()  # which would be the next thing to be missed
    own = load_printer("ender3_v2")
    bundle = changed("machine") if earlier else small
    with pytest.raises(ConfigError) as refused:
        run(bundle).prepare(other)
    assert str(refused.value) == (
        f"printer: got {other.name} ({other.identity}), expected ender3_v2 ({own.identity}), "
        f"whose motion the bundle has learnt and which differs in {differs}; "
        "other_machine=true corrects all the same"
    )


def test_a_bundle_of_a_printer_with_shaper_is_refused_on_one_without(changed, workplace):
    shaped = machine(shaper={"x": MZV, "y": MZV})
    bundle = changed("machine", printer=shaped.to_dict())
    assert run(bundle).prepare(None).printer == shaped
    with pytest.raises(ConfigError, match="which differs in shaper; other_machine=true"):
        run(bundle).prepare(machine())


def test_another_machine_is_corrected_for_when_told_to(small, workplace):
    other = machine("corexy")
    prepared = run(small, other_machine=True).prepare(other)
    assert prepared.printer == other
    assert "inverse" in prepared.models


@pytest.mark.parametrize("earlier", [False, True])
def test_recordings_tell_a_machine_that_has_no_printer(changed, workplace, earlier):
    told = {"name": None, "identity": None, "recordings": [RECORDING]}
    bundle = changed(
        *(["machine"] * earlier), **OF_RECORDINGS, **({} if earlier else {"machine": told})
    )
    mine = machine(name="mine", recordings=[ANOTHER, RECORDING])
    assert run(bundle).prepare(mine).printer == mine
    refusal = r"^printer: got ender3_v2 \(\w{12}\), expected one whose recordings the bundle has "
    for other in (machine(), machine(recordings=[ANOTHER])):
        with pytest.raises(
            ConfigError, match=rf"{refusal}learnt \(SHA-256 {RECORDING[:12]}…\); other_m"
        ):
            run(bundle).prepare(other)
        assert run(bundle, other_machine=True).prepare(other).printer == other
    with pytest.raises(ConfigError, match=r"^printer: got null, expected e\.g\. printer=mine"):
        run(bundle, other_machine=True).prepare(None)


def test_a_bundle_that_names_nothing_is_of_no_machine(changed, workplace):
    bundle = changed("machine", printer=None, stats={"params": {"simulation_rate_hz": 1e4}})
    with pytest.raises(ConfigError, match="expected one that the bundle names, and it names none"):
        run(bundle).prepare(machine())


def test_a_simulated_printer_as_model_needs_no_bundle(small, workplace):
    """Where it is of another machine it is left aside, unless its network is asked for."""
    other = machine("corexy")
    prepared = run(small, method="twin", compare=["subtract"]).prepare(other)
    assert set(prepared.models) == {"twin", "subtract"}
    assert set(run(small, method="twin").prepare(machine()).models) == {
        "twin",
        "subtract",
        "inverse",
    }
    with pytest.raises(ConfigError, match="other_machine=true"):
        run(small, method="twin", compare=["inverse"]).prepare(other)


def test_prediction_needs_no_machine(changed):
    predictor = Predictor.load(changed("machine", **OF_RECORDINGS))
    assert predictor.bundle.manifest["printer"] is None


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["printer=corexy"], "correct: printer: got corexy ("),
        (
            ["printer=ender3_v2", "printer.shaper={x:{type:zv,frequency_hz:24,damping_ratio:0}}"],
            "which differs in shaper; other_machine=true corrects all the same",
        ),
        (
            ["printer=ender3_v2", "printer.shaper={x:{type:zv,frequency_hz:0,damping_ratio:0}}"],
            "printer.shaper.x.frequency_hz: got 0, expected a number above 0",
        ),
        (["other_machine=perhaps"], "other_machine: got perhaps, expected true or false"),
    ],
)
def test_the_command_ends_in_one_line(small, workplace, monkeypatch, capsys, words, says):
    monkeypatch.setattr(sys, "argv", ["correct", "gcode=part.gcode", f"bundle={small}", *words])
    with pytest.raises(SystemExit) as ended:
        command.main()
    said = capsys.readouterr().err
    assert ended.value.code == 1
    assert says in said
    assert said.count("\n") == 1
    assert not (workplace / "part_corrected.gcode").exists()


class Astray:
    """A network that puts the nozzle where it never is: off to and fro by so much, in mm."""

    sample_rate_hz = 200.0
    band_hz = 60.0

    def __init__(self, far: float) -> None:
        self.far = far

    def errors(self, features):
        return self.far * np.sin(2.0 * np.pi * features[..., [1, 0]] / 12.0)


@pytest.mark.parametrize(
    ("far", "method"), [(0.3, "inverse"), (0.02, "inverse"), (0.3, "subtract")]
)
def test_a_correction_that_its_simulated_printer_finds_far_worse_is_not_written(
    small, workplace, far, method
):
    prepared = run(small, method=method).prepare(None).with_network(Astray(far))
    if (far, method) == (0.3, "inverse"):
        with pytest.raises(
            GcodeError, match=r"walls would be off by .* has not learnt such motion"
        ):
            prepared.correct()
        assert [path.name for path in workplace.iterdir()] == ["part.gcode"]
    else:
        assert prepared.correct().text is not None
        assert (workplace / "part_corrected.gcode").is_file()


def test_from_python_it_is_not_written_either(workplace):
    out = workplace / "out.gcode"
    with pytest.raises(GcodeError, match="has not learnt such motion"):
        apply_correction(workplace / "part.gcode", out, Astray(0.3), load_printer("ender3_v2"))
    assert not out.exists()


def test_for_another_machine_nobody_asks_the_simulated_printer(small, workplace):
    prepared = run(small, other_machine=True).prepare(None).with_network(Astray(0.3))
    assert prepared.correct().text is not None
