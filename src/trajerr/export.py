"""``python -m trajerr.export``: checkpoint in, deployment bundle out."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Console

from trajerr.commands.building import allowed_classes, pick
from trajerr.commands.entry import Config, command

if TYPE_CHECKING:
    from trajerr.exporting.export import Exported


@command("export")
def main(config: Config) -> None:
    """Export the checkpoint and say how far each graph is from the network."""
    from trajerr.exporting.settings import ExportSettings  # takes seconds; not for --help

    settings = pick(ExportSettings, config, allowed=allowed_classes(config))
    console = Console()
    with console.status(f"Exporting {settings.source}"):
        exported = settings.export()
    _report(exported, console)


def _report(exported: "Exported", console: Console) -> None:
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
