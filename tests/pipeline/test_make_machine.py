"""``make machine``: which commands it runs, what it does not do twice, and the page it writes."""

import importlib.util
import json
import sys

import pytest
from hydra import compose, initialize_config_dir

from tests.paths import CONF, PROJECT

SCRIPT = PROJECT / "scripts" / "make_machine.py"
INTERVAL = {"value": 41.234, "low": 40.0, "high": 42.5}


@pytest.fixture
def script(monkeypatch, tmp_path):
    spec = importlib.util.spec_from_file_location("make_machine", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "make_machine", module)
    spec.loader.exec_module(module)
    monkeypatch.chdir(tmp_path)
    for name in ("part.gcode", "x.csv", "y.csv", "best.ckpt"):
        (tmp_path / name).write_text(name)
    return module


WORDS = ["NAME=mine", "GCODE=part.gcode", "X=x.csv", "Y=y.csv", "PRETRAINED=best.ckpt"]


def planned(script, words):
    given, overrides = script.options(words)
    return given, list(script.stages(script.Path("machines/mine"), given, overrides))


@pytest.mark.parametrize("words", [WORDS, WORDS[:3], [*WORDS, "BESIDE=0.3"]])
def test_every_stage_composes(script, words, tmp_path):
    _, stages = planned(script, [*words, "trainer.max_epochs=1"])
    commands = [stage.command for stage in stages]
    assert commands == [
        *("calibrate", "collect", "prepare", "prepare", "train", "train", "evaluate", "export")
    ]
    own = tmp_path / "conf" / "printer"
    own.mkdir(parents=True)
    (own / "mine.yaml").write_text((CONF / "printer" / "ender3_v2.yaml").read_text())
    with initialize_config_dir(str(CONF), version_base="1.3"):
        for stage in stages:
            for arguments in filter(None, (stage.arguments, stage.resumed)):
                same = [word.replace("printer=mine", "printer=ender3_v2") for word in arguments]
                compose(stage.command, same)


def test_it_transfers_in_two_stages_and_recordings_come_last(script):
    _, stages = planned(script, WORDS)
    first, second = (stage.arguments for stage in stages if stage.command == "train")
    assert first[:3] == [
        "experiment=transfer",
        "pretrained=best.ckpt",
        "data.root=machines/mine/simulated_layers",
    ]
    assert second[:3] == [
        "experiment=transfer",
        "pretrained=machines/mine/train_simulated/checkpoints/best.ckpt",
        "data.root=machines/mine/recorded_layers",
    ]
    _, mixed = planned(script, [*WORDS, "BESIDE=0.3"])
    slow, both = (stage.arguments for stage in mixed if stage.command == "train")
    assert slow == first
    beside = ["data.beside=machines/mine/simulated_layers", "data.beside_share=0.3"]
    assert both == [*second, *beside]
    alone = [stage.arguments for stage in planned(script, WORDS[:3])[1] if stage.command == "train"]
    assert alone[0] == ["data.root=machines/mine/simulated_layers"]
    assert alone[1] == second


def test_done_is_not_done_again_until_a_file_changes_and_training_goes_on(script, monkeypatch):
    ran = []

    def call(command):
        ran.append(command[3:])
        return 1 if len(ran) == 2 else 0

    monkeypatch.setattr(script, "ran", call)
    given, stages = planned(script, WORDS)
    run, calibrate, train = script.Path("machines/mine"), stages[0], stages[4]

    def perform(*some):
        made_from = ""
        for stage in some:
            made_from = script.stamp(stage, given, made_from)
            script.perform(run, stage, made_from)

    perform(calibrate)
    perform(calibrate)
    assert len(ran) == 1

    with pytest.raises(SystemExit) as caught:  # interrupted
        perform(calibrate, train)
    assert caught.value.code == 1
    last = run / "train_simulated" / "checkpoints" / "last.ckpt"
    last.parent.mkdir()
    last.write_text("a state")
    perform(calibrate, train)
    assert ran[1][0:2] == ["experiment=transfer", "pretrained=best.ckpt"]
    assert ran[2][0:2] == ["experiment=transfer", f"resume={last}"]

    script.Path("best.ckpt").write_text("another network")
    perform(calibrate, train)
    assert len(ran) == 4  # the network alone
    assert ran[3][1] == "pretrained=best.ckpt"  # what had begun was of the other

    script.Path("x.csv").write_text("another recording")
    perform(calibrate, train)
    assert len(ran) == 6
    assert ran[5][1] == "pretrained=best.ckpt"

    own = script.Path("conf/printer/ender3_v2.yaml")
    own.parent.mkdir(parents=True)
    own.write_text("another printer that it is like")
    perform(calibrate)
    assert len(ran) == 7


def test_each_stage_has_a_folder_of_its_own(script):
    _, stages = planned(script, WORDS)
    folders = [stage.folder for stage in stages]
    assert len(set(folders)) == len(folders)
    assert folders[2:6] == [
        *("prepare_simulated", "prepare_recorded", "train_simulated", "train_recorded")
    ]
    assert [stage.folder for stage in script.chosen(stages, "train")] == folders[:6]
    assert [stage.folder for stage in script.chosen(stages, "calibrate")] == ["calibrate"]


def test_the_page_says_what_was_found_and_what_it_is_worth(script, tmp_path):
    given, _ = planned(script, WORDS)
    run = tmp_path / "machines/mine"
    for folder in ("calibration", "evaluation", "recorded_layers"):
        (run / folder).mkdir(parents=True)
    late = {"value": 1.2e-3, "low": 1e-3, "high": 1.5e-3}
    axes = {"x": {"natural_freq_hz": INTERVAL, "delay_s": late, "gain": INTERVAL}}
    (run / "calibration/calibration.json").write_text(json.dumps({"axes": axes}))
    overall = {"overall": {"r2": 0.98, "mae_mm": 0.002, "rmse_mm": 0.003}}
    others = {"physics": {"trajectory": overall}, "fir": {"trajectory": overall}}
    metrics = {"trajectory": overall, "baselines": others}
    (run / "evaluation/metrics.json").write_text(json.dumps(metrics))
    axis = {"error_rms_um": 60.21, "uncertainty_um": 5.04, "crossover_hz": 9.5}
    recording = {"fusion": {"x": axis, "y": axis}}
    (run / "recorded_layers/recording.json").write_text(json.dumps(recording))
    page = script.summary(run, given)
    assert "| x | natural frequency / Hz | 41.23 | 40 to 42.5 |" in page
    assert "| x | later than the other axis / ms | 1.2 | 1 to 1.5 |" in page
    assert "gain" not in page
    assert "| y | 60.2 | 5.0 | 9.5 |" in page
    assert "| network | 0.980 | 2.0 | 3.0 |" in page
    assert "| least squares | 0.980 | 2.0 | 3.0 |" in page
    assert "| the calibrated printer | 0.980 | 2.0 | 3.0 |" in page
    assert "bundle=machines/mine/bundle" in page.replace(str(tmp_path) + "/", "")
    early = script.summary(run, given | {"UNTIL": "calibrate"})
    assert "natural frequency" in early
    assert "network" not in early


def test_a_printer_that_is_there_already_is_not_replaced(script, tmp_path):
    own = tmp_path / "conf" / "printer" / "mine.yaml"
    own.parent.mkdir(parents=True)
    own.write_text("name: mine")
    with pytest.raises(SystemExit, match="is another printer's, expected a new name"):
        script.options(WORDS)
    (tmp_path / "machines/mine/calibrate").mkdir(parents=True)
    (tmp_path / "machines/mine/calibrate/begun.json").write_text("[]")
    script.options(WORDS)  # made by an earlier run


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["NAME=mine"], "GCODE: not given"),
        (["GCODE=part.gcode", "X=x.csv"], "NAME: not given"),
        (["NAME=a/b", "GCODE=part.gcode", "X=x.csv"], "NAME: got a/b, expected letters"),
        (["NAME=a", "GCODE=absent", "X=x.csv"], "GCODE: got absent, expected a file"),
        ([*WORDS[:3], "Y=absent"], "Y: got absent, expected a file"),
        ([*WORDS[:3], "Y=x.csv"], "Y: got x.csv as X, expected another file"),
        ([*WORDS[:3], "UNTIL=prepare"], "UNTIL: got prepare, expected one of calibrate, collect"),
        ([*WORDS[:3], "PRINTER=mine"], "NAME: got mine, which is PRINTER"),
        ([*WORDS[:3], "PRETRAINED=absent"], "PRETRAINED: got absent, expected a file"),
    ],
)
def test_mistakes_are_named_before_any_work(script, words, message):
    with pytest.raises(SystemExit) as caught:
        script.options(words)
    assert message in str(caught.value.code)
