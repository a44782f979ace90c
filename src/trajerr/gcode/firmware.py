"""Firmware by its name (``printer.limits.firmware``): which family a build belongs to."""


def is_klipper(name: str | None) -> bool:
    """Return whether a name is a build of Klipper's: ``klipper`` and all that begin so."""
    return name is not None and name.startswith("klipper")
