# SPDX-License-Identifier: Apache-2.0
"""Portals and discovery: the daemon listens where it was told and nowhere else, and tells addresses that work."""

import socket

import pytest
from lib import daemon, ports, tools
from lib.initiator import LINUX_KEYS, LoginError, Session

OTHER_LOOPBACK = "127.0.0.2"


def serve_portals(folder, portals, targets, expected):
    """A daemon with portal groups as they stand in the file; `expected` is where it will listen."""
    settings = {**daemon.configuration(folder, targets), "portal_groups": portals}
    return daemon.Daemon(["-f", "-c", daemon.write_configuration(folder, settings)], expected)


def addresses_of(session):
    (_, addresses), = session.send_targets("All" if session.target is None else "")
    return addresses


def is_reachable(host, port):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        return probe.connect_ex((host, port)) == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_portal_serves_ipv4_and_ipv6(tmp_path, host):
    with daemon.serve_paths(tmp_path, "null:1M", host=host) as running:
        with Session(running.address, daemon.TARGET) as session:
            session.settle()
            shown = f"[{host}]" if ":" in host else host
            assert addresses_of(session) == [f"{shown}:{running.address[1]},1"]
        assert shown in tools.run("iscsi-ls", f"iscsi://{shown}:{running.address[1]}").stdout


def test_several_listen_options_are_several_portals(tmp_path):
    running = daemon.serve_paths(tmp_path, "null:1M")
    other = ports.free_port()
    running.command += ["--listen", f"[::1]:{other}"]
    with running:
        assert ports.listeners_of(running.pid) == {("127.0.0.1", running.address[1]), ("::1", other)}
        with Session(("::1", other), daemon.TARGET) as session:
            session.settle()
            assert set(addresses_of(session)) == {f"127.0.0.1:{running.address[1]},1", f"[::1]:{other},1"}


def test_it_listens_on_the_given_portals_only(tmp_path):
    with daemon.serve_targets(tmp_path, daemon.target("null:1M"), hosts=("127.0.0.1", "::1")) as running:
        port = running.address[1]
        assert ports.listeners_of(running.pid) == {("127.0.0.1", port), ("::1", port)}
        assert not is_reachable(OTHER_LOOPBACK, port)


def test_a_wildcard_portal_tells_the_address_that_the_initiator_used(tmp_path):
    port = ports.free_port()
    portals = [{"tag": 1, "portals": [f"0.0.0.0:{port}"]}]
    with serve_portals(tmp_path, portals, [daemon.target("null:1M")], [("127.0.0.1", port)]):
        for host in ("127.0.0.1", OTHER_LOOPBACK):
            with Session((host, port)) as session:
                assert addresses_of(session) == [f"{host}:{port},1"]


def test_an_ipv6_wildcard_portal_tells_the_address_that_the_initiator_used(tmp_path):
    port = ports.free_port()
    portals = [{"tag": 1, "portals": [f"[::]:{port}"]}]
    with serve_portals(tmp_path, portals, [daemon.target("null:1M")], [("::1", port)]):
        with Session(("::1", port)) as session:
            assert addresses_of(session) == [f"[::1]:{port},1"]


def test_both_wildcards_live_on_one_port(tmp_path):
    port = ports.free_port()
    portals = [{"tag": 1, "portals": [f"0.0.0.0:{port}", f"[::]:{port}"]}]
    with serve_portals(tmp_path, portals, [daemon.target("null:1M")], [("127.0.0.1", port)]):
        for host in ("127.0.0.1", "::1"):
            with Session((host, port), daemon.TARGET) as session:
                session.settle()


def test_an_advertised_address_is_told_instead(tmp_path):
    port = ports.free_port()
    portals = [{"tag": 1, "portals": [{"listen": f"0.0.0.0:{port}", "advertise": "203.0.113.5:3260"}]}]
    with serve_portals(tmp_path, portals, [daemon.target("null:1M")], [("127.0.0.1", port)]):
        with Session(("127.0.0.1", port)) as session:
            assert addresses_of(session) == ["203.0.113.5:3260,1"]


def test_a_target_is_found_through_its_portal_groups_only(tmp_path):
    first, second = ports.free_port(), ports.free_port()
    portals = [{"tag": 1, "portals": [f"127.0.0.1:{first}"]}, {"tag": 7, "portals": [f"127.0.0.1:{second}"]}]
    names = [f"iqn.2026-11.org.example:in-{tag}" for tag in ("1", "7", "both")]
    targets = [{**daemon.target(f"null:{at + 1}M", name=name), "portal_groups": groups}
               for at, (name, groups) in enumerate(zip(names, [(1,), (7,), (1, 7)]))]
    with serve_portals(tmp_path, portals, targets, [("127.0.0.1", first), ("127.0.0.1", second)]):
        for port, tag, here, elsewhere in ((first, "1", names[0], names[1]), (second, "7", names[1], names[0])):
            for name in (here, names[2]):
                with Session(("127.0.0.1", port), name) as session:
                    assert session.answered["TargetPortalGroupTag"] == tag
                    session.settle()
            with pytest.raises(LoginError) as refused:
                Session(("127.0.0.1", port), elsewhere)
            assert refused.value.status == 0x0203
        with Session(("127.0.0.1", first)) as discovery:
            found = dict(discovery.send_targets())
            assert set(found[names[2]]) == {f"127.0.0.1:{first},1", f"127.0.0.1:{second},7"}


# ---- SendTargets ----

def names_of(count):
    return [f"iqn.2026-11.org.example:a-target-with-a-rather-long-name-so-that-the-text-is-long:{number:03}"
            for number in range(count)]


@pytest.fixture
def many_targets(tmp_path):
    names = names_of(60)
    targets = [daemon.target(f"null:{at + 1}M", name=name) for at, name in enumerate(names)]
    with daemon.serve_targets(tmp_path, *targets) as running:
        yield running, names


def test_send_targets_all_lists_every_target(many_targets):
    running, names = many_targets
    with Session(running.address) as discovery:
        assert discovery.send_targets() == [(name, [f"127.0.0.1:{running.address[1]},1"]) for name in names]


@pytest.mark.parametrize("segment", [512, 8192])
def test_send_targets_goes_over_as_many_pdus_as_it_takes(many_targets, segment):
    running, names = many_targets
    with Session(running.address, keys={"MaxRecvDataSegmentLength": segment}) as discovery:
        assert [name for name, _ in discovery.send_targets()] == names


def test_an_unfinished_answer_can_be_left(many_targets):
    running, names = many_targets
    with Session(running.address, keys={"MaxRecvDataSegmentLength": 512}) as discovery:
        response = discovery.text_exchange({"SendTargets": "All"})
        assert not response.final
        assert [name for name, _ in discovery.send_targets()] == names


def test_send_targets_of_one_name_lists_that_target(many_targets):
    running, names = many_targets
    with Session(running.address) as discovery:
        assert [name for name, _ in discovery.send_targets(names[17])] == [names[17]]


def test_send_targets_of_an_unknown_name_lists_nothing(many_targets):
    running, _ = many_targets
    with Session(running.address) as discovery:
        assert discovery.send_targets("iqn.2026-11.org.example:nobody") == []


def test_in_a_normal_session_send_targets_shows_its_own_target(many_targets):
    running, names = many_targets
    with Session(running.address, names[3], keys=LINUX_KEYS) as session:
        session.settle()
        assert [name for name, _ in session.send_targets("")] == [names[3]]


def test_discovery_ends_with_logout(many_targets):
    running, _ = many_targets
    with Session(running.address) as discovery:
        assert discovery.logout().response == 0
        discovery.connection.wait_closed()
