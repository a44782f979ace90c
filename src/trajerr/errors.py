"""The errors that a user can cause; each message says what, where, and what was expected."""


class TrajerrError(Exception):
    """A user's mistake or unusable input; the commands print it as one line."""


class ConfigError(TrajerrError):
    """A configured value is out of range or contradicts another."""


class GcodeError(TrajerrError):
    """A G-code file cannot be used."""


class DataError(TrajerrError):
    """A data file, split or checkpoint cannot be used."""


class BundleError(TrajerrError):
    """A deployment bundle cannot be used."""


def in_one_line(error: BaseException) -> str:
    """Return what an error says, without its line breaks."""
    return " ".join(str(error).split())
