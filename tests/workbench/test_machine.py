"""A machine learnt on the page, from what its sensor recorded; all eight commands, as they are."""

import pytest

from tests.dynamics.commanded import load_printer
from tests.pipeline.recorded_machine import write_recorded_print
from tests.workbench.benches import begin, ended, visit
from trajerr.bundle.machine import LearntMachine
from trajerr.bundle.runtime import Predictor

LONGEST_S = 1800.0  # the calibrated printer is simulated on ten layers and more of four parts


@pytest.mark.slow
def test_a_recording_becomes_a_bundle_of_the_machine(tmp_path):
    write_recorded_print(tmp_path, load_printer("klipper_fast"))

    async def learn(client):
        form = {"name": "mine", "source": "machine", "printed": "print.gcode"}
        form |= {"like": "klipper_fast", "sensor_x": "nozzle.csv", "effort": "try", "epochs": "2"}
        return await ended(client, await begin(client, "learn", **form), LONGEST_S)

    said = visit(tmp_path, learn)
    assert said["state"] == "done", said["output"]
    assert said["step"] == 8
    learnt = LearntMachine.of_bundle(Predictor.load(tmp_path / "bundles" / "mine").bundle)
    assert learnt.printer is not None
    assert learnt.printer.name == "mine"
    assert "on recorded layers that it was not trained on" in said["outcome"]
    assert "the calibrated printer" in said["outcome"]
