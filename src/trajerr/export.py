"""``python -m trajerr.export``: checkpoint in, deployment bundle out."""

from pathlib import Path

from omegaconf import DictConfig
from rich.console import Console

from trajerr.deploy.export import Exported, export_bundle
from trajerr.entry import command
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
    console.print(f"Written to {exported.folder}", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main()
