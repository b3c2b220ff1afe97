"""The golden files in `envfiles`: contents, with which values they are encrypted, what they come to.

    NAME.env           the content
    NAME.encrypted     what `encrypt` makes of it with `VALUES`
    NAME.expanded      what `expand` makes of that, with `VAULT` and the secrets that were stored
    NAME.refused       instead of the two: what the refusals say

`python -m tests.unit.model.env_examples` writes the last three anew; the difference is then reviewed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tvault.errors import VaultError
from tvault.model.envfile_references import References, encrypt, expand, unresolved

FOLDER = Path(__file__).parent / "envfiles"

VALUES = {"GIVEN": "from the values", "ONLY_GIVEN": "it's given", "UNUSED": "not asked for"}

VAULT = {
    "plain": "s3cret",
    "empty": "",
    "quote": "it's",
    "double": 'say "hi"',
    "both": "'\"\\'\\\"",
    "dollar": "$HOME ${HOME} $(id) `id`",
    "hash": "a #b",
    "number": "#1",
    "blank": " in blanks\t",
    "backslash": "a\\b\\\\c",
    "escapes": "\\n\\t\\'\\\"\\x41",
    "last": "C:\\dir\\",
    "lines": "one\ntwo\n",
    "crlf": "one\r\ntwo\r\n",
    "return": "one\rtwo",
    "nul": "a\0b",
    "unicode": "pässwörd 🔑 \u2028\u0085\ufeff",
    "marks": "a;b&c|d<e>f(g)*?[h]!~",
    "reference": "secret(plain) enc(plain)",
    "export": "export A=1\nB=2",
    "n": "n",
}

MOST = 1_000_000


def names() -> list[str]:
    """The names of all golden files."""
    return sorted(path.stem for path in FOLDER.glob("*.env"))


def content_of(name: str, kind: str = "env") -> str | None:
    """The text of a golden file, every byte of it; None when there is no such file."""
    path = FOLDER / f"{name}.{kind}"
    return path.read_bytes().decode() if path.exists() else None


def results(content: str) -> Iterator[tuple[str, str]]:
    """The kinds of results of a content, and what they say."""
    try:
        done = encrypt(References(content), VALUES)
        missing = [*done.unresolved, *(needed for needed in done.needed if needed.name not in VAULT)]
        if missing:
            raise unresolved(missing)
        yield "encrypted", done.content
        yield "expanded", expand(References(done.content), VAULT | done.secrets, MOST)
    except VaultError as error:
        places = "".join(f"{each.index} {each.code} {each.field or '-'}\n" for each in error.errors)
        yield "refused", f"{error.code}\n{error.detail}\n{places}"


def main() -> None:
    """Write what the code makes of every content."""
    for name in names():
        for kind in ("encrypted", "expanded", "refused"):
            (FOLDER / f"{name}.{kind}").unlink(missing_ok=True)
        content = content_of(name)
        assert content is not None
        for kind, text in results(content):
            (FOLDER / f"{name}.{kind}").write_bytes(text.encode())


if __name__ == "__main__":
    main()
