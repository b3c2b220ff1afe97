"""The library has every call that a vault has."""

from __future__ import annotations

from tests.contract.specification import operations
from tests.docs.pages import ROOT, read
from tvault import wire

CLIENT = "\n".join(map(read, (ROOT / "tvault" / "client").rglob("*.py")))


def test_the_library_makes_every_call_of_the_document() -> None:
    names = {path: name for name, path in vars(wire).items() if isinstance(path, str) and name.isupper()}
    paths = {f"/{path}".replace("//", "/").partition("/{")[0] for _, path, _ in operations()}
    assert len(paths) >= 10
    assert [path for path in sorted(paths) if f"wire.{names[path]}" not in CLIENT] == []
