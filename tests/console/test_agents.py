"""The programs that people sign in with are called what people call them."""

import re

import pytest
from flask import Flask

from idp.console.agents import agent_name
from tests.console.surfing import Surfer

APPLE = "AppleWebKit/605.1.15 (KHTML, like Gecko)"
NAMES = {
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0": "Firefox on Linux",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36": "Chrome on Windows",
    "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36 Edg/126.0": "Edge on Windows",
    "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 Chrome/126.0 Mobile Safari/537.36": "Chrome on Android",
    "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 Chrome/126.0 Safari/537.36": "Chrome on ChromeOS",
    f"Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) {APPLE} Version/17.5 Safari/605.1.15": "Safari on macOS",
    f"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) {APPLE} CriOS/126.0 Mobile Safari/604.1": "Chrome on iPhone",
    "Mozilla/5.0 Firefox/1.0": "Firefox",
    "Mozilla/5.0 (compatible; Probe)": "Mozilla/5.0",
    "curl/8.5.0": "curl/8.5.0",
    "python-requests/2.32 Linux": "python-requests/2.32",
    "": "",
}


@pytest.mark.parametrize(("agent", "name"), NAMES.items())
def test_a_program_has_a_name(app: Flask, agent: str, name: str) -> None:
    with app.test_request_context():
        assert agent_name(agent) == name


def test_ones_own_sessions_begin_with_the_program_and_keep_what_it_says_of_itself(ann: Surfer) -> None:
    ann.open("/console/my/sessions")
    assert "<h1>My sessions</h1>" in ann.text
    (first, *_) = re.findall(r'<th scope="row"><span title="([^"]+)">([^<]+)</span>', ann.text)
    assert first[0].startswith(first[1])
    titles = [
        re.sub(r"<[^>]+>", "", each).strip() for each in re.findall(r"<th scope=.col.[^>]*>(.*?)</th>", ann.text, re.DOTALL)
    ]
    assert titles[:2] == ["Browser", "Started"]
