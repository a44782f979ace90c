"""How far a command is, read out of what commands say."""

import time

import pytest

from trajerr.workbench.progress import progress
from trajerr.workbench.work import OUTPUT_FILE, RUNS, State, Step, Work

TRAINED = """\
$ python -m trajerr.train
Epoch 1/4  1/2 batches  Loss: 0.9 | X-Err: 0.1 mm | Y-Err: 0.1 mm
Epoch 1/4
  ▶ Train Loss: 0.800000 | X-Err: 0.100000 mm | Y-Err: 0.100000 mm
  ▶ Val   Loss: 0.700000 | X-Err: 0.100000 mm | Y-Err: 0.100000 mm  ★ best
  ✓ Saved checkpoint: best.ckpt
"""
SECOND = """\
Epoch 2/4
  ▶ Train Loss: 0.600000 | X-Err: 0.100000 mm | Y-Err: 0.100000 mm
  ▶ Val   Loss: 0.500000 | X-Err: 0.100000 mm | Y-Err: 0.100000 mm
"""


def told(tmp_path, module, said, passed_s=10.0, offset=0):
    work = Work.new("learn", "mine", [Step("it", module, ())], {})
    (tmp_path / OUTPUT_FILE).write_text(said)
    return progress(tmp_path, work, State(RUNS, 0, time.time() - passed_s, offset))


def test_a_training_says_how_many_epochs_and_parts_are_done(tmp_path):
    assert told(tmp_path, "train", "").share is None
    half = told(tmp_path, "train", TRAINED.splitlines()[1] + "\n")
    assert half.share == pytest.approx(0.125)
    one = told(tmp_path, "train", TRAINED)
    assert one.share == pytest.approx(0.25)
    assert one.remaining_s == pytest.approx(30.0, abs=1.0)
    assert one.detail == "epoch 1 of 4"
    assert told(tmp_path, "train", TRAINED + SECOND).share == pytest.approx(0.5)


def test_losses_go_on_where_a_resumed_training_was(tmp_path):
    again = TRAINED + "train: interrupted\n$ python -m trajerr.train\n" + SECOND
    found = told(tmp_path, "train", again, offset=len(TRAINED.encode()))
    assert found.losses == {"train": [0.8, 0.6], "val": [0.7, 0.5]}


def test_a_correction_says_how_many_layers_are_done(tmp_path):
    first = told(tmp_path, "correct", "  path: 8 of 16 layers\n")
    assert (first.share, first.detail) == (0.25, "layer 8 of 16, path")
    second = told(tmp_path, "correct", "  path: 16 of 16 layers\n  moves: 8 of 16 layers\n")
    assert second.share == 0.75


def test_a_simulated_print_says_how_many_files_are_done(tmp_path):
    found = told(tmp_path, "collect", "  simulated: 3 of 12 files\n")
    assert (found.share, found.detail) == (0.25, "file 3 of 12, simulated")
    assert found.remaining_s == pytest.approx(30.0, abs=1.0)


def test_other_commands_say_nothing_and_nothing_is_made_up(tmp_path):
    found = told(tmp_path, "prepare", "  path: 3 of 4 layers\npath: anything: 3 of 4\n")
    assert (found.share, found.remaining_s, found.losses) == (None, None, {})


def test_what_ended_has_no_time_left(tmp_path):
    work = Work.new("learn", "mine", [Step("it", "train", ())], {})
    (tmp_path / OUTPUT_FILE).write_text(TRAINED)
    found = progress(tmp_path, work, State(RUNS, 0).ending("cancelled"))
    assert found.share is None
    assert found.losses["val"] == [0.7]
