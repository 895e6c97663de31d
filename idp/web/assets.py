"""Style sheets, scripts and pictures: from packages only, under names that change with their content, compressed once."""

import gzip
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.resources.abc import Traversable

from flask import Response, request
from werkzeug.exceptions import NotFound

from idp import runtime

FOR_A_YEAR = "public, max-age=31536000, immutable"
"""For what has another URL when it is another: the header Cache-Control."""


@dataclass(frozen=True, slots=True)
class _Asset:
    content: bytes = field(repr=False)
    compressed: bytes = field(repr=False)
    digest: str
    media_type: str


class Assets:
    """The files of one edge."""

    def __init__(self, prefix: str, files: Mapping[str, tuple[Traversable | Callable[[], bytes], str]]) -> None:
        """Take the files.

        :param prefix: path below which they are served.
        :param files: where each is, or what makes it, and its media type, by name.
        """
        self._prefix, self._files = prefix, files
        self._read: dict[str, _Asset] = {}

    def url(self, name: str) -> str:
        """Return the URL of a file; it is another one when the file is another one, so that it can be cached for good."""
        return f"{runtime.current().settings.public_path}{self._prefix}/{self._asset(name).digest}/{name}"

    def digest(self, name: str) -> str:
        """Return what tells this content of a file from any other."""
        return self._asset(name).digest

    def serve(self, digest: str, name: str) -> Response:
        """Answer with a file."""
        if name not in self._files or self._asset(name).digest != digest:
            raise NotFound
        found = self._asset(name)
        headers = {"Cache-Control": FOR_A_YEAR, "Vary": "Accept-Encoding"}
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            return Response(found.compressed, headers=headers | {"Content-Encoding": "gzip"}, content_type=found.media_type)
        return Response(found.content, headers=headers, content_type=found.media_type)

    def _asset(self, name: str) -> _Asset:
        found = self._read.get(name)
        return found if found is not None else self._read.setdefault(name, _open(*self._files[name]))


def _open(source: Traversable | Callable[[], bytes], media_type: str) -> _Asset:
    content = source() if callable(source) else source.read_bytes()
    if not callable(source) and source.name.endswith(".css"):
        content = content.rpartition(b"/*# sourceMappingURL=")[0] or content  # the map is not served
    digest = hashlib.sha256(content).hexdigest()[:16]
    return _Asset(content, gzip.compress(content, 9, mtime=0), digest, f"{media_type}; charset=utf-8")
