"""``python -m trajerr.evaluate``: judge checkpoints on a split of prepared data."""

from rich.console import Console

from trajerr.commands.building import allowed_classes, pick
from trajerr.commands.entry import Config, command
from trajerr.commands.repeating import output_of_this_run


@command("evaluate")
def main(config: Config) -> None:
    """Evaluate the configured checkpoints and write their metrics."""
    from trajerr.evaluation.assess import EvaluateSettings, assess  # takes seconds; not for --help
    from trajerr.reports.evaluation_report import write_evaluation

    own = {
        "root": config["data"]["root"],
        "allowed": allowed_classes(config),
        "output_dir": output_of_this_run("output_dir", config["output_dir"]),
    }
    settings = pick(EvaluateSettings, config, **own)
    write_evaluation(settings, *assess(settings, config), Console())


if __name__ == "__main__":
    main()
