"""Machines that trajerr's simulator cannot express, and what it takes to work on them.

Nothing here imports the simulator of :mod:`trajerr.dynamics`; nothing in trajerr knows what a
machine here is made of.
"""
