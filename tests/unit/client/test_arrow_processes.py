"""`tvault.arrow.transform` in the hands of others: other threads, forks, other processes, pandas."""

from __future__ import annotations

import functools
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cloudpickle
import pandas as pd
import pyarrow as pa
import pytest

from tests.unit.server.serving import KEYS, Node
from tvault import arrow
from tvault.client.vault import Vault

WORKER = """
import os, pickle, sys
import pyarrow as pa
work = pickle.load(sys.stdin.buffer)
table = pa.table({"c": ["a", None, "a"]})
made = work(table)
for _ in range(2):
    child = os.fork()
    if not child:
        os._exit(0 if work(table).equals(made) else 1)
    assert os.waitpid(child, 0)[1] == 0
print(made.column("c")[0])
"""


def handed_by(pickler: Any) -> bytes:
    work = functools.partial(arrow.transform, columns=["c"], op="tokenize")
    if pickler is pickle:
        return pickle.dumps(work)
    handed: bytes = cloudpickle.dumps(lambda table: work(table).combine_chunks())
    return handed


@pytest.mark.parametrize("pickler", [pickle, cloudpickle], ids=["pickle", "cloudpickle"])
def test_other_processes_and_their_forks_find_the_vault_in_their_environment(
    vault: Vault, node: Node, pickler: Any
) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", WORKER],
        input=handed_by(pickler),
        env=os.environ | {"TVAULT_URL": node.url, "TVAULT_API_KEY": KEYS["alice"]},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr.decode()
    assert ran.stdout.decode().split() == vault.tokenize(["a"]).tokens


def test_many_threads_share_the_vault_that_the_environment_names(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TVAULT_URL", node.url)
    monkeypatch.setenv("TVAULT_API_KEY", KEYS["alice"])
    tables = [pa.table({"c": [f"thread {number % 5}"]}) for number in range(40)]
    tokenize: Callable[[Any], Any] = functools.partial(arrow.transform, columns=["c"], op="tokenize")
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(tokenize, tables))
    assert len({one.column("c")[0].as_py() for one in made}) == 5
    monkeypatch.setenv("TVAULT_API_KEY", KEYS["bob"])
    assert not tokenize(tables[0]).equals(made[0]), "the environment names another owner now"


def frame() -> Any:
    moments = pd.to_datetime(["2024-02-29", None, "1999-01-01"], utc=True)
    return pd.DataFrame(
        {
            "number": [1, 2, 3],
            "gaps": pd.array([1, None, 3], dtype="Int64"),
            "moment": moments,
            "text": ["a", None, "c"],
            "kind": pd.Categorical(["x", "y", "x"], categories=["y", "x"], ordered=True),
            "other": [0.5, None, 1.5],
        },
        index=pd.Index([7, 8, 9], name="key"),
    )


def test_a_data_frame_gets_tokens_and_comes_back_as_it_was(vault: Vault) -> None:
    """Pandas notes the types of its own in the schema and would convert tokens to them."""
    columns = ["number", "gaps", "moment", "text", "kind", "key"]
    table = pa.Table.from_pandas(frame())
    tokens = arrow.transform(table, columns, "tokenize", vault=vault)
    shown = tokens.to_pandas()
    assert shown.index.name == "key"
    assert shown["gaps"].isna().tolist() == [False, True, False]
    for column in ("number", "gaps", "moment", "text", "kind"):
        assert all(text.startswith("tv1_") for text in shown[column].dropna())
    back = arrow.transform(tokens, columns, "detokenize", vault=vault)
    assert back.schema.equals(table.schema, check_metadata=True)
    pd.testing.assert_frame_equal(back.to_pandas(), frame())


def test_tokens_that_went_through_pandas_become_values_of_the_types_that_are_given(
    vault: Vault,
) -> None:
    tokens = arrow.transform(pa.Table.from_pandas(frame()), ["gaps"], "tokenize", vault=vault)
    again = pa.Table.from_pandas(tokens.to_pandas())
    text = arrow.transform(again, ["gaps"], "detokenize", vault=vault)
    assert text.column("gaps").to_pylist() == ["1", None, "3"]
    typed = arrow.transform(again, ["gaps"], "detokenize", vault=vault, types={"gaps": pa.int64()})
    assert typed.to_pandas()["gaps"].dtype == "float64", "as pandas reads integers with gaps"
    assert typed.column("gaps").to_pylist() == [1, None, 3]
