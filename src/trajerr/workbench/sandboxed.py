"""A page of its own that loads nothing, for a frame: style and script within."""

from html import escape

SHELL = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>body {{ margin: 0; padding: 8px; font: 15px/1.5 system-ui, sans-serif; }}
@media (prefers-color-scheme: dark) {{ body {{ background: #16191c; color: #e8eaed; }} }}
{style}</style>
</head>
<body>
{body}
<script>{script}</script>
</body>
</html>
"""


def sandboxed_page(title: str, body: str, style: str = "", script: str = "") -> str:
    """Return a whole page of these parts."""
    return SHELL.format(title=escape(title), body=body, style=style, script=script)
