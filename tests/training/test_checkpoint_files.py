"""What a full disk, a kill or another training leaves of a training's files."""

import errno
import os
import threading

import pytest
import torch

from trajerr.errors import ConfigError
from trajerr.training.checkpoint_files import WholeCheckpointFiles, alone_in
from trajerr.training.messages import own_messages


def refuse(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_the_checkpoint_before_stays_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "run" / "last.ckpt"
    WholeCheckpointFiles().save_checkpoint({"epoch": 1, "weights": torch.ones(3)}, path)
    before = path.read_bytes()
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match=r"No space left on device: .*last\.ckpt"):
        WholeCheckpointFiles().save_checkpoint({"epoch": 2}, path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]
    assert torch.load(path, weights_only=True)["epoch"] == 1


def test_what_a_killed_process_left_is_removed(tmp_path):
    left = tmp_path / f".last.ckpt.{os.uname().nodename}-99999999.tmp"
    left.touch()
    WholeCheckpointFiles().save_checkpoint({}, tmp_path / "last.ckpt")
    assert not left.exists()


def test_a_full_disk_is_told_once_and_with_its_folder(tmp_path, capfd):
    with pytest.raises(OSError, match="No space left") as caught, own_messages(tmp_path):
        writer = threading.Thread(target=refuse)  # as TensorBoard's
        writer.start()
        writer.join()
        refuse()
    assert caught.value.filename == str(tmp_path)
    assert capfd.readouterr().err == ""


def test_a_folder_takes_one_training_at_a_time(tmp_path):
    refused = pytest.raises(ConfigError, match="another training is writing there")
    with alone_in(tmp_path / "run"), refused, alone_in(tmp_path / "run"):
        pass
    with alone_in(tmp_path / "run"), alone_in(tmp_path / "other"):
        pass
