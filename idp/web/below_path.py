"""Serving below a path: the server's own URLs are the same wherever it is mounted."""

from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask

from idp.web.body import Environ
from idp.web.headers import WsgiApp

_MOUNTED = "realmgate.mounted"


class BelowPath:
    """WSGI middleware that takes the path of the public URL off each request, whether a proxy has done so before or not.

    What is inside sees its own URLs only, and `SCRIPT_NAME` says where they are mounted. It may stand around the application
    twice: the outer one does the work.
    """

    def __init__(self, app: WsgiApp, path: str) -> None:
        """Wrap an application.

        :param path: such as `/idp`, empty for none.
        """
        self._app, self._path = app, path

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Serve a request."""
        if self._path and _MOUNTED not in environ:
            asked: str = environ["PATH_INFO"]
            if asked == self._path or asked.startswith(f"{self._path}/"):
                environ["PATH_INFO"] = asked[len(self._path) :] or "/"
            environ["SCRIPT_NAME"], environ[_MOUNTED] = self._path, True
        return self._app(environ, start_response)


def mount_below(app: Flask, path: str) -> None:
    """Have an application serve below a path.

    :param path: of the public URL, which never begins as the server's own URLs do; empty for none.
    """
    app.wsgi_app = BelowPath(app.wsgi_app, path)  # type: ignore[method-assign]  # the way Flask documents for middleware
