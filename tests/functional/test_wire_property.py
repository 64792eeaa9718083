# SPDX-License-Identifier: Apache-2.0
"""Random legal negotiations against a model of RFC 7143 section 13, then random transfers both ways under what was
agreed.  The raw initiator checks every length, offset and number against the agreement; the data against a model."""

import random

import pytest
from lib import daemon, scsi
from lib.initiator import DEFAULTS, OPERATIONAL, SECURITY, Session

MOST = (1 << 24) - 1
BLOCKS = 32768

# What the targets want: one of each character.
PARAMETERS = {
    "usual": {},
    "largest": {"max_recv_data_segment_length": MOST, "max_burst_length": MOST, "first_burst_length": MOST,
                "max_outstanding_r2t": 8},
    "smallest": {"max_recv_data_segment_length": 512, "max_burst_length": 512, "first_burst_length": 512,
                 "max_outstanding_r2t": 1},
    "solicited": {"immediate_data": False, "initial_r2t": True, "max_burst_length": 65536, "first_burst_length": 65536,
                  "max_outstanding_r2t": 8},
    "odd": {"max_recv_data_segment_length": 5001, "max_burst_length": 70003, "first_burst_length": 3002,
            "max_outstanding_r2t": 3},
    "careful": {"header_digest": "crc32c,none", "data_digest": "crc32c,none", "max_outstanding_r2t": 2},
}
CONFIGURED = {"max_recv_data_segment_length": 262144, "max_burst_length": 1 << 20, "first_burst_length": 65536,
              "max_outstanding_r2t": 4, "immediate_data": True, "initial_r2t": False}


def name_of(kind):
    return f"iqn.2026-11.org.example:{kind}"


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    folder = tmp_path_factory.mktemp("property")
    targets = []
    for kind, parameters in PARAMETERS.items():
        lun = {"path": str(folder / f"{kind}.img"), "size": BLOCKS * 512, "create": True}
        targets.append(daemon.target(lun, name=name_of(kind), parameters=parameters))
    with daemon.serve_targets(folder, *targets, memory_limit="2G") as served:
        yield served


def a_length(choose):
    """512 to 2^24-1, the ends and the odd ones more often than chance would have them."""
    return choose.choice((512, 513, 1000, 4096, 8192, 65536, 262144, MOST, choose.randrange(512, 9000),
                          choose.randrange(512, MOST + 1)))


def random_offer(choose):
    """Keys in any order.  Those that a target may have to ask for itself are always there."""
    keys = {"InitialR2T": choose.choice(("Yes", "No")), "ImmediateData": choose.choice(("Yes", "No")),
            "FirstBurstLength": a_length(choose), "HeaderDigest": random_digest(choose),
            "DataDigest": random_digest(choose)}
    optional = {"MaxBurstLength": a_length(choose), "MaxOutstandingR2T": choose.choice((1, 2, 3, 8, 65535)),
                "MaxRecvDataSegmentLength": a_length(choose), "ErrorRecoveryLevel": choose.choice((0, 1, 2)),
                "MaxConnections": choose.choice((1, 4, 65535)), "DataPDUInOrder": choose.choice(("Yes", "No")),
                "DataSequenceInOrder": choose.choice(("Yes", "No")), "DefaultTime2Wait": choose.randrange(3601),
                "DefaultTime2Retain": choose.randrange(3601), "IFMarker": "No", "X-org.example.unknown": "1",
                "iSCSIProtocolLevel": choose.choice((0, 1, 2, 31)), "TaskReporting": "FastAbort,ResponseFence,RFC3720"}
    keys.update({key: value for key, value in optional.items() if choose.random() < 0.7})
    return shuffled(choose, keys)


def random_digest(choose):
    return choose.choice(("None", "CRC32C", "CRC32C,None", "None,CRC32C", "X-other,None", "X-other,CRC32C"))


def shuffled(choose, keys):
    items = list(keys.items())
    choose.shuffle(items)
    return dict(items)


class Agreement:
    """What RFC 7143 makes of an offer, and what the answers must be."""

    def __init__(self, offer, parameters):
        ours = {**CONFIGURED, **parameters}
        self.answers = {}
        for key in ("HeaderDigest", "DataDigest"):
            self.answers[key] = next(one for one in offer[key].split(",") if one in ("None", "CRC32C"))
        self.initial_r2t = offer["InitialR2T"] == "Yes" or ours["initial_r2t"]
        self.immediate_data = offer["ImmediateData"] == "Yes" and ours["immediate_data"]
        self.answers["InitialR2T"] = "Yes" if self.initial_r2t else "No"
        self.answers["ImmediateData"] = "Yes" if self.immediate_data else "No"
        burst = min(offer["MaxBurstLength"], ours["max_burst_length"]) if "MaxBurstLength" in offer else 262144
        if self.initial_r2t and not self.immediate_data:
            self.answers["FirstBurstLength"] = "Irrelevant"
        else:
            self.answers["FirstBurstLength"] = str(min(offer["FirstBurstLength"], ours["first_burst_length"], burst))
        fixed = {"MaxBurstLength": str(burst), "ErrorRecoveryLevel": "0", "MaxConnections": "1",
                 "DataPDUInOrder": "Yes", "DataSequenceInOrder": "Yes", "DefaultTime2Retain": "0", "IFMarker": "No",
                 "DefaultTime2Wait": str(offer.get("DefaultTime2Wait")), "X-org.example.unknown": "NotUnderstood",
                 "MaxOutstandingR2T": str(min(offer.get("MaxOutstandingR2T", 1), ours["max_outstanding_r2t"]))}
        self.answers.update({key: value for key, value in fixed.items() if key in offer})
        self.answers["MaxRecvDataSegmentLength"] = str(ours["max_recv_data_segment_length"])


def log_in(choose, address, target, offer):
    """In one request or several; what depends on each other stays together."""
    session = Session(address, target, login=False, timeout=60)
    together = ("InitialR2T", "ImmediateData", "MaxBurstLength", "FirstBurstLength")
    first, second = {}, {}
    for key, value in offer.items():
        (first if key not in together and choose.random() < 0.5 else second)[key] = value
    if choose.random() < 0.5:
        session.login_step({**session.first_login_keys(), "AuthMethod": "None"}, SECURITY, OPERATIONAL)
        names = {}
    else:
        names = session.first_login_keys()
    if choose.random() < 0.5:
        assert session.exchange_login({**names, **first}, transit=False).status == 0
        session.enter_full_feature(session.login_step(second))
    else:
        session.enter_full_feature(session.login_step(shuffled(choose, {**names, **offer})))
    return session


def a_size(choose, digests):
    """Blocks; Python takes its time over digests."""
    most = 128 if digests else 4096
    return choose.choice((1, 2, 3, 8, 17, 128, choose.randrange(1, most + 1)))


def transfer(choose, session, content, digests):
    """A handful of commands at a time on distinct ranges: writes, then reads of the same and of what was there."""
    base = choose.randrange(BLOCKS - 5 * 4096)
    ranges = [(base + number * 4096, a_size(choose, digests)) for number in range(choose.randrange(1, 6))]
    tasks = []
    for at, blocks in ranges:
        data = choose.randbytes(blocks * 512)
        content[at * 512:(at + blocks) * 512] = data
        limits = {} if choose.random() < 0.5 else {"immediate_bytes": choose.randrange(0, 70000),
                                                   "unsolicited_bytes": choose.randrange(0, 200000)}
        tasks.append(session.start(scsi.write16(at, blocks), data, **limits))
    for task in tasks:
        session.wait(task).expect_good()
    reads = [(session.start(scsi.read16(at, blocks), read_length=blocks * 512), at, blocks) for at, blocks in ranges]
    for task, at, blocks in reads:
        assert session.wait(task).expect_good().data_in == content[at * 512:(at + blocks) * 512]


def check(running, kind, seed):
    choose = random.Random(f"{kind} {seed}")
    offer = random_offer(choose)
    agreement = Agreement(offer, PARAMETERS[kind])
    with log_in(choose, running.address, name_of(kind), offer) as session:
        for key, wanted in agreement.answers.items():
            assert session.answered.get(key) == wanted, f"{key} of {offer}"
        for key in DEFAULTS:
            if key not in offer and key != "MaxRecvDataSegmentLength":
                assert session.negotiated[key] == DEFAULTS[key], f"{key} was answered unasked"
        session.settle()
        content = bytearray(BLOCKS * 512)
        digests = "CRC32C" in (session.answered["HeaderDigest"], session.answered["DataDigest"])
        slow = digests or session.target_segment_length < 2000 or session.own_segment_length < 2000
        for _ in range(3):
            transfer(choose, session, content, slow)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("kind", PARAMETERS)
def test_what_is_agreed_is_what_is_done(running, kind, seed):
    check(running, kind, seed)


@pytest.mark.long
@pytest.mark.parametrize("kind", PARAMETERS)
def test_what_is_agreed_is_what_is_done_a_thousand_times(running, kind):
    for seed in range(1000, 1160):
        check(running, kind, seed)
