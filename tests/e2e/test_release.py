"""A release is whole: what is built from the tree is installed from its file and works outside of it."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from email import message_from_bytes
from importlib.metadata import version
from pathlib import Path

from tests.cluster.cluster import free_base_port
from tests.docs.pages import ROOT
from tests.e2e.page import environment

NAME = f"tvault-{version('tvault')}"
WHEEL = f"{NAME}-py3-none-any.whl"
LICENCES = {"LICENSE", "NOTICE"}
FOLDERS = (".ci", "docs", "examples", "tests", "tvault")
FILES = LICENCES | {
    *(".gitattributes", "CHANGELOG.md", "CONTRIBUTING.md", "Makefile", "README.md"),
    *("pyproject.toml", "tvault.toml"),
}
MADE = {"PKG-INFO", ".gitignore"}
"""What the packer adds of its own accord."""
VISITS = '{"visit":1,"ssn":"078-05-1120"}\n{"visit":2,"ssn":"219-09-9999"}\n'


def ran(*command: str | Path, folder: Path, **variables: str) -> str:
    """What a command prints that succeeds, in a folder outside of the repository."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build(folder: Path, *what: str) -> None:
    """Build into `folder`, as `make release` does."""
    ran(sys.executable, "-m", "build", "--no-isolation", *what, "--outdir", folder, ROOT, folder=folder)


def files_in(*folders: str) -> set[str]:
    """The files below folders of the repository that are not made by running it."""
    found = (path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file())
    return {str(path.relative_to(ROOT)) for path in found if path.parent.name != "__pycache__"}


def test_what_is_built_holds_all_that_it_should_and_the_sources_give_the_same_wheel(
    tmp_path: Path,
) -> None:
    of_sources, of_tree = tmp_path / "sources", tmp_path / "tree"
    for folder in (of_sources, of_tree):
        folder.mkdir()
    build(of_sources)
    build(of_tree, "--wheel")
    assert (of_sources / WHEEL).read_bytes() == (of_tree / WHEEL).read_bytes()
    with tarfile.open(of_sources / f"{NAME}.tar.gz") as sources:
        packed = {name.removeprefix(f"{NAME}/") for name in sources.getnames()}
    assert packed - MADE == files_in(*FOLDERS) | FILES
    with zipfile.ZipFile(of_tree / WHEEL) as wheel:
        held = set(wheel.namelist())
        metadata = message_from_bytes(wheel.read(f"{NAME}.dist-info/METADATA"))
    code = {name for name in held if not name.startswith(f"{NAME}.dist-info/")}
    assert code == files_in("tvault")
    assert {f"{NAME}.dist-info/licenses/{name}" for name in LICENCES} < held
    assert metadata["License-Expression"] == "Apache-2.0"
    assert {"duckdb", "parquet"} <= set(metadata.get_all("Provides-Extra", ()))
    made = [*of_sources.iterdir()]
    ran(sys.executable, "-m", "twine", "check", "--strict", *made, folder=tmp_path)


def test_a_wheel_that_is_installed_from_its_file_runs_a_cluster_outside_of_the_repository(
    tmp_path: Path,
) -> None:
    build(tmp_path, "--wheel")
    ran(sys.executable, "-m", "venv", "fresh", folder=tmp_path)
    fresh = tmp_path / "fresh" / "bin"
    ran(fresh / "pip", "install", "--quiet", "--disable-pip-version-check", WHEEL, folder=tmp_path)
    program = fresh / "tvault"
    assert ran(program, "--version", folder=tmp_path) == f"tvault {version('tvault')}\n"
    place = ran(fresh / "python", "-c", "import tvault; print(tvault.__file__)", folder=tmp_path)
    assert Path(place).is_relative_to(tmp_path / "fresh")
    port = str(free_base_port(3))
    made = ran(
        *(program, "init", "vault", "--owner", "clinic", "--field", "ssn", "--base-port", port),
        folder=tmp_path,
    )
    told = {"TVAULT_CONFIG": "vault/tvault.toml", "TVAULT_API_KEY": made.split()[-1]}
    (tmp_path / "visits.jsonl").write_text(VISITS)
    with subprocess.Popen(
        [program, "up"], cwd=tmp_path, env=environment(**told), stdout=subprocess.PIPE, text=True
    ) as nodes:
        try:
            assert nodes.stdout is not None
            assert {nodes.stdout.readline().partition(" is up")[0] for _ in range(3)} == {
                "n1",
                "n2",
                "n3",
            }
            ran(program, "tokenize", "visits.jsonl", "-o", "tokens.jsonl", folder=tmp_path, **told)
            tokens = (tmp_path / "tokens.jsonl").read_text()
            assert tokens.count("tv1_1_") == 2
            assert "078-05-1120" not in tokens
            assert ran(program, "detokenize", "tokens.jsonl", folder=tmp_path, **told) == VISITS
        finally:
            nodes.terminate()
        assert nodes.wait(30) == 0
