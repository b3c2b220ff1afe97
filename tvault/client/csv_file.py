"""CSV files: the header, and the lines of rows after it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

from tvault.client.csv_quotes import DELIMITERS, Quotes
from tvault.client.records import BYTE_ORDER_MARK, MOST_RECORD_BYTES, refuse_utf_16
from tvault.errors import VaultError
from tvault.model.tokens import parse_token

READ_BYTES = 256 * 1024

# A set of characters and no group before the line: a group takes memory each time that it repeats.
_FIRST_LINE = re.compile(rb"[\r\n]*([^\r\n][^\n]*?)(\r?\n|\Z)")


class CsvFile:
    """A CSV file whose header has been read.

    `header` is its text up to the end of the header's line, `names` are those of its columns.  Cells
    stand between `delimiter`; when none is given the header tells.  Everything that reads raises
    `VaultError` (`malformed`, `too_large`) that names a line.
    """

    def __init__(self, source: BinaryIO, delimiter: bytes | None) -> None:
        self._source = source
        self._window = b""
        self._is_at_end = False
        self.passed = 0
        """Bytes of the file that are given out."""
        self.line = 1
        """The line that comes next."""
        self.has_quotes = self.has_returns = False
        """Whether there were any so far."""
        while len(self._window) < len(BYTE_ORDER_MARK) and not self._is_at_end:
            self._read_on()
        refuse_utf_16(self._window)
        self.header = BYTE_ORDER_MARK if self._window.startswith(BYTE_ORDER_MARK) else b""
        self._take(len(self.header))
        self.delimiter = delimiter or _told(self._first_line(Quotes(DELIMITERS))[1])
        self.quotes = Quotes(self.delimiter)
        self.names = self._names()

    def _first_line(self, quotes: Quotes) -> re.Match[bytes]:
        """The first line that is not blank, hidden, with its end, and with what stands before it."""
        while True:
            hidden, is_open = quotes.hide(self._window, self.line)
            found = _FIRST_LINE.match(hidden)
            is_whole = found is not None and found[2].endswith(b"\n")
            if is_whole or self._is_at_end:
                break
            self._refuse_too_long()
            self._read_on()
        if found is None:
            raise VaultError("malformed", "holds no header")
        if is_open and not is_whole:
            raise _unclosed(self.line + hidden.count(b"\n", 0, found.start(1)))
        return found

    def _names(self) -> list[str]:
        """The names of the columns; the window begins behind the header then."""
        found = self._first_line(self.quotes)
        text = self._take(found.end())
        self.header += text
        _check(text, found[0], self.line)
        line = self.line + text.count(b"\n", 0, found.start(1))
        self.line += text.count(b"\n")
        names = [name.decode() for name in map(self.quotes.value, found[1].split(self.delimiter))]
        if any(parse_token(name) is not None for name in names):
            told = "holds a token where the name of a column belongs: a header is needed"
            raise VaultError("malformed", f"line {line} {told}")
        return names

    def pieces(self) -> Iterator[bytes]:
        """The rows after the header, hidden, in pieces of whole lines.  `line` and `passed` tell where
        the piece ends."""
        while self._window or not self._is_at_end:
            hidden, is_open = self.quotes.hide(self._window, self.line)
            size = hidden.rfind(b"\n") + 1
            if self._is_at_end:
                if is_open:
                    raise _unclosed(self.line + self._window.count(b"\n", 0, size))
                size = len(hidden)
            if size:
                text = self._take(size)
                _check(text, hidden[:size], self.line)
                self.line += text.count(b"\n")
                self.has_quotes = self.has_quotes or b'"' in text
                self.has_returns = self.has_returns or b"\r" in text
                yield hidden[:size]
            else:
                self._refuse_too_long()
            self._read_on()

    def shown(self, text: bytes) -> bytes:
        """The text as it stands in the file, of hidden text."""
        return self.quotes.show(text) if self.has_quotes else text

    def _read_on(self) -> None:
        """A window without the end of a line doubles, so that a long row is not copied too often."""
        more = self._source.read(max(READ_BYTES, len(self._window)))
        self._is_at_end = not more
        self._window += more

    def _take(self, size: int) -> bytes:
        taken, self._window = self._window[:size], self._window[size:]
        self.passed += size
        return taken

    def _refuse_too_long(self) -> None:
        if len(self._window) > MOST_RECORD_BYTES:
            raise VaultError(
                "too_large",
                f"line {self.line}: a row is longer than {MOST_RECORD_BYTES} bytes; is a quote missing?",
            )


def _told(first: bytes) -> bytes:
    """What stands between the cells of a header: of what may, that which it holds most of."""
    counts = {bytes([byte]): first.count(byte) for byte in DELIMITERS}
    most = max(counts.values())
    if not most:
        return DELIMITERS[:1]
    one, *others = (delimiter for delimiter, count in counts.items() if count == most)
    if others:
        raise VaultError("malformed", "has a header that more than one delimiter fits: give --delimiter")
    return one


def _unclosed(line: int) -> VaultError:
    return VaultError("malformed", f"line {line}: a quote is opened and never closed")


def _check(text: bytes, hidden: bytes, line: int) -> None:
    """Refuse what no CSV in UTF-8 holds.  `text` begins with `line`."""
    try:
        text.decode("utf-8")
    except UnicodeDecodeError as broken:
        at, why = broken.start, "is not UTF-8"
    else:
        if b"\0" in text:
            at, why = text.index(b"\0"), "holds a NUL: is it UTF-16, or no text?"
        elif b"\r" in hidden and hidden.count(b"\r") != hidden.count(b"\r\n"):
            at = next(match.start() for match in re.finditer(rb"\r(?!\n)", hidden))
            why = "holds a carriage return that is no end of a line; save the file with line feeds"
        else:
            return
    # Raised out here so that the refusal does not carry the decoder's error, which holds the text.
    number = line + text.count(b"\n", 0, at)
    raise VaultError("malformed", f"line {number} {why}")
