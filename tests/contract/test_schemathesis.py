"""Requests that schemathesis makes of the published document, right and wrong, in their hundreds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.contract.fronts import Front
from tests.contract.specification import OPENAPI
from tests.docs.pages import ROOT

CONFIG = ROOT / "tests" / "contract" / "schemathesis.toml"

EXAMPLES = os.environ.get("TVAULT_FUZZ_EXAMPLES")
"""How many requests of a kind `make fuzz` makes, with new dice each time; else few, always the same."""

LONGEST_ANSWER_SECONDS = 10  # twice the default of request_timeout_ms: the machine may be busy


def test_no_request_is_answered_otherwise_than_the_document_says(front: Front, tmp_path: Path) -> None:
    """All phases (examples, coverage, fuzzing, sequences of calls) with all checks but for what no
    document can foresee (see `CONFIG`), and for one: what a secret was stays readable, by version and by
    moment, after it is deleted."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "--no-color", "--config-file", str(CONFIG)),
            *("run", str(OPENAPI)),
            *("--url", front.url, "--header", f"Authorization: Bearer {front.keys['A']}"),
            *("--checks", "all", "--exclude-checks", "use_after_free"),
            *("--max-response-time", str(LONGEST_ANSWER_SECONDS)),
            *("--phases", "examples,coverage,fuzzing,stateful", "--mode", "all"),
            *("--continue-on-failure", "--generation-database", "none"),
            *("--max-examples", EXAMPLES or "15", *(() if EXAMPLES else ("--seed", "1"))),
        ],
        cwd=tmp_path,
        env=os.environ
        | {"SCHEMATHESIS_HOOKS": "tests.contract.request_id_check", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
    assert "Tested: 15" in done.stdout, done.stdout
