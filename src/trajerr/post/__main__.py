"""``python -m trajerr.post``: the same as ``trajerr-post``."""

from trajerr.post.command import main

if __name__ == "__main__":
    main()
