"""Which commands leave the nozzle, the modes and the units where they are.

Everything that is neither here nor interpreted may move the nozzle. Sources: Marlin's list of
G-codes (https://marlinfw.org/meta/gcode), Klipper's (https://www.klipper3d.org/G-Codes.html)
and Prusa's (https://help.prusa3d.com/article/prusa-firmware-specific-g-code-commands_112173).
"""

# Dwell, waiting for motion, machine-tool modes that 3-D printers ignore.
_QUIET_G = {4, 9, 40, 49, 54, 64, 94}
# Power, fans and heaters of other places, messages, settings, checks, statistics, logs, mixing.
_QUIET_M = {
    *(2, 3, 4, 5, 7, 8, 9, 10, 11, 17, 20, 21, 22, 27, 30, 31, 33, 34, 36, 42, 43, 46),
    *(70, 72, 73, 74, 75, 76, 77, 78, 80, 81, 85, 86, 87, 92),
    *(105, 108, 110, 111, 112, 113, 114, 115, 116, 117, 118, 119, 122, 123, 126, 127),
    *(141, 142, 143, 144, 145, 149, 150, 154, 155, 163, 164, 165, 166, 191),
    *(202, 207, 208, 209, 210, 211, 217, 250, 255, 256, 260, 261, 280, 281, 282, 290),
    *(300, 301, 302, 304, 305, 307, 308, 309, 310, 350, 351, 355, 400, 403, 404, 405, 406, 407),
    *(412, 413, 420, 421, 423, 430, 486, 500, 503, 504, 510, 511, 512, 524, 540),
    *(550, 551, 552, 553, 554, 555, 556, 557, 558, 559, 560, 563, 564, 567, 568, 569, 570),
    *(571, 572, 573, 575, 578, 581, 582, 584, 585, 586, 587, 588, 589, 591, 592, 593, 603),
    *(672, 709, 710, 851, 855, 860, 861, 862, 863, 864, 865, 866, 867, 868, 869, 876),
    *(900, 906, 907, 908, 910, 911, 912, 913, 914, 919, 920, 928, 951),
    *(380, 381, 414, 624, 625, 960, 981, 991, 997),
}
# Pauses: the printer parks, waits for a person, and comes back to where it was.
_RETURNING = {"M0", "M1", "M25", "M226", "M600", "M601", "M602", "PAUSE", "RESUME"}
_QUIET_NAMES = {
    *(
        "ACCELEROMETER_MEASURE",
        "BED_MESH_OUTPUT",
        "DUMP_TMC",
        "QUERY_ADC",
        "QUERY_ENDSTOPS",
        "QUERY_FILAMENT_SENSOR",
    ),
    *("QUERY_PROBE", "SET_EXTRUDER_ROTATION_DISTANCE"),
    *("BED_MESH_CLEAR", "BED_MESH_PROFILE", "CLEAR_PAUSE", "DEFINE_OBJECT"),
    *("EXCLUDE_OBJECT", "EXCLUDE_OBJECT_DEFINE", "EXCLUDE_OBJECT_END", "EXCLUDE_OBJECT_START"),
    *("GET_POSITION", "GET_RETRACTION", "RESPOND", "SAVE_VARIABLE", "SET_DIGIPOT"),
    *("SET_DISPLAY_GROUP", "SET_DISPLAY_TEXT", "SET_FAN_SPEED", "SET_FILAMENT_SENSOR"),
    *("SET_GCODE_VARIABLE", "SET_IDLE_TIMEOUT", "SET_INPUT_SHAPER", "SET_LED"),
    *("SET_LED_TEMPLATE", "SET_PIN", "SET_PRESSURE_ADVANCE", "SET_PRINT_STATS_INFO"),
    *("SET_RETRACTION", "SET_SERVO", "SET_SMOOTH_TIME", "SET_TMC_CURRENT", "SET_TMC_FIELD"),
    *("STATUS", "TEMPERATURE_WAIT", "UPDATE_DELAYED_GCODE"),
}

HARMLESS = frozenset(
    {f"G{i}" for i in _QUIET_G} | {f"M{i}" for i in _QUIET_M} | _RETURNING | _QUIET_NAMES
)


def is_harmless(name: str) -> bool:
    """Return whether a command moves nothing that later lines build on.

    Parameters
    ----------
    name
        In upper case, e.g. "M117"; its checks with a decimal (M862.3) count as the command.
    """
    return name in HARMLESS or name.startswith(("M73.", "M862.", "M569.", "M593."))
