"""Products of float32 are rounded on GPUs alone, and for the time of a training."""

import pytest
import torch

from trajerr.commands.configs import compose
from trajerr.errors import ConfigError
from trajerr.training.products import PRODUCTS, float32_products
from trajerr.training.settings import TrainSettings


@pytest.mark.parametrize("precision", PRODUCTS)
def test_a_gpu_rounds_as_asked_and_for_so_long(precision: str) -> None:
    before = torch.get_float32_matmul_precision()
    with float32_products(precision, torch.device("cuda", 0)) as said:
        assert torch.get_float32_matmul_precision() == precision
        assert said == f"Products of float32 on cuda:0: {precision}"
    assert torch.get_float32_matmul_precision() == before


def test_a_processor_does_not() -> None:
    before = torch.get_float32_matmul_precision()
    with float32_products("medium", torch.device("cpu")) as said:
        assert torch.get_float32_matmul_precision() == before
        assert said is None


def test_what_there_is_not_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^trainer\.float32_products: got tf32, expected one of"):
        TrainSettings.from_dict(compose("train", "trainer.float32_products=tf32"))
