"""The proof of a correction for the terminal: its tables, and the pictures beside its record."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from trajerr.correction.board_load import BoardLoad, board_load
from trajerr.correction.compensate import Correction
from trajerr.correction.run import CorrectionRun, Prepared
from trajerr.metrics.closed_loop import SHAPERS, UNCORRECTED, Replay, WallMotion
from trajerr.refining.settings import Round
from trajerr.reports.correction_page import PAGE, link
from trajerr.reports.correction_record import Draw, write_record

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KB = 1000.0  # bytes per kB


def header_comments(run: CorrectionRun) -> Callable[[Correction], list[bytes]] | None:
    """Return what makes the comments in a corrected file's head: where its page is."""
    if not (run.report and run.report_page):
        return None
    return lambda done: [link(run.report_folder, run.target)]


@contextmanager
def correction_progress(name: str, console: Console) -> Iterator[Callable[[str, int, int], None]]:
    """Show how many layers are done: a line that changes, or lines where there is no terminal."""
    said = ""
    with console.status(escape(f"Correcting {name}")) as status:

        def tell(stage: str, done: int, total: int) -> None:
            nonlocal said
            text = f"{stage}: {done} of {total} layers"
            if console.is_terminal:
                status.update(escape(f"Correcting {name}, {text}"))
            elif text != said:
                console.print(f"  {text}", highlight=False, markup=False)
            said = text

        yield tell


def show_correction(
    out: Path, done: Correction, least_improvement: float, console: Console
) -> None:
    """Say whether a corrected file was written, or why not."""
    if done.text is None:
        console.print(
            f"Nothing written: the correction is predicted to bring "
            f"{100 * done.improvement:.1f} %, less than "
            f"{100 * least_improvement:g} %; the file is best left alone"
        )
    else:
        a_layer = f"({done.seconds / len(done.layers):.2f} s a layer)"
        console.print(f"✓ {escape(str(out))}  {a_layer}")


def show_board_load(done: Correction, most_rate_hz: float, console: Console) -> None:
    """Say what a corrected file asks of the printer's board, and whether it was made lighter.

    Parameters
    ----------
    done
        The correction.
    most_rate_hz
        Corrected moves a second that would have been made where no board bounds them.
    console
        Where to.
    """
    if done.planned is not None:
        slower = f"; rate_hz {done.rate_hz:.0f} for it" if done.rate_hz < most_rate_hz else ""
        console.print(
            f"{_load_text(board_load(done.planned))}{slower}", highlight=False, soft_wrap=True
        )


def _load_text(load: BoardLoad) -> str:
    """Return a load in a line."""
    commands, sent = load.commands_per_s, load.bytes_per_s
    return (
        f"board: {commands.mean:.0f} commands/s (peak {commands.peak_1s:.0f} over 1 s, "
        f"{commands.peak_50ms:.0f} over 50 ms), {sent.mean / KB:.1f} kB/s "
        f"(peak {sent.peak_1s / KB:.1f})"
    )


def pictures(run: CorrectionRun) -> Draw | None:
    """Return what draws the pictures of a correction into its report's folder, where asked for."""
    if not run.report_pictures:
        return None
    return lambda replay, record: draw(run.report_folder, replay, run.method, record["cases"])


def draw(
    folder: Path,
    replay: Replay,
    method: str,
    cases: Mapping[str, Mapping[str, Mapping[str, float]]],
) -> None:
    """Write the figures of a comparison into a folder."""
    from trajerr.reports.style import save_figure  # brings matplotlib; not for a refusal

    for name, figure in _pictures(replay, method, cases):
        save_figure(figure, folder / f"{name}.png")


def _pictures(
    replay: Replay, method: str, cases: Mapping[str, Mapping[str, Mapping[str, float]]]
) -> Iterator[tuple[str, "Figure"]]:
    """Yield one figure after the other, so that no two with their motions are in memory."""
    from trajerr.reports import correction_plots

    layer = replay.layers[len(replay.layers) // 2]
    shown = {name: replay.walls(name, layer) for name in (UNCORRECTED, method)}
    title = f"layer {layer}"
    yield (
        "corner",
        correction_plots.corner(shown[UNCORRECTED], shown[method], name=method, title=title),
    )
    yield "error_maps", correction_plots.error_maps(shown, title=title)
    shown.clear()
    yield "spectra", spectra(replay, method)
    yield "comparison", correction_plots.comparison(cases)


def spectra(replay: Replay, method: str) -> "Figure":
    """Show what a correction leaves, by frequency, beside the original and a shaper."""
    from trajerr.reports import correction_plots  # brings matplotlib

    printer, compared = replay.printer, (UNCORRECTED, SHAPERS[0], method)
    resonances = (printer.x.natural_freq_hz, printer.y.natural_freq_hz)
    motions = {name: _walls(replay, name) for name in compared}
    return correction_plots.spectra(motions, replay.sample_rate_hz, resonances)


def _walls(replay: Replay, name: str) -> Iterator[WallMotion]:
    """Yield a method's motion on the walls, layer by layer, none kept."""
    for layer in replay.layers:
        yield replay.walls(name, layer)


def comparison_table(report: Mapping[str, Any], method: str) -> Table:
    """Return the comparison as a console table: contour RMS on walls and its change."""
    cases = report["cases"]
    result = Table(title=f"Contour error on walls / µm RMS, {report['printer']}")
    result.add_column("method")
    for case in cases:
        result.add_column(case, justify="right", no_wrap=True)
    result.add_column("p99", justify="right")
    result.add_column("tracking", justify="right")
    for name in cases["nominal"]:
        cells = []
        for errors in cases.values():
            value = errors[name]["wall_contour_rms_um"]
            change = value / errors[UNCORRECTED]["wall_contour_rms_um"] - 1.0
            cells.append(f"{value:.1f}" + ("" if name == UNCORRECTED else f" {change:+.0%}"))
        nominal = cases["nominal"][name]
        cells += [f"{nominal['wall_contour_p99_um']:.1f}", f"{nominal['wall_tracking_rms_um']:.1f}"]
        result.add_row(name, *cells, style="bold" if name == method else None)
    time_s, size = report["print_time_s"], report["file_bytes"]
    predicted = report["predicted_um"]
    result.caption = (
        f"print time {time_s['after'] / time_s['before'] - 1:+.2%}, "
        f"file × {size['after'] / size['before']:.2f}, "
        f"predicted {predicted['before']:.1f} → {predicted['after']:.1f} µm, "
        f"{report['seconds_per_layer']:.2f} s a layer"
    )
    return result


def refinement_table(rounds: Sequence[Round]) -> Table:
    """Return what each round predicted and what the simulated printer did, for the console."""
    result = Table(title="Refinement: contour error on walls / µm RMS")
    for heading in ("round", "uncorrected", "predicted", "simulated", "loss"):
        result.add_column(heading, justify="right")
    for r in rounds:
        loss = "–" if r.loss is None else f"{r.loss:.4f}"
        cells = (r.uncorrected_um, r.predicted_um, r.simulated_um)
        result.add_row(str(r.number), *(f"{value:.1f}" for value in cells), loss)
    return result


def show_notes(notes: Sequence[str], console: Console) -> None:
    """Say what a person should know of how a file was read, a line each."""
    for note in notes:
        console.print(note, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def refinement_status(console: Console) -> Iterator[Callable[[Round], None]]:
    """Show that a network is being refined; yields what tells of a round."""
    with console.status("Refining on own corrections") as status:
        yield lambda r: status.update(
            f"Round {r.number}: predicted {r.predicted_um:.1f}, simulated {r.simulated_um:.1f} µm"
        )


def show_refinement(rounds: Sequence[Round], path: Path, console: Console) -> None:
    """Say what the rounds of refinement brought, and where the refined network is."""
    console.print(refinement_table(rounds))
    console.print(f"✓ {escape(str(path))}: export it for a bundle that corrects like this")


def show_replay(
    prepared: Prepared,
    done: Correction,
    rounds: Sequence[Round],
    config: Mapping[str, Any],
    console: Console,
) -> None:
    """Replay a correction, write its report, and say what it brings.

    Parameters
    ----------
    prepared, done
        What was corrected, and how it came out.
    rounds
        Of refinement before; empty where there were none.
    config
        The resolved config, for the record.
    console
        Where to.
    """
    run = prepared.run

    with console.status("Replaying through planner and simulated printer"):
        report = write_record(prepared, done, rounds, config, pictures(run))
    console.print(comparison_table(report, run.method))
    shown = run.report_folder / PAGE if run.report_page else run.report_folder
    console.print(f"✓ {escape(str(shown))}", soft_wrap=True)
