"""Texts with $(...) in launch files."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_ros.core.errors import ConfigError
from vla_ros.launcher.expressions import evaluate_expression
from vla_ros.launcher.substitutions import Scope, is_true, parse_template


def evaluated(text: str, **variables: str) -> str:
    return parse_template(text).evaluate(Scope(Path("/here/a.launch.xml"), variables, {"HOME_TOWN": "Ulm"}))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("plain $ text", "plain $ text"),
        ("a$(var x)b$(var y)", "a1b2"),
        ("$(var $(var name))", "1"),
        ("$(var missing standby)", "standby"),
        ("$(env HOME_TOWN)", "Ulm"),
        ("$(env NO_SUCH 'two words')", "two words"),
        ("$(dirname)/x.yaml", "/here/x.yaml"),
        ("$(filename)", "/here/a.launch.xml"),
        ("$(eval '$(var x) + 1 == $(var y)')", "True"),
        ("$(eval \"'$(var name)' in ['x', 'z']\")", "True"),
        ("$(eval '\\'a\\' + \\'b\\'')", "ab"),
        ("$(not true)", "false"),
        ("$(and true $(not false))", "true"),
        ("$(or false off)", "false"),
        ("$(equals $(var x) 1)", "true"),
        ("$(not-equals '$(var x)' '')", "true"),
        ("$(if $(equals $(var y) 2) yes no)", "yes"),
        (r"\$(var x)", "$(var x)"),
    ],
)
def test_a_substitution_stands_for_its_value(text: str, expected: str) -> None:
    assert evaluated(text, x="1", y="2", name="x") == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("$(var x", "not closed"),
        ("$(eval '1 + 1)", "quote"),
        ("$(vra x)", "Did you mean 'var'"),
        ("$(var)", "takes 1 to 2 arguments, not 0"),
        ("$(equals a)", "takes 2 arguments, not 1"),
        ("$(var speeed)", "Did you mean 'speed'"),
        ("$(env NO_SUCH)", r"\$\(env NO_SUCH DEFAULT\)"),
        ("$(not maybe)", "neither true nor false"),
        ("$(eval 'open(1)')", "open"),
        ("$(eval '1 +')", "cannot evaluate"),
        ("$(eval '1 / 0')", "division by zero"),
        ("$(find-pkg-share vla_ros)", "AMENT_PREFIX_PATH is empty"),
    ],
)
def test_a_mistake_is_named(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        evaluated(text, speed="1")


@given(st.text(alphabet=st.characters(blacklist_characters="$\\", blacklist_categories=("Cs",))))
def test_text_without_dollar_or_backslash_stays_as_it_is(text: str) -> None:
    assert evaluated(text) == text


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("1 < 2 < 3", True),
        ("not 0 or x", None),
        ("3 if 1 > 2 else 4", 4),
        ("-2 * 3 + 7 // 2", -3),
        ("min(4, 2.5)", 2.5),
        ("float('0.5') <= 1", True),
    ],
)
def test_expressions_have_python_s_values(expression: str, value: object) -> None:
    if value is None:
        with pytest.raises(ConfigError, match="'x' is not available"):
            evaluate_expression(expression.replace("not 0", "not 1"))
    else:
        assert evaluate_expression(expression) == value


@pytest.mark.parametrize("expression", ["__import__('os')", "().__class__", "[x for x in 'ab']", "lambda: 1", "2 ** 9999", "'%s' % open"])
def test_expressions_reach_nothing_outside(expression: str) -> None:
    with pytest.raises(ConfigError):
        evaluate_expression(expression)


def test_conditions_know_two_words_each_way() -> None:
    assert is_true(" True ")
    assert is_true("1")
    assert not is_true("FALSE")
    assert not is_true("0")
    with pytest.raises(ConfigError, match="'yes'"):
        is_true("yes")
