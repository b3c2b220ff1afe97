"""The headers of a request as RFC 9112 has them: what could be read two ways is refused."""

from __future__ import annotations

import re
from typing import Any, Final

import cheroot.server

_NAME: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_LENGTH: Final = re.compile(rb"[0-9]{1,18}")
_SINGLE: Final = frozenset(
    {b"Authorization", b"Content-Length", b"Content-Type", b"Host", b"Transfer-Encoding"}
)


class HeaderReader(cheroot.server.HeaderReader):
    """Headers by the grammar of RFC 9112: no folding, no blank before the colon, nothing twice that
    must stand once.  A name with an underscore is dropped: in the environment it would look like
    another header.
    """

    def __call__(self, rfile: Any, hdict: dict[bytes, bytes] | None = None) -> dict[bytes, bytes]:
        headers: dict[bytes, bytes] = {} if hdict is None else hdict
        while True:
            line: bytes = rfile.readline()
            if line == b"\r\n":
                _check_body_headers(headers)
                return headers
            if not line.endswith(b"\r\n"):
                raise ValueError("The headers do not end.")
            name, colon, rest = line[:-2].partition(b":")
            value = rest.strip(b" \t")
            if not colon or not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
                raise ValueError("A line among the headers is no header.")
            if b"_" in name:
                continue
            name = name.title()
            if name in headers and name in _SINGLE:
                raise ValueError(f"The header {name.decode('ascii')} stands twice.")
            headers[name] = headers[name] + b", " + value if name in headers else value


def _check_body_headers(headers: dict[bytes, bytes]) -> None:
    length = headers.get(b"Content-Length")
    coding = headers.get(b"Transfer-Encoding")
    if length is not None and coding is not None:
        raise ValueError("Content-Length and Transfer-Encoding exclude each other.")
    if length is not None and not _LENGTH.fullmatch(length):
        raise ValueError("The Content-Length is no number.")
    if coding is not None and coding.lower() != b"chunked":
        raise ValueError("The only Transfer-Encoding is chunked.")
