"""Fills the tables of `docs/performance.md` and `docs/capacity.md`: `python -m tests.bench.page`.

They are made from `docs/measured.json`, a run of `make bench` that was kept.  Nothing else on the pages
has figures that change from run to run.  A table stands between `<!-- NAME: … -->` and `<!-- end -->`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from tests.bench.costs import FULL, SINGLE, Costs, Expected, expected
from tests.bench.recorded import Recorded
from tests.bench.report import Row, rounded
from tests.bench.steps import BACK, EVERY, NEW
from tests.cluster.recovery import PLACES

DOCS = Path(__file__).parents[2] / "docs"
MEASURED = DOCS / "measured.json"
PAGES = ("performance.md", "capacity.md")
_PART = re.compile(r"(?<=<!-- )(\w+)(: [^>]* -->\n).*?(?=<!-- end -->)", re.DOTALL)

Cells = Sequence[str]


def filled(text: str, recorded: Recorded) -> str:
    """A page with its tables made anew."""

    def part(found: re.Match[str]) -> str:
        return f"{found[1]}{found[2]}\n{TABLES[found[1]](recorded)}\n\n"

    return _PART.sub(part, text)


def table(head: Cells, lines: Sequence[Cells], words: Sequence[int] = (0,)) -> str:
    """A Markdown table; the columns `words` hold words, the others numbers."""
    rule = ["---" if at in words else "---:" for at in range(len(head))]
    rows = [f"| {' | '.join(cells)} |" for cells in (head, *lines)]
    return "\n".join([rows[0], f"|{'|'.join(rule)}|", *rows[1:]])


def machine(recorded: Recorded) -> str:
    """Where and when it was measured."""
    facts = recorded.machine
    load = ", ".join(map(str, facts["load_before"]))
    return table(
        ("what", "in this run"),
        [
            ("date, commit", f"{facts['date'][:10]}, `{facts['commit']}`"),
            ("scale", f"{facts['scale']}, {facts['seconds']:,.0f} s"),
            ("processor", f"{facts['cores']} cores, {facts['processor']}"),
            ("system", f"{facts['system']}, files on {facts['files_on']}"),
            ("Python, SQLite", f"{facts['python']}, {facts['sqlite']}"),
            ("load before", load),
        ],
        words=(0, 1),
    )


def beside(rows: Sequence[Row]) -> str:
    """Figures beside their baselines and targets."""
    return table(
        ("what", "measured", "unit", "beside", "baseline", "ratio", "target", "met"),
        [
            (
                row.title.strip(),
                rounded(row.figure),
                row.unit.replace("us ", "µs "),
                row.against,
                "" if row.baseline is None else rounded(row.baseline),
                "" if row.ratio is None else f"{row.ratio:.2f}",
                "" if row.target is None else target_of(row),
                "" if row.is_met is None else met(row),
            )
            for row in rows
        ],
        words=(0, 2, 3, 6, 7),
    )


def target_of(row: Row) -> str:
    """What is wanted of a row."""
    return str(row.target).replace(">=", "≥").replace("<=", "≤").replace(" x", " times")


def met(row: Row) -> str:
    """Whether it has that."""
    return "yes" if row.is_met else "**no**"


def cpu(recorded: Recorded) -> str:
    """Who uses the CPU for a value, and how many values a second one core is good for."""
    who = ("client", "head", "middle", "tail", "all")
    lines = [
        (row.title, *(rounded(spent[name]) for name in who), rounded(1e6 / spent["all"]))
        for row in recorded.of("bulk")
        if (spent := row.details.get("cpu_s_per_million"))
    ]
    return table(("µs of CPU for a value", *who, "values/s for one core"), lines)


def steps(recorded: Recorded) -> str:
    """CPU by step, and what is left of the whole for all that lies between."""
    nodes = len(PLACES)
    lines = []
    known = 0.0
    for row in recorded.named("steps", NEW):
        where = row.details["where"]
        times = nodes if where == EVERY else 1
        known += times * row.figure
        cells = (_step(row), where, rounded(row.figure), str(times), rounded(times * row.figure))
        lines.append(cells)
    whole = recorded.one("bulk", f"{NEW}, command line").details["cpu_s_per_million"]["all"]
    lines.append(("HTTP, threads, messages, start of the client", "all", "", "", rounded(whole - known)))
    lines.append(("**all**, as measured from outside", "", "", "", f"**{rounded(whole)}**"))
    head = ("a new value, by `tvault tokenize`", "where", "µs of CPU", "times", "µs in all")
    return table(head, lines, words=(0, 1))


def reading(recorded: Recorded) -> str:
    """The same for turning back, at the node that is asked."""
    lines = [
        (_step(row), row.details["where"], rounded(row.figure)) for row in recorded.named("steps", BACK)
    ]
    return table(("a token, shuffled", "where", "µs of CPU"), lines, words=(0, 1))


def _step(row: Row) -> str:
    return row.title.partition(": ")[2]


def calls(recorded: Recorded) -> str:
    """Single calls: latencies, how many at most, and whether the targets are met."""
    rows = recorded.of("single calls")
    lines = []
    for row in rows:
        if "refused_tries" not in row.details:
            continue
        told, title = row.details, row.title.removesuffix(", median")
        wanted = [
            f"{each.unit.removeprefix('ms ')} {target_of(each)}: {met(each)}"
            for each in rows
            if each.target and each.title.removesuffix(", median") == title
        ]
        lines.append(
            (
                title,
                rounded(row.figure),
                rounded(told["p99_ms"]),
                "" if row.baseline is None else rounded(row.baseline),
                rounded(told["calls_per_s"]),
                rounded(sum(told["cpu_ms_per_call"].values())),
                rounded(told["refused_tries"]),
                ", ".join(wanted),
            )
        )
    head = (
        "one value a call",
        "p50 ms",
        "p99 ms",
        "bare p50",
        "calls/s",
        "CPU ms",
        "refused",
        "targets",
    )
    return table(head, lines, words=(0, 7))


def single(recorded: Recorded) -> str:
    """What nothing can undercut, and rotations."""
    rows = recorded.of("single calls")
    lines = [
        (row.title, rounded(row.figure), row.unit)
        for row in rows
        if not row.target and "refused_tries" not in row.details
    ]
    return table(("beside it", "figure", "unit"), lines, words=(0, 2))


def shape(recorded: Recorded) -> str:
    """What a value costs by owners, epochs, nodes and values a request."""
    return table(
        ("what", "µs of CPU for a value", "beside", "ratio"),
        [
            (
                row.title,
                rounded(row.figure),
                "" if row.baseline is None else f"{rounded(row.baseline)} with {row.against}",
                "" if row.ratio is None else f"{row.ratio:.2f}",
            )
            for row in recorded.of("shape")
        ],
        words=(0, 2),
    )


def for_a_value(recorded: Recorded) -> str:
    """What a store was measured to take, but for the bytes that `by_length` tells."""
    lines = [
        (row.title, rounded(row.figure), row.unit.replace("us ", "µs "))
        for row in recorded.of("files")
        if not row.title.startswith("journal, ")
    ]
    return table(("measured", "figure", "unit"), lines, words=(0, 2))


def by_length(recorded: Recorded) -> str:
    """Bytes of the journal by length of the values and fill of the blocks."""
    costs = Costs(recorded)
    lines = [
        (
            f"{length} characters",
            rounded(costs.journal_bytes[length, FULL]),
            rounded(costs.journal_bytes[length, SINGLE]),
        )
        for length in (9, 32, 100)
    ]
    return table(("bytes of the journal for a value of", FULL, SINGLE), lines)


def duration(seconds: float) -> str:
    """Seconds in a unit that people read."""
    for size, unit in ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min")):
        if seconds >= 2 * size:
            return f"{rounded(seconds / size)} {unit}"
    return f"{rounded(seconds)} s"


def gigabytes(amount: float) -> str:
    """GB, or MB where it is less."""
    return f"{rounded(amount)} GB" if amount >= 1 else f"{rounded(1000 * amount)} MB"


def gibibytes(amount: float) -> str:
    """GiB, or MiB where it is less."""
    return f"{rounded(amount)} GiB" if amount >= 1 else f"{rounded(1024 * amount)} MiB"


EXPECTED: tuple[tuple[str, Callable[[Expected], str]], ...] = (
    ("disk: journal, 32 characters, full blocks", lambda it: gigabytes(it.journal_gb)),
    ("disk: journal, one value a request", lambda it: gigabytes(it.journal_single_gb)),
    ("disk: index", lambda it: gigabytes(it.index_gb)),
    ("disk: room for the largest merge so far", lambda it: gigabytes(it.room_gb)),
    ("memory of the process: base and filters", lambda it: gibibytes(it.memory_gib)),
    ("memory for the system to cache the whole index", lambda it: gigabytes(it.cache_gb)),
    ("runs of the index, and at most on the way", lambda it: f"{it.merges.runs}, {it.merges.most_runs}"),
    ("runs searched in vain for an unknown token", lambda it: rounded(it.merges.searched)),
    ("CPU of that, with its filters", lambda it: f"{rounded(it.unknown_us)} µs"),
    ("how often the merges write a token", lambda it: f"{rounded(it.merges.written)} times"),
    ("CPU of all merges together", lambda it: duration(it.merging_s)),
    ("start: checksums of the index", lambda it: duration(it.start_s)),
    ("start without the index, full blocks", lambda it: duration(it.anew_s)),
    ("start without the index, one value a request", lambda it: duration(it.anew_single_s)),
    ("filling the vault by the command line", lambda it: duration(it.fill_s)),
    ("a wiped node copies everything", lambda it: duration(it.copy_s)),
    ("hourly check of the index, at a tenth of a core", lambda it: duration(it.recheck_s)),
    ("daily check of the journal, full blocks", lambda it: duration(it.check_s)),
    ("daily check of the journal, one value a request", lambda it: duration(it.check_single_s)),
)


def expectations(recorded: Recorded) -> str:
    """What to expect of each node with many more values."""
    costs = Costs(recorded)
    sizes = ((10**7, "10⁷"), (10**8, "10⁸"), (10**9, "10⁹"))
    found = [expected(costs, size) for size, _ in sizes]
    lines = [(words, *(told(each) for each in found)) for words, told in EXPECTED]
    return table(("for each node, computed", *(name for _, name in sizes)), lines)


def of(subject: str) -> Callable[[Recorded], str]:
    """All rows of a subject beside their baselines."""
    return lambda recorded: beside(recorded.of(subject)) if recorded.of(subject) else "Not in this run."


TABLES: dict[str, Callable[[Recorded], str]] = {
    "machine": machine,
    "bulk": of("bulk"),
    "formats": of("formats"),
    "duck": of("duck"),
    "cpu": cpu,
    "steps": steps,
    "reading": reading,
    "calls": calls,
    "single": single,
    "secrets": of("secrets"),
    "growth": of("growth"),
    "gateway": of("gateway"),
    "isolation": of("isolation"),
    "failures": of("failures"),
    "peers": of("peers"),
    "shape": shape,
    "files": for_a_value,
    "length": by_length,
    "expected": expectations,
}


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True), default=MEASURED)
def main(file: Path) -> None:
    """Make the tables anew from FILE."""
    recorded = Recorded(file)
    for name in PAGES:
        page = DOCS / name
        page.write_text(filled(page.read_text(encoding="utf-8"), recorded), encoding="utf-8")


if __name__ == "__main__":
    main()
