"""``python -m trajerr.evaluate``: judge checkpoints on a split of prepared data."""

from rich.console import Console

from trajerr.commands.building import allowed_classes, pick
from trajerr.commands.entry import Config, command


@command("evaluate")
def main(config: Config) -> None:
    """Evaluate the configured checkpoints and write their metrics."""
    from trajerr.evaluation.assess import EvaluateSettings, assess  # takes seconds; not for --help
    from trajerr.reports.evaluation_report import write_evaluation

    root, allowed = config["data"]["root"], allowed_classes(config)
    settings = pick(EvaluateSettings, config, root=root, allowed=allowed)
    write_evaluation(settings, *assess(settings, config), Console())


if __name__ == "__main__":
    main()
