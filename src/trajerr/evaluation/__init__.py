"""Metrics, closed-loop replay, plots and reports."""
