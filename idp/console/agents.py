"""The programs that people sign in with, as people call them."""

from collections.abc import Mapping

from idp.console.language import say

_BROWSERS: Mapping[str, str] = {
    "edg": "Edge",
    "opr/": "Opera",
    "firefox/": "Firefox",
    "fxios/": "Firefox",
    "chrome/": "Chrome",
    "crios/": "Chrome",
    "safari/": "Safari",
}
"""What the name of a browser is told by, in small letters; those that also name another come before it."""

_SYSTEMS: Mapping[str, str] = {
    "iphone": "iPhone",
    "ipad": "iPad",
    "android": "Android",
    "windows": "Windows",
    "cros ": "ChromeOS",
    "macintosh": "macOS",
    "linux": "Linux",
}
"""What the system is told by; those that also name another come before it."""


def agent_name(agent: str) -> str:
    """Return what a program is called, from its user agent: such as "Firefox on Linux".

    A program that is no browser is called by its first product, such as `curl/8.5.0`; one that says nothing has no name.
    """
    text = agent.lower()
    browser = next((name for sign, name in _BROWSERS.items() if sign in text), "") if text.startswith("mozilla/") else ""
    system = next((name for sign, name in _SYSTEMS.items() if sign in text), "")
    if browser and system:
        return say("{browser} on {system}", browser=browser, system=system)
    return browser or agent.partition(" ")[0]
