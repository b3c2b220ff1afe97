"""The examples of the page on .env files are what the code does."""

from __future__ import annotations

import json

import pytest

from tests.docs.pages import page_called, read, rows, section, snippets
from tests.unit.server.serving import Node, problem_of, serving
from tvault.model.envfile_references import References, encrypt, expand
from tvault.wire import ENV_ENCRYPT, ENV_EXPAND

PAGE = read(page_called("env-files"))
VALUES = {"STRIPE_KEY": "sk_live_42"}
WRITTEN = [tuple(cells) for cells in rows(PAGE) if cells[1].startswith("`A=")]
REFUSED = [tuple(cells) for cells in rows(section(PAGE, "What is refused"))]


def block(name: str) -> str:
    (found,) = snippets(PAGE, f"dotenv {name}")
    return found


def test_the_example_is_encrypted_and_expanded_as_shown() -> None:
    encryption = encrypt(References(block("before")), VALUES)
    assert encryption.content == block("encrypted")
    assert encryption.secrets == {"DB_PASSWORD": "p@ss-w0rd", "STRIPE_KEY": "sk_live_42"}
    assert expand(References(block("encrypted")), encryption.secrets, 10_000) == block("expanded")


@pytest.mark.parametrize(("secret", "written"), WRITTEN)
def test_secrets_are_written_as_shown(secret: str, written: str) -> None:
    assert len(WRITTEN) == 7
    assert expand(
        References("A=secret(X)"), {"X": json.loads(secret.strip("`"))}, 1000
    ) == written.strip("`")


def test_what_the_page_says_is_refused_is_refused() -> None:
    assert len(REFUSED) == 8
    with serving() as node:
        for content, *said in REFUSED:
            body = {"content": content.strip("`")}
            assert [outcome(node, path, body) for path in (ENV_ENCRYPT, ENV_EXPAND)] == said


def outcome(node: Node, path: str, body: dict[str, str]) -> str:
    answer = node.post(path, body)
    if answer.status_code == 200 and answer.json()["content"] == body["content"]:
        return "as it is"
    status, code = problem_of(answer)
    return f"{status} `{code}`"
