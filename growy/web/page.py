"""The page's files, as they lie in `static/`: read once, named by what is in them, with the headers that keep strangers
out of them. Never reads the disk after that, and serves no other file.

The addresses of the files carry a hash of all of them (`/static/<build>/main.js`), so that a browser may keep them for
ever and still never mixes those of two versions: the modules import each other by relative names, and stay within
the build in which the first of them was loaded.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from pathlib import Path

import attrs

STATIC = Path(__file__).parent / "static"
INDEX = "index.html"
BUILD_MARK = b"{{build}}"
"""Stands for the build in index.html."""
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'none'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
"""Whatever a device calls itself, no script but ours runs, and nothing leaves for another host."""
_KINDS = {
    ".html": b"text/html; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".css": b"text/css; charset=utf-8",
    ".svg": b"image/svg+xml",
    ".txt": b"text/plain; charset=utf-8",
}
KINDS = tuple(dict.fromkeys(_KINDS.values()))


@attrs.frozen(slots=True)
class StaticFile:
    body: bytes
    content_type: bytes
    etag: bytes
    """Quoted, as it goes into the header."""

    def is_known(self, if_none_match: bytes) -> bool:
        """Whether the client has this very content already."""
        said = {one.strip().removeprefix(b"W/") for one in if_none_match.split(b",")}
        return self.etag in said or b"*" in said


@attrs.frozen
class Page:
    build: str
    """Hash of all files."""
    files: Mapping[str, StaticFile]
    """By name, index.html among them."""


@functools.cache
def page() -> Page:
    """The page of this version of growyd."""
    return load(STATIC)


def load(folder: Path) -> Page:
    """Reads a folder of files; those whose kind is not known are left out.

    Raises:
        OSError: they cannot be read.
    """
    found = {
        file.name: file.read_bytes()
        for file in sorted(folder.iterdir())
        if file.is_file() and file.suffix in _KINDS
    }
    build = hashlib.sha256(
        b"".join(_digest(name.encode() + body) for name, body in found.items())
    ).hexdigest()
    build = build[:16]
    found[INDEX] = found[INDEX].replace(BUILD_MARK, build.encode())
    return Page(
        build,
        {
            name: StaticFile(body, _KINDS[Path(name).suffix], b'"' + _digest(body).hex()[:32].encode() + b'"')
            for name, body in found.items()
        },
    )


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
