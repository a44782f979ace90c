"""A value's default stands in one place; a command is short; a root config is a short list."""

import importlib
import inspect
from dataclasses import is_dataclass
from typing import Any

import pytest
import yaml

from tests.paths import CONF, PROJECT
from trajerr.calibration.made_printer import MachineFile, RingingTest
from trajerr.calibration.run import CalibrationRun
from trajerr.collection.campaign import Collection
from trajerr.commands.building import TARGET, calls
from trajerr.commands.composition import COMMANDS, ROOTS
from trajerr.commands.configs import compose
from trajerr.correction.pieces import EmissionSettings
from trajerr.correction.run import CorrectionRun
from trajerr.correction.settings import CorrectionSettings
from trajerr.dataset.preparation import PrepareSettings
from trajerr.evaluation.assess import EvaluateSettings
from trajerr.exporting.settings import ExportSettings
from trajerr.models.registry import NETWORKS
from trajerr.shipped import shipped
from trajerr.training.settings import (
    NOT_OF_THE_NETWORK,
    EarlyStoppingSettings,
    LossSettings,
    OptimizerSettings,
    ScheduleSettings,
    TrainerSettings,
    TrainSettings,
)

PICKED = {  # what commands pick from their roots
    "calibrate": (CalibrationRun, MachineFile, RingingTest),
    "collect": (Collection,),
    "correct": (CorrectionRun, CorrectionSettings, EmissionSettings),
    "evaluate": (EvaluateSettings,),
    "export": (ExportSettings,),
    "prepare": (PrepareSettings,),
    "train": (TrainSettings,),
}
LOG = (
    "people's own logs say what differs from a plain CSV file, and conf/log/csv lists all there is"
)
NOT_ACTING = "what a machine's file leaves out does not act"
OTHER_FIRMWARE = "a machine's file has the limits of its own firmware"
OTHER_SCHEDULE = "a model's file has the values of its own schedule"
IN_BOTH = {  # class → its fields that have a default in YAML and in a signature, and why
    "LogFormat": (
        {"y", "z", "time", "time_unit", "length_unit", "sample_rate_hz", "delimiter", "header"}
        | {"part", "sections", "x", "excitation_hz"},
        LOG,
    ),
    "LogSection": ({"split"}, LOG),
    "LossSettings": ({"uncertainty_mm"}, "earlier checkpoints lack it"),
    "AxisParameters": (
        {"coulomb_n", "belt_strength", "ripple_amplitudes_mm", "ripple_periods_mm", "jitter_s"}
        | {"delay_s", "viscous_n_s_per_m", "second_mode"},
        NOT_ACTING,
    ),
    "Printer": (
        {"bed_origin_mm", "belt_imbalance", "shaper", "recordings"},
        f"{NOT_ACTING}; earlier files lack origin, shaper and recordings",
    ),
    "MachineLimits": (
        {"jerk_mm_s", "square_corner_velocity_mm_s", "minimum_cruise_ratio", "path_velocity_mm_s"}
        | {"lookahead_blocks", "retract_acceleration_mm_s2", "extruder_corner_velocity_mm_s"}
        | {"max_accel_to_decel_mm_s2", "arc_resolution_mm", "steps_per_mm", "jerk_cap_mm_s"},
        OTHER_FIRMWARE,
    ),
    "ScheduleSettings": ({"warm_up", "factor", "patience"}, OTHER_SCHEDULE),
    "FirNetwork": ({"constant"}, "checkpoints of earlier versions lack it"),
    "TransformerRecurrent": ({"mirrored"}, "checkpoints of earlier versions lack it"),
    "EMAWeightAveraging": ({"decay"}, "Lightning's own is for trainings of many more steps"),
}


def defaults(kind: type) -> set[str]:
    parameters = inspect.signature(kind).parameters.values()
    return {p.name for p in parameters if p.default is not inspect.Parameter.empty}


def stated() -> list[tuple[type, set[str]]]:
    """Each class with keys that some shipped config states for it."""
    found: list[tuple[type, set[str]]] = []
    for path in CONF.rglob("*.yaml"):
        if "hydra" not in path.relative_to(CONF).parts:
            found += targets({k: v for k, v in _read(path).items() if k != "hydra"})
    for root, kinds in PICKED.items():
        found += [(kind, set(shipped(root))) for kind in kinds]
    train = compose("train")
    found += [
        (LossSettings, set(train["loss"])),
        (TrainerSettings, set(train["trainer"])),
        (EarlyStoppingSettings, set(train["early_stopping"])),
    ]
    for name, network in NETWORKS.items():
        model = shipped(f"model/{name}")
        found.append((network, set(model) - {*NOT_OF_THE_NETWORK}))
        found.append((OptimizerSettings, set(model["optimizer"])))
        found.append((ScheduleSettings, set(model["schedule"])))
    return found


def _read(path: Any) -> dict[str, Any]:
    return yaml.safe_load(path.read_text()) or {}


def targets(node: Any) -> list[tuple[type, set[str]]]:
    inner = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    found = [pair for value in inner for pair in targets(value)]
    if isinstance(node, dict) and TARGET in node:
        module, _, name = node[TARGET].rpartition(".")
        found.append((getattr(importlib.import_module(module), name), set(node)))
    return found


def test_no_default_stands_in_a_config_and_in_a_signature() -> None:
    both: dict[str, set[str]] = {}
    for kind, keys in stated():
        repeated = defaults(kind) & keys
        if repeated:
            both.setdefault(kind.__name__, set()).update(repeated)
    assert both == {name: fields for name, (fields, _) in IN_BOTH.items()}


@pytest.mark.parametrize("root", PICKED)
def test_what_a_command_picks_is_a_frozen_dataclass_with_keys_of_its_root(root: str) -> None:
    for kind in PICKED[root]:
        assert is_dataclass(kind)
        assert kind.__dataclass_params__.frozen
        assert set(inspect.signature(kind).parameters) & set(shipped(root))


@pytest.mark.parametrize("root", sorted(set(ROOTS) - {"hydra_settings"}))
def test_a_root_is_a_short_list_with_the_last_word(root: str) -> None:
    listed = shipped(root)["defaults"]
    chosen = [entry for entry in listed if entry != "_self_"]
    assert len(chosen) <= 6
    assert chosen[0] == "hydra_settings"
    last = listed[-1]
    if last != "_self_":  # but for an experiment's
        assert last == {"optional experiment": None}
        assert listed[-2] == "_self_"


def test_no_run_changes_its_folder() -> None:
    assert shipped("hydra_settings")["hydra"]["job"]["chdir"] is False
    for path in CONF.rglob("*.yaml"):
        assert "chdir: true" not in path.read_text()


@pytest.mark.parametrize("root", COMMANDS)
def test_no_root_states_a_key_twice(root: str) -> None:
    text = (CONF / f"{root}.yaml").read_text()
    mirrored = [line for line in text.splitlines() if line.partition("#")[0].count(": ${") > 0]
    assert [line for line in mirrored if line.split(":")[0].strip() in line.split("${")[1]] == []


@pytest.mark.parametrize("root", COMMANDS)
def test_a_command_is_short(root: str) -> None:
    assert len((PROJECT / f"src/trajerr/{root}.py").read_text().splitlines()) <= 60


def test_targets_of_roots_are_those_of_groups() -> None:
    for root in COMMANDS:
        for key, _ in calls({k: v for k, v in shipped(root).items() if k != "hydra"}):
            assert key.count(".") >= 1, "the root itself is not called"
