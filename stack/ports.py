"""Ports of the loopback interface."""

import random
import socket
from collections.abc import Collection, Container, Mapping
from pathlib import Path

from stack.errors import PortTakenError, StackError

LOOPBACK = "127.0.0.1"
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")


def free_ports(count: int) -> list[int]:
    """`count` different ports that nobody listens on now.

    They lie below the range from which the kernel takes the ports of outgoing connections. A server that is stopped and
    started again would else find, now and then, that a client which was waiting for it has been given its port.
    """
    upper = _first_ephemeral_port()
    found: list[int] = []
    for port in random.sample(range(10_000, upper), k=min(upper - 10_000, 50 * count + 200)):
        if len(found) == count:
            break
        if is_free(port):
            found.append(port)
    if len(found) < count:
        raise StackError("There are no free ports on this machine.", "End what holds them: `ss -ltnp` shows it.")
    return found


def free_port() -> int:
    """One port that nobody listens on now."""
    return free_ports(1)[0]


def is_free(port: int) -> bool:
    """Whether a server could listen on the port now."""
    with socket.socket() as probe:
        # As servers do: connections that a former server has closed are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def require_free(port: int, name: str) -> None:
    """Raises PortTakenError where the port that `name` is to have is somebody else's."""
    if not is_free(port):
        raise PortTakenError(
            f"Port {port}, which {name} is to have, is taken.",
            "End what listens there (`ss -ltnp` shows it) or ask for another port.",
        )


def choose_ports(
    names: Collection[str], remembered: Mapping[str, int], wanted: Mapping[str, int], in_use: Container[str]
) -> dict[str, int]:
    """A port for each name: the one that is wanted, else the remembered one, else a free one.

    A remembered port that somebody else has taken in the meantime is replaced; a wanted one is an error
    (PortTakenError), and so is one that is wanted for two names. `in_use` has the names whose ports we hold ourselves.
    """
    chosen = dict(wanted)
    for name, port in chosen.items():
        if list(chosen.values()).count(port) > 1:
            raise PortTakenError(f"Port {port} is asked for more than once.", "Give each its own.")
        if remembered.get(name) != port or name not in in_use:
            require_free(port, name)
    for name in names:
        port = remembered.get(name, 0)
        if name not in chosen and port and port not in chosen.values() and (name in in_use or is_free(port)):
            chosen[name] = port
    missing = [name for name in names if name not in chosen]
    fresh = (port for port in free_ports(len(missing) + len(chosen)) if port not in chosen.values())
    return chosen | dict(zip(missing, fresh, strict=False))


def is_open(port: int) -> bool:
    """Whether somebody accepts connections on the port."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((LOOPBACK, port)) == 0


def _first_ephemeral_port() -> int:
    try:
        first = int(_EPHEMERAL.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return 32_768
    # Somebody may have set the range as wide as it goes; then there is nothing below it, and the usual one must do.
    return first if first >= 12_000 else 32_768
