"""Simulated campaigns: which prints, in which variants, collected by many processes."""
