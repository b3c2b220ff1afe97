"""Faults of a gateway: what it does again without leave, and whom it believes (3.1, 3.5)."""

from __future__ import annotations

from tests.mutants.mutant import mutant

_REMOTE = "tvault/server/remote_engine.py"
_READING = "tvault/server/reading.py"
_ENGINE_API = "tvault/server/engine_api.py"

_UNIT = "tests/unit/server/test_remote_engine.py"
_PARTS = "tests/unit/server/test_reading.py::test_what_is_read_in_parts_is_as_it_was_at_one_moment"

GATEWAYS = (
    mutant(
        "gateway-forgets-an-unknown-outcome",
        "6 one request never mixes epochs: not when its first try may have been ordered either",
        _REMOTE,
        "                is_unsure |= is_write and error.code",
        "                is_unsure |= False and error.code",
        tests=(
            f"{_UNIT}::test_a_write_of_unknown_outcome_does_not_go_on_in_another_epoch",
            f"{_UNIT}::test_a_write_of_unknown_outcome_is_made_again_and_known_to_be_perhaps_its_own",
        ),
    ),
    mutant(
        "gateway-rotates-twice",
        "3.5 a rotation whose outcome is unknown is for the client to repeat",
        _REMOTE,
        "            if is_unsure and not is_repeatable:\n                break\n",
        "",
        tests=(f"{_UNIT}::test_a_rotation_of_unknown_outcome_is_not_made_again",),
    ),
    mutant(
        "gateway-of-another-key",
        "7 whoever has another token key is refused by name",
        _ENGINE_API,
        "        if reason is not None:\n            where",
        "        if reason is None:\n            where",
        tests=(f"{_UNIT}::test_a_gateway_of_other_terms_is_turned_away_by_name_once",),
    ),
    mutant(
        "parts-of-several-moments",
        "5.1 a request that needs several rows looks at one moment, also when it looks in parts",
        _READING,
        "            asked = _still_missing(asked, set(chain(*positions))) if looks > 1 else []\n",
        "            asked = []\n",
        tests=(_PARTS,),
    ),
)
