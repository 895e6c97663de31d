"""The sign-in pages of a realm have its colour, its logo and its links, and nothing with which they could harm or not be read."""

import base64
import hashlib
import re
from importlib.resources import files

import pytest

from idp import audit
from idp.errors import InvalidMembersError
from idp.realms import Branding, RealmSettings
from idp.realms.branding import CARD, DARK_CARD, LARGEST_LOGO, LEAST_CONTRAST, by_night, contrast, on_colour
from tests.factories import Factory, set_realm
from tests.sign_in.conftest import Browser

PNG = b"\x89PNG\r\n\x1a\n and a picture"


def as_data(content: bytes, media_type: str = "image/png") -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def test_pages_have_colour_logo_and_links(web: Browser, make: Factory) -> None:
    before = web.ask()
    assert "<style" not in before.text
    assert "<img" not in before.text
    assert "<footer" not in before.text
    make.do(
        lambda realm: set_realm(
            realm,
            brand_color="#7A1F5C",
            brand_logo=as_data(PNG),
            help_url="https://acme.example/?a=1&b=2",
            terms_url="https://t.example",
        )
    )
    page = web.ask()
    style = page.text.split("<style>")[1].split("</style>")[0]
    assert "--accent:#7a1f5c;--on-accent:#ffffff" in style
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'self' 'sha256-{digest}';" in page.headers["Content-Security-Policy"], "no other style sheet works"
    assert 'href="https://acme.example/?a=1&amp;b=2" rel="noreferrer">Help<' in page.text
    assert "Privacy" not in page.text
    (address,) = re.findall(r'<img src="([^"]+)"', page.text)
    picture = web.client.get(address)
    assert (picture.status_code, picture.data, picture.mimetype) == (200, PNG, "image/png")
    assert "sandbox" in picture.headers["Content-Security-Policy"]
    assert picture.headers["X-Content-Type-Options"] == "nosniff"
    assert "immutable" in picture.headers["Cache-Control"]
    assert "Set-Cookie" not in picture.headers
    assert web.client.get(address[:-1]).status_code == 404
    assert web.client.get(address.replace("acme", "nobody")).status_code == 404
    make.do(lambda realm: set_realm(realm, brand_logo=""))
    assert web.client.get(address).status_code == 404
    assert "<img" not in web.ask().text


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("brand_color", "#ffff00", "contrast of 1.1 to 1"),
        ("brand_color", "#949494", "Choose a darker one"),
        ("brand_color", "red", "such as #14539a"),
        ("brand_color", "#12345", "such as #14539a"),
        ("brand_color", "#fff;}*{", "at most 7"),
        ("brand_logo", as_data(b"<svg onload=alert(1)>", "image/svg+xml"), "PNG, JPEG or WebP"),
        ("brand_logo", as_data(b"<svg onload=alert(1)>"), "this is not image/png"),
        ("brand_logo", "https://elsewhere.example/logo.png", "PNG, JPEG or WebP"),
        ("brand_logo", "data:image/png;base64,iVBOR", "damaged"),
        ("brand_logo", as_data(PNG + bytes(LARGEST_LOGO)), "at most 20000 bytes"),
        ("help_url", "javascript:alert(1)", "https URL"),
        ("help_url", "http://acme.example", "https URL"),
        ("privacy_url", "https://acme.example@evil.example", "https URL"),
        ("terms_url", 'https://acme.example/"onclick="', "https URL"),
        ("terms_url", "https://acme.example\\evil.example", "https URL"),
    ],
)
def test_refused_with_the_reason(field: str, value: str, reason: str) -> None:
    with pytest.raises(InvalidMembersError) as refused:
        RealmSettings.read({field: value})
    assert reason in str(refused.value)


@pytest.mark.parametrize("colour", ["#14539a", "#000000", "#767676", "#b00020", "#0b6e4f", "#0000ff"])
def test_colour_can_be_read_by_day_and_by_night(colour: str) -> None:
    assert RealmSettings.read({"brand_color": colour}).brand_color == colour
    dark = by_night(colour)
    assert contrast(dark, DARK_CARD) >= LEAST_CONTRAST
    for button in (colour, dark):
        assert contrast(button, on_colour(button)) >= LEAST_CONTRAST
    style = Branding(colour).style
    assert colour in style
    assert dark in style


def test_cards_are_those_of_the_style_sheet() -> None:
    style = (files("idp.sign_in") / "static" / "sign_in.css").read_text()
    day, night = re.findall(r"--card: (#[0-9a-f]+);", style)
    assert ({"#fff": CARD}[day], night) == (CARD, DARK_CARD)


def test_trail_tells_of_the_logo_and_does_not_hold_it(make: Factory) -> None:
    make.do(lambda realm: set_realm(realm, brand_logo=as_data(PNG)))
    told = make.do(lambda realm: [each.detail for each in audit.list_events(realm.name) if each.tag == audit.Tag.REALM_UPDATE])
    assert told[0]["brand_logo"] == f"a picture, {Branding(logo=as_data(PNG)).logo_digest}"
