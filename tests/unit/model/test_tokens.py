"""A token has one text, and anything else is no token."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tvault.model.tokens import MAX_EPOCH, parse_alike, parse_token, render_token, render_tokens

EPOCHS = st.integers(1, MAX_EPOCH)
DIGESTS = st.binary(min_size=16, max_size=16)
HEX = "0123456789abcdef0123456789abcdef"
GOOD = f"tv1_1_{HEX}"

NO_TOKENS: list[object] = [
    "",
    "tv1_1_",
    f"tv1_0_{HEX}",
    f"tv1_01_{HEX}",
    f"tv1_-1_{HEX}",
    f"tv1_+1_{HEX}",
    f"tv1_1 _{HEX}",
    f"tv1_1_0_{HEX}",
    f"tv1__{HEX}",
    f"tv1_{10**18}_{HEX}",
    f"tv2_1_{HEX}",
    f"TV1_1_{HEX}",
    f"tv1_\u0661_{HEX}",
    f"tv1_1\u0661_{HEX}",
    f"tv1_1_{HEX[:-1]}",
    f"tv1_1_{HEX}0",
    f"tv1_1_{HEX.upper()}",
    f"tv1_1_{HEX[:-1]}g",
    f"tv1_1_{HEX[:-1]}\u0661",
    f"tv1_1_{HEX[:-2]} 0",
    f"{GOOD}\n",
    f" {GOOD}",
    f"{GOOD}\ud800",
    None,
    True,
    1,
    1.5,
    GOOD.encode(),
    [GOOD],
    {GOOD: GOOD},
]


@given(EPOCHS, DIGESTS)
def test_a_token_names_its_epoch_and_digest(epoch: int, digest: bytes) -> None:
    assert parse_token(render_token(epoch, digest)) == (epoch, digest)


def test_the_text_of_a_token_never_changes() -> None:
    assert render_token(12, bytes(range(0xF0, 0x100))) == "tv1_12_f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"


@pytest.mark.parametrize("text", NO_TOKENS)
def test_anything_else_is_no_token(text: object) -> None:
    assert parse_token(GOOD) is not None
    assert parse_token(text) is None
    for batch in ([text], [text, GOOD], [GOOD, text], [GOOD, text, GOOD]):
        assert parse_alike(batch) is None


@given(st.text() | st.from_regex(r"tv1_[0-9]{1,20}_[0-9a-fA-F]{31,33}\n?"))
def test_what_parses_is_exactly_what_rendering_writes(text: str) -> None:
    parsed = parse_token(text)
    assert parsed is None or render_token(*parsed) == text


@given(EPOCHS, st.lists(DIGESTS))
def test_a_batch_is_rendered_as_each_token_is(epoch: int, digests: list[bytes]) -> None:
    assert render_tokens(epoch, digests) == [render_token(epoch, digest) for digest in digests]


@given(EPOCHS, st.lists(DIGESTS, min_size=1))
def test_tokens_of_one_epoch_are_parsed_at_once(epoch: int, digests: list[bytes]) -> None:
    assert parse_alike(render_tokens(epoch, digests)) == (epoch, b"".join(digests))


SMALL_EPOCHS = st.integers(1, 2)
ODD_TEXTS = st.text("tv1_ 0aA\n", max_size=45) | st.sampled_from(
    [f"{GOOD} {GOOD}", f" {GOOD}", f"{GOOD[:-1]} ", f"{HEX[:5]} {GOOD}", GOOD[:-33], HEX, f"_{HEX}"]
)
TEXTS = st.builds(render_token, SMALL_EPOCHS, DIGESTS) | ODD_TEXTS | st.sampled_from(NO_TOKENS)


@given(st.lists(TEXTS, max_size=4))
def test_a_batch_is_parsed_at_once_only_if_all_of_it_is_tokens_of_one_epoch(texts: list[object]) -> None:
    parsed = [token for token in map(parse_token, texts) if token is not None]
    are_alike = len(parsed) == len(texts) and len({epoch for epoch, _ in parsed}) == 1
    digests = b"".join(digest for _, digest in parsed)
    assert parse_alike(texts) == ((parsed[0][0], digests) if are_alike else None)


def test_texts_that_are_tokens_only_when_put_side_by_side_are_none() -> None:
    assert parse_alike([GOOD, f"{GOOD} {GOOD}", ""]) is None
    assert parse_alike([GOOD, GOOD[:-1], f"f {GOOD}"]) is None
    assert parse_alike([GOOD, f"{GOOD[:10]} {GOOD[10:]}"]) is None


@pytest.mark.parametrize("epoch", [0, -1, MAX_EPOCH + 1])
def test_no_token_is_made_for_an_epoch_that_none_could_name(epoch: int) -> None:
    with pytest.raises(AssertionError):
        render_tokens(epoch, [bytes(16)])


@pytest.mark.parametrize("digests", [[bytes(15)], [bytes(16), bytes(17)]])
def test_no_token_is_made_of_a_digest_of_another_length(digests: list[bytes]) -> None:
    with pytest.raises(AssertionError):
        render_tokens(1, digests)
