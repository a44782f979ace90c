"""The command lines that lead from recordings to a bundle."""

from collections.abc import Iterator

from trajerr.commands.machine_recipe import RecordedMachine, collected, export, judge
from trajerr.commands.quoting import listed, stated
from trajerr.workbench.command_lines import (
    layers,
    log_columns,
    printer_name,
    sensor_files,
    sensors,
)
from trajerr.workbench.folder import BEST, BUNDLES, DATA, TRAININGS
from trajerr.workbench.forms import Form
from trajerr.workbench.work import Step

SIMULATED, RECORDED, LOGGED, SENSED = "simulated", "recorded", "logged", "sensed"
MACHINE = "machine"
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
        print_of = ["log=accelerometer", stated("log.gcode", form["printed"])]
        return [*print_of, *sensors(form, "log"), f"printer={form['sensed_printer']}"]
    if source == LOGGED:
        return [listed("data_dirs", form["log"]), *log_columns(form)]
    return [collected(raw) if source == SIMULATED else listed("data_dirs", form["recordings"])]


def _training(title: str, form: Form, prepared: str, name: str, pretrained: str) -> Step:
    """Return a training from nothing, or from a network's weights, in a folder of its own."""
    _, anew, network = EFFORTS[form["effort"]]
    begun = ["experiment=transfer", *network, stated("pretrained", pretrained)]
    train = [*(begun if pretrained else anew), f"data.root={prepared}"]
    train.append(f"hydra.run.dir={TRAININGS}/{name}")
    train += [f"trainer.max_epochs={form['epochs']}"] if form["epochs"] else []
    return Step(title, "train", tuple(train))


def _export(name: str) -> Step:
    arguments = export(f"{TRAININGS}/{name}/{BEST}", f"{BUNDLES}/{name}")
    return Step("Writing the bundle", "export", tuple(arguments))


def _machine(form: Form, name: str) -> Iterator[Step]:
    """Yield what ``make machine`` does, with files in the workbench's folders."""
    home, first = f"{DATA}/{name}", f"{name}_simulated"
    raw, simulated, recorded = (f"{home}/{kind}" for kind in ("raw", "simulated", "recorded"))
    machine = RecordedMachine(name, form["like"], form["printed"], sensor_files(form))
    measured = machine.calibrate(f"{home}/calibration")
    yield Step("Measuring the printer", "calibrate", tuple(measured))
    yield Step("Printing on the simulated machine", "collect", tuple(machine.collect(raw)))
    made = (collected(raw), stated("output_dir", simulated))
    yield Step("Preparing the simulated print", "prepare", made)
    yield Step("Preparing the recording", "prepare", tuple(machine.prepare(recorded)))
    yield _training("Learning the simulated machine", form, simulated, first, form["pretrained"])
    begun = f"{TRAININGS}/{first}/{BEST}"
    yield _training("Learning the recording", form, recorded, name, begun)
    judged = judge(f"{TRAININGS}/{name}/{BEST}", recorded, f"{home}/evaluation")
    yield Step("Judging it on layers that it was not trained on", "evaluate", tuple(judged))
    yield _export(name)
