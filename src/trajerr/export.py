"""``python -m trajerr.export``: checkpoint in, deployment bundle out."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from rich.console import Console

from trajerr.commands.entry import command
from trajerr.exporting.export import Exported, export_bundle
from trajerr.training.checkpoint import find_best_checkpoint


@command("export")
def main(cfg: DictConfig) -> None:
    """Export the checkpoint and say how far each graph is from the network."""
    console = Console()
    checkpoint = Path(cfg.checkpoint or find_best_checkpoint(cfg.outputs))
    with console.status(f"Exporting {checkpoint}"):
        exported = export_bundle(
            checkpoint,
            Path(cfg.output_dir),
            [cfg.format] if isinstance(cfg.format, str) else list(cfg.format),
            quantize=cfg.quantize,
            data_root=None if cfg.data_root is None else Path(cfg.data_root),
        )
    _report(exported, console)


def _report(exported: Exported, console: Console) -> None:
    for name, difference in exported.parity_mm.items():
        console.print(f"  {name:<16} differs from the network by at most {difference:.1e} mm")
    if exported.int8 is not None:
        full, small = exported.int8["float32"], exported.int8["int8"]
        console.print(
            f"  {'model_int8.onnx':<16} MAE {1000 * small['mae_mm']:.2f} µm on the test split, "
            f"float32 {1000 * full['mae_mm']:.2f} µm"
        )
    if exported.latency is not None:
        console.print(_latency(exported.latency))
    console.print(f"Written to {exported.folder}", highlight=False, soft_wrap=True)


def _latency(measured: Mapping[str, Any]) -> str:
    window = f"{measured['window_ms_p50']:.2f} ms a window of {measured['window_samples']}"
    step = f", {measured['step_us_p50']:.0f} µs a sample" if "step_us_p50" in measured else ""
    return f"  On this machine, one thread, median: {window}{step}"


if __name__ == "__main__":
    main()
