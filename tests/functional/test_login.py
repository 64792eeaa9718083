# SPDX-License-Identifier: Apache-2.0
"""Login (RFC 7143 sections 6.3 and 11.12): in every legal shape, and every refusal with its status."""

import time

import pytest
from lib import pdu
from lib.connection import Connection, ConnectionClosed
from lib.initiator import FULL_FEATURE, LINUX_KEYS, OPERATIONAL, SECURITY, LoginError, Session

INITIATOR_ERROR, NOT_FOUND, UNSUPPORTED_VERSION, TOO_MANY_CONNECTIONS = 0x0200, 0x0203, 0x0205, 0x0206
MISSING_PARAMETER, SESSION_TYPE_NOT_SUPPORTED = 0x0207, 0x0209
SESSION_DOES_NOT_EXIST, INVALID_DURING_LOGIN = 0x020A, 0x020B


def assert_usable(session):
    session.settle()
    assert session.nop(b"usable?").data == b"usable?"


def refusal(served, keys, **fields):
    """The status of a login whose first PDU carries these keys."""
    with served.session(login=False) as session:
        status = session.exchange_login(keys, **fields).status
        assert status >> 8, "the login was not refused"
        assert session.connection.wait_closed() == []
        return status


def names(served, **changes):
    keys = {"InitiatorName": "iqn.2026-11.org.example:me", "SessionType": "Normal", "TargetName": served.target}
    return {key: value for key, value in {**keys, **changes}.items() if value is not None}


# ---- Legal shapes ----

def test_login_in_one_pdu(served):
    with served.session() as session:
        assert session.tsih != 0
        assert_usable(session)


def test_login_with_a_security_stage_first(served):
    with served.session(security_stage=True) as session:
        assert session.answered["AuthMethod"] == "None"
        assert_usable(session)


def test_login_from_the_security_stage_straight_to_full_feature(served):
    with served.session(login=False) as session:
        keys = {**session.first_login_keys(), "AuthMethod": "None"}
        session.enter_full_feature(session.login_step(keys, SECURITY, FULL_FEATURE))
        assert_usable(session)


def test_login_without_authmethod_in_the_security_stage(served):
    with served.session(login=False) as session:
        session.login_step(session.first_login_keys(), SECURITY, OPERATIONAL)
        session.enter_full_feature(session.login_step(session.keys))
        assert_usable(session)


def test_login_with_one_key_per_pdu(served):
    """But for the names, which have to be in the first."""
    with served.session(login=False) as session:
        assert session.exchange_login(session.first_login_keys(), transit=False).status == 0
        for key, value in session.keys.items():
            response = session.exchange_login({key: value}, transit=False)
            assert response.status == 0 and not response.transit
        session.enter_full_feature(session.login_step({}))
        assert session.negotiated["MaxBurstLength"] > 262144
        assert_usable(session)


@pytest.mark.parametrize("piece_bytes", [7, 64, 100])
def test_login_text_may_be_continued_anywhere(served, piece_bytes):
    with served.session(login=False) as session:
        text = pdu.encode_keys({**session.first_login_keys(), **session.keys})
        session.offered.update(session.keys)
        pieces = [text[at:at + piece_bytes] for at in range(0, len(text), piece_bytes)]
        for piece in pieces[:-1]:
            response = session.exchange_login(data=piece, transit=False, continued=True)
            assert (response.status, response.transit, response.continued) == (0, 0, 0)
            assert response.data == b"", "the answer to a continued request has to be empty"
        session.enter_full_feature(session.exchange_login(data=pieces[-1]))
        assert_usable(session)


def test_the_first_answer_of_a_normal_session_names_the_portal_group(served):
    with served.session() as session:
        assert session.answered["TargetPortalGroupTag"] == "1"


def test_two_sessions_of_one_initiator_live_side_by_side(served):
    with served.session() as first, served.session() as second:
        assert first.tsih != second.tsih
        assert_usable(first)
        assert_usable(second)


def test_the_initial_cmdsn_is_the_initiators_choice(served):
    with served.session(cmd_sn=0x12345678) as session:
        assert session.exp_cmd_sn == 0x12345678
        assert_usable(session)


def test_a_target_follows_only_when_it_has_nothing_left_to_ask(served):
    with served.session(login=False) as session:
        response = session.exchange_login({**session.first_login_keys(), **LINUX_KEYS})
        assert (response.transit, response.csg, response.nsg) == (1, OPERATIONAL, FULL_FEATURE)
        assert response.version_active == 0 and response.version_max == 0


# ---- Refusals ----

def test_an_unknown_target_is_not_found(served):
    assert refusal(served, names(served, TargetName="iqn.2026-11.org.example:nobody")) == NOT_FOUND


@pytest.mark.parametrize("absent", ["InitiatorName", "TargetName"])
def test_a_missing_name_is_a_missing_parameter(served, absent):
    assert refusal(served, names(served, **{absent: None})) == MISSING_PARAMETER


@pytest.mark.parametrize("name", ["", "iqn.2026-11.org.example:\x01", "iqn.2026-11.org.example:" + "x" * 240],
                         ids=["empty", "control byte", "too long"])
def test_an_illegal_initiator_name_is_refused(served, name):
    assert refusal(served, names(served, InitiatorName=name)) >> 8 == 2


def test_an_unknown_session_type_is_not_supported(served):
    assert refusal(served, names(served, SessionType="Holiday")) in (SESSION_TYPE_NOT_SUPPORTED, INITIATOR_ERROR)


def test_a_later_version_is_not_supported(served):
    with served.session(login=False) as session:
        request = session.prepare_login(session.first_login_keys())
        request.version_min = request.version_max = 1
        session.connection.send(request)
        assert session.receive_login().status == UNSUPPORTED_VERSION


def test_an_unknown_tsih_does_not_exist(served, others_notice_nothing):
    with pytest.raises(LoginError) as refused:
        served.session(tsih=0xBEEF)
    assert refused.value.status == SESSION_DOES_NOT_EXIST


def test_a_second_connection_of_a_session_is_one_too_many(served):
    with served.session() as session:
        with served.session(login=False, isid=session.isid, tsih=session.tsih) as second:
            second.cid = 1
            with pytest.raises(LoginError) as refused:
                second.login()
        assert refused.value.status == TOO_MANY_CONNECTIONS
        assert_usable(session)


def test_an_authentication_that_the_target_does_not_do_is_refused(served):
    keys = {**names(served), "AuthMethod": "KRB5"}
    assert refusal(served, keys, csg=SECURITY, nsg=OPERATIONAL) == 0x0201


def test_transit_and_continue_together_are_refused(served):
    assert refusal(served, names(served), transit=True, continued=True) >> 8 == 2


@pytest.mark.parametrize("csg, nsg", [(OPERATIONAL, SECURITY), (OPERATIONAL, OPERATIONAL), (OPERATIONAL, 2),
                                      (FULL_FEATURE, FULL_FEATURE), (2, FULL_FEATURE), (SECURITY, SECURITY)])
def test_an_illegal_stage_is_refused(served, csg, nsg):
    assert refusal(served, names(served), csg=csg, nsg=nsg) >> 8 == 2


def test_going_back_to_the_security_stage_is_refused(served):
    with served.session(login=False) as session:
        session.exchange_login(session.first_login_keys(), OPERATIONAL, transit=False)
        assert session.exchange_login({}, SECURITY, OPERATIONAL).status >> 8 == 2


def test_a_key_negotiated_twice_is_refused(served):
    keys = [*names(served).items(), ("MaxBurstLength", 65536), ("MaxBurstLength", 65536)]
    with served.session(login=False) as session:
        response = session.exchange_login(data=pdu.encode_keys(keys))
        assert response.status >> 8 == 2


def test_names_that_change_during_login_are_refused(served):
    with served.session(login=False) as session:
        session.exchange_login(session.first_login_keys(), transit=False)
        response = session.exchange_login({"InitiatorName": "iqn.2026-11.org.example:other"})
        assert response.status >> 8 == 2


@pytest.mark.parametrize("request_kind", [pdu.NopOut, pdu.ScsiCommand, pdu.TextRequest, pdu.LogoutRequest, pdu.DataOut,
                                          pdu.TaskManagementRequest, pdu.SnackRequest], ids=lambda kind: kind.__name__)
def test_nothing_but_login_is_taken_before_login(served, others_notice_nothing, request_kind):
    with Connection(served.address) as connection:
        connection.send(request_kind(initiator_task_tag=1))
        answers = connection.wait_closed()
        assert [answer.status for answer in answers] in ([], [INVALID_DURING_LOGIN])


def test_another_request_during_login_ends_the_login(served):
    with served.session(login=False) as session:
        session.exchange_login(session.first_login_keys(), transit=False)
        session.connection.send(pdu.NopOut(initiator_task_tag=1))
        answers = session.connection.wait_closed()
        assert [answer.status for answer in answers] in ([], [INVALID_DURING_LOGIN])


def test_a_login_request_in_full_feature_phase_is_a_protocol_error(served, others_notice_nothing):
    with served.session() as session:
        session.connection.send(session.prepare_login({"MaxBurstLength": 512}))
        try:
            assert isinstance(session.pump(), pdu.Reject)
        except ConnectionClosed:
            pass


# ---- Time ----

@pytest.mark.parametrize("sent", [b"", b"\x43\x87", bytes(pdu.LoginRequest(immediate=1).encode())[:47]],
                         ids=["nothing", "two bytes", "all but one byte"])
def test_a_login_that_never_comes_is_given_up(served, others_notice_nothing, sent):
    with Connection(served.address, timeout=30) as connection:
        started = time.monotonic()
        connection.send_raw(sent)
        assert connection.wait_closed() == []
        assert time.monotonic() - started > 1, "the daemon did not even wait for the login"


def test_a_login_that_never_ends_is_given_up(served):
    with served.session(login=False, timeout=30) as session:
        session.exchange_login(session.first_login_keys(), transit=False)
        started = time.monotonic()
        with pytest.raises(ConnectionClosed):
            while time.monotonic() < started + 30:
                session.exchange_login({}, transit=False)


def test_a_byte_a_time_is_a_login_too(served):
    with served.session(login=False) as session:
        raw = session.prepare_login({**session.first_login_keys(), **session.keys}).encode()
        for at in range(len(raw)):
            session.connection.send_raw(raw[at:at + 1])
        session.enter_full_feature(session.receive_login())
        assert_usable(session)


def test_sessions_that_come_and_go_leave_nothing_behind(served):
    with served.session() as session:
        before = served.daemon.open_descriptors()
        for _ in range(50):
            with Session(served.address, served.target) as other:
                other.logout()
                other.connection.wait_closed()
        assert_usable(session)
        served.daemon.wait_for_descriptors(before)
