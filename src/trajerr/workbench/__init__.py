"""The commands' face in a browser: a file, a printer, learning, correcting; for one person.

Knows forms, the command lines that do the same, and how to run them as processes of their own
and show what they say. It computes nothing itself, writes in one chosen folder alone, and asks
nothing of any other machine.
"""
