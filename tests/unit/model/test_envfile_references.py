"""References in `.env` files: what `enc` and `secret` come to, and that nothing else changes."""

from __future__ import annotations

import io
import itertools
from pathlib import Path
from typing import TypeVar

import pytest
from dotenv import dotenv_values

from tests.unit.model.env_examples import MOST, VALUES, VAULT, content_of, names, results
from tvault.errors import VaultError
from tvault.model.envfile import TooMany
from tvault.model.envfile_references import References, encrypt, expand

T = TypeVar("T")

ENCRYPTED = [name for name in names() if content_of(name, "encrypted") is not None]

FRAMES = [
    "A={}\n",
    "A={} # b\n",
    "A= \t{}\t\n",
    "export A='{}'\r\n",
    'A="{}" # b',
    "A=b{}c{}\n",
    "A=\\{}\\\n",
    "A='it\\'s \\{}\\\\'\n",
    'A="\\t\\{}\\"\nc"\r\n',
    "A=\ufeff{}#\n",
]
"""Lines with places for references."""


def read(content: str) -> dict[str, str | None]:
    """What python-dotenv reads, without interpolation."""
    return dict(dotenv_values(stream=io.StringIO(content, newline=""), interpolate=False))


@pytest.mark.parametrize("name", names())
def test_every_golden_content_comes_to_what_stands_beside_it(name: str) -> None:
    content = content_of(name)
    assert content is not None
    found = dict(results(content))
    assert found == {
        kind: text
        for kind in ("encrypted", "expanded", "refused")
        if (text := content_of(name, kind)) is not None
    }


@pytest.mark.parametrize("name", ENCRYPTED)
def test_python_dotenv_reads_in_every_expanded_content_the_values_that_references_stand_for(
    name: str,
) -> None:
    content, expanded = content_of(name), content_of(name, "expanded")
    assert content is not None
    assert expanded is not None
    stored = encrypt(References(content), VALUES).secrets
    every = VAULT | stored
    wanted: dict[str, str | None] = {}
    for key, value in read(content).items():
        asked = value is not None and key in stored
        wanted[key] = every[key] if asked else value and in_place(value, every)
    assert read(expanded) == wanted


def in_place(value: str, every: dict[str, str]) -> str:
    """The value with its references replaced, by a way of its own: cut at the marks."""
    parts = value.replace("enc(", "secret(").split("secret(")
    done = parts[0]
    for part in parts[1:]:
        name, _, rest = part.partition(")")
        done += every[name] + rest
    return done


@pytest.mark.parametrize("name", ENCRYPTED)
def test_what_is_encrypted_holds_no_plaintext_and_asks_for_nothing_more(name: str) -> None:
    content, encrypted = content_of(name), content_of(name, "encrypted")
    assert content is not None
    assert encrypted is not None
    first = encrypt(References(content), VALUES)
    for key, value in read(encrypted).items():
        if key in first.secrets and value is not None:
            assert value == f"secret({key})"
    again = encrypt(References(encrypted), {})
    assert (again.content, again.secrets, again.unresolved) == (encrypted, {}, ())
    assert {each.name for each in again.needed} == set(References(encrypted).first("secret"))


@pytest.mark.parametrize("length", range(4))
def test_every_short_secret_is_read_exactly_in_every_place_also_from_a_file(
    length: int, tmp_path: Path
) -> None:
    """Programs that read the file in text mode get every line end as a newline: not those of secrets."""
    path = tmp_path / ".env"
    secrets = ["".join(letters) for letters in itertools.product("a'\"\\ #\r\n$", repeat=length)]
    for frame in FRAMES:
        # Many in one file: names of their own, and line ends between.
        lines = [frame.replace("A=", f"A{at}=", 1) for at in range(len(secrets))]
        content = "\n".join(line.format(f"secret(X{at})", "-") for at, line in enumerate(lines))
        expanded = expand(
            References(content), {f"X{at}": value for at, value in enumerate(secrets)}, MOST
        )
        path.write_bytes(expanded.encode())
        found = dotenv_values(path, interpolate=False, encoding="utf-8")
        for at, value in enumerate(secrets):
            written = lines[at].format("secret(X)", "-").replace("\r\n", "\n")
            text = read(written)[f"A{at}"]
            assert text is not None
            assert found[f"A{at}"] == in_place(text, {"X": value}), (frame, value)


def test_an_expanded_value_is_not_looked_at_again() -> None:
    values = {"A": "secret(B)", "B": "enc(A)"}
    assert read(expand(References("X=secret(A)\nY=secret(B)"), values, MOST)) == {
        "X": "secret(B)",
        "Y": "enc(A)",
    }


def test_all_names_without_a_value_are_in_one_refusal_each_with_its_line() -> None:
    content = "A=secret(X)secret(Y)\n# secret(Z)\nB='secret(X)'\r\nC=enc(V)\nD=secret(W)"
    with pytest.raises(VaultError) as caught:
        expand(References(content), {"Y": "y", "V": "v"}, MOST)
    assert caught.value.code == "unresolved"
    assert [(each.field, each.index) for each in caught.value.errors] == [("X", 0), ("V", 3), ("W", 4)]
    assert all(f" {name}" in caught.value.detail for name in ("X", "V", "W"))


def test_as_many_names_as_there_are_are_in_the_refusal() -> None:
    content = "".join(f"A{at}=secret(S{at})\n" for at in range(500))
    with pytest.raises(VaultError) as caught:
        expand(References(content), {}, MOST)
    assert [each.field for each in caught.value.errors] == [f"S{at}" for at in range(500)]


def test_a_refusal_of_lines_lists_a_hundred_of_them() -> None:
    with pytest.raises(VaultError) as caught:
        References("A=secret(\n" * 150)
    assert [each.index for each in caught.value.errors] == list(range(100))
    assert "100, … of the content" in caught.value.detail


@pytest.mark.parametrize(
    "content",
    [
        "PW=hunter2\nA=enc(hunter2 is my pass)",
        "PW='hunter2\nA=enc(PW)\nhunter2 secret(",
        "hunter2 'secret(PW)'",
        "PW=hunter2\nA=enc(B)",
    ],
)
def test_no_refusal_says_anything_of_the_text(content: str) -> None:
    (kind, said), *_ = results(content)
    assert kind == "refused"
    assert "hunter" not in said


def test_secrets_are_not_in_the_repr_of_an_encryption() -> None:
    assert "hunter2" not in repr(encrypt(References("PW=hunter2\nA=enc(PW)"), {}))


def test_a_content_that_would_become_too_long_is_refused_before_it_is_made() -> None:
    content = "A=secret(X)secret(X)\n"
    assert len(expand(References(content), {"X": "x" * 100}, len(content) + 200)) == 203
    with pytest.raises(TooMany):
        expand(References(content * 10), {"X": "x" * 100_000}, MOST)


def test_names_are_given_once_in_the_order_of_the_content() -> None:
    found = References("A=secret(B)secret(A)\n#secret(C)\nX='secret(A)secret(Z)'")
    assert [*found.first("secret")] == ["B", "A", "Z"]


def test_more_references_than_there_may_be_are_refused_however_they_stand() -> None:
    for content in ("A=secret(X)secret(X)enc(Y)", "A=secret(\nB=enc(\nC=secret("):
        with pytest.raises(TooMany):
            References(content, 2)
    assert len(list(References("A=secret(X)secret(X)\n\n\n", 2))) == 2
