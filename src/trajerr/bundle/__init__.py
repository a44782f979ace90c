"""Exported graphs and what they mean, at work: NumPy and ONNX Runtime, no torch."""
