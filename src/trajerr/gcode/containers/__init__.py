"""What G-code text comes packed in: out of a container, and into one like it.

Knows bytes only; what the text says is understood in the room around it.
"""
