"""The console's look as data: its colours by day and by night, and the style sheet that is made of them.

What a page is drawn with says `var(--rg-…)`; no other file names a colour. That texts can be read on what they stand on is
computed from here (WCAG 2.2 §1.4.3), by a test, so a colour is changed in one place and cannot be changed for the worse.
"""

from collections.abc import Mapping

from idp.realms import by_night, contrast, on_colour

DAY: Mapping[str, str] = {
    "canvas": "#f5f6f9",
    "surface": "#ffffff",
    "sunken": "#eceff4",
    "line": "#dde1e9",
    "line-strong": "#868fa1",
    "text": "#161a23",
    "muted": "#4f596b",
    "accent": "#2b4c9b",
    "accent-strong": "#1f3a7a",
    "accent-soft": "#e6ecfa",
    "on-accent": "#ffffff",
    "good": "#0f6540",
    "good-soft": "#def3e7",
    "warn": "#7a4d00",
    "warn-soft": "#fcefd2",
    "bad": "#ab2433",
    "bad-soft": "#fbe6e8",
    "bad-strong": "#8c1b28",
    "on-bad": "#ffffff",
    "code": "#7a2257",
    "done-0": "#2b4c9b",
    "done-1": "#1d8a7a",
    "done-2": "#8350c7",
    "done-3": "#6f7b90",
    "refused-0": "#ab2433",
    "refused-1": "#d2700a",
    "refused-2": "#8a4a12",
}
"""By day."""

NIGHT: Mapping[str, str] = {
    "canvas": "#0e1116",
    "surface": "#151920",
    "sunken": "#1d222b",
    "line": "#2b313c",
    "line-strong": "#6c7689",
    "text": "#e3e7ee",
    "muted": "#a5afbf",
    "accent": "#9db8ff",
    "accent-strong": "#c3d3ff",
    "accent-soft": "#1d2846",
    "on-accent": "#0e1529",
    "good": "#74d6a3",
    "good-soft": "#11291e",
    "warn": "#f5c75d",
    "warn-soft": "#2e240e",
    "bad": "#ff9aa5",
    "bad-soft": "#35171c",
    "bad-strong": "#ffbac1",
    "on-bad": "#2b0509",
    "code": "#f0a3cb",
    "done-0": "#7f9ff5",
    "done-1": "#4fc9b6",
    "done-2": "#c3a1f7",
    "done-3": "#95a1b5",
    "refused-0": "#ff8591",
    "refused-1": "#f0a84a",
    "refused-2": "#cf9468",
}
"""By night."""

READ_ON: tuple[tuple[str, str], ...] = (
    *((ink, ground) for ink in ("text", "muted", "accent", "code") for ground in ("canvas", "surface", "sunken")),
    *((ink, "accent-soft") for ink in ("text", "muted", "accent", "accent-strong")),
    *((ink, ground) for ink in ("good", "warn", "bad") for ground in ("canvas", "surface", f"{ink}-soft")),
    *(("text", f"{kind}-soft") for kind in ("good", "warn", "bad")),
    ("on-accent", "accent"),
    ("on-accent", "accent-strong"),
    ("on-bad", "bad"),
    ("on-bad", "bad-strong"),
)
"""Which colour is read on which: what a text must be told apart from."""

SEEN_ON: tuple[tuple[str, str], ...] = (
    ("line-strong", "surface"),
    ("line-strong", "canvas"),
    *((f"done-{number}", "surface") for number in range(4)),
    *((f"refused-{number}", "surface") for number in range(3)),
)
"""Which edges of fields and parts of drawings are seen on which (WCAG 2.2 §1.4.11)."""

READABLE, VISIBLE = 4.5, 3.0
"""The least contrast of texts, and of what is only seen."""


def least_contrast(theme: Mapping[str, str], pairs: tuple[tuple[str, str], ...]) -> float:
    """Return the lowest contrast of any of these pairs of colours, from 1 to 21."""
    return min(contrast(theme[ink], theme[ground]) for ink, ground in pairs)


def stylesheet() -> bytes:
    """Return the style sheet of the themes: by day, by night for browsers that ask for it, and by night for people who do."""
    asked, chosen = ":root:not([data-theme=light])", ":root[data-theme=dark]"
    return (
        f"{_rules(DAY, 'light', ':root')}\n"
        f"@media (prefers-color-scheme: dark){{{_rules(NIGHT, 'dark', asked)}}}\n"
        f"{_rules(NIGHT, 'dark', chosen)}\n"
    ).encode()


def accent_sheet(colour: str) -> bytes:
    """Return the style sheet that puts the colour of a realm's branding into the place of the accent, by day and by night.

    What is derived from it is moved until it can be read where it stands.

    :param colour: that can be read on white, as `#2b4c9b`.
    """
    day, night = _accent(DAY, colour, "#000000"), _accent(NIGHT, by_night(colour), "#ffffff")
    shown = {True: _properties(day), False: _properties(night)}
    return (
        f":root{{{shown[True]}}}\n"
        f"@media (prefers-color-scheme: dark){{:root:not([data-theme=light]){{{shown[False]}}}}}\n"
        f":root[data-theme=dark]{{{shown[False]}}}\n"
    ).encode()


def with_accent(theme: Mapping[str, str], colour: str) -> dict[str, str]:
    """Return a theme with another accent, for whoever wants to look at its contrasts."""
    is_day = theme is DAY
    return {**theme, **_accent(theme, colour if is_day else by_night(colour), "#000000" if is_day else "#ffffff")}


def _accent(theme: Mapping[str, str], colour: str, stronger: str) -> dict[str, str]:
    """Return the colours of an accent: itself, one that stands out more, a ground for texts, and what is written on it."""
    soft = mixed(theme["surface"], colour, 10)
    grounds = [theme["canvas"], theme["surface"], theme["sunken"], soft]
    accent = _moved(colour, stronger, grounds)
    strong = mixed(accent, stronger, 25)
    on = on_colour(accent)
    return {"accent": accent, "accent-strong": _moved(strong, stronger, [on, *grounds]), "accent-soft": soft, "on-accent": on}


def _moved(colour: str, towards: str, grounds: list[str]) -> str:
    """Return a colour so much nearer to another that it can be read on each of these."""
    for share in range(101):
        found = mixed(colour, towards, share)
        if all(contrast(found, ground) >= READABLE for ground in grounds):
            return found
    return towards


def mixed(one: str, other: str, share: int) -> str:
    """Return a colour between two.

    :param share: of the other, in per cent.
    """
    pairs = zip(bytes.fromhex(one[1:]), bytes.fromhex(other[1:]), strict=True)
    return "#" + bytes((first * (100 - share) + second * share) // 100 for first, second in pairs).hex()


def _properties(colours: Mapping[str, str]) -> str:
    parts = "".join(f"--bs-{name}-rgb:{_parts(colours[of])};" for name, of in _PARTED.items() if of in colours)
    return "".join(f"--rg-{name}:{colour};" for name, colour in colours.items()) + parts


def _rules(theme: Mapping[str, str], scheme: str, where: str) -> str:
    # Bootstrap sets the mark of a field with choices on the field itself, so that has to be done here, too
    arrow = _ARROW.format(colour=theme["muted"].replace("#", "%23"))
    mark = f'--bs-form-select-bg-img:url("{arrow}");'
    return f"{where}{{color-scheme:{scheme};{_properties(theme)}}}{where} .form-select{{{mark}}}"


_PARTED = {
    "body-color": "text",
    "body-bg": "surface",
    "link-color": "accent",
    "link-hover-color": "accent-strong",
    "emphasis-color": "text",
}
"""What Bootstrap mixes with other colours, for which it wants the parts of ours."""

_ARROW = (
    "data:image/svg+xml,%3csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3e%3cpath fill='none' stroke='{colour}' "
    "stroke-linecap='round' stroke-linejoin='round' stroke-width='2' d='m3 6 5 5 5-5'/%3e%3c/svg%3e"
)
"""The mark of a field with choices, which a style sheet cannot colour by itself."""


def _parts(colour: str) -> str:
    return ",".join(str(int(colour[place : place + 2], 16)) for place in (1, 3, 5))
