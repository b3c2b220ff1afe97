"""Whether the time of an answer tells why there is none: tokens that are missing for different reasons,
and wrong keys, asked for in random order on one connection to one node of a quiet cluster."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import median

from tests.bench.fleet import fleet, places
from tests.bench.ranks import mann_whitney
from tests.bench.report import Row, Target, ratio_at_most
from tests.bench.scale import Scale
from tests.cluster.cluster import Cluster, eventually
from tests.cluster.raw import Line, status_of

MEDIAN_RATIO, LEAST_P = 1.1, 0.001
"""The targets: no median is farther from that of an unknown token, and no kind differs from it
significantly."""

STORED = 20_000
BATCH = 5_000
UNKNOWN = "never issued"
UNKNOWN_KEY = "unknown key"
WARM_UP = 50
SEED = 11


@dataclass(frozen=True)
class Times:
    """Milliseconds of each answer, by kind of request."""

    of: Mapping[str, list[float]]

    def ratio(self, kind: str, base: str) -> float:
        """How many times the median of `base` that of `kind` is, or the other way round: 1 or more."""
        one, two = median(self.of[kind]), median(self.of[base])
        return max(one, two) / min(one, two)

    def p(self, kind: str, base: str) -> float:
        """How probable it is that two samples of one kind differ so much."""
        return mann_whitney(self.of[kind], self.of[base])[1]


def missing_tokens(foreign: str, old: str, mine: str) -> dict[str, str]:
    """Tokens that their asker does not have, all of one length but for those that name a long epoch:
    the first two are another owner's, of epochs 2 and 1, `mine` is the asker's own, of epoch 2."""
    digits = mine.rsplit("_", 1)[1]
    return {
        UNKNOWN: "tv1_2_" + "5a" * 16,
        "of another owner": foreign,
        "of another owner, old epoch": old,
        "wrong epoch, older": f"tv1_1_{digits}",
        "wrong epoch, newer": f"tv1_3_{digits}",
        "wrong epoch, far future": f"tv1_{10**17}_{digits}",
        "malformed, upper case": "tv1_2_" + digits[:-1] + "A",
        "malformed, leading zero": f"tv1_02_{digits}"[:-1],
        "malformed, no token at all": "x" * len(mine),
    }


def filled(cluster: Cluster, stored: int) -> dict[str, str]:
    """Tokens that B does not have, of a cluster in which A and B hold as many values each, and that is
    quiet again."""
    [old] = cluster.tokenize("n1", ["old"], "A")
    for owner in ("A", "B"):
        assert cluster.post("n1", "/rotate-epoch", {"to": 2}, owner).status_code == 200
        for at in range(0, stored, BATCH):
            cluster.tokenize("n1", [f"value {at + n}" for n in range(min(BATCH, stored - at))], owner)
    [foreign] = cluster.tokenize("n1", ["foreign"], "A")
    [mine] = cluster.tokenize("n1", ["mine"], "B")
    eventually(cluster.agree)
    return missing_tokens(foreign, old, mine)


def timed(line: Line, requests: Mapping[str, bytes], samples: int, status: int) -> Times:
    """The times of so many answers to each of `requests`, in random order; all have this status."""
    order = [kind for kind in requests for _ in range(samples)]
    Random(SEED).shuffle(order)
    times: dict[str, list[float]] = {kind: [] for kind in requests}
    for kind in order[:WARM_UP]:
        assert status_of(line.answer(requests[kind])) == status
    gc.disable()
    try:
        for kind in order:
            began = time.perf_counter()
            answer = line.answer(requests[kind])
            times[kind].append(1e3 * (time.perf_counter() - began))
            assert status_of(answer) == status
    finally:
        gc.enable()
    return Times(times)


def of_missing_tokens(url: str, key: str, missing: Mapping[str, str], samples: int) -> Times:
    """The times of `not_found`."""
    with Line(url, key) as line:
        requests = {
            kind: line.request("POST", "/detokenize", {"token": text}) for kind, text in missing.items()
        }
        return timed(line, requests, samples, 404)


def of_wrong_keys(url: str, key: str, samples: int) -> Times:
    """The times of `unauthorized`: keys that share nothing with a known one, or all but its end."""
    last = "A" if key[-1] != "A" else "B"
    keys = {
        UNKNOWN_KEY: "tvk_" + "z" * (len(key) - 4),
        "all but the last character of a key": key[:-1] + last,
        "half of a key": key[: len(key) // 2] + "z" * (len(key) - len(key) // 2),
        "a key backwards": key[::-1],
    }
    with Line(url, None) as line:
        bare = line.request("GET", "/epoch")[: -len(b"\r\n")]
        requests = {
            kind: bare + f"Authorization: Bearer {text}\r\n\r\n".encode() for kind, text in keys.items()
        }
        return timed(line, requests, samples, 401)


def measure(folder: Path, scale: Scale) -> list[Row]:
    """The kinds beside the one that nobody has."""
    with fleet(folder) as cluster:
        missing = filled(cluster, STORED)
        rows: list[Row] = []
        for place, name in places(cluster).items():
            tokens = of_missing_tokens(cluster.nodes[name], cluster.keys["B"], missing, scale.answers)
            rows += _rows(f"not found, {place}", tokens, UNKNOWN)
        keys = of_wrong_keys(cluster.nodes["n1"], cluster.keys["A"], scale.answers)
        return [*rows, *_rows("unauthorized", keys, UNKNOWN_KEY)]


def _rows(subject: str, times: Times, base: str) -> Iterator[Row]:
    others = [kind for kind in times.of if kind != base]
    for kind in others:
        yield Row(
            "isolation",
            f"{subject}: {kind}",
            median(times.of[kind]),
            "ms p50",
            median(times.of[base]),
            base,
            ratio_at_most(MEDIAN_RATIO),
            {"p": times.p(kind, base), "answers": len(times.of[kind])},
        )
    yield Row(
        "isolation",
        f"{subject}: the farthest of these medians",
        max(times.ratio(kind, base) for kind in others),
        "times",
        target=Target("figure", "<=", MEDIAN_RATIO),
    )
    yield Row(
        "isolation",
        f"{subject}: the least probability of these ranks",
        min(times.p(kind, base) for kind in others),
        "p",
        target=Target("figure", ">=", LEAST_P),
    )
