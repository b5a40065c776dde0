"""Ports: usual when free, another when not, never the same for two stacks."""

import socket
from pathlib import Path

import pytest

from pitstop.devstack.addresses import HOST, SPARE_PORTS, Addresses, NoPort, Reservation, choose, consecutive, is_free

COUNT = len(Addresses.model_fields)


def _listening() -> socket.socket:
    server = socket.create_server((HOST, 0))
    server.listen()
    return server


def _port(server: socket.socket) -> int:
    return int(server.getsockname()[1])


def _spare_addresses(folder: Path) -> Addresses:
    """Addresses of which none is usual, so that tests do not depend on what else runs here."""
    reservation = Reservation(folder)
    ports = iter(port for port in reversed(SPARE_PORTS) if reservation.take(port))
    addresses = Addresses(**{name: next(ports) for name in Addresses.model_fields})
    reservation.release()
    return addresses


def test_a_port_with_a_listener_is_not_free() -> None:
    with _listening() as server:
        port = _port(server)
        assert not is_free(port)
    assert is_free(port)


def test_the_wanted_ports_are_kept_when_free(tmp_path: Path) -> None:
    wanted = _spare_addresses(tmp_path)
    assert choose(wanted, Reservation(tmp_path)) == wanted


def test_a_taken_port_is_replaced_and_the_others_are_kept(tmp_path: Path) -> None:
    with _listening() as server:
        wanted = _spare_addresses(tmp_path).model_copy(update={"mail": _port(server)})
        chosen = choose(wanted, Reservation(tmp_path))
    assert chosen.mail != wanted.mail
    assert chosen.model_copy(update={"mail": wanted.mail}) == wanted


def test_two_stacks_never_share_a_port(tmp_path: Path) -> None:
    wanted = _spare_addresses(tmp_path)
    first, second = Reservation(tmp_path), Reservation(tmp_path)
    ours, theirs = choose(wanted, first), choose(wanted, second)
    assert not set(ours.model_dump().values()) & set(theirs.model_dump().values())


def test_a_released_port_can_be_taken_again(tmp_path: Path) -> None:
    wanted = _spare_addresses(tmp_path)
    first = Reservation(tmp_path)
    choose(wanted, first)
    first.release()
    assert choose(wanted, Reservation(tmp_path)) == wanted


def test_consecutive_ports_name_the_one_that_is_taken(tmp_path: Path) -> None:
    first = next(port for port in SPARE_PORTS if all(is_free(port + offset) for offset in range(COUNT)))
    reservation, rival = Reservation(tmp_path), Reservation(tmp_path)
    assert list(consecutive(first, reservation).model_dump().values()) == list(range(first, first + COUNT))
    with pytest.raises(NoPort, match=rf"{first + 3} \(postgres\)"):
        consecutive(first, rival)


@pytest.mark.parametrize("first", [0, 65_530, 70_000])
def test_consecutive_ports_must_exist(first: int, tmp_path: Path) -> None:
    with pytest.raises(NoPort, match="between 1 and 65535"):
        consecutive(first, Reservation(tmp_path))


def test_the_last_runs_ports_are_read_again(tmp_path: Path) -> None:
    path = tmp_path / "ports.json"
    assert Addresses.load(path) == Addresses()
    path.write_text(Addresses(api=8123).model_dump_json())
    assert Addresses.load(path).api == 8123
