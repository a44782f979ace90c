"""Which machine's motion a model has learnt: what its bundle says, and whether a printer is it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from trajerr.bundle.manifest import Bundle
from trajerr.dataset.record import stated_printer
from trajerr.dynamics.printer import Printer
from trajerr.errors import ConfigError

MEASURED = "measured"  # kind of recorded layers, which may name the printer they are of
OF_SIMULATION = "simulation_rate_hz"  # a parameter that simulated layers have and recorded lack


@dataclass(frozen=True)
class LearntMachine:
    """The machine that a model's data came from."""

    printer: Printer | None  # None where the data names none, as recordings do
    identity: str | None  # the printer's when the bundle was written
    recordings: tuple[str, ...]  # SHA-256s of the recordings among the data

    @classmethod
    def of(cls, printer: Mapping[str, Any] | None, stats: Mapping[str, Any]) -> Self:
        """Return what a checkpoint tells.

        Parameters
        ----------
        printer
            As :meth:`Printer.to_dict` has it; None where the data names none.
        stats
            Of the prepared data, as ``stats.json`` has them.

        Raises
        ------
        ConfigError
            If this version cannot read the printer.
        """
        named = None if printer is None else Printer.from_dict(printer)
        params, sources = stats.get("params", {}), stats.get("sources", ())
        stated = stated_printer(params) is not None and params.get("kind") != MEASURED
        simulated = stated or OF_SIMULATION in params
        files = () if simulated else {str(source["sha256"]) for source in sources}
        return cls(named, None if named is None else named.identity, tuple(sorted(files)))

    @classmethod
    def of_bundle(cls, bundle: Bundle) -> Self:
        """Return what a bundle tells; one of an earlier version by its printer and its data.

        Raises
        ------
        ConfigError
            If this version cannot read the bundle's printer.
        """
        manifest = bundle.manifest
        found = cls.of(manifest["printer"], manifest["stats"])
        told = manifest.get("machine")
        if told is None:
            return found
        return cls(found.printer, told["identity"], tuple(told["recordings"]))

    def to_dict(self) -> dict[str, Any]:
        """Return plain containers, as a manifest holds them."""
        return {
            "name": None if self.printer is None else self.printer.name,
            "identity": self.identity,
            "recordings": list(self.recordings),
        }

    def is_that_of(self, printer: Printer) -> bool:
        """Whether a printer moves as this machine.

        By its identity; where the data names no printer, by a recording that it was calibrated
        from and that is among the data.
        """
        if self.identity is not None:
            return printer.identity == self.identity
        return not set(printer.recordings).isdisjoint(self.recordings)

    def require_that_of(self, printer: Printer, model: str) -> None:
        """Refuse a printer that moves otherwise.

        Parameters
        ----------
        printer
            The one that is to print.
        model
            What has learnt, for the message.

        Raises
        ------
        ConfigError
            Saying which it was and which it should be.
        """
        if not self.is_that_of(printer):
            raise ConfigError(
                f"printer: got {printer.name} ({printer.identity}), expected "
                f"{self._expected(printer, model)}; other_machine=true corrects all the same"
            )

    def _expected(self, printer: Printer, model: str) -> str:
        if self.printer is not None:
            apart = _apart(printer, self.printer)
            differs = f" and which differs in {', '.join(apart)}" if apart else ""
            named = f"{self.printer.name} ({self.identity})"
            return f"{named}, whose motion {model} has learnt{differs}"
        if not self.recordings:
            return f"one that {model} names, and it names none"
        first = self.recordings[0][:12]
        return f"one whose recordings {model} has learnt (SHA-256 {first}…)"


def _apart(one: Printer, other: Printer) -> list[str]:
    """Return the keys in which the motion of two printers differs."""
    ours, theirs = one.motion(), other.motion()
    return sorted(key for key in {*ours, *theirs} if ours.get(key) != theirs.get(key))
