"""How exactly a GPU multiplies float32 matrices."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

PRODUCTS = ("highest", "high", "medium")


@contextmanager
def float32_products(precision: str, device: torch.device) -> Iterator[str | None]:
    """Multiply on a GPU in TF32 or bf16 for a while, as ``torch.set_float32_matmul_precision``.

    Parameters
    ----------
    precision
        Of :data:`PRODUCTS`: "high" is TF32, "medium" bf16; sums stay in float32.
    device
        Where to; processors multiply as they always do.

    Yields
    ------
    str | None
        What to say of it; None where nothing is changed.
    """
    if device.type != "cuda":
        yield None
        return
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        yield f"Products of float32 on {device}: {precision}"
    finally:
        torch.set_float32_matmul_precision(before)
