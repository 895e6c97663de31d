"""What a browser may do with a page of the console: nothing that the page does not need (R17, R18, R122).

What holds for every answer of the server is in `web/headers.py`.
"""

from flask import Flask, Response, request

from idp.console.language import current_language

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'; object-src 'none'"
)
"""Content-Security-Policy: no inline script or style, nothing from another host. Bootstrap draws its marks as data: URLs."""

_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Frame-Options": "DENY",
    # with no-referrer a browser would not tell the Origin of a form either
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
}

PREFIX = "/console"


def add_headers(app: Flask) -> None:
    """Have every answer of the console carry the headers."""

    @app.after_request
    def add(response: Response) -> Response:
        if request.path in {"/", PREFIX} or request.path.startswith(f"{PREFIX}/"):
            response.headers.update(_HEADERS)
            response.headers.setdefault("Cache-Control", "no-store")
            if "Accept-Encoding" not in response.headers.get("Vary", ""):
                response.headers["Vary"] = "Cookie, Accept-Language"
            if response.mimetype == "text/html":
                response.headers["Content-Language"] = current_language().code
        return response
