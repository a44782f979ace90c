"""Where a workbench listens, what it takes, and which folder is its own."""

import ipaddress
import re
import secrets
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from trajerr.checks import require, require_count, require_positive
from trajerr.files import from_home
from trajerr.shipped import fields_of, shipped

MOST_PORT = 65535
TOKEN = re.compile(r"[A-Za-z0-9_-]{16,128}")
TOKEN_BYTES = 24
MB = 1_000_000


@dataclass(frozen=True)
class Settings:
    """How a workbench is run.

    Raises
    ------
    ConfigError
        If a value is out of range; the message names the key.
    """

    folder: str
    host: str
    port: int
    token: str | None
    most_upload_mb: float
    at_once: int
    browser: bool

    def __post_init__(self) -> None:
        require_count("port", self.port, at_least=0)
        require("port", self.port, self.port <= MOST_PORT, f"at most {MOST_PORT}")
        require_positive("most_upload_mb", self.most_upload_mb)
        require_count("at_once", self.at_once)
        good = isinstance(self.host, str) and bool(self.host.strip())
        require("host", self.host, good, "an address of this machine, such as 127.0.0.1")
        if self.token is not None:
            good = isinstance(self.token, str) and TOKEN.fullmatch(self.token) is not None
            wanted = "16 to 128 letters, digits, _ and -, or null"
            require("token", "what was given" if self.token else self.token, good, wanted)

    @classmethod
    def shipped(cls, **changes: object) -> Self:
        """Return what ``conf/workbench/defaults.yaml`` says, with changes."""
        return cls(**(fields_of(cls, shipped("workbench/defaults")) | changes))

    @property
    def root(self) -> Path:
        """The chosen folder, absolute."""
        return from_home(self.folder).resolve()

    @property
    def most_upload(self) -> int:
        """Bytes of one file."""
        return int(self.most_upload_mb * MB)

    @property
    def is_private(self) -> bool:
        """Whether no other machine can reach the page."""
        return is_loopback(self.host)

    def secured(self) -> Self:
        """Return the same with a token where other machines can reach the page."""
        if self.is_private or self.token is not None:
            return self
        return replace(self, token=secrets.token_urlsafe(TOKEN_BYTES))


def is_loopback(host: str) -> bool:
    """Whether a host's name is that of this machine for itself."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
