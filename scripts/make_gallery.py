"""Take the gallery's pictures from a run of ``make pipeline``.

    python scripts/make_gallery.py runs/first

Writes ``docs/images/gallery/*.png``; ends with 1, and changes nothing, where one is missing.
"""

import sys
from pathlib import Path

from PIL import Image

PROJECT = Path(__file__).resolve().parents[1]
GALLERY = PROJECT / "docs" / "images" / "gallery"
WIDEST = 1400  # pixels; the site shows no more
PICTURES = {
    "path": "nautilus_corrected_report/corner.png",
    "maps": "nautilus_corrected_report/error_maps.png",
    "walls": "nautilus_corrected_report/comparison.png",
    "spectra": "nautilus_corrected_report/spectra.png",
    "sequence": "evaluation/sequence_prediction.png",
    "correlation": "evaluation/error_correlation.png",
    "distribution": "evaluation/error_distribution.png",
    "residuals": "evaluation/residual_map.png",
}


def main() -> int:
    """Copy and scale the pictures; return the exit code."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sources = {name: Path(sys.argv[1]) / place for name, place in PICTURES.items()}
    missing = [str(path) for path in sources.values() if not path.is_file()]
    if missing:
        print(f"gallery: got no {missing[0]}, expected what make pipeline writes", file=sys.stderr)
        return 1
    GALLERY.mkdir(parents=True, exist_ok=True)
    for name, path in sources.items():
        with Image.open(path) as picture:
            picture.thumbnail((WIDEST, WIDEST))
            picture.convert("P", palette=Image.Palette.ADAPTIVE, colors=128).save(
                GALLERY / f"{name}.png", optimize=True
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
