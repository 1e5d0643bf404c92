"""Ports: free ones, kept over restarts, and never taken from somebody else."""

import socket
from collections.abc import Iterator

import pytest

from stack.errors import PortTakenError
from stack.ports import LOOPBACK, choose_ports, free_port, free_ports, is_free, is_open, require_free


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port that somebody else listens on."""
    with socket.create_server((LOOPBACK, 0)) as server:
        yield server.getsockname()[1]


def test_free_ports_are_different_and_nobody_listens_there() -> None:
    ports = free_ports(20)

    assert len(set(ports)) == 20
    assert all(is_free(port) and not is_open(port) for port in ports)


def test_no_port_is_one_that_the_kernel_gives_to_outgoing_connections() -> None:
    """A client that waits for a stopped server could else be given the server's own port."""
    with socket.create_server((LOOPBACK, 0)) as server, socket.create_connection(server.getsockname()) as client:
        assert max(free_ports(20)) < client.getsockname()[1]


def test_a_taken_port_is_said_with_its_number_and_what_it_was_for(taken_port: int) -> None:
    with pytest.raises(PortTakenError, match=f"Port {taken_port}, which kafka is to have, is taken"):
        require_free(taken_port, "kafka")


def test_ports_of_the_last_time_are_kept() -> None:
    first = choose_ports(["kafka", "postgres"], {}, {}, ())

    assert choose_ports(["kafka", "postgres"], first, {}, ()) == first


def test_a_kept_port_that_somebody_else_has_taken_is_replaced(taken_port: int) -> None:
    chosen = choose_ports(["kafka"], {"kafka": taken_port}, {}, ())

    assert chosen["kafka"] != taken_port


def test_a_port_that_we_hold_ourselves_is_kept(taken_port: int) -> None:
    assert choose_ports(["kafka"], {"kafka": taken_port}, {}, {"kafka"}) == {"kafka": taken_port}


def test_a_port_that_was_asked_for_wins_over_the_kept_one() -> None:
    wanted = free_port()

    assert choose_ports(["kafka"], {"kafka": free_port()}, {"kafka": wanted}, ()) == {"kafka": wanted}


def test_a_port_that_was_asked_for_and_is_taken_is_an_error(taken_port: int) -> None:
    with pytest.raises(PortTakenError):
        choose_ports(["kafka"], {}, {"kafka": taken_port}, ())


def test_one_port_cannot_be_asked_for_twice() -> None:
    port = free_port()

    with pytest.raises(PortTakenError, match="more than once"):
        choose_ports(["kafka", "postgres"], {}, {"kafka": port, "postgres": port}, ())


def test_a_port_that_was_asked_for_is_taken_from_the_part_that_had_it_before() -> None:
    port = free_port()

    chosen = choose_ports(["kafka", "postgres"], {"postgres": port}, {"kafka": port}, ())

    assert chosen["kafka"] == port
    assert chosen["postgres"] != port
