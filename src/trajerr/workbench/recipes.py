"""The screens' forms, and the command lines that do what they ask."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from trajerr.workbench import command_lines, learning_lines
from trajerr.workbench.fields import CORRECT_FIELDS, FILE_FIELDS, LEARN_FIELDS, PRINTER_FIELDS
from trajerr.workbench.folder import WORK, Folder
from trajerr.workbench.forms import Field, Form, read_form
from trajerr.workbench.work import Step, Work


@dataclass(frozen=True)
class Recipe:
    """One screen: what is asked there, and what is done then."""

    kind: str
    title: str
    lead: str
    button: str
    fields: tuple[Field, ...]
    steps: Callable[[Form, str], Sequence[Step]]  # of a form and the work's own folder
    named: str  # the field that the work is called by
    results: Callable[[Form, str], Mapping[str, str]]

    def work(self, form: Form, folder: Folder) -> Work:
        """Return the work that a form asks for.

        Raises
        ------
        ConfigError, DataError
            If it asks for what cannot be.
        """
        said = read_form(self.fields, form, folder)
        new = Work.new(self.kind, PurePosixPath(said[self.named]).name, (), said)
        place = f"{WORK}/{new.id}"
        steps, results = tuple(self.steps(said, place)), self.results(said, place)
        return Work(new.id, new.kind, new.title, steps, new.began, said, results)

    def lines(self, form: Form, folder: Folder) -> list[str]:
        """Return the command lines that do what a form asks for."""
        said = read_form(self.fields, form, folder)
        return [step.line for step in self.steps(said, f"{WORK}/ID")]


RECIPES: Mapping[str, Recipe] = {
    recipe.kind: recipe
    for recipe in (
        Recipe(
            "file",
            "Look at a file",
            "Drop a file of your slicer. You see what was understood of it, and every layer, "
            "coloured by how fast the nozzle moves there or how far it will miss its path.",
            "Look at it",
            FILE_FIELDS,
            command_lines.look,
            "gcode",
            command_lines.look_results,
        ),
        Recipe(
            "printer",
            "Measure a printer",
            "A printer swings when it brakes, like a weight on a spring. From a recording we find "
            "how fast it swings, how soon that dies down, and how sure that is.",
            "Measure",
            PRINTER_FIELDS,
            command_lines.calibrate,
            "name",
            command_lines.calibrate_results,
        ),
        Recipe(
            "learn",
            "Learn a printer",
            "A network learns how far the nozzle misses its path, from recordings of your printer "
            "or from a simulated one. What comes out is a bundle, which corrects files.",
            "Learn",
            LEARN_FIELDS,
            learning_lines.learn,
            "name",
            learning_lines.learn_results,
        ),
        Recipe(
            "correct",
            "Correct a file",
            "The walls of the corrected file are moved by as much as the printer would miss them, "
            "the other way. The original stays as it is.",
            "Correct it",
            CORRECT_FIELDS,
            command_lines.correct,
            "gcode",
            command_lines.correct_results,
        ),
    )
}
