"""Any content of a `.env` file, any secret: read as python-dotenv does, and nothing else is changed."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest
from dotenv import dotenv_values
from hypothesis import example, given
from hypothesis import strategies as st

from tests.fuzz.examples import fuzzed
from tests.unit.model.env_examples import MOST
from tests.unit.model.test_envfile import check_places, ours, theirs
from tests.unit.model.test_envfile_pairs import sourced
from tests.unit.model.test_envfile_references import FRAMES, in_place, read
from tests.unit.server.serving import Node, problem_of, serving
from tvault.errors import VaultError
from tvault.model.envfile import parse
from tvault.model.envfile_pairs import as_shell, pairs
from tvault.model.envfile_references import Encryption, References, encrypt, expand
from tvault.wire import ENV_ENCRYPT, ENV_EXPAND, SECRETS

T = TypeVar("T")

PARTS = [
    *"AB='\"\\#=nrt \t\n\r",
    *("\r\n", "export ", "export", " #", "A=", "\nB=", "\\'", '\\"', "\\\\", "\ufeff", "\0"),
    *("\x0b", "\x1c", "\x85", "\xa0", "\u2028", "é", "🔑", "\\x41", "\\u0041", "'A'=", "secret(A)"),
]
CONTENTS = st.lists(st.sampled_from(PARTS) | st.characters(), max_size=24).map("".join)

TEXTS = st.lists(
    st.sampled_from([*"'\"\\#$n \t\r\n", "\r\n", " #", "\0", "secret(X)", "é🔑"]) | st.characters(),
    max_size=8,
).map("".join)
"""Any values, those that are hard to write above all."""


def outcome(act: Callable[[], T]) -> T | str:
    """What comes of it, or the code of the refusal."""
    try:
        return act()
    except VaultError as error:
        return error.code


def around_values(content: str, *, with_quotes: bool = True) -> list[str]:
    """All that is no value, with the quotes of values or without them."""
    parts, at = [], 0
    for binding in parse(content).bindings:
        value = binding.value
        if value is not None:
            outer = 0 if with_quotes else len(value.quote)
            parts.append(content[at : value.start - outer])
            at = value.end + outer
    return [*parts, content[at:]]


@given(CONTENTS)
@example("A=1\r\n'B\r\nC'=2\r\nD 3\r\nE='4\r\n5' x\r\nF=6")
@fuzzed(400)
def test_any_content_says_what_python_dotenv_reads_and_where_it_stands(content: str) -> None:
    assert ours(content) == theirs(content)
    check_places(content)


@given(st.sampled_from(FRAMES), TEXTS, TEXTS)
@fuzzed(600)
def test_whatever_a_secret_holds_python_dotenv_reads_it_exactly_and_nothing_else_changes(
    frame: str, value: str, other: str
) -> None:
    content = f"# a\n{frame.format('secret(X)', 'secret(Y)')}\nB='x'\nC=\"y\" # c\n"
    expanded = expand(References(content), {"X": value, "Y": other}, MOST)
    text = read(content)["A"]
    assert text is not None
    wanted = in_place(text, {"X": value, "Y": other})
    assert read(expanded) == {"A": wanted, "B": "x", "C": "y"}
    assert around_values(expanded, with_quotes=False) == around_values(content, with_quotes=False)


@given(CONTENTS)
@example("secret(A)\nA=enc(A)")
@fuzzed(400)
def test_any_content_is_refused_or_changed_in_its_references_only(content: str) -> None:
    values = {"A": "it's\r\\", "B": ""}
    encryption = outcome(lambda: encrypt(References(content), values))
    if not isinstance(encryption, Encryption):
        assert encryption == "invalid_value"
        return
    assert not {each.name for each in encryption.unresolved} & values.keys()
    assert around_values(encryption.content) == around_values(content)
    if not encryption.secrets:
        assert encryption.content.replace("secret(", "enc(") == content.replace("secret(", "enc(")
    expanded = outcome(lambda: expand(References(content), values, MOST))
    if expanded == "unresolved":
        assert encryption.secrets or encryption.unresolved or encryption.needed
        return
    assert around_values(expanded, with_quotes=False) == around_values(content, with_quotes=False)
    assert read(expanded) == {
        key: value and in_place(value, values) for key, value in read(content).items()
    }


@given(CONTENTS)
@fuzzed(400)
def test_any_content_that_can_be_read_comes_to_what_python_dotenv_sets(content: str) -> None:
    if theirs(content)[1]:
        with pytest.raises(VaultError) as caught:
            pairs(content)
        assert caught.value.code == "invalid_value"
        assert {each.code for each in caught.value.errors} == {"unreadable"}
        return
    read = dotenv_values(stream=io.StringIO(content, newline=""), interpolate=False)
    assert pairs(content) == [(name, value) for name, value in read.items() if value is not None]


@given(
    st.dictionaries(
        st.from_regex(r"V_[A-Za-z0-9_]{0,8}", fullmatch=True),
        st.text(
            st.characters(exclude_characters="\0", exclude_categories=["Cs"])
            | st.sampled_from("'\\$`!\n\r\"#")
        ),
        max_size=6,
    )
)
@fuzzed(40)
def test_whatever_values_hold_a_shell_gets_them_exactly(
    tmp_path_factory: pytest.TempPathFactory, values: dict[str, str]
) -> None:
    script = tmp_path_factory.mktemp("sh") / "env.sh"
    script.write_bytes(as_shell(list(values.items())).encode())
    found = sourced("sh", script)
    assert {name: found.get(name) for name in values} == values


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    with serving() as running:
        yield running


@given(CONTENTS, st.dictionaries(st.sampled_from("ABX"), TEXTS, max_size=2))
@fuzzed(200)
def test_whatever_is_sent_is_stored_and_comes_back_in_its_place_or_is_refused_whole(
    node: Node, content: str, values: dict[str, str]
) -> None:
    answer = node.post(ENV_ENCRYPT, {"content": content, "values": values})
    if answer.status_code != 200:
        assert problem_of(answer) in {(422, "invalid_value"), (422, "unresolved")}
        return
    stored = [each["name"] for each in answer.json()["stored"]]
    expanded = node.post(ENV_EXPAND, {"content": answer.json()["content"]})
    assert expanded.status_code == 200
    now = read(expanded.json()["content"])
    for name, value in read(content).items():
        if name in stored and value is not None:
            assert now[name] == values.get(name, value)
        elif value is not None and "(" not in value:
            assert now[name] == value
    for name in stored:
        assert node.get(f"{SECRETS}/{name}").status_code == 200
