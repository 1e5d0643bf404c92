"""The services as parts of the platform, looked at without starting any: their ports, their addresses, and what each is
told."""

import os
import socket
from pathlib import Path

import pytest

from stack.birth import born
from stack.errors import PortTakenError, StackError
from stack.platform import Platform
from stack.ports import LOOPBACK, free_ports
from stack.process import Identity
from stack.services import SERVICES, ServiceProcess, owner_of_port, port_names
from stack.state import State

_NAMES = ("kafka", "kafka-controller", "postgres", "smtp", "mailbox", "stripe", *SERVICES, "console-health")


@pytest.fixture
def platform(tmp_path: Path) -> Platform:
    """As another command finds it; nothing of it runs."""
    ports = dict(zip(_NAMES, free_ports(len(_NAMES)), strict=True))
    State(ports=ports, services=list(SERVICES)).save(tmp_path)
    (tmp_path / "postgres").mkdir()
    return Platform.attach(tmp_path)


def who_is_told(platform: Platform, name: str) -> set[str]:
    return {service.service for service in platform.services if name in service.env}


def test_only_those_who_make_links_are_told_the_link_key(platform: Platform) -> None:
    assert who_is_told(platform, "LINK_KEY") == {"invites", "notifier"}


def test_only_those_who_make_codes_of_accounts_are_told_the_accounts_key(platform: Platform) -> None:
    assert who_is_told(platform, "ACCOUNTS_KEY") == {"console", "notifier"}


def test_nobody_is_told_the_database_of_another(platform: Platform) -> None:
    databases = {service.env["DATABASE_URL"] for service in platform.services}

    assert len(databases) == len(SERVICES)


def test_letters_and_pages_agree_on_where_the_console_is(platform: Platform) -> None:
    urls = {service.env["CONSOLE_URL"] for service in platform.services if "CONSOLE_URL" in service.env}

    assert urls == {platform.console_url} == {platform.service("console").web_address}
    assert who_is_told(platform, "CONSOLE_URL") == {"console", "notifier"}


def test_the_console_has_a_port_for_people_and_another_for_its_health(platform: Platform) -> None:
    console = platform.service("console")

    assert console.web_port is not None
    assert console.web_port != console.port
    assert (console.env["WEB_HOST"], console.env["WEB_PORT"]) == (LOOPBACK, str(console.web_port))
    assert (console.env["HTTP_HOST"], console.env["HTTP_PORT"]) == (LOOPBACK, str(console.port))


def test_the_address_of_the_console_is_the_one_for_people(platform: Platform) -> None:
    console = platform.service("console")

    assert console.address == f"http://{LOOPBACK}:{console.web_port}"


def test_only_billing_is_told_the_key_that_charges_cards_and_how_events_are_signed(platform: Platform) -> None:
    for name in ("STRIPE_API_KEY", "STRIPE_API_BASE", "STRIPE_WEBHOOK_SECRET"):
        assert who_is_told(platform, name) == {"billing"}


def test_pages_are_told_the_key_for_pages_and_where_the_script_is(platform: Platform) -> None:
    assert who_is_told(platform, "STRIPE_PUBLISHABLE_KEY") == who_is_told(platform, "STRIPE_JS") == {"console"}
    assert platform.service("console").env["STRIPE_JS"].startswith(platform.stripe.address)


def test_a_service_without_pages_has_no_address_of_them(platform: Platform) -> None:
    invites = platform.service("invites")

    assert invites.address == f"http://{LOOPBACK}:{invites.port}"
    with pytest.raises(StackError, match="invites has no pages"):
        _ = invites.web_address


def test_ports_are_called_after_their_instances() -> None:
    assert port_names("invites", "invites-2") == ("invites-2",)
    assert port_names("console", "console-2") == ("console-2", "console-2-health")


@pytest.mark.parametrize(
    ("port", "owner"),
    [
        ("invites", ("invites", "invites")),
        ("invites-2", ("invites", "invites-2")),
        ("console", ("console", "console")),
        ("console-health", ("console", "console")),
        ("console-2-health", ("console", "console-2")),
        ("kafka-controller", None),
        ("invites-health", None),
        ("invites-two", None),
    ],
)
def test_the_owner_of_a_port_is_known_by_its_name(port: str, owner: tuple[str, str] | None) -> None:
    assert owner_of_port(port) == owner


def test_ports_of_further_instances_may_be_asked_for(tmp_path: Path) -> None:
    Platform(tmp_path, ports={"console-2": 20_001, "console-2-health": 20_002})
    with pytest.raises(StackError, match="There is nothing called invites-health"):
        Platform(tmp_path, ports={"invites-health": 20_001})


def test_two_instances_of_the_console_share_a_database_and_an_address_but_no_port(tmp_path: Path) -> None:
    names = (*_NAMES, "console-2", "console-2-health")
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    state = State(ports=ports, services=list(SERVICES))
    # A second instance is found again by its process: this one stands in for it.
    state.processes["console-2"] = _this_process()
    state.save(tmp_path)
    first, second = (Platform.attach(tmp_path).service(name) for name in ("console", "console-2"))

    assert first.env["DATABASE_URL"] == second.env["DATABASE_URL"]
    assert first.env["CONSOLE_URL"] == second.env["CONSOLE_URL"] == first.web_address != second.web_address
    assert len({first.port, first.web_port, second.port, second.web_port}) == 4


def test_a_console_whose_port_for_people_is_taken_is_not_started(tmp_path: Path) -> None:
    health, web = free_ports(2)
    console = ServiceProcess("console", "console", health, tmp_path / "log", env={}, folder=tmp_path, web_port=web)
    with socket.create_server((LOOPBACK, web)), pytest.raises(PortTakenError, match=f"Port {web}, which console"):
        console.start()


def _this_process() -> Identity:
    return Identity(os.getpid(), born(os.getpid()))
