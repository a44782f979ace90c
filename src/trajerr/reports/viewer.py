"""The layer viewer: a canvas on which a page shows layers, in any page that has its assets.

A page holds :func:`viewer_style` and :func:`viewer_script` once, and a :func:`layer_viewer` where
the view is to be. A page that gets its layers later calls ``trajerrViewer.mount(element, data)``
with what :func:`.viewer_data.viewer_data` returns, as JSON.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from trajerr.reports.markup import asset
from trajerr.reports.viewer_data import MOST_BYTES, Quantity, ViewedLayer, viewer_data


def viewer_style() -> str:
    """Return the viewer's style sheet; its colours are the page's or its own, light and dark."""
    return asset("viewer.css")


def viewer_script() -> str:
    """Return the viewer's script, which needs nothing else."""
    return asset("viewer.js")


def layer_viewer(
    layers: Iterable[ViewedLayer],
    quantities: Mapping[str, Quantity],
    *,
    of_layers: int | None = None,
    most_bytes: int = MOST_BYTES,
    in_address: bool = False,
) -> str:
    """Return an element that shows layers, its data inside.

    Parameters
    ----------
    layers, quantities, of_layers, most_bytes
        As for :func:`.viewer_data.viewer_data`.
    in_address
        Whether the page's address says what is shown, so that it can be linked to:
        ``#layer=12&x=110&y=95&span=4`` shows 4 mm around a point.
    """
    data = viewer_data(layers, quantities, of_layers=of_layers, most_bytes=most_bytes)
    address = " data-address" if in_address else ""
    return (
        f'<div class="layer-viewer" data-layer-viewer{address}>'
        f'<script type="application/json">{embedded(data)}</script>'
        "<noscript>The layers are drawn by JavaScript, which is switched off.</noscript></div>"
    )


def embedded(data: Mapping[str, Any]) -> str:
    """Return JSON that can stand within a script element."""
    # "</" would end the element early, "<!--" hide its end.
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
