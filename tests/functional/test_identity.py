# SPDX-License-Identifier: Apache-2.0
"""Who a disk and a target port are, whatever they are called: serials and relative target port ids over restarts."""

import os
import re

import pytest
from lib import daemon, outside
from lib.initiator import Session

MIB = 1 << 20
FIRST, SECOND = "iqn.2026-11.org.example:first", "iqn.2026-11.org.example:second"


def serial(running, target=daemon.TARGET, lun=0):
    with Session(running.address, target) as session:
        session.settle(lun)
        page = session.inquiry(0x80, lun=lun)
        return page[4:4 + page[3]].decode("ascii").strip()


def relative_target_port(running, target):
    """Designator type 4 of VPD page 83h (SPC-4 7.8.6.8)."""
    with Session(running.address, target) as session:
        session.settle()
        page = session.inquiry(0x83)
        at, end = 4, 4 + int.from_bytes(page[2:4], "big")
        while at < end:
            if page[at + 1] & 0x0F == 4:
                return int.from_bytes(page[at + 6:at + 8], "big")
            at += 4 + page[at + 3]
    raise AssertionError("page 83h has no relative target port")


def test_the_serial_is_that_of_the_store_under_whatever_name(tmp_path, make_image):
    image = make_image("a.img", MIB)
    link = tmp_path / "link.img"
    link.symlink_to("a.img")
    with daemon.serve_targets(tmp_path, daemon.target(image)) as running:
        first = serial(running)
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", first)
    luns = daemon.target({"path": "null:1M"}, {"path": f"file:{link}"}, name=SECOND)
    with daemon.serve_targets(tmp_path, luns) as running:
        assert serial(running, SECOND, 1) == first
        assert serial(running, SECOND, 0) != first


def test_one_unit_in_two_targets_has_one_serial(tmp_path, make_image):
    image = make_image("a.img", MIB)
    targets = [daemon.target(image, name=name) for name in (FIRST, SECOND)]
    with daemon.serve_targets(tmp_path, *targets) as running:
        assert serial(running, FIRST) == serial(running, SECOND)


def test_a_configured_serial_wins(tmp_path):
    with daemon.serve_targets(tmp_path, daemon.target({"path": "null:1M", "serial": "MY-DISK-1"})) as running:
        assert serial(running) == "MY-DISK-1"


def test_without_state_the_serial_is_the_same_after_a_restart(tmp_path, make_image):
    images = [make_image("a.img", MIB), make_image("b.img", MIB)]
    serials = []
    for _ in range(2):
        with daemon.serve_paths(tmp_path, *images, settings={"daemon.state_dir": ""}) as running:
            serials.append([serial(running, lun=0), serial(running, lun=1)])
    assert serials[0] == serials[1] and serials[0][0] != serials[0][1]
    assert not (tmp_path / "state").exists()


def test_port_ids_stay_and_are_never_given_again(tmp_path):
    first, second = (daemon.target("null:1M", name=name) for name in (FIRST, SECOND))
    with daemon.serve_targets(tmp_path, first) as running:
        assert relative_target_port(running, FIRST) == 1
    with daemon.serve_targets(tmp_path, second) as running:
        assert relative_target_port(running, SECOND) == 2
    with daemon.serve_targets(tmp_path, second, first) as running:
        assert relative_target_port(running, FIRST) == 1
        assert relative_target_port(running, SECOND) == 2


def unit_designators(running, target):
    """Those of page 83h that are the logical unit's (association 00b)."""
    found = []
    with Session(running.address, target) as session:
        session.settle()
        page = session.inquiry(0x83)
        at, end = 4, 4 + int.from_bytes(page[2:4], "big")
        while at < end:
            if page[at + 1] & 0x30 == 0:
                found.append(page[at:at + 4 + page[at + 3]])
            at += 4 + page[at + 3]
    return found


@pytest.fixture
def plugins(tmp_path):
    """With the rig, whose memory is a file that several daemons may share."""
    folder = tmp_path / "plugins"
    folder.mkdir(mode=0o755)
    return outside.Development(tmp_path).build_plugins(folder)


def test_two_daemons_of_one_store_are_two_paths_to_one_disk(tmp_path, plugins, make_image):
    """The same designators of the unit, and other relative target port ids, also after a restart."""
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    image = make_image("shared.img", MIB)
    lun = {"path": "rig:1048576", "serial": "SHARED-1", "options": {"backing": str(image), "capabilities": "shared"}}
    for _ in range(2):
        with daemon.serve_targets(folders[0], daemon.target(lun, name=FIRST), plugin_folders=[plugins]) as one, \
                daemon.serve_targets(folders[1], daemon.target("null:1M", name=FIRST), daemon.target(lun, name=SECOND),
                                     plugin_folders=[plugins], first_port_id=1001) as two:
            assert unit_designators(one, FIRST) == unit_designators(two, SECOND) != []
            assert serial(one, FIRST) == serial(two, SECOND) == "SHARED-1"
            assert relative_target_port(one, FIRST) == 1
            assert [relative_target_port(two, name) for name in (FIRST, SECOND)] == [1001, 1002]
            data = os.urandom(4096)
            with Session(one.address, FIRST) as writer, Session(two.address, SECOND) as reader:
                writer.settle()
                reader.settle()
                writer.write(8, data)
                assert reader.read(8, 8) == data


def test_the_first_port_id_changes_none_that_was_given(tmp_path):
    first, second = (daemon.target("null:1M", name=name) for name in (FIRST, SECOND))
    with daemon.serve_targets(tmp_path, first) as running:
        assert relative_target_port(running, FIRST) == 1
    with daemon.serve_targets(tmp_path, first, second, first_port_id=500) as running:
        assert relative_target_port(running, FIRST) == 1
        assert relative_target_port(running, SECOND) == 500


@pytest.mark.parametrize("name", ["serials", "ports"])
def test_damaged_state_is_named_and_nothing_starts(tmp_path, name):
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / name).write_text(f"tgtkit {name} 1\nrubbish\n")
    with pytest.raises(AssertionError, match=rf"state/{name}:2: is damaged"):
        daemon.serve_targets(tmp_path, daemon.target("null:1M")).start()
    assert (tmp_path / "state" / name).read_text().endswith("rubbish\n")
