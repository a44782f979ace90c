import pytest

from trajerr.checks import (
    require,
    require_count,
    require_from_zero,
    require_numbers,
    require_one_of,
    require_positive,
    shown,
)
from trajerr.errors import ConfigError

NAN, INF = float("nan"), float("inf")


def test_the_sentence_names_key_value_and_what_is_expected():
    require("data.stride", 4, True, "more")
    with pytest.raises(ConfigError, match=r"^data\.stride: got 4, expected more$"):
        require("data.stride", 4, False, "more")


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (require_count, [1, 7], [0, -1, 1.0, True, "1", None]),
        (require_positive, [1e-9, 3], [0, -1.0, NAN, INF, True, "1", None]),
        (require_from_zero, [0, 0.0, 3], [-1e-9, NAN, INF, False, "0", None]),
        (require_numbers, [[], [1, 2.5], (3,)], ["12", 4, ["a"], [True], None]),
        (lambda k, v: require_one_of(k, v, ("a", "b")), ["a", "b"], ["c", None, 1, ["a"]]),
    ],
)
def test_what_is_taken_and_what_is_refused(check, good, bad):
    for value in good:
        check("key", value)
    for value in bad:
        with pytest.raises(ConfigError, match=r"^key: got .+, expected "):
            check("key", value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        ("null", "'null'"),
        ("base", "base"),
        ("7", "'7'"),
        ("a b\n", r"'a b\n'"),
        ((0.5, None), "[0.5, null]"),
    ],
)
def test_values_are_shown_as_in_a_config(value, text):
    assert shown(value) == text
