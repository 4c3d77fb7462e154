"""The dashboard's files, read and compressed once, at URLs that contain their version.

A browser keeps a file with a versioned URL for a year without revalidating it; the pages themselves, which name the
version, are requested each time. An update therefore shows at once, and a second visit costs one small request.
"""

from __future__ import annotations

import gzip
import hashlib
import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.responses import Response

from lookout.api.compression import takes_gzip
from lookout.api.lean import lean_page, lean_script, lean_style

# A year, without revalidation on reload (RFC 8246): the content at a versioned URL never changes.
_FOR_EVER = "private, max-age=31536000, immutable"
_ASK_AGAIN = "no-cache"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}
# What a page or a module loads. Both use plain relative URLs only.
_NAME = r"(?:[\w-]+/)?[\w.-]+"
_LOADED_BY_PAGE = re.compile(rf"""(?:src|href)="static/({_NAME})\"""")
_IMPORTED = re.compile(r"""(?:\bfrom|^import)\s*["'](\.\.?/[\w./-]+)["']""", re.MULTILINE)
_IMPORTED_LATER = re.compile(r"""\bimport\(\s*["'](\.\.?/[\w./-]+)["']""")
_ADDRESS = re.compile(rf"(?:([0-9a-f]{{12}})/)?({_NAME})")


@dataclass(frozen=True, slots=True)
class Asset:
    """One file as it is sent. packed: its gzip form; None if that is not smaller."""

    media_type: str
    data: bytes
    packed: bytes | None
    etag: str


class Assets:
    """All files of a folder and its direct subfolders. `version`: twelve hexadecimal digits that change with any file.

    A file's name is its path within the folder: "style.css", "lab/bench.js".
    """

    def __init__(self, folder: Path) -> None:
        """Read every file of a known type. Each is compressed on its first request, which keeps the start short.

        If the folder is missing, there is no dashboard.
        """
        files = sorted([*folder.glob("*"), *folder.glob("*/*")])
        self._raw = {file.relative_to(folder).as_posix(): file.read_bytes() for file in files if file.suffix in _TYPES}
        digest = hashlib.sha256()
        for name, data in self._raw.items():
            digest.update(f"{name} {len(data)}\n".encode() + data)
        self.version = digest.hexdigest()[:12]
        self._assets: dict[str, Asset] = {}

    def response(self, path: str, request_headers: Mapping[str, str]) -> Response:
        """Return the file at `path`, with or without a leading version. Raises HTTPException 404.

        A page that is still open from the previous version may load further files: it gets the current ones, which the
        browser must revalidate.
        """
        found = _ADDRESS.fullmatch(path)
        version, name = found.groups() if found else (None, "")
        if name not in self._raw:
            raise HTTPException(404)
        asset = self._asset(name)
        headers = {
            "Cache-Control": _FOR_EVER if version == self.version else _ASK_AGAIN,
            "ETag": asset.etag,
            "Vary": "Accept-Encoding",
        }
        if asset.etag in request_headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        if asset.packed is not None and takes_gzip(request_headers):
            headers["Content-Encoding"] = "gzip"
            return Response(asset.packed, headers=headers, media_type=asset.media_type)
        return Response(asset.data, headers=headers, media_type=asset.media_type)

    @property
    def names(self) -> list[str]:
        return list(self._raw)

    def address(self, name: str) -> str:
        """Return the URL of a file relative to the page's folder, such as static/0123456789ab/style.css."""
        return f"static/{self.version}/{name}"

    def paths_for(self, page: str) -> set[str]:
        """Return the absolute paths of everything a page loads, at once or later, with and without the version."""
        loaded = self._closure(self._loaded_by_page(page), _IMPORTED, _IMPORTED_LATER)
        return {f"/static/{name}" for name in loaded} | {f"/{self.address(name)}" for name in loaded}

    def _asset(self, name: str) -> Asset:
        asset = self._assets.get(name)
        if asset is None:
            asset = self._assets[name] = _asset(name, self._lean(name))
        return asset

    def _lean(self, name: str) -> bytes:
        if name.endswith(".html"):
            return lean_page(self._page(name).decode()).encode()
        if not name.endswith((".js", ".css")):
            return self._raw[name]
        text = self._raw[name].decode("utf-8")
        return (lean_script(text) if name.endswith(".js") else lean_style(text)).encode()

    def _page(self, name: str) -> bytes:
        """Return the page with versioned URLs, and with a preload link for every module it needs.

        Without the links, a browser would discover a module only after reading the one that imports it.
        """
        modules = [one for one in self._loaded_by_page(name) if one.endswith(".js")]
        preloads = sorted(self._closure(modules, _IMPORTED) - set(modules))
        links = "".join(f'<link rel="modulepreload" href="{self.address(one)}">\n' for one in preloads)
        text = self._raw[name].decode("utf-8")
        text = _LOADED_BY_PAGE.sub(lambda found: found[0].replace("static/", f"static/{self.version}/"), text)
        return text.replace("</head>", f"{links}</head>", 1).encode()

    def _loaded_by_page(self, page: str) -> list[str]:
        return _LOADED_BY_PAGE.findall(self._raw[page].decode("utf-8")) if page in self._raw else []

    def _closure(self, names: Iterable[str], *patterns: re.Pattern[str]) -> set[str]:
        """Return the named files and all modules they import, where the import matches one of the patterns."""
        waiting, found = set(names), set[str]()
        while waiting:
            name = waiting.pop()
            found.add(name)
            if name.endswith(".js") and name in self._raw:
                text = self._raw[name].decode("utf-8")
                imported = {_joined(name, one) for pattern in patterns for one in pattern.findall(text)}
                waiting |= imported - found
        return found


def _joined(module: str, address: str) -> str:
    """Return the name of the file that `module` imports by an address relative to itself."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(module), address))


def _asset(name: str, data: bytes) -> Asset:
    packed = gzip.compress(data, 9, mtime=0)
    digest = hashlib.sha256(data).hexdigest()[:16]
    # Weak: the compressed form is a different sequence of bytes, but the same file.
    smaller = packed if len(packed) < len(data) else None
    return Asset(_TYPES[Path(name).suffix], data, smaller, f'W/"{digest}"')
