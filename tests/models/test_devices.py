import pytest
import torch

from trajerr.errors import ConfigError
from trajerr.models.devices import device_of


@pytest.fixture(params=["none", "cuda", "mps"])
def present(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The one accelerator beside the processor that this machine seems to have."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: request.param == "cuda")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: request.param == "mps")
    return str(request.param)


def test_auto_and_gpu_are_what_is_there(present: str) -> None:
    assert device_of("cpu").type == "cpu"
    assert device_of("auto").type == ("cpu" if present == "none" else present)
    if present != "none":
        assert device_of("gpu").type == device_of(present).type == present


def test_what_is_not_there_is_refused(present: str) -> None:
    absent = {"cuda", "mps", "abacus"} - {present} | ({"gpu"} if present == "none" else set())
    for accelerator in absent:
        with pytest.raises(ConfigError, match=f"accelerator: got {accelerator}, expected"):
            device_of(accelerator)
