"""Style sheets, scripts and pictures of the console: its own, and Bootstrap's from its package."""

from importlib.resources import files

from idp.web.assets import Assets

_OWN = files("idp.console") / "static"
_BOOTSTRAP = files("flask_bootstrap") / "static" / "bootstrap5" / "css" / "bootstrap.min.css"

ASSETS = Assets(
    "/console/assets",
    {
        "bootstrap.css": (_BOOTSTRAP, "text/css"),
        "console.css": (_OWN / "console.css", "text/css"),
        "console.js": (_OWN / "console.js", "text/javascript"),
        "icon.svg": (_OWN / "icon.svg", "image/svg+xml"),
    },
)
