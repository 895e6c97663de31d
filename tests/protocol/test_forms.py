"""Forms without escapes are split by a shorter way, which finds the same as the longer one."""

from urllib.parse import parse_qsl

import pytest

from idp.oauth.errors import InvalidRequestError
from idp.oauth.forms import MOST_PARAMETERS, parse_body

PLAIN = ["a=b", "a=b&c=d", "a=b=c&d=", "&&a=b&", "a&b=c", "=x&a=b", "", "ä=ö", "a=b;c=d", "a=\x00b"]


@pytest.mark.parametrize("text", PLAIN)
def test_short_way_finds_what_the_long_one_finds(text: str) -> None:
    found = parse_body(text.encode())
    expected = dict(parse_qsl(text, keep_blank_values=True))
    assert {name: found.text(name) for name in expected if expected[name]} == {k: v for k, v in expected.items() if v}


@pytest.mark.parametrize("pair", ["a{}=b", "a{}=%62"])
def test_too_many_parameters_are_refused_by_both(pair: str) -> None:
    text = "&".join(pair.format(number) for number in range(MOST_PARAMETERS + 1))
    with pytest.raises(InvalidRequestError):
        parse_body(text.encode())
