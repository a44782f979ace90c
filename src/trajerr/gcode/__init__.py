"""Text of a G-code file to moves and back; knows no physics and no limits of its own."""
