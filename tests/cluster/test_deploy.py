"""What the page on deploying says, done: three hosts in folders, their units, the image's command."""

from __future__ import annotations

import json
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.cluster import eventually, free_base_port, tvault
from tests.cluster.hosts import DEPLOY, INSTALLED, Hosts, Unit, commands
from tests.docs.pages import page_called, read

NODE, GATEWAY = Unit("tvault@"), Unit("tvault-gateway@")
ANALYSERS = [place for place in [shutil.which("systemd-analyze")] if place]
"""What verifies units, if the machine has it."""

OTHERS = 0o077


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    """Laid out, nothing started."""
    hosts = Hosts(tmp_path_factory.mktemp("deploy"))
    hosts.lay_out()
    yield hosts
    hosts.end()


def api_key_of(hosts: Hosts) -> str:
    (found,) = re.findall(r"tvk_\S+", (hosts.folder / "api-keys").read_text())
    return str(found)


def test_three_hosts_laid_out_by_the_pages_commands_are_a_vault_and_one_that_restarts_comes_back(
    hosts: Hosts,
) -> None:
    for name in hosts.names:
        etc = hosts.root(name) / "etc" / "tvault"
        assert {path.name for path in etc.iterdir()} == {"tvault.toml", "keys", "tls"}
        for key in [*(etc / "keys").iterdir(), etc / "tls" / "node.key"]:
            assert not stat.S_IMODE(key.stat().st_mode) & OTHERS, key
        assert not any("ca.key" in str(path) for path in etc.rglob("*"))
    assert "failed 0" in hosts.run(commands("deploy", "runuser"), "n1")
    hosts.start(NODE, "n1")
    hosts.start(NODE, "n2")
    eventually(lambda: hosts.health(hosts.urls["n1"]) == "unavailable")
    hosts.start(NODE, "n3")
    eventually(hosts.is_whole)
    told = {"TVAULT_CONFIG": str(hosts.config), "TVAULT_API_KEY": api_key_of(hosts)}
    records, tokens = hosts.folder / "records.jsonl", hosts.folder / "tokens.jsonl"
    records.write_text('{"ssn":"078-05-1120","patient":{"mrn":4711}}\n')
    done = tvault("tokenize", str(records), "-o", str(tokens), **told)
    assert (done.returncode, done.stderr) == (0, "")
    assert "failed 0" in hosts.run(commands("deploy", "runuser"), "n1")

    assert hosts.stop(NODE, "n2") == 0
    hosts.start(NODE, "n2")
    eventually(hosts.is_whole)
    alone = {"TVAULT_URL": hosts.urls["n2"], "TVAULT_CA": str(hosts.ca)}
    back = tvault("detokenize", str(tokens), **alone, TVAULT_API_KEY=api_key_of(hosts))
    assert (back.returncode, back.stdout) == (0, records.read_text())


def test_a_container_runs_what_the_unit_runs_and_its_health_check_tells_whether_that_answers(
    hosts: Hosts,
) -> None:
    text = read(DEPLOY / "Containerfile")
    starts = [
        json.loads(part) for part in re.findall(r"^(?:ENTRYPOINT|CMD) (\[.*\])$", text, re.MULTILINE)
    ]
    config = ["--config", "/etc/tvault/tvault.toml"]
    unit = NODE.service("ExecStart").replace("%i", "n1").split()
    assert [part for start in starts for part in start] == [part for part in unit if part not in config]
    assert f"ENV TVAULT_CONFIG={config[1]} " in text

    (check,) = re.findall(r"^HEALTHCHECK .* CMD (\[.*\])$", text, re.MULTILINE)
    script = Path(json.loads(check)[1])
    assert f"COPY --chmod=644 examples/deploy/{script.name} {script.parent}/\n" in text
    listen = f"127.0.0.1:{free_base_port(1) + 1}"
    told = {"TVAULT_CONFIG": str(hosts.config)}
    command = [sys.executable, str(DEPLOY / script.name), f"https://{listen}"]
    assert (
        subprocess.run(command, env=told, capture_output=True, timeout=30, check=False).returncode == 1
    )
    hosts.start(GATEWAY, "n1", listen)
    eventually(lambda: hosts.health(f"https://{listen}") != "")
    assert (
        subprocess.run(command, env=told, capture_output=True, timeout=30, check=False).returncode == 0
    )
    assert hosts.stop(GATEWAY, listen) == 0


@pytest.mark.parametrize("analyser", ANALYSERS)
@pytest.mark.parametrize("unit", [NODE, GATEWAY], ids=["node", "gateway"])
def test_a_unit_is_one_that_systemd_takes_and_starts_what_tvault_has(
    tmp_path: Path, unit: Unit, analyser: str
) -> None:
    file = tmp_path / "tvault@n1.service"
    file.write_text(unit.text.replace("/opt/tvault/bin/", f"{INSTALLED}/"))
    done = subprocess.run(
        [analyser, "verify", str(file)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert str(file) not in done.stderr
    assert unit.service("User") != "root"
    assert "/usr" not in unit.service("ExecStart"), "it is in a place of its own"


def test_the_section_that_the_page_shows_is_what_its_commands_make(hosts: Hosts) -> None:
    (shown,) = re.findall(r"^```toml\n(.*?)^```$", read(page_called("deploy")), re.DOTALL | re.MULTILINE)
    made = re.sub(r"^#.*\n", "", hosts.config.read_text(), flags=re.MULTILINE)
    assert hosts.here(shown) in made
