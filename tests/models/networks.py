from typing import Any

import torch
import yaml

from tests.paths import CONF
from trajerr.models.registry import build_network
from trajerr.motion.features import FEATURES

CONF = CONF / "model"
SAMPLE_RATE_HZ = 200.0


def network_config(name: str) -> dict[str, Any]:
    config = yaml.safe_load((CONF / f"{name}.yaml").read_text())
    config = {k: v for k, v in config.items() if k not in ("optimizer", "schedule")}
    if "sample_rate_hz" in config:
        config["sample_rate_hz"] = SAMPLE_RATE_HZ
    return config


def statistics() -> dict[str, list[float]]:
    mean = {"x": 110.0, "y": 108.0, "z": 5.0, "v_mag": 27.0, "a_mag": 800.0, "curvature": 2.7}
    std = {"x": 10.0, "y": 8.0, "z": 3.0, "vx": 24.0, "vy": 21.0, "vz": 0.2, "v_mag": 16.0}
    std |= {"ax": 990.0, "ay": 980.0, "az": 10.0, "a_mag": 1100.0}
    std |= {"jx": 2.1e5, "jy": 2.0e5, "jz": 1.3e3, "curvature": 22.0}
    return {
        "feature_mean": [mean.get(name, 0.0) for name in FEATURES],
        "feature_std": [std[name] for name in FEATURES],
        "target_mean": [0.002, -0.001],
        "target_std": [0.106, 0.108],
    }


def random_features(batch: int, steps: int, seed: int = 0) -> torch.Tensor:
    """Features [B, T, 15] of a smooth random motion with reversals, raw units."""
    generator = torch.Generator().manual_seed(seed)
    stats = statistics()
    noise = torch.randn(batch, steps + 40, 15, generator=generator)
    smooth = noise.unfold(1, 41, 1).mean(-1)[:, :steps] * 6.0
    mean, std = torch.tensor(stats["feature_mean"]), torch.tensor(stats["feature_std"])
    return smooth * std + mean


def build(name: str, **changes: Any) -> torch.nn.Module:
    torch.manual_seed(1)
    network = build_network({**network_config(name), **changes})
    network.scaling.set_statistics(statistics())
    with torch.no_grad():  # a linear baseline starts at zero, which would test nothing
        if name == "fir":
            for parameter in network.parameters():
                parameter.normal_(std=0.05)
    return network.eval()


def stir(network: torch.nn.Module) -> torch.nn.Module:
    """Move all weights: what begins with an equation adds nothing to it at first."""
    for parameter in network.parameters():
        parameter.data += 0.02 * torch.randn_like(parameter)
    return network
