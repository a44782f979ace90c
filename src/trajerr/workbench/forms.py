"""What a person fills in: fields with their words, what they take, and what was taken."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trajerr.errors import ConfigError
from trajerr.workbench.folder import Folder

Options = Callable[[Folder], Sequence[tuple[str, str]]]  # value and label, in order
Form = Mapping[str, str]

FILE, CHOICE, TEXT, NUMBER, AMOUNT = "file", "choice", "text", "number", "amount"
A_NUMBER = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6})?")
MOST_TEXT = 200


@dataclass(frozen=True)
class Field:
    """One thing to be said."""

    name: str
    label: str
    kind: str  # FILE: one of the folder's, or dropped; CHOICE; TEXT; NUMBER: whole; AMOUNT: any
    hint: str = ""
    options: Options | None = None
    value: str = ""  # before anything is said
    needed: bool = True
    only: tuple[str, ...] | None = None  # shown where another field has one of these values
    check: Callable[[Path], None] | None = None  # refuses a file by what is in it

    def read(self, form: Form, folder: Folder) -> str:
        """Return what a form with all fields says, "" where it need not and does not.

        Raises
        ------
        ConfigError
            If it says what cannot be.
        """
        said = form[self.name]
        if not isinstance(said, str) or len(said) > MOST_TEXT or "\n" in said or "\0" in said:
            raise ConfigError(f"{self.label}: expected one line of at most {MOST_TEXT} letters")
        said = said.strip()
        if self.only is not None and form[self.only[0]] not in self.only[1:]:
            return ""
        if not said:
            if self.needed:
                raise ConfigError(f"{self.label}: nothing is given, expected {self._wanted}")
            return ""
        if self.kind == FILE:
            return self._file(said, folder)
        if self.kind == NUMBER and not (said.isdecimal() and said.isascii() and int(said) > 0):
            raise ConfigError(f"{self.label}: got {said!r}, expected a whole number above 0")
        if self.kind == AMOUNT and not A_NUMBER.fullmatch(said):
            raise ConfigError(f"{self.label}: got {said!r}, expected a number such as 8.5")
        if self.kind == CHOICE and said not in dict(self.choices(folder)):
            raise ConfigError(f"{self.label}: got {said!r}, expected {self._wanted}")
        return said

    def _file(self, said: str, folder: Folder) -> str:
        name = folder.existing(said, self.label)
        if self.check is not None:
            self.check(folder.inside(name))
        return name

    def choices(self, folder: Folder) -> Sequence[tuple[str, str]]:
        """Return the values that may be chosen, and their labels."""
        return () if self.options is None else self.options(folder)

    @property
    def _wanted(self) -> str:
        wanted = {FILE: "a file", CHOICE: "one of the list", TEXT: "a text"}
        return wanted.get(self.kind, "a number")


def read_form(fields: Sequence[Field], form: Form, folder: Folder) -> dict[str, str]:
    """Return what a form says for each of some fields.

    Raises
    ------
    ConfigError, DataError
        If a field says what cannot be.
    """
    whole = {field.name: form.get(field.name, field.value) for field in fields}
    return {field.name: field.read(whole, folder) for field in fields}
