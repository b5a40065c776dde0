"""One stack on a data folder at a time, and commands that reach it."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pitstop.devstack import control
from pitstop.devstack.names import ROOT


def test_a_second_claim_is_refused(tmp_path: Path) -> None:
    with control.Claim(tmp_path), pytest.raises(control.AlreadyRunning):
        control.Claim(tmp_path)
    with control.Claim(tmp_path):
        assert control.running(tmp_path)


def test_nothing_runs_where_nobody_has_a_claim(tmp_path: Path) -> None:
    assert control.running(tmp_path) is None
    with pytest.raises(control.NotRunning):
        control.stop(tmp_path)
    with pytest.raises(control.NotRunning):
        control.ask(tmp_path, control.Request(restart="api"))


def test_a_killed_process_holds_no_claim(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from pitstop.devstack.control import Claim;"
        f"held = Claim(Path({str(tmp_path)!r})); print('held', flush=True); input()"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdin=-1, stdout=-1) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"held\n"
        assert control.running(tmp_path) == holder.pid
        holder.kill()
        holder.wait()
        assert control.running(tmp_path) is None


def test_a_request_is_answered(tmp_path: Path) -> None:
    answers: list[control.Answer] = []
    with control.Claim(tmp_path):
        control.open_requests(tmp_path)
        asking = threading.Thread(target=lambda: answers.append(control.ask(tmp_path, control.Request(restart="api"))))
        asking.start()
        while not (waiting := list(control.requests(tmp_path))):
            pass
        [(name, request)] = waiting
        assert request.restart == "api"
        control.answer(tmp_path, name, control.Answer(pid=7))
        asking.join(20)
    assert answers == [control.Answer(pid=7)]
    assert not list((tmp_path / control.FOLDER).iterdir())


def test_a_request_without_an_answer_is_given_up(tmp_path: Path) -> None:
    with control.Claim(tmp_path):
        control.open_requests(tmp_path)
        with pytest.raises(control.NoAnswer):
            control.ask(tmp_path, control.Request(restart="api"), patience_seconds=0.2)
        assert not list(control.requests(tmp_path))


def test_requests_of_a_former_run_are_forgotten(tmp_path: Path) -> None:
    control.open_requests(tmp_path)
    (tmp_path / control.FOLDER / "old.request").write_text('{"restart": "api"}')
    control.open_requests(tmp_path)
    assert not list(control.requests(tmp_path))
