"""A second, independent reading of G-code that checks what a correction has written.

Knows what firmware does with each line, and nothing of how :mod:`trajerr.gcode` reads or how
corrections are made: an error there is found here, not repeated.
"""
