"""Moves to a time-stamped commanded trajectory, as firmware plans it; knows no mechanics."""
