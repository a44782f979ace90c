import onnxruntime
import pytest

from trajerr.bundle.sessions import CPU, providers_of
from trajerr.errors import ConfigError

CUDA = "CUDAExecutionProvider"


def seems_to_have(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [*names, *CPU])


def test_a_gpu_goes_before_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    seems_to_have(monkeypatch, CUDA)
    assert providers_of("gpu") == providers_of("auto") == [CUDA, *CPU]
    assert providers_of("cpu") == list(CPU)


def test_without_one_auto_is_the_processor_and_gpu_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    seems_to_have(monkeypatch, "AzureExecutionProvider")
    assert providers_of("auto") == list(CPU)
    with pytest.raises(ConfigError, match="accelerator: got gpu, expected cpu or auto"):
        providers_of("gpu")
    with pytest.raises(ConfigError, match="accelerator: got tpu, expected one of auto, cpu, gpu"):
        providers_of("tpu")
