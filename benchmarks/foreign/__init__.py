"""Machines that trajerr's simulator cannot express, and what it takes to work on them.

Their physics shares nothing with :mod:`trajerr.dynamics`, and nothing in trajerr knows what a
machine here is made of.
"""
