"""Recorded motion, from files of any origin to windows of training splits."""
