"""A real PostgreSQL server on loopback, where Debian's package is installed."""

import contextlib
import glob
import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path


def tool(name):
    """Path of a program of PostgreSQL; empty where there is none."""
    found = sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"))
    return shutil.which(name) or (found[-1] if found else "")


@contextlib.contextmanager
def server():
    """URL of a server on a free port, which runs within; PostgreSQL does not run as root."""
    root = Path(tempfile.mkdtemp(prefix="emghand-pg-"))
    user = {}
    if os.geteuid() == 0:
        shutil.chown(root, "postgres", "postgres")
        user = {"user": "postgres", "group": "postgres", "extra_groups": []}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def run(*command):
        with (root / "said").open("ab") as said:
            subprocess.run(command, check=True, stdout=said, stderr=said, cwd=root, **user)

    (root / "said").touch()
    if user:
        shutil.chown(root / "said", "postgres")
    options = (
        f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={root} -c fsync=off"
    )
    data = str(root / "data")
    try:
        run(tool("initdb"), "-D", data, "-U", "emghand", "-A", "trust", "-E", "UTF8", "-N")
        run(tool("pg_ctl"), "-D", data, "-w", "-o", options, "-l", str(root / "log"), "start")
        try:
            yield f"postgresql://emghand@127.0.0.1:{port}"
        finally:
            run(tool("pg_ctl"), "-D", data, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(root)


def new_database(server_url, name):
    """URL of a new, empty database of a server."""
    import psycopg

    with psycopg.connect(f"{server_url}/postgres", autocommit=True) as postgres:
        postgres.execute(f"CREATE DATABASE {name}")
    return f"{server_url}/{name}"
