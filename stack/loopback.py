"""HTTP with a server of this machine: no proxy, no redirects, no name to resolve."""

import contextlib
import http.client

from stack.ports import LOOPBACK


def request(port: int, method: str, path: str, timeout: float = 30.0) -> tuple[int, bytes]:
    """The status and the body. Raises OSError or http.client.HTTPException where nobody answers properly."""
    with contextlib.closing(http.client.HTTPConnection(LOOPBACK, port, timeout=timeout)) as connection:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.read()


def answers_ok(port: int, path: str) -> bool:
    """Whether the server says 200 within a second."""
    return answer(port, path)[0] == http.client.OK


def answer(port: int, path: str) -> tuple[int, str]:
    """What the server says within a second: the status and the body; 0 where it says nothing."""
    try:
        status, body = request(port, "GET", path, timeout=1.0)
    except (OSError, http.client.HTTPException):
        return 0, ""
    return status, body.decode(errors="replace")
