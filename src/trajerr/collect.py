"""Collect: print layers on the simulated machine and write them as ``.mat`` files."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.hydra_config import HydraConfig

from trajerr.commands.building import build, build_printer, pick
from trajerr.commands.entry import Config, command

if TYPE_CHECKING:
    from trajerr.collection.campaign import Collection
    from trajerr.gcode.sources import Source


@command("collect")
def main(config: Config) -> None:
    """Compose what to collect, and plan or collect it."""
    from trajerr.collection.campaign import Collection  # takes seconds, which --help does without
    from trajerr.collection.variants import parse_variants
    from trajerr.gcode.sources import find_sources
    from trajerr.reports import collection_report

    sources = find_sources(config["parts"], config["gcode"])
    printer, variants = build_printer(config["printer"]), parse_variants(config["variants"])
    if config["plan_only"]:
        plans = (sources, printer.limits, variants[0].scales)
        if config["plot"]:
            collection_report.plot_plans(Path(config["out"]), *plans, config["layers"])
        collection_report.show_plans(*plans)
    else:
        given = {"printer": printer, "variants": variants, "out": Path(config["out"])}
        _collect(pick(Collection, config, **given), sources, config)


def _collect(collection: "Collection", sources: tuple["Source", ...], config: Config) -> None:
    """Collect, and judge what was collected."""
    from trajerr.collection.campaign import collect, split_errors
    from trajerr.collection.process_pool import ProcessPool, count_workers
    from trajerr.dataset.quality import require_passed
    from trajerr.reports import collection_report

    began, limits = time.monotonic(), build(config["quality"], "quality")
    pool = ProcessPool(count_workers(config["workers"]))
    with pool, collection_report.progress() as told:
        collect(collection, sources, pool, *told)
        splits = split_errors(collection, sources, pool)
    settings = (splits, limits, collection.sample_rate_hz, time.monotonic() - began)
    own = Path(HydraConfig.get().runtime.output_dir)
    report = collection_report.write_reports(collection.out, own, *settings)
    collection_report.show(report)
    if config["plot"]:
        collection_report.plot_collection(collection, splits)
    if config["strict"]:
        require_passed(report)


if __name__ == "__main__":
    main()
