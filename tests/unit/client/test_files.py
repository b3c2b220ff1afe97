"""Whole files through a real client API."""

from __future__ import annotations

import io
import itertools
import json
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

import pytest

from tests.unit.server.serving import KEYS, Node, serving
from tvault.client.answers import DetokenizedJson, TokenizedJson
from tvault.client.files import detokenize_file, tokenize_file
from tvault.client.in_order import MOST_BYTES_IN_HAND
from tvault.client.job import Job
from tvault.client.jsonl import READ_BYTES
from tvault.client.records import Cut
from tvault.client.sending import FIRST_RECORDS
from tvault.client.vault import Vault
from tvault.errors import VaultError
from tvault.wire import Limits

LINES = b"".join(
    json.dumps({"n": n, "ssn": f"s{n % 700}", "patient": {"mrn": n}}, separators=(",", ":")).encode()
    + b"\n"
    for n in range(1000)
)


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    with serving() as node:
        yield node


@pytest.fixture
def vault(node: Node) -> Iterator[Vault]:
    with Vault([node.url], KEYS["alice"]) as vault:
        yield vault


def tokenized(vault: Vault, content: bytes, job: Job) -> bytes:
    target = io.BytesIO()
    tokenize_file(vault, io.BytesIO(content), target, job)
    return target.getvalue()


def detokenized(vault: Vault, content: bytes, job: Job) -> bytes:
    target = io.BytesIO()
    summary = detokenize_file(vault, io.BytesIO(content), target, job)
    assert summary.not_found == 0
    return target.getvalue()


@pytest.mark.parametrize("jobs", [1, 4])
def test_a_file_comes_back_byte_for_byte(vault: Vault, jobs: int) -> None:
    job = Job("f.jsonl", cut=Cut(records=37), jobs=jobs)
    tokens = tokenized(vault, LINES, job)
    assert [json.loads(line)["n"] for line in tokens.splitlines()] == list(range(1000))
    assert all(json.loads(line)["ssn"].startswith("tv1_1_") for line in tokens.splitlines())
    assert detokenized(vault, tokens, job) == LINES


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b'{"ssn":"a"}',
        b'\r\n{"ssn":"a"}\r\n \r\n{}',
        b'{"ssn":"b","x":"\\ud800"}\n',
    ],
)
def test_odd_lines_stay_as_they_are(vault: Vault, content: bytes) -> None:
    assert detokenized(vault, tokenized(vault, content, Job("f")), Job("f")) == content


@pytest.mark.parametrize(
    "content",
    [b"[]", b" [ ]\n", b'{"ssn":"a"}\n', b'[\n  {"ssn":"a"},\n  {"ssn":null}\n]\n', b'[{"ssn":1},{}]'],
)
def test_a_json_file_keeps_its_shape(vault: Vault, content: bytes) -> None:
    job = Job("f.json", "json", Cut(records=1))
    tokens = tokenized(vault, content, job)
    assert detokenized(vault, tokens, job) == content
    assert (b"tv1_1_" in tokens) == (b'"ssn":"a"' in content or b'"ssn":1' in content)


def test_a_batch_over_the_limit_of_values_is_sent_in_pieces() -> None:
    with (
        serving(limits=Limits(values_per_request=25)) as node,
        Vault([node.url], KEYS["alice"]) as vault,
    ):
        job = Job("f.jsonl", cut=Cut(records=400))
        assert detokenized(vault, tokenized(vault, LINES, job), job) == LINES


def test_a_batch_over_the_limit_of_bytes_is_sent_in_pieces() -> None:
    with serving(limits=Limits(body_bytes=4096)) as node, Vault([node.url], KEYS["alice"]) as vault:
        job = Job("f.jsonl", cut=Cut(records=1000))
        assert detokenized(vault, tokenized(vault, LINES, job), job) == LINES


def test_tokens_whose_values_are_too_long_together_are_sent_in_pieces() -> None:
    content = b"".join(b'{"ssn":"%06d%b"}\n' % (n, b"x" * 3000) for n in range(100))
    limits = Limits(body_bytes=32 * 1024)
    with serving(limits=limits) as node, CountingVault(node.url) as vault:
        tokens = tokenized(vault, content, Job("f.jsonl"))
        assert len(tokens) < limits.body_bytes
        vault.refused.clear()
        assert detokenized(vault, tokens, Job("f.jsonl")) == content
        assert vault.refused == [100, 50, 25, 12]


def test_places_are_right_when_a_batch_was_sent_in_pieces() -> None:
    with serving(limits=Limits(values_per_request=3)) as node, Vault([node.url], KEYS["alice"]) as vault:
        unknown = b"{}\n" + b'{"ssn":"no token"}\n' * 8
        summary = detokenize_file(vault, io.BytesIO(unknown), io.BytesIO(), Job("f.jsonl"))
        assert summary.missing == [f"line {line}, field ssn" for line in range(2, 7)]
        assert summary.not_found == 8
        bad = b'{"ssn":1}\n' * 8 + b'{"ssn":{}}\n'
        with pytest.raises(VaultError, match=r"^f\.jsonl line 9, field ssn: an object is no value$"):
            tokenized(vault, bad, Job("f.jsonl"))


def test_a_single_record_over_the_limit_is_named() -> None:
    with serving(limits=Limits(values_per_request=2)) as node, Vault([node.url], KEYS["alice"]) as vault:
        many = b'{"contacts":[{"phone":1},{"phone":2},{"phone":3}]}\n'
        with pytest.raises(VaultError, match=r"^f\.jsonl line 3: ") as caught:
            tokenized(vault, b"{}\n\n" + many, Job("f.jsonl"))
    assert caught.value.code == "too_large"


def test_a_value_that_is_refused_is_named_by_line_and_field_and_never_shown(vault: Vault) -> None:
    content = LINES + b'\n{"patient":{"mrn":["secret"]}}\n{"ssn":{"secret":1}}\n'
    with pytest.raises(VaultError) as caught:
        tokenized(vault, content, Job("f.jsonl", cut=Cut(records=300)))
    assert caught.value.code == "invalid_value"
    assert caught.value.detail == (
        "f.jsonl line 1002, field patient.mrn: an array is no value; "
        "line 1003, field ssn: an object is no value"
    )


def test_a_value_that_is_too_long_is_named_at_once(node: Node) -> None:
    content = LINES + b'{"ssn":"%b"}\n' % (b"x" * (Limits.value_bytes + 1))
    with CountingVault(node.url) as vault, pytest.raises(VaultError) as caught:
        tokenized(vault, content, Job("f.jsonl"))
    assert vault.refused == [1001]
    assert caught.value.detail == "f.jsonl line 1001, field ssn: the value is too long"


def test_only_the_first_bad_fields_are_named(vault: Vault) -> None:
    with pytest.raises(VaultError) as caught:
        tokenized(vault, b'[{"ssn":[]}' + b',{"ssn":[]}' * 8 + b"]", Job("f.json", "json"))
    assert caught.value.detail.endswith("record 5, field ssn: an array is no value; and 4 more")


def test_a_line_that_is_no_object_is_named(vault: Vault) -> None:
    with pytest.raises(VaultError, match=r"^f\.jsonl line 1001 is JSON, but not an object"):
        tokenized(vault, LINES + b"[]\n", Job("f.jsonl"))


def test_tokens_that_are_not_found_stay_and_are_counted(vault: Vault) -> None:
    content = b'{}\n{"ssn":"no token"}\n{"contacts":[{"phone":"tv1_9_x"},{"phone":null}]}\n' * 3
    target = io.BytesIO()
    summary = detokenize_file(vault, io.BytesIO(content), target, Job("f.jsonl", cut=Cut(records=2)))
    assert target.getvalue() == content
    assert (summary.records, summary.not_found) == (9, 6)
    assert summary.missing[:3] == [
        "line 2, field ssn",
        "line 3, field contacts[0].phone",
        "line 5, field ssn",
    ]
    assert len(summary.missing) == 5


def test_progress_rises_to_the_end_of_the_file(vault: Vault) -> None:
    seen: list[tuple[int, int]] = []
    job = Job("f", cut=Cut(records=100), progress=lambda done, records: seen.append((done, records)))
    tokenized(vault, LINES, job)
    assert seen == sorted(seen)
    assert seen[-1] == (len(LINES), 1000)


class SlowVault(Vault):
    """A vault whose first batch is answered after its fourth, each under an epoch of its own."""

    def __init__(self, url: str) -> None:
        super().__init__([url], KEYS["alice"])
        self.first_may_go = threading.Event()
        self.epochs = itertools.count(1)

    def tokenize_json(self, records: object, **_: object) -> TokenizedJson:
        assert isinstance(records, list)
        if b'"n":0,' in records[0]:
            assert self.first_may_go.wait(20)
        elif b'"n":3,' in records[0]:
            self.first_may_go.set()
        answer = super().tokenize_json(records)
        return TokenizedJson(next(self.epochs), answer.records)


def test_answers_are_written_in_the_order_of_the_file_whichever_comes_first(node: Node) -> None:
    with SlowVault(node.url) as vault:
        head = b"".join(LINES.splitlines(keepends=True)[:50])
        tokens = tokenized(vault, head, Job("f", cut=Cut(records=1), jobs=4))
    assert [json.loads(line)["n"] for line in tokens.splitlines()] == list(range(50))


class Ahead:
    """How far the reading of a file is ahead of the writing, in bytes."""

    def __init__(self, content: bytes) -> None:
        self.read = self.written = self.most = 0
        outer = self

        class Source(io.BytesIO):
            def read(self, size: int | None = -1) -> bytes:
                piece = super().read(size)
                outer.read += len(piece)
                outer.most = max(outer.most, outer.read - outer.written)
                return piece

        class Target(io.BytesIO):
            def write(self, data: object) -> int:
                assert isinstance(data, bytes)
                outer.written += len(data)
                return super().write(data)

        self.source = Source(content)
        self.target = Target()


@pytest.mark.parametrize(
    ("jobs", "cut", "batch"),
    [(2, Cut(records=100), 100 * 1000), (2, Cut(records=10_000, bytes=50_000), 50_000)],
)
def test_no_more_of_the_file_is_read_than_a_few_batches_ahead(
    node: Node, jobs: int, cut: Cut, batch: int
) -> None:
    content = (b'{"n":"' + b"x" * 990 + b'"}\n') * 10_000
    ahead = Ahead(content)
    with Vault([node.url], KEYS["alice"]) as vault:
        tokenize_file(vault, ahead.source, ahead.target, Job("f", cut=cut, jobs=jobs))
    assert ahead.target.getvalue() == content
    assert ahead.most <= 2 * jobs * batch + 2 * READ_BYTES + batch


def test_large_records_are_not_taken_in_hand_by_the_number_of_jobs_alone(node: Node) -> None:
    content = (b'{"n":"' + b"x" * 1_000_000 + b'"}\n') * 100
    ahead = Ahead(content)
    with Vault([node.url], KEYS["alice"]) as vault:
        tokenize_file(vault, ahead.source, ahead.target, Job("f", jobs=40))
    assert ahead.target.getvalue() == content
    assert ahead.most <= MOST_BYTES_IN_HAND + 3 * Cut().bytes


class Interrupt(Exception):
    """What the signal of the test below raises in the main thread."""


class StuckVault(Vault):
    """A vault that never answers, and that gets the signal when the main thread waits for it."""

    def __init__(self) -> None:
        super().__init__(["http://127.0.0.1:1"], "k")
        self.may_end = threading.Event()
        self.was_late = False

    def tokenize_json(self, records: object, **_: object) -> TokenizedJson:  # noqa: ARG002
        while not self._main_thread_waits():
            self.may_end.wait(0.01)
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
        self.was_late = not self.may_end.wait(10)
        raise VaultError("unreachable", "there is no answer")

    def _main_thread_waits(self) -> bool:
        frame: FrameType | None = sys._current_frames()[threading.main_thread().ident or 0]
        stack = []
        while frame is not None:
            stack.append(frame.f_code)
            frame = frame.f_back
        is_starting_a_thread = threading.Thread.start.__code__ in stack
        return stack[0] is threading.Condition.wait.__code__ and not is_starting_a_thread


def test_a_signal_that_did_not_wake_the_main_thread_is_heeded_all_the_same() -> None:
    """So it is with one that comes between the last look at signals and the wait for an answer."""

    def interrupt(number: int, frame: object) -> None:  # noqa: ARG001
        raise Interrupt

    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with StuckVault() as vault:
            with pytest.raises(Interrupt):
                tokenize_file(vault, io.BytesIO(LINES), io.BytesIO(), Job("f"))
            vault.may_end.set()
            assert not vault.was_late
    finally:
        signal.signal(signal.SIGUSR1, before)


class CountingVault(Vault):
    """A vault that notes how many records each request holds, and which were refused."""

    def __init__(self, url: str) -> None:
        super().__init__([url], KEYS["alice"])
        self.answered: list[int] = []
        self.refused: list[int] = []

    def tokenize_json(self, records: Sequence[bytes], **_: object) -> TokenizedJson:
        with self._counted(len(records)):
            return super().tokenize_json(records)

    def detokenize_json(self, records: Sequence[bytes], **_: object) -> DetokenizedJson:
        with self._counted(len(records)):
            return super().detokenize_json(records)

    @contextmanager
    def _counted(self, records: int) -> Iterator[None]:
        try:
            yield
        except VaultError:
            self.refused.append(records)
            raise
        self.answered.append(records)


@pytest.mark.parametrize(
    ("record", "usual"),
    [
        (b'{"ssn":"a"}', 5000),
        (b'{"ssn":"a","patient":{"mrn":1}}', 4500),
        (b'{"ssn":"a","patient":{"mrn":1},"contacts":[{"phone":1},{"phone":2}]}', 2250),
        (b"{}", 5000),
    ],
)
def test_no_request_is_wasted_on_records_of_a_few_values_and_later_ones_hold_as_many_as_they_may(
    node: Node, record: bytes, usual: int
) -> None:
    with CountingVault(node.url) as vault:
        content = (record + b"\n") * 25_000
        tokenized(vault, content, Job("f", jobs=1))
    assert vault.refused == []
    assert vault.answered[0] == FIRST_RECORDS
    assert usual in vault.answered
    assert sum(vault.answered) == 25_000


def test_records_of_many_values_are_refused_once_and_then_sent_in_smaller_batches(node: Node) -> None:
    record = b'{"contacts":[' + b",".join([b'{"phone":1}'] * 9) + b"]}\n"
    with CountingVault(node.url) as vault:
        tokenized(vault, record * 20_000, Job("f", jobs=1))
    assert vault.refused == [2500, 1250]
    assert set(vault.answered) == {625}


def test_the_epochs_of_the_tokens_are_told(node: Node) -> None:
    with SlowVault(node.url) as vault:
        vault.first_may_go.set()
        summary = tokenize_file(
            vault, io.BytesIO(LINES), io.BytesIO(), Job("f", cut=Cut(records=500), jobs=1)
        )
    assert summary.epochs == {1, 2}
