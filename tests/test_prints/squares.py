"""A print of squares, one on the other, as a slicer writes it."""


def squares(layers: int) -> bytes:
    """Return squares of 40 mm, one on the other, as slicers write them."""
    lines = ["G21", "G90", "M82", "G28", "G92 E0"]
    filament = 0.0
    for layer in range(layers):
        lines += [
            f";LAYER:{layer}",
            f"G0 X80 Y80 Z{0.2 * (layer + 1):.1f} F6000",
            ";TYPE:WALL-OUTER",
        ]
        for x, y in 3 * [(120, 80), (120, 120), (80, 120), (80, 80)]:
            filament += 40.0 * 0.033
            lines.append(f"G1 X{x} Y{y} E{filament:.5f} F3000")
    return ("\n".join([*lines, "G0 X0 Y0"]) + "\n").encode()
