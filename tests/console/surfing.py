"""A browser without a window: follows links and fills in forms as the pages have them, over the test client."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from idp import runtime
from tests.factories import PASSWORD


@dataclass
class FoundForm:
    """A form of a page, with the values that it would send."""

    method: str
    action: str
    values: list[tuple[str, str]] = field(default_factory=list)
    buttons: list[str] = field(default_factory=list)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[FoundForm] = []
        self.links: list[str] = []
        self._select = ""
        self._chosen: str | None = None
        self._area = ""
        self._in_button = False

    def handle_starttag(self, tag: str, attrs: Any) -> None:  # noqa: C901 (a table of tags)
        given = {name: value or "" for name, value in attrs}
        form = self.forms[-1] if self.forms else None
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag == "form":
            self.forms.append(FoundForm(given.get("method", "get").lower(), given.get("action", "")))
        elif tag == "button":
            self._in_button = True
            if form is not None:
                form.buttons.append("")
        elif form is None:
            return
        elif tag == "input" and given.get("name"):
            if given.get("type") not in {"checkbox", "radio"} or "checked" in given:
                form.values.append((given["name"], given.get("value", "y" if given.get("type") == "checkbox" else "")))
        elif tag == "select":
            self._select, self._chosen = given.get("name", ""), None
        elif tag == "option" and self._select and ("selected" in given or self._chosen is None):
            self._chosen = given.get("value", "")  # the first one, unless another is selected
        elif tag == "textarea":
            self._area = given.get("name", "")
            form.values.append((self._area, ""))

    def handle_data(self, data: str) -> None:
        if self._area and self.forms:
            name, before = self.forms[-1].values[-1]
            self.forms[-1].values[-1] = (name, before + data)
        if self._in_button and self.forms and self.forms[-1].buttons:
            self.forms[-1].buttons[-1] = " ".join(f"{self.forms[-1].buttons[-1]} {data}".split())

    def handle_endtag(self, tag: str) -> None:
        if tag == "select" and self.forms:
            self.forms[-1].values.append((self._select, self._chosen or ""))
            self._select = ""
        elif tag == "textarea" and self.forms:
            name, value = self.forms[-1].values[-1]
            self.forms[-1].values[-1] = (name, value.removeprefix("\r\n"))  # a first line end is not part of it (HTML §4.10.11)
            self._area = ""
        elif tag == "button":
            self._in_button = False


class Surfer:
    """Somebody with a browser of their own."""

    def __init__(self, app: Flask) -> None:
        self.client: FlaskClient = app.test_client()
        self.client.environ_base["REMOTE_ADDR"] = "192.0.2.7"
        with app.app_context():
            self.origin = runtime.current().settings.public_url
        self.page: TestResponse = None  # type: ignore[assignment]
        self.url = ""

    def open(self, url: str, **options: Any) -> "Surfer":
        """Open a page, following redirects."""
        self.page = self.client.get(url, follow_redirects=True, **options)
        self.page.get_data()  # to the end, also where it comes in pieces
        self.url = self.page.request.path
        return self

    @property
    def text(self) -> str:
        return self.page.text

    @property
    def status(self) -> int:
        return self.page.status_code

    def read(self) -> _Reader:
        reader = _Reader()
        reader.feed(self.page.text)
        return reader

    def tabs(self) -> list[str]:
        """Return the URLs of the further parts of the page."""
        return [link for link in self.read().links if link.startswith(f"{self.url}?tab=")]

    def whole(self, url: str) -> str:
        """Return what a page and all of its parts say."""
        said = [self.open(url).text]
        return "".join([*said, *(self.open(tab).text for tab in self.tabs())])

    def form(self, button: str) -> FoundForm:
        """Return the form with this button, on the page or on another part of it, which is opened then."""
        found = self._forms(button)
        for tab in self.tabs() if not found else ():
            self.open(tab)
            found = self._forms(button)
            if found:
                break
        assert found, f"no form with {button!r} at {self.url}: {[form.buttons for form in self.read().forms]}\n{self.text[:3000]}"
        return found[0]

    def _forms(self, button: str) -> list[FoundForm]:
        return [form for form in self.read().forms if any(button in each for each in form.buttons)]

    def send(self, button: str, values: dict[str, Any] | None = None, follow: bool = True, **options: Any) -> "Surfer":
        """Fill in the form with this button, and press it."""
        form = self.form(button)
        wanted = values or {}
        kept = [(name, value) for name, value in form.values if name not in wanted]
        given = [(name, each) for name, value in wanted.items() for each in (value if isinstance(value, list) else [value])]
        data: dict[str, list[str]] = {}
        for name, value in kept + given:
            data.setdefault(name, []).append(value)
        action = form.action or self.page.request.full_path.rstrip("?")
        options.setdefault("headers", {"Origin": self.origin, "Sec-Fetch-Site": "same-origin"})
        self.page = self.client.post(
            action, data=data, follow_redirects=follow, content_type="application/x-www-form-urlencoded", **options
        )
        self.url = self.page.request.path
        return self

    def sign_in(self, name: str = "ann@example.test", organisation: str = "acme", password: str = PASSWORD) -> "Surfer":
        """Sign in by password."""
        self.open("/console/sign-in").send("Sign in", {"name": name, "organisation": organisation, "password": password})
        assert self.status == 200, self.text
        assert "/console/sign-in" not in self.url, self.text
        return self
