"""What the pages look like on which a realm's people sign in: a colour, a logo, and links."""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import AfterValidator, Field

CARD, DARK_CARD = "#ffffff", "#1e242d"
"""What stands behind the text of these pages, by day and by night, as their style sheet has it."""

LEAST_CONTRAST = 4.5
"""Of text (WCAG 2.2, success criterion 1.4.3, level AA)."""

LARGEST_LOGO = 20_000
"""Bytes."""

_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_LINK = re.compile(
    r"https://[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?(?:[/?#][A-Za-z0-9._~!$&'()*+,;=:@/?#%-]*)?"
)
_PICTURE = re.compile(r"data:(image/(?:png|jpeg|webp));base64,([A-Za-z0-9+/]+={0,2})")

_BEGINNINGS = {"image/png": b"\x89PNG\r\n\x1a\n", "image/jpeg": b"\xff\xd8\xff", "image/webp": b"RIFF"}


def check_colour(colour: str) -> str:
    """Return a colour in lower case if it can be read on white; nothing stays nothing.

    :raises ValueError: it is none, or too light.
    """
    if not colour:
        return ""
    if not _COLOUR.fullmatch(colour):
        raise ValueError(f"takes a colour such as #14539a, not {colour[:20]!r}")
    found = contrast(colour, CARD)
    if found < LEAST_CONTRAST:
        raise ValueError(
            f"takes a colour that can be read on white: {colour} has a contrast of {found:.1f} to 1, "
            f"and {LEAST_CONTRAST} are needed. Choose a darker one"
        )
    return colour.lower()


def check_link(url: str) -> str:
    """Return a link if people can be shown it; nothing stays nothing.

    :raises ValueError: it is no https URL.
    """
    if url and not _LINK.fullmatch(url):
        raise ValueError(f"takes an https URL without user name, not {url[:80]!r}")
    return url


def check_logo(logo: str) -> str:
    """Return a logo if it is a picture that can hold no script; nothing stays nothing.

    :raises ValueError: it is none.
    """
    if not logo:
        return ""
    match = _PICTURE.fullmatch(logo)
    if match is None:
        raise ValueError("takes a PNG, JPEG or WebP picture as data:image/png;base64,...")
    try:
        content = base64.b64decode(match[2], validate=True)
    except binascii.Error:
        raise ValueError("takes a picture in base64, and this is damaged") from None
    if len(content) > LARGEST_LOGO:
        raise ValueError(f"takes a picture of at most {LARGEST_LOGO} bytes; this one has {len(content)}")
    if not content.startswith(_BEGINNINGS[match[1]]):
        raise ValueError(f"takes a picture, and this is not {match[1]}")
    return logo


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, from 1 to 21 (WCAG 2.2)."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    parts = [value / 255 for value in bytes.fromhex(colour[1:])]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def by_night(colour: str) -> str:
    """Return a colour so much lighter that it can be read on the dark card."""
    parts = bytes.fromhex(colour[1:])
    for lighter in range(101):
        mixed = "#" + bytes(part + (255 - part) * lighter // 100 for part in parts).hex()
        if contrast(mixed, DARK_CARD) >= LEAST_CONTRAST:
            return mixed
    return CARD


def on_colour(colour: str) -> str:
    """Return what text on a colour has to be: black or white, whichever can be read better."""
    return max("#000000", "#ffffff", key=lambda text: contrast(text, colour))


Link = Annotated[str, Field(max_length=500), AfterValidator(check_link)]
"""A link that people are shown; empty for none."""


@dataclass(frozen=True, slots=True)
class Branding:
    """What a realm has set of its pages; empty for what it has not."""

    colour: str = ""
    logo: str = field(default="", repr=False)
    help_url: str = ""
    privacy_url: str = ""
    terms_url: str = ""

    @property
    def style(self) -> str:
        """The colours as a style sheet; empty when the realm has none of its own."""
        if not self.colour:
            return ""
        dark = by_night(self.colour)
        day = f":root{{--accent:{self.colour};--on-accent:{on_colour(self.colour)}}}"
        return f"{day}@media(prefers-color-scheme:dark){{:root{{--accent:{dark};--on-accent:{on_colour(dark)}}}}}"

    @property
    def logo_digest(self) -> str:
        """What tells one logo from another; empty for none."""
        return hashlib.sha256(self.logo.encode()).hexdigest()[:16] if self.logo else ""

    def picture(self) -> tuple[str, bytes]:
        """Return the media type and the content of the logo."""
        media_type, _, content = self.logo.removeprefix("data:").partition(";base64,")
        return media_type, base64.b64decode(content)
