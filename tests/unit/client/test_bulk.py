"""Lists of any length through a vault: nothing is lost, doubled or moved where they are cut."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.unit.server.serving import KEYS, Node, serving
from tvault.client.bulk import MOST_VALUES, USUAL_BYTES, Bulk
from tvault.client.vault import Vault
from tvault.errors import FieldError, VaultError
from tvault.wire import Limits

NO_TOKENS = ["x", "", "tv1_1_" + "A" * 32, "tv1_01_" + "a" * 32, "4711"]


@pytest.fixture(scope="module")
def narrow() -> Iterator[Node]:
    """A node that takes seven values at a time."""
    with serving(limits=Limits(values_per_request=7)) as node:
        yield node


def asked(node: Node, event: str, first: int) -> list[int]:
    """How many values each request since the event `first` held."""
    return [int(counts["values"]) for name, counts in node.events[first:] if name == event]


def test_more_values_than_a_request_holds_keep_their_order(vault: Vault, node: Node) -> None:
    values = [f"many {number}" for number in range(2 * MOST_VALUES + 3)]
    first = len(node.events)
    with ThreadPoolExecutor(4) as pool:
        tokens = Bulk(vault, pool.map).tokenize(values)
        back = Bulk(vault, pool.map).detokenize([token for token in tokens.found if token])
    assert tokens.epochs == {1}
    assert back.found == values
    assert sorted(asked(node, "tokenize", first)) == [3, MOST_VALUES, MOST_VALUES]


@pytest.mark.parametrize("count", [0, 1, 6, 7, 8, 13, 14, 15, 100])
def test_a_node_that_takes_few_values_gets_them_in_pieces(narrow: Node, count: int) -> None:
    values = [f"few {number}" for number in range(count)]
    with Vault([narrow.url], KEYS["alice"]) as vault:
        tokens = Bulk(vault).tokenize(values).found
        again = Bulk(vault).retokenize([token for token in tokens if token]).found
        assert Bulk(vault).detokenize([token for token in tokens if token]).found == values
    assert again == tokens
    assert len(set(tokens)) == count


def test_what_was_too_much_once_is_not_tried_again(narrow: Node) -> None:
    tokens = narrow.tokenize([f"once {number}" for number in range(7)])
    with Vault([narrow.url], KEYS["alice"]) as vault:
        bulk = Bulk(vault)
        bulk.detokenize(tokens * 20)
        first = len(narrow.events)
        bulk.detokenize(tokens * 20)
    sizes = asked(narrow, "detokenize", first)
    assert sum(sizes) == 140
    assert max(sizes[:-1]) == min(sizes[:-1]) >= 3, "each request was as long as the one before"


def test_long_values_are_cut_by_their_bytes(vault: Vault, node: Node) -> None:
    values = [f"{number:060000}" for number in range(2 * (USUAL_BYTES // 60_000))]
    first = len(node.events)
    Bulk(vault).tokenize(values)
    assert len(asked(node, "tokenize", first)) == 2


def test_what_is_no_token_is_not_found_and_never_sent(vault: Vault, node: Node) -> None:
    [token] = node.tokenize(["sent"])
    first = len(node.events)
    mixed = [*NO_TOKENS, token, *NO_TOKENS]
    nothing = [None] * len(NO_TOKENS)
    assert Bulk(vault).detokenize(mixed).found == [*nothing, "sent", *nothing]
    assert Bulk(vault).retokenize(mixed).found == [*nothing, token, *nothing]
    assert Bulk(vault).detokenize(NO_TOKENS).found == nothing
    assert asked(node, "detokenize", first) == [1]
    assert asked(node, "retokenize", first) == [1]


def test_a_token_of_another_owner_is_not_found(vault: Vault, node: Node) -> None:
    tokens = node.tokenize(["hers"]) + node.tokenize(["his"], "bob")
    assert Bulk(vault).detokenize(tokens).found == ["hers", None]
    renewed = Bulk(vault).retokenize(tokens[1:])
    assert (renewed.found, renewed.epochs) == ([None], frozenset())


@pytest.mark.parametrize("at", [0, 5, 6, 7, 20])
def test_a_refused_value_is_named_by_its_position_in_the_whole_list(narrow: Node, at: int) -> None:
    values = [f"good {number}" for number in range(21)]
    values[at] = "half a pair: \ud800"
    with Vault([narrow.url], KEYS["alice"]) as vault, pytest.raises(VaultError) as refused:
        Bulk(vault).tokenize(values)
    assert refused.value.code == "invalid_value"
    assert refused.value.errors == (FieldError(at, "lone_surrogate"),)


def test_a_value_that_no_request_holds_is_named_by_its_position() -> None:
    with (
        serving(limits=Limits(body_bytes=1024)) as node,
        Vault([node.url], KEYS["alice"]) as vault,
        pytest.raises(VaultError) as refused,
    ):
        Bulk(vault).tokenize(["short", "short, too", "x" * 2000, "the last"])
    assert refused.value.code == "too_large"
    assert [entry.index for entry in refused.value.errors] == [2]
