"""Collect: print layers on the simulated machine and write them as ``.mat`` files."""

import json
import sys
import time
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.progress import Progress

from trajerr.collection.campaign import Collection, collect, split_errors
from trajerr.collection.planning import summarise_sources
from trajerr.collection.process_pool import ProcessPool, count_workers
from trajerr.collection.variants import parse_variants
from trajerr.commands.building import build
from trajerr.commands.entry import command
from trajerr.dataset.quality import QualityLimits, collected_metrics, require_passed
from trajerr.gcode.sources import find_sources
from trajerr.reports import collection_report


@command("collect")
def main(cfg: DictConfig) -> None:
    """Compose what to collect, collect it, judge it."""
    began = time.monotonic()
    plain: Any = OmegaConf.to_container(cfg, resolve=True)
    printer = build(plain["printer"], "printer")
    sources = find_sources(plain["parts"], plain["gcode"])
    variants = parse_variants(plain["variants"])
    out, layers = Path(cfg.out), plain["layers"]
    if cfg.plan_only:
        if cfg.plot:
            collection_report.plot_plans(out, sources, printer.limits, variants[0].scales, layers)
        summary = summarise_sources(sources, printer.limits, variants[0].scales)
        for each in summary.get("sources", {"": summary}).values():
            sys.stderr.writelines(f"{note}\n" for note in each.get("notes", ()))
        sys.stdout.write(json.dumps(summary) + "\n")
        return
    limits = QualityLimits(**plain["quality"])
    collection = Collection(printer, variants, layers, cfg.sample_rate_hz, cfg.seed, out)
    console = Console(stderr=True)
    shown = Progress(console=console, disable=not console.is_terminal)
    with ProcessPool(count_workers(cfg.workers)) as pool, shown as bar:
        line = bar.add_task("collect", total=None)
        collect(
            collection,
            sources,
            pool,
            lambda n, of: bar.update(line, completed=n, total=of),
            lambda note: console.print(note, markup=False, highlight=False, soft_wrap=True),
        )
        splits = split_errors(collection, sources, pool)

    rows = collected_metrics(out)
    settings = (splits, limits, cfg.sample_rate_hz, time.monotonic() - began)
    report = collection_report.compose(rows, *settings)
    collection_report.write_report(out, report)
    mine = collection_report.compose([row for row in rows if row.part in splits], *settings)
    collection_report.write_report(Path(HydraConfig.get().runtime.output_dir), mine)
    collection_report.show(report)
    if cfg.plot:
        collection_report.plot_collection(collection, splits)
    if cfg.strict:
        require_passed(report)


if __name__ == "__main__":
    main()
