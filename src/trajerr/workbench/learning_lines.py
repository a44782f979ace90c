"""The command lines that lead from recordings to a bundle."""

from collections.abc import Iterator

from trajerr.workbench.command_lines import (
    layers,
    listed,
    log_columns,
    printer_name,
    sensors,
    stated,
)
from trajerr.workbench.folder import BEST, BUNDLES, DATA, TRAININGS
from trajerr.workbench.forms import Form
from trajerr.workbench.work import Step

SIMULATED, RECORDED, LOGGED, SENSED = "simulated", "recorded", "logged", "sensed"
MACHINE = "machine"
MORE_MOTION = "layers=sampled:10"  # of the embedded parts: more than any recording has
ANY_ERROR = "quality.rms_error_um=[0,10000]"  # the range that is checked is the soft study's
# Recordings are short: what judges is what has chosen the epoch.
ALL_BUT_VALIDATION = ("train_ratio=0.85", "val_ratio=0.15", "test_ratio=0")
EFFORTS = {  # label, what a training from nothing is told, and what one from such a network
    "try": (
        "a try-out: does everything run? seconds, no accuracy",
        ["experiment=smoke"],
        ["model=small", "model.d_model=16", "model.feedforward=16"],  # the experiment's network
    ),
    "small": ("small: for small computers, real time", ["model=small"], ["model=small"]),
    "base": ("base: as accurate as most need", ["model=base"], ["model=base"]),
    "large": ("large: a little more accurate, much longer", ["model=large"], ["model=large"]),
}


def learn(form: Form, place: str) -> list[Step]:
    """Return what leads from recordings to a bundle."""
    name = printer_name(form["name"])
    if form["source"] == MACHINE:
        return list(_machine(form, name))
    raw, prepared = f"{DATA}/{name}/raw", f"{DATA}/{name}/prepared"
    steps = [_printing(form, raw)] if form["source"] == SIMULATED else []
    made = (*_recordings(form, raw), f"output_dir={prepared}")
    steps.append(Step("Preparing the recordings", "prepare", made))
    steps.append(_training("Learning", form, prepared, name, form["pretrained"]))
    return [*steps, _export(name)]


def learn_results(form: Form, place: str) -> dict[str, str]:
    """Return where the bundle goes, and what a whole machine's learning says beside."""
    name = form["name"]
    beside = {
        "found": f"{DATA}/{name}/calibration/calibration.json",
        "worth": f"{DATA}/{name}/evaluation/metrics.json",
    }
    is_machine = form["source"] == MACHINE
    return {"bundle": f"{BUNDLES}/{name}"} | (beside if is_machine else {})


def _printing(form: Form, raw: str) -> Step:
    arguments = [f"printer={form['printer']}", f"layers={layers(form['layers'])}", f"out={raw}"]
    arguments += [stated("gcode", form["gcode"])] if form["gcode"] else []
    return Step("Printing on the simulated machine", "collect", tuple(arguments))


def _recordings(form: Form, raw: str) -> list[str]:
    """Return what says to prepare where its recordings are."""
    source = form["source"]
    if source == SENSED:
        return _sensed(form, form["sensed_printer"])
    if source == LOGGED:
        return [listed("data_dirs", form["log"]), *log_columns(form)]
    return [_simulated(raw) if source == SIMULATED else listed("data_dirs", form["recordings"])]


def _sensed(form: Form, printer: str) -> list[str]:
    print_of = ["log=accelerometer", stated("log.gcode", form["printed"])]
    return [*print_of, *sensors(form, "log"), f"printer={printer}"]


def _simulated(raw: str) -> str:
    return listed("data_dirs", f"{raw}/data_simulation_*")


def _training(title: str, form: Form, prepared: str, name: str, pretrained: str) -> Step:
    """Return a training from nothing, or from a network's weights, in a folder of its own."""
    _, anew, network = EFFORTS[form["effort"]]
    begun = ["experiment=transfer", *network, stated("pretrained", pretrained)]
    train = [*(begun if pretrained else anew), f"data.root={prepared}"]
    train.append(f"hydra.run.dir={TRAININGS}/{name}")
    train += [f"trainer.max_epochs={form['epochs']}"] if form["epochs"] else []
    return Step(title, "train", tuple(train))


def _export(name: str) -> Step:
    arguments = (f"checkpoint={TRAININGS}/{name}/{BEST}", f"output_dir={BUNDLES}/{name}")
    return Step("Writing the bundle", "export", arguments)


def _machine(form: Form, name: str) -> Iterator[Step]:
    """Yield what ``make machine`` does: simulation brings breadth, the recording the truth."""
    home, first = f"{DATA}/{name}", f"{name}_simulated"
    measured = [f"name={name}", f"printer={form['like']}", stated("gcode", form["printed"])]
    measured += [*sensors(form, "accelerometer"), f"output_dir={home}/calibration"]
    yield Step("Measuring the printer", "calibrate", tuple(measured))
    simulated = (f"printer={name}", MORE_MOTION, f"out={home}/raw", ANY_ERROR)
    yield Step("Printing on the simulated machine", "collect", simulated)
    made = (_simulated(f"{home}/raw"), f"output_dir={home}/simulated")
    yield Step("Preparing the simulated print", "prepare", made)
    recorded = (*_sensed(form, name), *ALL_BUT_VALIDATION, f"output_dir={home}/recorded")
    yield Step("Preparing the recording", "prepare", recorded)
    title = "Learning the simulated machine"
    yield _training(title, form, f"{home}/simulated", first, form["pretrained"])
    begun = f"{TRAININGS}/{first}/{BEST}"
    yield _training("Learning the recording", form, f"{home}/recorded", name, begun)
    judged = [f"checkpoint={TRAININGS}/{name}/{BEST}", f"data.root={home}/recorded", "split=val"]
    judged.append(f"output_dir={home}/evaluation")
    yield Step("Judging it on layers that it was not trained on", "evaluate", tuple(judged))
    yield _export(name)
