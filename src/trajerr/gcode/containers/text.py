"""What is the same for the text of every container."""

MOST_BYTES = 1 << 31  # of text; what claims or unpacks to more is no print


class Verbatim:
    """A container that gives back a text as it was packed."""

    def as_read(self, text: bytes) -> bytes:
        """Return what unpacking makes of a packed text: the same."""
        return text
