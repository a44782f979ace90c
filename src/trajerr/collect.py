"""Collect: print layers on the simulated machine and write them as ``.mat`` files."""

import time
from collections.abc import Sequence
from pathlib import Path

from hydra.core.hydra_config import HydraConfig

from trajerr.collection.campaign import Collection, collect, split_errors
from trajerr.collection.process_pool import ProcessPool, count_workers
from trajerr.collection.variants import parse_variants
from trajerr.commands.building import build, pick
from trajerr.commands.entry import Config, command
from trajerr.dataset.quality import collected_metrics, require_passed
from trajerr.gcode.sources import Source, find_sources
from trajerr.reports import collection_report


@command("collect")
def main(config: Config) -> None:
    """Compose what to collect, and plan or collect it."""
    printer = build(config["printer"], "printer")
    sources = find_sources(config["parts"], config["gcode"])
    variants, out = parse_variants(config["variants"]), Path(config["out"])
    if config["plan_only"]:
        plans = (sources, printer.limits, variants[0].scales)
        if config["plot"]:
            collection_report.plot_plans(out, *plans, config["layers"])
        collection_report.show_plans(*plans)
        return
    given = {"printer": printer, "variants": variants, "out": out}
    _collect(pick(Collection, config, **given), sources, config)


def _collect(collection: Collection, sources: Sequence[Source], config: Config) -> None:
    """Collect, and judge what was collected."""
    began, out = time.monotonic(), collection.out
    limits, workers = build(config["quality"], "quality"), count_workers(config["workers"])
    with ProcessPool(workers) as pool, collection_report.progress() as (show, note):
        collect(collection, sources, pool, show, note)
        splits = split_errors(collection, sources, pool)
    rows = collected_metrics(out)
    settings = (splits, limits, collection.sample_rate_hz, time.monotonic() - began)
    report = collection_report.compose(rows, *settings)
    collection_report.write_report(out, report)
    mine = collection_report.compose([row for row in rows if row.part in splits], *settings)
    collection_report.write_report(Path(HydraConfig.get().runtime.output_dir), mine)
    collection_report.show(report)
    if config["plot"]:
        collection_report.plot_collection(collection, splits)
    if config["strict"]:
        require_passed(report)


if __name__ == "__main__":
    main()
