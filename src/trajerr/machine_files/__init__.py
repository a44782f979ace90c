"""What a machine's own settings say: Klipper's ``printer.cfg``, Marlin's answer to ``M503``.

Knows how these files are written and what their words mean for a printer's config. Does not
know what was measured.
"""
