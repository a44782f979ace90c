"""Where a network computes, by Lightning's names."""

import torch

from trajerr.checks import require, require_one_of

ACCELERATORS = ("auto", "cpu", "gpu", "cuda", "mps")
CPU = torch.device("cpu")


def device_of(accelerator: str) -> torch.device:
    """Return the device of an accelerator; of ``auto`` the processor, where there is none.

    Raises
    ------
    ConfigError
        It is unknown, or this machine has none.
    """
    require_one_of("accelerator", accelerator, ACCELERATORS)
    present = [
        name
        for name, there in (
            ("cuda", torch.cuda.is_available()),
            ("mps", torch.backends.mps.is_available()),
        )
        if there
    ]
    names = {"auto": [*present, "cpu"], "gpu": present, "cpu": ["cpu"]}
    found = names.get(accelerator, [name for name in present if name == accelerator])
    has = ", ".join(["cpu", *present])
    require("accelerator", accelerator, bool(found), f"auto, or one that is here: {has}")
    return torch.device(found[0])
