# SPDX-License-Identifier: Apache-2.0
"""Session reinstatement (RFC 7143 section 6.3.5): the new session replaces the old one for good."""

import pytest
from conftest import HEALTHY_TARGET
from lib import scsi
from lib.connection import ConnectionClosed
from lib.initiator import LoginError, Session


def test_a_login_with_the_same_isid_replaces_the_session(served, others_notice_nothing):
    with served.session() as old:
        old.settle()
        with served.session(isid=old.isid) as new:
            old.connection.wait_closed()
            assert new.settle(), "a new nexus begins with a unit attention"
            new.write(0, bytes(4096))


def test_a_login_with_isid_and_tsih_replaces_the_connection(served, others_notice_nothing):
    with served.session() as old:
        old.settle()
        with served.session(isid=old.isid, tsih=old.tsih) as new:
            old.connection.wait_closed()
            new.settle()
            new.write(0, bytes(4096))


def test_a_tsih_of_another_isid_does_not_exist(served):
    with served.session() as one:
        with pytest.raises(LoginError) as refused:
            served.session(tsih=one.tsih)
        assert refused.value.status == 0x020A
        one.settle()


def test_the_same_isid_of_another_initiator_is_another_session(served):
    with served.session() as one:
        with served.session(isid=one.isid, initiator="iqn.2026-11.org.example:someone-else") as other:
            one.settle()
            other.settle()


def test_the_same_isid_at_another_target_is_another_session(served):
    with served.session() as one:
        with Session(served.address, HEALTHY_TARGET, isid=one.isid) as other:
            one.settle()
            other.settle()


def test_a_tsih_is_gone_after_logout(served):
    with served.session() as one:
        isid, tsih = one.isid, one.tsih
        one.logout()
        one.connection.wait_closed()
    with pytest.raises(LoginError) as refused:
        served.session(isid=isid, tsih=tsih)
    assert refused.value.status == 0x020A


@pytest.mark.parametrize("with_tsih", [False, True], ids=["by ISID", "by TSIH"])
def test_nothing_of_the_old_session_is_written_after_the_new_one_starts(served, others_notice_nothing, with_tsih):
    with served.session() as old:
        old.settle()
        old.write(0, b"\x01" * (1 << 20))
        tasks = [old.start(scsi.write16(256 * number, 256), b"\xbd" * 131072, hold_r2ts=True, immediate_bytes=0,
                           unsolicited_bytes=0) for number in range(8)]
        while not all(task.unanswered_r2ts for task in tasks):
            old.pump()
        with served.session(isid=old.isid, tsih=old.tsih if with_tsih else 0) as new:
            new.settle()
            try:
                for task in tasks:
                    old.answer(task, task.unanswered_r2ts[0])
            except ConnectionClosed:
                pass
            old.connection.wait_closed()
            assert new.read(0, 2048) == b"\x01" * (1 << 20)


def test_reinstatement_again_and_again_leaves_one_session(served, others_notice_nothing):
    with served.session() as first:
        before = served.daemon.open_descriptors()
        current = first
        for _ in range(30):
            replacement = served.session(isid=first.isid)
            current.connection.wait_closed()
            current.close()
            current = replacement
        with current:
            current.settle()
            served.daemon.wait_for_descriptors(before)
