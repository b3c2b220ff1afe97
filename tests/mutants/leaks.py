"""Faults that would show one owner's values to another, or give one value two meanings (3.2, 6, 7)."""

from __future__ import annotations

from tests.mutants.mutant import Edit, mutant

_KEYS = "tvault/model/keys.py"
_BLOCKS = "tvault/model/blocks.py"
_INDEX = "tvault/store/index.py"
_LOOKUP = "tvault/server/lookup.py"
_HELLO = "tvault/server/hello.py"

_PEERS = "tests/unit/server/test_peer_port.py"
_DETOKENIZE = "tests/unit/server/test_detokenize.py"
_ONE_ANSWER = "test_a_single_token_that_is_not_found_gets_one_answer_whatever_the_reason"
_CROWDED = "tests/unit/server/test_crowded.py"
_CONFORMANCE = "tests/conformance/test_store.py"

LEAKS = (
    mutant(
        "owners-share-tokens",
        "6 nothing of one owner is visible with another's key: owners have keys of their own",
        _KEYS,
        'self.binding: Final = frame(owner.encode(), struct.pack(">Q", epoch))',
        'self.binding: Final = frame(b"", struct.pack(">Q", epoch))',
        tests=("tests/unit/model/test_keys.py::test_another_key_owner_or_epoch_gives_other_tokens",),
    ),
    mutant(
        "blocks-not-bound-to-their-tokens",
        "6 for one token one value: a block opens for the digests that it was sealed with alone",
        _BLOCKS,
        "_prefix(scope) + digests)",
        "_prefix(scope))",
        tests=("tests/unit/model/test_blocks.py::test_values_are_bound_to_the_tokens_they_belong_to",),
        more=(Edit(_BLOCKS, "prefix + digests)\n        except", "prefix)\n        except"),),
    ),
    mutant(
        "store-finds-for-any-owner",
        "6 a row is found only under its own owner and epoch",
        "tvault/store/memory.py",
        "spots = list(map(self._tokens.get((owner, epoch), {}).get, _split(digests)))",
        "spots = [\n"
        "                next((known[d] for known in self._tokens.values() if d in known), None)\n"
        "                for d in _split(digests)\n"
        "            ]",
        tests=(f"{_CONFORMANCE}::test_a_digest_is_found_only_under_its_own_owner_and_epoch",),
    ),
    mutant(
        "not-found-tells-why",
        "6 nothing of another owner is inferable: what is not found gets one answer",
        "tvault/server/reading.py",
        "        for position in odd:\n            canonicals[position] = None\n",
        '        if odd:\n            raise VaultError("malformed", "There is no such token.")\n',
        tests=(f"{_DETOKENIZE}::{_ONE_ANSWER}",),
    ),
    mutant(
        "collisions-unnoticed",
        "3.2 another value under a token is a collision, and fails the request whole",
        "tvault/server/tokenize.py",
        "        if values != [work.distinct[part[at]] for at in found]:\n",
        "        if len(values) != len(found):\n",
        tests=(f"{_CROWDED}::test_another_value_under_a_token_fails_the_whole_request_and_is_counted",),
    ),
    mutant(
        "collisions-unnoticed-by-a-lookup",
        "3.2 another value under a token is a collision, also for who only asks for tokens",
        _LOOKUP,
        "        raise Collision(part.positions[0] // count + 1)\n",
        "        return\n",
        tests=("tests/unit/server/test_lookup.py::test_another_value_under_a_token_is_a_collision",),
    ),
    mutant(
        "token-twice-in-the-store",
        "3.2 a unique index behind the judge stops the node if it is ever violated",
        _INDEX,
        "        if stands_twice or (self.snapshot.find_keys(keys, keep_id) != ABSENT).any():\n",
        "        if stands_twice:\n",
        tests=("tests/unit/store/test_index.py::test_a_token_that_stands_already_is_refused",),
    ),
    mutant(
        "peer-with-another-key-ring",
        "7 a peer with another key ring is refused by name",
        _HELLO,
        '            ("token key", self.keys, other.keys),\n',
        "",
        tests=(f"{_PEERS}::test_a_peer_with_another_configuration_is_refused_by_name",),
    ),
    mutant(
        "peer-with-another-ensemble",
        "7 a peer with another ensemble is refused by name",
        _HELLO,
        '            ("ensemble", self.ensemble, other.ensemble),\n',
        "",
        tests=(f"{_PEERS}::test_a_peer_with_another_configuration_is_refused_by_name",),
    ),
    mutant(
        "peer-without-the-secret",
        "7 without the cluster secret nothing is answered",
        _HELLO,
        '    if kind.lower() != "bearer" or not any(equal):\n',
        '    if kind.lower() != "bearer":\n',
        tests=(f"{_PEERS}::test_without_the_clusters_secret_nothing_is_answered",),
    ),
    mutant(
        "scraper-opens-everything",
        "7 without the cluster secret nothing is answered: metrics alone have a weaker one",
        "tvault/server/peer_api.py",
        'weaker = self._weaker.get(environ["PATH_INFO"], self._credential)',
        "weaker = next(iter(self._weaker.values()), self._credential)",
        tests=(
            "tests/unit/server/test_metrics_port.py::test_the_scrapers_credential_opens_nothing_else",
        ),
    ),
    mutant(
        "any-key-opens",
        "6 the API key alone says whose values they are",
        "tvault/server/auth.py",
        "    if owner is None:\n",
        '    if owner is None and header is not None:\n        return "clinic"\n    if owner is None:\n',
        tests=("tests/unit/server/test_web.py::test_no_key_and_any_wrong_key_get_one_answer",),
    ),
)
