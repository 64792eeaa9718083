# SPDX-License-Identifier: Apache-2.0
"""SCSI as Linux needs it: the scan in its order, every command in use, sense in both formats."""

import pytest
from lib import daemon, scsi
from lib.initiator import Session


@pytest.fixture(params=["FILE", "FILE_4K", "NULL"])
def unit(request, served):
    """(LUN, bytes per block)"""
    lun = getattr(served, request.param)
    return lun, 4096 if request.param == "FILE_4K" else 512


# ---- The scan ----

def test_the_scan_of_linux_finds_everything(served):
    """In the order of its kernel: each page first at 4 bytes, then in full."""
    with served.session() as session:
        first = session.inquiry(length=36)
        assert len(first) == 36 and first[0] == 0 and first[2] >= 5 and first[3] & 0x0F == 2
        assert len(session.inquiry(length=first[4] + 5)) == first[4] + 5
        for page in (0x00, 0x00, 0x80, 0x83, 0xB0, 0xB1, 0xB2):
            head = session.inquiry(page, length=4)
            whole = session.inquiry(page, length=int.from_bytes(head[2:4], "big") + 4)
            assert len(head) == 4 and head[1] == page and whole[:4] == head
            assert len(whole) == int.from_bytes(head[2:4], "big") + 4
        assert session.report_luns() == [0, 1, 2]
        assert session.settle()[0][0] == 0x29, "power on"
        blocks, block_bytes = session.read_capacity()
        assert (blocks, block_bytes) == (served.blocks, 512)
        for page in (0x3F, 0x08):
            session.execute(scsi.mode_sense6(page, 255), read_length=255).expect_good()
        for opcode in (0x12, 0x93, 0x41):
            task = session.execute(scsi.report_supported_operation_codes(opcode, length=255), read_length=255)
            assert task.expect_good().data_in[1] & 0x07 == 3, "supported as the standard says"
        for lba in (0, 8, blocks - 8):
            assert len(session.read(lba, 8, build=scsi.read10)) == 4096


def test_power_on_is_told_once_to_every_session_and_unit(served):
    with served.session() as session:
        for lun in (served.FILE, served.NULL):
            session.execute(scsi.test_unit_ready(), lun=lun).expect_sense(scsi.UNIT_ATTENTION, 0x29)
            session.execute(scsi.test_unit_ready(), lun=lun).expect_good()


def test_inquiry_and_report_luns_pass_a_unit_attention(served):
    with served.session() as session:
        session.inquiry()
        session.report_luns()
        assert session.settle() != [], "the unit attention is still there"


def test_request_sense_takes_the_unit_attention(served):
    with served.session() as session:
        data = session.execute(scsi.request_sense(), read_length=252).expect_good().data_in
        assert scsi.Sense(data).key == scsi.UNIT_ATTENTION
        assert session.settle() == []


@pytest.mark.parametrize("descriptor", [False, True], ids=["fixed", "descriptor"])
def test_request_sense_without_anything_to_tell(session, descriptor):
    data = session.execute(scsi.request_sense(descriptor=descriptor), read_length=252).expect_good().data_in
    assert data[0] & 0x7F == (0x72 if descriptor else 0x70)
    assert scsi.Sense(data).triple == (scsi.NO_SENSE, 0, 0)


def test_the_supported_pages_are_listed_and_answered(session, unit):
    lun, _ = unit
    pages = session.inquiry(0x00, lun=lun)[4:]
    assert {0x00, 0x80, 0x83, 0xB0, 0xB1, 0xB2} <= set(pages) and list(pages) == sorted(pages)
    for page in pages:
        assert session.inquiry(page, lun=lun)[1] == page


def test_an_unknown_page_is_an_invalid_field(session):
    session.execute(scsi.inquiry(255, 0x5A), read_length=255).expect_sense(scsi.ILLEGAL_REQUEST, 0x24, 0)


def test_a_page_code_without_evpd_is_an_invalid_field(session):
    cdb = bytes([0x12, 0, 0x80, 0, 255, 0])
    session.execute(cdb, read_length=255).expect_sense(scsi.ILLEGAL_REQUEST, 0x24, 0)


def test_the_identification_names_the_unit_and_the_port(session):
    page = session.inquiry(0x83)
    designators = []
    at = 4
    while at < len(page):
        designators.append((page[at + 1] >> 4 & 3, page[at + 1] & 0x0F, page[at + 4:at + 4 + page[at + 3]]))
        at += 4 + page[at + 3]
    assert [one for one in designators if one[0] == 0], "a designator of the logical unit"
    assert [one for one in designators if one[0] == 1 and one[1] == 4], "the relative target port"


def test_block_limits_and_provisioning_are_consistent(session, unit):
    lun, _ = unit
    limits = session.inquiry(0xB0, lun=lun)
    provisioning = session.inquiry(0xB2, lun=lun)
    assert len(limits) == 64
    can_unmap = bool(provisioning[5] & 0x80)
    assert can_unmap == (int.from_bytes(limits[20:24], "big") > 0 and int.from_bytes(limits[24:28], "big") > 0)
    capacity = session.execute(scsi.read_capacity16(), read_length=32, lun=lun).expect_good().data_in
    assert bool(capacity[14] & 0x80) == bool(provisioning[6] & 0x07), "LBPME and provisioning type"


@pytest.mark.parametrize("build, length", [(scsi.mode_sense6, 255), (scsi.mode_sense10, 1024)])
def test_mode_sense_returns_caching_and_control_pages(session, build, length):
    data = session.execute(build(), read_length=length).expect_good().data_in
    six = build is scsi.mode_sense6
    assert (data[0] + 1 if six else int.from_bytes(data[:2], "big") + 2) == len(data)
    descriptor_bytes = data[3] if six else int.from_bytes(data[6:8], "big")
    at = (4 if six else 8) + descriptor_bytes
    pages = {}
    while at < len(data):
        pages[data[at] & 0x3F] = data[at:at + 2 + data[at + 1]]
        at += 2 + data[at + 1]
    assert pages[0x08][2] & 0x04, "WCE"
    assert pages[0x0A][2] >> 5 == 1, "TST 001b"
    assert pages[0x0A][5] & 0x40, "TAS"


def test_an_unknown_mode_page_is_an_invalid_field(session):
    session.execute(scsi.mode_sense6(0x2B), read_length=255).expect_sense(scsi.ILLEGAL_REQUEST, 0x24, 0)


@pytest.mark.parametrize("allocation", [0, 1, 4, 8, 16, 255])
def test_allocation_lengths_truncate(session, allocation):
    for cdb in (scsi.inquiry(allocation), scsi.mode_sense6(length=allocation), scsi.report_luns(allocation),
                scsi.read_capacity16(allocation), scsi.request_sense(allocation)):
        assert len(session.execute(cdb, read_length=255).expect_good().data_in) <= allocation


def test_the_well_known_unit_reports_luns_and_nothing_of_a_medium(session):
    well_known = b"\xc1\x01" + bytes(6)
    data = session.execute(scsi.report_luns(), read_length=4096, lun=well_known).expect_good().data_in
    assert scsi.decode_luns(data) == [0, 1, 2]
    session.execute(scsi.read10(0, 1), read_length=512, lun=well_known).expect_sense(scsi.ILLEGAL_REQUEST, 0x20, 0)


def test_read_capacity_10_and_16_agree(session, unit):
    lun, block_bytes = unit
    ten = session.execute(scsi.read_capacity10(), read_length=8, lun=lun).expect_good().data_in
    blocks, bytes_per_block = session.read_capacity(lun)
    assert (int.from_bytes(ten[:4], "big") + 1, int.from_bytes(ten[4:], "big")) == (blocks, bytes_per_block)
    assert bytes_per_block == block_bytes


# ---- The medium ----

@pytest.mark.parametrize("read, write", [
    (scsi.read6, scsi.write6), (scsi.read10, scsi.write10), (scsi.read12, scsi.write12), (scsi.read16, scsi.write16),
    (scsi.read16, scsi.write_and_verify10), (scsi.read10, scsi.write_and_verify16)],
    ids=lambda build: build.__name__)
@pytest.mark.parametrize("lun, block_bytes", [(0, 512), (2, 4096)])
def test_reads_and_writes_of_all_lengths_of_cdb(session, read, write, lun, block_bytes):
    for lba, blocks in ((0, 1), (5, 3), (100, 17), (1000, 255)):
        data = bytes((lba + at) & 0xFF for at in range(blocks)) * block_bytes
        session.write(lba, data, lun=lun, block_bytes=block_bytes, build=write)
        assert session.read(lba, blocks, lun=lun, block_bytes=block_bytes, build=read) == data


def test_a_length_of_zero_means_256_blocks_in_6_bytes_and_none_elsewhere(session):
    assert len(session.read(0, 256, build=scsi.read6)) == 131072
    for build in (scsi.read10, scsi.read12, scsi.read16):
        assert session.read(0, 0, build=build) == b""
    for build in (scsi.write10, scsi.write16, scsi.verify10, scsi.verify16):
        session.execute(build(0, 0)).expect_good()


def test_a_length_of_zero_beyond_the_end_is_out_of_range(session, served):
    session.execute(scsi.read10(served.blocks + 1, 0)).expect_sense(scsi.ILLEGAL_REQUEST, 0x21, 0)


@pytest.mark.parametrize("flags", [scsi.FUA, scsi.DPO, scsi.FUA | scsi.DPO])
def test_fua_and_dpo_are_taken(session, flags):
    session.execute(scsi.write10(0, 1, flags), b"\x66" * 512).expect_good()
    task = session.execute(scsi.read10(0, 1, flags), read_length=512).expect_good()
    assert bytes(task.data_in) == b"\x66" * 512


@pytest.mark.parametrize("protect", [1, 3, 7])
def test_protection_information_is_refused(session, protect):
    for cdb, options in ((scsi.read10(0, 1, protect << 5), {"read_length": 512}),
                         (scsi.write10(0, 1, protect << 5), {"data_out": bytes(512)})):
        session.execute(cdb, **options).expect_sense(scsi.ILLEGAL_REQUEST, 0x24, 0)


def test_verify_compares(session):
    session.write(0, b"\x01" * 4096)
    session.execute(scsi.verify10(0, 8)).expect_good()
    session.execute(scsi.verify10(0, 8, byte_check=1), b"\x01" * 4096).expect_good()
    session.execute(scsi.verify16(0, 8, byte_check=1), b"\x01" * 4096).expect_good()
    different = b"\x01" * 4000 + b"\x02" * 96
    session.execute(scsi.verify10(0, 8, byte_check=1), different).expect_sense(scsi.MISCOMPARE, 0x1D, 0)
    assert session.read(0, 8) == b"\x01" * 4096


@pytest.mark.parametrize("cdb", [scsi.synchronize_cache10(), scsi.synchronize_cache16(),
                                 scsi.synchronize_cache10(100, 8), scsi.synchronize_cache16(100, 8)], ids=bytes.hex)
def test_synchronize_cache(session, unit, cdb):
    session.execute(cdb, lun=unit[0]).expect_good()


def test_synchronize_cache_beyond_the_end_is_out_of_range(session, served):
    session.execute(scsi.synchronize_cache10(served.blocks, 1)).expect_sense(scsi.ILLEGAL_REQUEST, 0x21, 0)


def test_unmap_makes_zeros(session, served):
    session.write(0, b"\xff" * 65536)
    parameters = scsi.unmap_parameters((8, 16), (100, 1))
    session.execute(scsi.unmap(len(parameters)), parameters).expect_good()
    expected = bytearray(b"\xff" * 65536)
    expected[8 * 512:24 * 512] = bytes(16 * 512)
    expected[100 * 512:101 * 512] = bytes(512)
    assert session.read(0, 128) == expected


def test_unmap_beyond_the_end_unmaps_nothing(session, served):
    session.write(0, b"\xff" * 4096)
    parameters = scsi.unmap_parameters((0, 8), (served.blocks - 1, 2))
    session.execute(scsi.unmap(len(parameters)), parameters).expect_sense(scsi.ILLEGAL_REQUEST, 0x21, 0)
    assert session.read(0, 8) == b"\xff" * 4096


def test_unmap_of_nothing_is_good(session):
    session.execute(scsi.unmap(0)).expect_good()
    parameters = scsi.unmap_parameters()
    session.execute(scsi.unmap(len(parameters)), parameters).expect_good()
    parameters = scsi.unmap_parameters((5, 0))
    session.execute(scsi.unmap(len(parameters)), parameters).expect_good()


@pytest.mark.parametrize("build", [scsi.write_same10, scsi.write_same16], ids=lambda build: build.__name__)
@pytest.mark.parametrize("block", [bytes(512), b"\x5c" * 512, bytes(range(256)) * 2],
                         ids=["zeros", "equal", "different"])
def test_write_same_repeats_the_block(session, build, block):
    session.write(0, b"\xff" * 65536)
    session.execute(build(3, 100), block).expect_good()
    assert session.read(0, 128) == b"\xff" * 1536 + block * 100 + b"\xff" * (25 * 512)


def test_write_same_with_unmap_reads_zero(session):
    session.write(0, b"\xff" * 65536)
    session.execute(scsi.write_same16(1, 64, unmap=True), bytes(512)).expect_good()
    assert session.read(0, 128) == b"\xff" * 512 + bytes(64 * 512) + b"\xff" * (63 * 512)


def test_write_same_of_a_large_range(session, served):
    session.execute(scsi.write_same16(0, 65535), b"\x99" * 512).expect_good()
    for lba in (0, 30000, 65534):
        assert session.read(lba, 1) == b"\x99" * 512
    session.execute(scsi.write_same16(0, 65535), bytes(512)).expect_good()
    assert session.read(32768, 8) == bytes(4096)


def test_a_stopped_unit_is_not_ready_until_it_is_started(served):
    with served.session() as session:
        session.settle()
        session.execute(scsi.start_stop_unit(start=False)).expect_good()
        try:
            session.execute(scsi.read10(0, 1), read_length=512).expect_sense(scsi.NOT_READY, 0x04, 0x02)
            session.execute(scsi.inquiry(), read_length=255).expect_good()
        finally:
            session.execute(scsi.start_stop_unit(start=True)).expect_good()
        assert len(session.read(0, 1)) == 512


def test_supported_operation_codes_are_what_is_supported(session):
    """Every code that the list has is not 'invalid operation code', and the other way round for a few that it lacks."""
    data = session.execute(scsi.report_supported_operation_codes(length=65536), read_length=65536).expect_good().data_in
    listed = set()
    at = 4
    while at < len(data):
        listed.add(data[at])
        at += 20 if data[at + 5] & 0x02 else 8
    assert at == int.from_bytes(data[:4], "big") + 4
    assert {0x00, 0x03, 0x08, 0x0A, 0x12, 0x1A, 0x1B, 0x25, 0x28, 0x2A, 0x2E, 0x2F, 0x35, 0x41, 0x42, 0x5A, 0x88,
            0x8A, 0x8E, 0x8F, 0x91, 0x93, 0x9E, 0xA0, 0xA3, 0xA8, 0xAA} <= listed
    for opcode in set(range(256)) - listed:
        task = session.execute(bytes([opcode]) + bytes(15))
        task.expect_sense(scsi.ILLEGAL_REQUEST, 0x20, 0)


def test_an_unknown_operation_code_is_not_supported_in_the_one_command_report(session):
    task = session.execute(scsi.report_supported_operation_codes(0xEE, length=255), read_length=255).expect_good()
    assert task.data_in[1] & 0x07 == 1


def test_without_unmap_the_feature_is_refused(tmp_path):
    lun = {"path": "null:1M", "features": {"unmap": False}, "thin": False}
    with daemon.serve_targets(tmp_path, daemon.target(lun)) as running:
        with Session(running.address, daemon.TARGET) as session:
            session.settle()
            parameters = scsi.unmap_parameters((0, 1))
            session.execute(scsi.unmap(len(parameters)), parameters).expect_sense(scsi.ILLEGAL_REQUEST)
            assert not session.inquiry(0xB2)[5] & 0x80


def test_write_cache_off_is_shown(tmp_path, make_image):
    lun = {"path": str(make_image("a.img", 1 << 20)), "write_cache": False}
    with daemon.serve_targets(tmp_path, daemon.target(lun)) as running:
        with Session(running.address, daemon.TARGET) as session:
            session.settle()
            page = session.execute(scsi.mode_sense6(0x08, dbd=True), read_length=255).expect_good().data_in[4:]
            assert not page[2] & 0x04, "WCE"
            session.write(0, b"\x21" * 4096)
            assert session.read(0, 8) == b"\x21" * 4096
