"""G-code that a machine is measured by: a run to record, a tower that rings, a proof to look at.

Knows what has to be moved so that a measurement tells something, and proves by planner and
second reader that a machine may run it. Does not know how measurements are read.
"""
