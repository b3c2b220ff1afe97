"""A cluster that speaks TLS."""

from __future__ import annotations

import re

from tests.certificates import Files
from tests.cluster.cluster import Cluster

HOST = "127.0.0.1"
"""What the certificates of a cluster on this machine are for."""


def speak_tls(cluster: Cluster, files: Files) -> None:
    """Write the files, which lie in the cluster's folder, into its configuration, and reach the nodes
    from now on as clients do then."""
    text = cluster.config.read_text()
    for name, file in files._asdict().items():
        assert text.count(f'# {name} = ""') == 1
        text = text.replace(f'# {name} = ""', f'{name} = "{file.relative_to(cluster.folder)}"')
    cluster.config.write_text(text)
    cluster.session.verify = str(files.ca)
    for urls in (cluster.nodes, cluster.peers):
        urls.update({name: url.replace("http://", "https://") for name, url in urls.items()})


def give_own_certificate(cluster: Cluster, name: str, files: Files) -> None:
    """Have one node of such a cluster show another certificate than the others."""
    before, section, tls = cluster.config.read_text().partition("[tls]")
    for setting in ("certificate", "key"):
        file = getattr(files, setting).relative_to(cluster.folder)
        tls = re.sub(rf'^{setting} = ".*"$', f'{setting} = "{file}"', tls, count=1, flags=re.MULTILINE)
    cluster.configs[name] = cluster.folder / f"{name}.toml"
    cluster.configs[name].write_text(before + section + tls)
