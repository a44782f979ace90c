"""The report that a person reads in the terminal."""

from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

RULE = "=" * 60
NAMES = {
    "mae_mm": "MAE",
    "rmse_mm": "RMSE",
    "r2": "R²",
    "p50_mm": "50th percentile",
    "p90_mm": "90th percentile",
    "p95_mm": "95th percentile",
    "p99_mm": "99th percentile",
    "max_mm": "Max",
    "inference_ms": "Inference, 1 sample",
    "window_ms": "Inference, 1 window",
}


def print_report(console: Console, scores: Mapping[str, Any]) -> None:
    """Print one evaluation.

    Parameters
    ----------
    console
        Where to.
    scores
        What ``metrics.json`` holds.
    """
    say = _plain(console)
    say(f"{RULE}\nTrajectory Error Model Evaluation\n{RULE}")
    count = scores["trajectory"]["n_layers"]
    layers = f"{count} layer{'s' if count > 1 else ''}"
    say(f"Model:   {scores['model']['name']} ({scores['model']['parameters']:,} parameters)")
    say(f"Dataset: {scores['split'].capitalize()} ({scores['n_windows']} samples)")
    say(f"         windows of {layers}, {scores['n_points']:,} points")
    if scores["overlap"]:
        console.print(f"[bold red]{overlap_warning(scores['overlap'])}[/]", highlight=False)
    say("\nOverall Metrics:")
    say(_block(scores["overall"], "  "))
    say("\nPer-Axis Metrics:")
    for axis in ("x", "y"):
        say(f"  {axis.upper()}-Axis:\n{_block(scores[axis], '    ')}")
    if scores["axes"] != ["x", "y"]:
        say(f"  {axes_remark(scores['axes'])}")
    say("\nPercentile Errors:")
    cuts = scores["percentiles_mm"]
    say(f"  50th (Median): {cuts['p50']:.4f} mm")
    say("\n".join(f"  {rank}th:          {cuts[f'p{rank}']:.4f} mm" for rank in (90, 95, 99)))
    say(f"  Max:           {scores['max_mm']:.4f} mm")
    say(f"  Max, layers:   {scores['trajectory']['max_mm']:.4f} mm")
    _print_conditions(console, scores)
    _print_methods(console, scores)
    _print_inference(console, scores["inference"])
    _print_verdict(console, scores)
    say(RULE)


def overlap_warning(shared: list[str]) -> str:
    """Return the sentence that says these metrics are not of unseen data."""
    return (
        f"Not unseen data: {len(shared)} layers of this split are in the training data "
        f"({', '.join(shared[:4])}{', …' if len(shared) > 4 else ''})."
    )


def axes_remark(axes: list[str]) -> str:
    """Return the sentence that says of which axis the overall metrics are."""
    (axis,) = axes
    return (
        f"Only {axis} has an error in this data: overall metrics and targets are of {axis} alone."
    )


def condition_name(scores: Mapping[str, Any]) -> str:
    """Return on which samples the targets are judged."""
    return {
        "windows": "windows",
        "settled": f"windows after {scores['burn_in']} samples",
        "trajectory": layers_name(scores),
    }[scores["targets_on"]]


def layers_name(scores: Mapping[str, Any]) -> str:
    """Return what whole layers are judged as: deployed, where all have their lead-in."""
    return (
        "whole layers, streamed" if scores["trajectory"]["n_cold"] else "whole layers, as deployed"
    )


def cold_remark(scores: Mapping[str, Any]) -> str:
    """Return the sentence that says which layers are judged from rest, empty if none is."""
    streamed = scores["trajectory"]
    if not streamed["n_cold"]:
        return ""
    return (
        f"{streamed['n_cold']} of {streamed['n_sequences']} sequences hold no motion before their "
        "layer: there the network starts from rest, as it never does in a print."
    )


def target_texts(name: str, target: Mapping[str, Any]) -> tuple[str, str]:
    """Return a target's value and limit with units, e.g. ``("0.0061 mm", "< 0.02 mm")``."""
    unit = {"r2": "", "inference_ms": " ms", "window_ms": " ms"}.get(name, " mm")
    sign = ">" if name == "r2" else "<"
    return f"{target['value']:z.4f}{unit}", f"{sign} {target['limit']:g}{unit}"


def _plain(console: Console) -> Callable[[str], None]:
    return lambda text: console.print(text, highlight=False, markup=False, soft_wrap=True)


def _block(metrics: Mapping[str, float], indent: str) -> str:
    return (
        f"{indent}MAE:  {metrics['mae_mm']:.4f} mm\n"
        f"{indent}RMSE: {metrics['rmse_mm']:.4f} mm\n"
        f"{indent}R²:   {metrics['r2']:z.4f}"
    )


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 1), pad_edge=False)
    for i, column in enumerate(columns):
        table.add_column(column, justify="left" if i == 0 else "right", no_wrap=True)
    return table


def _row(name: str, metrics: Mapping[str, float]) -> tuple[str, ...]:
    mae, rmse = (f"{1000 * metrics[key]:.2f}" for key in ("mae_mm", "rmse_mm"))
    return name, mae, rmse, f"{metrics['r2']:z.4f}"


def _both(name: str, scores: Mapping[str, Any]) -> tuple[str, ...]:
    """Return RMSE and R² on windows and on whole layers."""
    _, _, *windows = _row(name, scores["overall"])
    _, _, *layers = _row(name, scores["trajectory"]["overall"])
    return name, *windows, *layers


def _print_conditions(console: Console, scores: Mapping[str, Any]) -> None:
    table = _table("  Conditions", "MAE µm", "RMSE µm", "R²")
    table.add_row(*_row("  windows, from rest", scores["overall"]))
    settled = f"  windows after {scores['burn_in']} samples"
    table.add_row(*_row(settled, scores["settled"]["overall"]))
    streamed = scores["trajectory"]
    table.add_row(*_row(f"  {layers_name(scores)}", streamed["overall"]))
    if spans := streamed["interval_95"]:
        table.add_row(
            "    95 % over layers",
            *(f"{1000 * spans[k][0]:.2f}–{1000 * spans[k][1]:.2f}" for k in ("mae_mm", "rmse_mm")),
            f"{spans['r2'][0]:.4f}–{spans['r2'][1]:.4f}",
        )
    console.print()
    console.print(table)
    if remark := cold_remark(scores):
        _plain(console)(f"  {remark}")


def _print_methods(console: Console, scores: Mapping[str, Any]) -> None:
    heads = [f"{what} {where}" for where in ("windows", "layers") for what in ("RMSE µm", "R²")]
    table = _table("  Baselines", *heads)
    table.add_row(*_both(f"  {scores['model']['name']} (this model)", scores))
    for name, baseline in scores["baselines"].items():
        table.add_row(*_both(f"  {name}", baseline))
    if scores["noise_floor_mm"] is not None:
        floor = f"{1000 * scores['noise_floor_mm']:.2f}"
        table.add_row("  noise floor", floor, "", floor, "")
    console.print()
    console.print(table)


def _print_inference(console: Console, inference: Mapping[str, Any]) -> None:
    table = _table(f"  Inference, {inference['runtime']}", "threads", "p50 ms", "p99 ms")
    for row in inference["windows"]:
        name = f"  {row['batch']} window{'s' if row['batch'] > 1 else ''}"
        table.add_row(name, str(row["threads"]), f"{row['p50_ms']:.3f}", f"{row['p99_ms']:.3f}")
    step = [f"{inference[key] / 1000:.3f}" for key in ("step_us_p50", "step_us_p99")]
    table.add_row("  1 sample, streamed", "1", *step)
    console.print()
    console.print(table)


def _print_verdict(console: Console, scores: Mapping[str, Any]) -> None:
    targets = scores["targets"]
    if not targets:
        return
    table = _table(f"  Targets, {condition_name(scores)}", "value", "target", "")
    for name, target in targets.items():
        value, limit = target_texts(name, target)
        mark = "[green]✓[/]" if target["met"] else "[red]✗[/]"
        table.add_row(f"  {NAMES[name]}", value, limit, mark)
    console.print()
    console.print(table)
    missed = sum(not target["met"] for target in targets.values())
    console.print()
    if missed:
        console.print(f"[bold red]✗ Model misses {missed} of {len(targets)} targets.[/]")
    else:
        console.print("[bold green]✓ Model meets performance targets![/]")
