"""What a trained network is worth on another printer: error against layers of that printer.

    python benchmarks/transfer.py [--checkpoint BEST.ckpt] [--printer ender3_stock]
                                  [--layers 1,2,4,8] [--out results/transfer] [override …]

Without a checkpoint it takes the best of the newest finished training.

Collects layers of one part on the other printer, and of two other parts to judge on; none of
them is among those that the default collection trains on. For each number of layers it trains
twice for equally many steps: from the checkpoint (``experiment=transfer``) and from nothing
(the defaults). The metrics are of whole layers, streamed. Beside them: the checkpoint as it
is, and least squares (``fir``) on the same layers. Trainings that are there are kept, so that
an interrupted benchmark goes on. Prints a table; writes it and a figure to ``--out``.
"""

import argparse
import json
from pathlib import Path
from typing import Any, cast

import numpy as np
from matplotlib.figure import Figure
from measuring.commands import run

from trajerr.dataset.store import Split, open_split
from trajerr.evaluation.baselines import fit_fir
from trajerr.evaluation.prediction import Network, lay_out, predict_sequences
from trajerr.metrics.errors import axis_summary
from trajerr.reports import style
from trajerr.reports.style import new_figure, save_figure, styled
from trajerr.training.checkpoint import find_best_checkpoint, load_checkpoint

# The default collection takes layers 1, 6, 11, …: these lie between. In the order of use.
TRAIN_PART, TRAIN_LAYERS = "tugboat", (24, 45, 10, 38, 4, 32, 18, 52)
VAL_PART, VAL_LAYERS = "nautilus", (23,)
TEST_PARTS, TEST_LAYERS = ("bearing", "boat"), (8, 20, 33)
VARIANTS = (
    "[{acceleration_scale: 1.0, speed_scale: 1.0}, {acceleration_scale: 4.0, speed_scale: 1.5}]"
)
SCRATCH = "training from nothing"
TRANSFER = "transfer"
FIR = "least squares"
COLOURS = {TRANSFER: style.BLUE, SCRATCH: style.VERMILLION, FIR: style.GREY}
UM = 1000.0


def collect(printer: str, rate: float, out: Path) -> None:
    """Print all layers on the other printer."""
    wanted = (
        ((TRAIN_PART,), TRAIN_LAYERS),
        ((VAL_PART,), VAL_LAYERS),
        (TEST_PARTS, TEST_LAYERS),
    )
    for parts, layers in wanted:
        run(
            "collect",
            f"printer={printer}",
            f"parts=[{','.join(parts)}]",
            f"layers={list(layers)}".replace(" ", ""),
            f"variants={VARIANTS}",
            f"sample_rate_hz={rate}",
            f"out={out}",
            f"hydra.run.dir={out}_runs/collect",
        )


def prepare(raw: Path, count: int, out: Path) -> Path:
    """Prepare splits of which training has ``count`` layers."""
    folder = raw / f"data_simulation_{TRAIN_PART}"
    files = [str(folder / f"layer{layer:04d}_*.mat") for layer in TRAIN_LAYERS[:count]]
    files += [str(raw / f"data_simulation_{part}") for part in (VAL_PART, *TEST_PARTS)]
    prepared = out / f"data_{count}"
    run(
        "prepare",
        f"data_dirs={files}",
        "split.by=part",
        f"split.val_parts=[{VAL_PART}]",
        f"split.test_parts=[{','.join(TEST_PARTS)}]",
        f"output_dir={prepared}",
        f"hydra.run.dir={out}/runs/prepare_{count}",
    )
    return prepared


def train(prepared: Path, folder: Path, overrides: list[str]) -> Path:
    """Train, unless it is done already; return the best checkpoint."""
    if not (folder / "train.json").is_file():
        run("train", f"data.root={prepared}", f"hydra.run.dir={folder}", *overrides)
    return folder / "checkpoints" / "best.ckpt"


def judge(network: Any, test: Split) -> dict[str, float]:  # noqa: ANN401 - of several classes
    """Return MAE, RMSE in mm and R² of whole layers, streamed."""
    predicted = np.concatenate(predict_sequences(cast(Network, network), test))
    return cast(dict[str, float], axis_summary(predicted, lay_out(test).target)["overall"])


def measure(count: int, raw: Path, arguments: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Return the metrics of each way at one number of layers."""
    out = Path(arguments.out)
    prepared = prepare(raw, count, out)
    model = f"model={load_checkpoint(arguments.checkpoint).network_config['name']}"
    both = [model, *arguments.extra]
    tuned = train(
        prepared,
        out / f"transfer_{count}",
        ["experiment=transfer", f"pretrained={arguments.checkpoint}", *both],
    )
    # The same number of steps of the same size, and no early stopping, to its disadvantage.
    steps = [f"{key}={value}" for key, value in _budget(out / f"transfer_{count}").items()]
    new = train(prepared, out / f"scratch_{count}", [*steps, *both])
    test = open_split(prepared, "test")
    fir = fit_fir(open_split(prepared, "train"), open_split(prepared, "val"))
    return {
        TRANSFER: judge(load_checkpoint(tuned).network, test),
        SCRATCH: judge(load_checkpoint(new).network, test),
        FIR: judge(fir, test),
    }


def _budget(run_folder: Path) -> dict[str, Any]:
    """Return how long a transfer was allowed to train, as overrides."""
    config = load_checkpoint(run_folder / "checkpoints" / "best.ckpt").config
    return {
        "trainer.max_epochs": config["trainer"]["max_epochs"],
        "data.samples_per_epoch": config["data"]["samples_per_epoch"],
        "data.batch_size": config["data"]["batch_size"],
    }


def table(found: dict[int, dict[str, dict[str, float]]]) -> str:
    """Return the metrics as a Markdown table."""
    ways = (TRANSFER, SCRATCH, FIR)
    lines = [
        "| layers | " + " | ".join(f"{way}: MAE µm | R²" for way in ways) + " |",
        "|" + "---|" * (1 + 2 * len(ways)),
    ]
    for count, metrics in found.items():
        cells = [str(count)]
        for way in ways:
            one = metrics.get(way)
            cells += (
                ["–", "–"] if one is None else [f"{UM * one['mae_mm']:.2f}", f"{one['r2']:.4f}"]
            )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


@styled
def draw(found: dict[int, dict[str, dict[str, float]]], title: str) -> Figure:
    """Return the learning curves."""
    figure = new_figure(width=style.COLUMN * 1.3, height=3.0)
    axes = figure.subplots()
    for marker, (way, colour) in zip("os^", COLOURS.items(), strict=True):
        points = [(n, UM * f[way]["mae_mm"]) for n, f in found.items() if n and way in f]
        axes.plot(*zip(*points, strict=True), marker=marker, color=colour, label=way)
    level = UM * found[0][TRANSFER]["mae_mm"]
    axes.axhline(level, color=style.BLACK, lw=0.9, ls="--", label="the network as it is")
    counts = [n for n in found if n]
    axes.set(xscale="log", yscale="log", xticks=counts, title=title)
    axes.set_xticks(counts, [str(n) for n in counts])
    axes.minorticks_off()
    axes.set(xlabel="layers of the new printer", ylabel="MAE on unseen layers / µm")
    low, high = axes.get_ylim()
    ticks = [t for t in (1, 2, 3, 5, 10, 20, 30, 50, 100, 200) if low <= t <= high]
    axes.set_yticks(ticks, [str(t) for t in ticks])
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def main() -> None:
    """Measure the learning curve."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", help="of a training on another printer")
    parser.add_argument("--printer", default="ender3_stock", help="the new one, of conf/printer")
    parser.add_argument("--layers", default="1,2,4,8", help=f"at most {len(TRAIN_LAYERS)}")
    parser.add_argument("--out", default="results/transfer")
    parser.add_argument("extra", nargs="*", help="overrides for both trainings")
    arguments = parser.parse_args()
    arguments.checkpoint = arguments.checkpoint or str(find_best_checkpoint())
    out, pretrained = Path(arguments.out), load_checkpoint(arguments.checkpoint)
    raw = out / "raw"
    collect(arguments.printer, pretrained.sample_rate_hz, raw)
    found: dict[int, dict[str, dict[str, float]]] = {}
    counts = [int(n) for n in arguments.layers.split(",")]
    test = open_split(prepare(raw, counts[0], out), "test")
    found[0] = {TRANSFER: judge(pretrained.network, test)}
    for count in counts:
        found[count] = measure(count, raw, arguments)
        print(table({count: found[count]}).splitlines()[-1], flush=True)
    machine = "measured motion" if pretrained.printer is None else pretrained.printer["name"]
    text = table(found)
    target = lay_out(test).target
    rms = UM * float(np.sqrt(np.mean(np.square(target))))
    text += f"\n\nError to predict: {rms:.1f} µm RMS a component, over {len(target):,} samples.\n"
    (out / "transfer.md").write_text(text, encoding="utf-8")
    (out / "transfer.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    save_figure(draw(found, f"From {machine} to {arguments.printer}"), out / "transfer.png")
    print(text)


if __name__ == "__main__":
    main()
