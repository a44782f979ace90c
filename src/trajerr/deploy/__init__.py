"""The bundle, the runtime that predicts with it, and the compensation of G-code."""
