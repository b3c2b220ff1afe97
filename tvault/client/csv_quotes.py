"""CSV text (RFC 4180) with what stands in quotes hidden: after that it can be cut at its delimiters and
line ends as if there were no quotes.

A cell that begins with a quote goes on to the next single one; two are a quote in it.  A quote further
on in a cell is a character like any other, as for Python's `csv`.
"""

from __future__ import annotations

import re

from tvault.client.records import FOR_GOOD
from tvault.errors import VaultError

DELIMITERS = b",;\t|"
"""What stands between cells, as a header can tell."""

SPLIT_BYTES = 256 * 1024
"""How much is split at its quotes at a time: each of them takes a hundred bytes then."""

# No text in UTF-8 holds these bytes.
_LINE_END, _RETURN, _QUOTE = b"\xff", b"\xfe", b"\xfd"
_OTHERS = b"\xfc\xfb\xfa\xf9"

HIDDEN_LINE_END = _LINE_END


class Quotes:
    """Hides and shows text whose cells stand between any of `delimiters`.

    When there are several, it is not known yet what stands between cells, and nothing is refused.
    """

    def __init__(self, delimiters: bytes) -> None:
        hidden = _LINE_END + _RETURN + _OTHERS[: len(delimiters)]
        plain = b"\n\r" + delimiters
        cut = re.escape(delimiters)
        self._is_known = len(delimiters) == 1
        self._hide = bytes.maketrans(plain, hidden)
        self._show = bytes.maketrans(hidden + _QUOTE, plain + b'"')
        # In text without what stands in quotes: a quote that does not begin or end a cell.
        self._odd = re.compile(rb'[^"\n%b]"|"[^"\r\n%b]' % (cut, cut))
        self._cell = re.compile(rb'("[^"]*(?:""[^"]*)*%b)("|\Z)|[^\n%b]+' % (FOR_GOOD, cut))

    def hide(self, text: bytes, line: int) -> tuple[bytes, bool]:
        """The text with other bytes, as many, in the place of what cuts cells and rows but stands in
        quotes; and whether its last quote is open.  Text begins where a row does, in `line`.

        Raises `VaultError` (`malformed`) for a quote that ends before its cell does.
        """
        if b'"' not in text:
            return text, False
        hidden: list[bytes] = []
        outside: list[bytes] = []
        is_open = False
        for begin in range(0, len(text), SPLIT_BYTES):
            parts = text[begin : begin + SPLIT_BYTES].split(b'"')
            first = 0 if is_open else 1  # of the parts in quotes
            outside.append(b'"'.join(parts[1 - first :: 2]))
            if inside := parts[first::2]:
                parts[first::2] = b'"'.join(inside).translate(self._hide).split(b'"')
            hidden.append(b'"'.join(parts))
            is_open = len(parts) % 2 == first ^ 1
            if is_open and len(parts) > 1:
                outside.append(b'"')
        if self._odd.search(b"".join(outside)):
            return self._hide_one_by_one(text, line)
        return b"".join(hidden), is_open

    def _hide_one_by_one(self, text: bytes, line: int) -> tuple[bytes, bool]:
        is_open = False
        ended = -1  # where a cell in quotes has ended

        def hidden(cell: re.Match[bytes]) -> bytes:
            nonlocal is_open, ended
            if cell[1] is not None:
                is_open = not cell[2]
                ended = cell.end()
                return cell[0].translate(self._hide)
            if cell.start() == ended and cell[0] != b"\r" and self._is_known:
                number = line + text.count(b"\n", 0, ended)
                raise VaultError(
                    "malformed", f"line {number}: a cell goes on after the quote that ends it"
                )
            return cell[0].replace(b'"', _QUOTE)

        return self._cell.sub(hidden, text), is_open

    def show(self, text: bytes) -> bytes:
        """The text as it was before it was hidden."""
        return text.translate(self._show)

    def value(self, cell: bytes) -> bytes:
        """What a cell means."""
        shown = self.show(cell)
        return shown[1:-1].replace(b'""', b'"') if cell.startswith(b'"') else shown
