"""What commands do, as far as one must know who moves lines about: the table of docs/gcode.md.

A command is *modelled* (a handler of :mod:`~trajerr.gcode.commands` follows it), *passed* (it
changes neither position, nor the extruder, nor units, nor modes), *refused* (it gives all
numbers after it another meaning), or a *barrier*: what it does to the position is not known.
Every name that stands nowhere here is a barrier.
"""

# Ask for motion that is not read, or change what all later coordinates mean.
REFUSED = {
    "G5": "a spline",
    "G5.1": "a spline",
    "G6": "a direct stepper move",
    "G12.1": "polar coordinates",
    "G16": "polar coordinates",
    "G18": "the ZX plane",
    "G19": "the YZ plane",
    "G41": "cutter compensation",
    "G42": "cutter compensation",
    "G51": "scaled coordinates",
    "G68": "rotated coordinates",
    "G70": "units of older controls (G20 is inch)",
    "G71": "units of older controls (G21 is mm)",
    "G93": "inverse-time feed",
    "G95": "feed per revolution",
    "M808": "a loop",
}

# Bring the motion to rest and change nothing else: they wait.
WAITING = frozenset({"M116", "M191", "TEMPERATURE_WAIT"})

# Bring the motion to rest, and may leave the nozzle elsewhere: they probe, park, purge, wait for
# a person who may turn the axes, or run a macro.
STOPPING_BARRIERS = frozenset(
    {"G12", "G26", "G27", "G29", "G30", "G31", "G32", "G33", "G34", "G35", "G38", "G76", "G80"}
    | {"G81", "M0", "M1", "M25", "M48", "M125", "M226", "M600", "M601", "M701", "M702"}
    | {"PAUSE", "RESUME", "START_PRINT", "PRINT_START"}
)

# Change neither position, extruder, units nor modes.
_MARLIN = """
    G17 G40 G49 G64 G94 M2 M3 M4 M5 M7 M8 M9 M10 M11 M17 M20 M21 M22 M27 M30 M31 M36
    M42 M70 M72 M73 M73.2 M74 M75 M76 M77 M78 M85 M92 M105 M108 M110 M111 M113 M114 M115
    M117 M118 M119 M122 M123 M126 M127 M141 M142 M143 M144 M145 M150 M154 M155 M163
    M164 M165 M166 M210 M211 M217 M250 M255 M256 M260 M261 M280 M282 M300 M301 M302 M304
    M305 M307 M309 M355 M380 M381 M404 M407 M412 M413 M414 M420 M430 M486 M500
    M503 M504 M540 M550 M551 M552 M553 M554 M555 M556 M557 M558 M559 M567 M568 M569 M570
    M571 M572 M573 M575 M593 M603 M624 M625 M709 M710 M851 M860 M861 M862.1 M862.2 M862.3 M862.4
    M862.5 M862.6 M863 M864 M865 M866 M867 M868 M869 M876 M900 M906 M907 M908 M910 M911
    M912 M913 M914 M919 M928 M960 M981 M991
"""
_KLIPPER = """
    ACCELEROMETER_MEASURE BED_MESH_CLEAR BED_MESH_OUTPUT BED_MESH_PROFILE CLEAR_PAUSE DUMP_TMC
    EXCLUDE_OBJECT
    EXCLUDE_OBJECT_DEFINE EXCLUDE_OBJECT_END EXCLUDE_OBJECT_START GET_POSITION GET_RETRACTION
    QUERY_ADC QUERY_ENDSTOPS QUERY_FILAMENT_SENSOR QUERY_PROBE RESPOND SAVE_VARIABLE
    SET_DISPLAY_GROUP SET_DISPLAY_TEXT SET_EXTRUDER_ROTATION_DISTANCE SET_FAN_SPEED
    SET_FILAMENT_SENSOR SET_GCODE_VARIABLE SET_IDLE_TIMEOUT SET_INPUT_SHAPER SET_LED
    SET_LED_TEMPLATE SET_PIN SET_PRESSURE_ADVANCE SET_PRINT_STATS_INFO SET_SERVO
    SET_TMC_CURRENT SET_TMC_FIELD STATUS UPDATE_DELAYED_GCODE
"""
PASSED = frozenset(_MARLIN.split()) | frozenset(_KLIPPER.split())

# The modal state is kept and fetched by these on RepRapFirmware and Smoothieware; on Marlin
# they switch endstops.
STACK_FLAVORS = frozenset({"reprapfirmware", "rrf", "smoothie", "smoothieware", "duet"})
