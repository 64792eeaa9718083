# SPDX-License-Identifier: Apache-2.0
"""VPD pages 87h and 88h say what is so, through every port of a unit that two targets and two portal groups show."""

import contextlib

import pytest
from lib import daemon, ports, scsi
from lib.initiator import Session

FIRST, SECOND, OTHER = (f"iqn.2026-11.org.example:{name}" for name in ("first", "second", "other"))
RELATIVE_PORT, GROUP, NAME = 4, 5, 8  # designator types
OF_PORT = 1


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """{(target, tag of the portal group): session} of every path to one unit; FIRST is in both groups."""
    folder = tmp_path_factory.mktemp("pages")
    image = folder / "disk.img"
    image.touch()
    with image.open("r+b") as file:
        file.truncate(1 << 20)
    addresses = {tag: ("127.0.0.1", ports.free_port()) for tag in (1, 7)}
    settings = daemon.configuration(folder, [
        {**daemon.target(image, name=FIRST), "portal_groups": [1, 7]},
        {**daemon.target("null:1M", image, name=SECOND), "portal_groups": [7]},
        {**daemon.target("null:1M", name=OTHER), "portal_groups": [1]}])
    settings["portal_groups"] = [{"tag": tag, "portals": [f"{host}:{port}"]} for tag, (host, port) in addresses.items()]
    path = daemon.write_configuration(folder, settings)
    with daemon.Daemon(["-f", "-c", path], list(addresses.values())), contextlib.ExitStack() as stack:
        sessions = {}
        for target, tag in ((FIRST, 1), (FIRST, 7), (SECOND, 7)):
            session = stack.enter_context(Session(addresses[tag], target))
            sessions[target, tag] = session
            settle(session)
        yield sessions


def lun_of(session):
    return 1 if session.target == SECOND else 0


def settle(session):
    return session.settle(lun_of(session))


def designators(data):
    """[(association, type, designator)]"""
    found, at = [], 0
    while at < len(data):
        found.append((data[at + 1] >> 4 & 3, data[at + 1] & 0x0F, bytes(data[at + 4:at + 4 + data[at + 3]])))
        at += 4 + data[at + 3]
    return found


def own_port(session):
    """(relative id, name) of the port that the session goes through, by page 83h."""
    page = session.inquiry(0x83, length=1024, lun=lun_of(session))
    of_port = {kind: value for association, kind, value in designators(page[4:]) if association == OF_PORT}
    return int.from_bytes(of_port[RELATIVE_PORT][2:], "big"), of_port[NAME].rstrip(b"\0").decode()


def all_ports(session):
    """[(relative id, name)] by page 88h, SPC-4 7.8.13."""
    page = session.inquiry(0x88, length=4096, lun=lun_of(session))
    assert page[1] == 0x88 and int.from_bytes(page[2:4], "big") == len(page) - 4
    found, at = [], 4
    while at < len(page):
        assert int.from_bytes(page[at + 6:at + 8], "big") == 0, "no port is an initiator's"
        length = int.from_bytes(page[at + 10:at + 12], "big")
        ((association, kind, name),) = designators(page[at + 12:at + 12 + length])
        assert (association, kind) == (OF_PORT, NAME)
        found.append((int.from_bytes(page[at + 2:at + 4], "big"), name.rstrip(b"\0").decode()))
        at += 12 + length
    return found


def test_page_88_lists_the_ports_of_the_unit_and_no_others(paths):
    """As each port says it of itself in page 83h, whichever of them is asked."""
    wanted = {key: own_port(session) for key, session in paths.items()}
    for (target, tag), (_, name) in wanted.items():
        assert name == f"{target},t,0x{tag:04x}"
    assert len({number for number, _ in wanted.values()}) == len(paths), "a relative id is given once"
    for session in paths.values():
        listed = all_ports(session)
        assert sorted(listed) == sorted(wanted.values())


def current_pages(session):
    return bytes(session.execute(scsi.mode_sense6(0x3F, dbd=True), read_length=255, lun=lun_of(session)).expect_good()
                 .data_in)[4:]


def select(session, page):
    data = bytes(4) + bytes([page[0] & 0x3F]) + page[1:]
    session.execute(scsi.mode_select6(len(data)), data, lun=lun_of(session)).expect_good()


@pytest.mark.parametrize("code, byte, bit", [(0x08, 2, 0x04), (0x0A, 2, 0x04), (0x0A, 4, 0x08)],
                         ids=["WCE", "D_SENSE", "SWP"])
def test_page_87_says_that_all_mode_pages_are_shared_and_they_are(paths, code, byte, bit):
    """What one nexus sets is in force through every port of the unit."""
    for session in paths.values():
        page = session.inquiry(0x87, lun=lun_of(session))
        assert page[4:] == bytes([0x3F, 0xFF, 0, 0]), "every page and subpage: shared, of this unit alone"
    for setter in paths.values():
        before = current_pages(setter)
        at = before.index(bytes([code, {0x08: 0x12, 0x0A: 0x0A}[code]]))
        length = 2 + before[at + 1]
        page = bytearray(before[at:at + length])
        page[byte] ^= bit
        select(setter, bytes(page))
        try:
            for session in paths.values():
                assert settle(session) == ([] if session is setter else [(0x2A, 0x01)])
                now = current_pages(session)
                assert now[at + byte] & bit == page[byte] & bit and now[:at] == before[:at]
        finally:
            select(setter, before[at:at + length])
        for session in paths.values():
            settle(session)
