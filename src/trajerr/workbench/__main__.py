"""``python -m trajerr.workbench``."""

from trajerr.workbench.command import main

if __name__ == "__main__":
    main()
