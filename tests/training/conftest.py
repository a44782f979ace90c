from pathlib import Path

import pytest

from tests.shipped import data_module
from tests.training.cases import prepare_tiny
from trajerr.training.datamodule import PrinterDataModule


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepare_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def data(tiny: Path) -> PrinterDataModule:
    return data_module(tiny, batch_size=8, stride=16, samples_per_epoch=48)
