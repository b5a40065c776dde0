"""The data folder: secrets stay, strangers' files stay, throw-away data goes."""

import stat
from pathlib import Path

import pytest

from pitstop.devstack import folder
from pitstop.devstack.credentials import Credentials
from pitstop.devstack.stackfile import Stack, Tokens, write_private

TOKENS = Tokens(customer="c", other_customer="o", mechanic="m", operator="p", service="s")
STACK = Stack(
    api_url="http://127.0.0.1:8000",
    temporal_address="127.0.0.1:7233",
    temporal_namespace="pitstop",
    temporal_ui_url="http://127.0.0.1:8233",
    database_url="postgresql://postgres:x@127.0.0.1:5432/pitstop",
    api_database_url="postgresql://pitstop_api:x@127.0.0.1:5432/pitstop",
    worker_database_url="postgresql://pitstop_worker:x@127.0.0.1:5432/pitstop",
    stripe_api_url="http://127.0.0.1:12111",
    stripe_secret_key="sk_test_x",
    stripe_publishable_key="pk_test_x",
    stripe_webhook_secret="whsec_x",
    twilio_api_url="http://127.0.0.1:12112",
    twilio_account_sid="AC00000000000000000000000000000000",
    twilio_auth_token="token",
    twilio_number="+15005550006",
    mail_url="http://127.0.0.1:8025",
    smtp_port=1025,
    issuer_url="http://127.0.0.1:8081",
    worker_metrics_url="http://127.0.0.1:9464/metrics",
    jwks_url="http://127.0.0.1:8081/.well-known/jwks.json",
    pids={"api": 7},
    tokens=TOKENS,
    environment={"PITSTOP_HOLD_SECONDS": "3"},
)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_stack_json_comes_back_as_it_was_and_is_private(tmp_path: Path) -> None:
    STACK.save(tmp_path)
    assert Stack.load(tmp_path) == STACK
    assert _mode(tmp_path / "stack.json") == 0o600


def test_no_stack_json_no_stack(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Stack.load(tmp_path)


def test_writing_replaces_and_leaves_no_draft(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_private(path, "a long first content")
    write_private(path, "second")
    assert path.read_text() == "second"
    assert [path] == list(tmp_path.iterdir())


def test_secrets_are_made_once_per_folder(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    first = Credentials.of(tmp_path)
    assert Credentials.of(tmp_path) == first
    assert not set(first.model_dump().values()) & set(Credentials.of(other).model_dump().values())
    assert _mode(tmp_path / "secrets.json") == 0o600


def test_secrets_that_a_former_release_lacked_are_added_once(tmp_path: Path) -> None:
    first = Credentials.of(tmp_path)
    path = tmp_path / "secrets.json"
    path.write_text(first.model_dump_json(exclude={"audit_password"}))
    again = Credentials.of(tmp_path)
    assert again.audit_password not in ("", first.audit_password)
    assert again.model_copy(update={"audit_password": first.audit_password}) == first
    assert Credentials.of(tmp_path) == again


def test_wiping_takes_the_stacks_files_and_no_others(tmp_path: Path) -> None:
    (tmp_path / "postgres" / "base").mkdir(parents=True)
    for name in ("temporal.sqlite", "temporal.sqlite-wal", "secrets.json", "notes.txt", "stack.lock"):
        (tmp_path / name).touch()
    folder.wipe(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"notes.txt", "stack.lock"}


def test_a_strangers_folder_is_never_settled_in(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    with pytest.raises(folder.NotEmpty):
        folder.settle(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["logs"]


def test_a_stacks_own_folder_is_settled_in_again(tmp_path: Path) -> None:
    folder.settle(tmp_path / "data")
    (tmp_path / "data" / "notes.txt").touch()
    folder.settle(tmp_path / "data")


def test_a_lasting_stack_is_not_thrown_away(tmp_path: Path) -> None:
    Credentials.of(tmp_path)
    with pytest.raises(folder.NotEmpty):
        folder.begin_ephemeral(tmp_path)
    folder.remove_ephemeral(tmp_path)
    assert (tmp_path / "secrets.json").exists()


def test_what_a_killed_throw_away_stack_left_is_cleared(tmp_path: Path) -> None:
    folder.begin_ephemeral(tmp_path)
    Credentials.of(tmp_path)
    folder.begin_ephemeral(tmp_path)
    assert not (tmp_path / "secrets.json").exists()


def test_a_throw_away_folder_goes_but_not_with_a_strangers_file() -> None:
    data = folder.temporary()
    (data / "notes.txt").touch()
    folder.begin_ephemeral(data)
    folder.remove_ephemeral(data)
    assert [path.name for path in data.iterdir()] == ["notes.txt"]
    (data / folder.EPHEMERAL_MARK).touch()
    (data / "notes.txt").unlink()
    folder.remove_ephemeral(data)
    assert not data.exists()


def test_the_last_runs_logs_stay_beside_the_new_ones(tmp_path: Path) -> None:
    folder.begin_logs(tmp_path)
    folder.log(tmp_path, "api").write_text("\n".join(map(str, range(100))))
    assert folder.tail(folder.log(tmp_path, "api"), 2) == "98\n99"
    folder.begin_logs(tmp_path)
    assert folder.tail(folder.log(tmp_path, "api")) == ""
    assert (tmp_path / "logs" / "api.log.previous").exists()
