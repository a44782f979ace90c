import pytest

from trajerr.checks import (
    require,
    require_count,
    require_from_zero,
    require_numbers,
    require_one_of,
    require_positive,
    require_some_of,
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
        (
            lambda k, v: require_some_of(k, v, ("a", "b")),
            [["a"], ("b", "a")],
            [[], ["a", "c"], "ab"],
        ),
        (lambda k, v: require_count(k, v, or_null=True), [1, None], [0, 1.5, False, "null"]),
        (lambda k, v: require_positive(k, v, or_null=True), [0.5, None], [0, NAN, True, "1"]),
    ],
)
def test_what_is_taken_and_what_is_refused(check, good, bad):
    for value in good:
        check("key", value)
    for value in bad:
        with pytest.raises(ConfigError, match=r"^key: got .+, expected "):
            check("key", value)


def test_what_is_expected_tells_of_null_and_of_names():
    with pytest.raises(
        ConfigError, match=r"^n: got 0, expected a whole number from 1 on, or null$"
    ):
        require_count("n", 0, or_null=True)
    with pytest.raises(ConfigError, match=r"^n: got \[a, x\], expected some of a, b$"):
        require_some_of("n", ["a", "x"], ("a", "b"))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        ((True, False), "[true, false]"),
        ("null", "'null'"),
        ("base", "base"),
        ("7", "'7'"),
        ("a b\n", r"'a b\n'"),
        ((0.5, None), "[0.5, null]"),
    ],
)
def test_values_are_shown_as_in_a_config(value, text):
    assert shown(value) == text
