# SPDX-License-Identifier: Apache-2.0
"""COMPARE AND WRITE and ORWRITE change a range as if nobody else were there: sessions on several workers change the same
blocks at once, through a store that takes its time and reorders, and no change is ever lost or undone."""

import concurrent.futures
import struct
import threading

import pytest
from lib import daemon, scsi
from lib.initiator import Session

BLOCK, BLOCKS = 512, 4
WORDS = BLOCK * BLOCKS // 8
COUNTER_AT, BITS_AT = 0, 8  # LBAs
COMPARERS, ROUNDS = 4, 60


@pytest.fixture(scope="module")
def running(tmp_path_factory, rig_plugins):
    lun = {"path": "rig:4194304", "options": {"delay_us": 200, "reorder": True}}
    with daemon.serve_targets(tmp_path_factory.mktemp("atomicity"), daemon.target(lun), plugin_folders=[rig_plugins],
                              workers=4) as one:
        yield one


def new_session(running):
    session = Session(running.address, daemon.TARGET)
    session.settle()
    return session


def words(value):
    return struct.pack(">Q", value) * WORDS


def compare_and_write(session, lba, expected, new):
    """Whether the blocks were as expected."""
    task = session.execute(scsi.compare_and_write(lba, len(new) // BLOCK), expected + new)
    if not task.good:
        task.expect_sense(scsi.MISCOMPARE, 0x1D, 0)
    return task.good


def count_up(running, times):
    """Adds 1 so often, by COMPARE AND WRITE; returns how many times somebody else was quicker."""
    misses = 0
    with new_session(running) as session:
        while times:
            value = session.read(COUNTER_AT, BLOCKS)
            (number,) = struct.unpack(">Q", value[:8])
            if compare_and_write(session, COUNTER_AT, words(number), words(number + 1)):
                times -= 1
            else:
                misses += 1
    return misses


def test_no_step_of_a_counter_is_lost(running):
    with new_session(running) as session, concurrent.futures.ThreadPoolExecutor(COMPARERS) as pool:
        session.write(COUNTER_AT, words(0))
        misses = sum(pool.map(lambda _: count_up(running, ROUNDS), range(COMPARERS)))
        assert session.read(COUNTER_AT, BLOCKS) == words(COMPARERS * ROUNDS)
        assert misses > 0, "they did meet"


# ---- Against plain writers ----

class Odd:
    """Sessions that turn each even value that they find into the odd one that follows, by COMPARE AND WRITE."""

    def __init__(self, running):
        self._running, self._stop = running, threading.Event()
        self._pool = concurrent.futures.ThreadPoolExecutor(COMPARERS)

    def __enter__(self):
        self._working = [self._pool.submit(self._work) for _ in range(COMPARERS)]
        return self

    def __exit__(self, *exception):
        self._stop.set()
        self._pool.shutdown()
        if exception[0] is None:
            assert sum(one.result() for one in self._working) > 0, "they did something"

    def _work(self):
        changes = 0
        with new_session(self._running) as session:
            while not self._stop.is_set():
                (value,) = struct.unpack(">Q", session.read(COUNTER_AT, 1)[:8])
                changes += value % 2 == 0 and compare_and_write(session, COUNTER_AT, words(value), words(value + 1))
        return changes


def plain_write(session, value):
    session.write(COUNTER_AT, words(value))
    return value


def write_same(session, value):
    session.execute(scsi.write_same16(COUNTER_AT, BLOCKS), words(value)[:BLOCK]).expect_good()
    return value


def unmap(session, value):
    """Alternately with a write, so that there is something to unmap."""
    if value % 4:
        return plain_write(session, value)
    parameters = scsi.unmap_parameters((COUNTER_AT, BLOCKS))
    session.execute(scsi.unmap(len(parameters)), parameters).expect_good()
    return 0


def write_in_two(session, value):
    """Both at once, and each over a part of the range: a COMPARE AND WRITE of the whole lies before or behind each."""
    half = BLOCKS // 2
    tasks = [session.start(scsi.write16(COUNTER_AT + at, half), words(value)[:half * BLOCK]) for at in (0, half)]
    for task in tasks:
        session.wait(task).expect_good()
    return value


@pytest.mark.parametrize("put", [plain_write, write_same, unmap, write_in_two], ids=lambda put: put.__name__)
def test_a_write_that_has_been_answered_is_never_undone(running, put):
    """Whoever compared before it must not write after it: then only what was put, or what follows it, can be read."""
    with new_session(running) as session:
        session.write(COUNTER_AT, words(1))
        with Odd(running):
            for value in range(2, 2 + 2 * ROUNDS, 2):
                wanted = put(session, value)
                found = set(struct.unpack(f">{WORDS}Q", session.read(COUNTER_AT, BLOCKS)))
                assert found <= {wanted, wanted + 1}


def test_no_bit_that_was_ored_in_is_lost(running):
    """Each session has bits of its own in the same blocks; a COMPARE AND WRITE counts in their first word meanwhile."""
    stop = threading.Event()

    def set_bits(number):
        with new_session(running) as session:
            for bit in range(ROUNDS):
                word = (1 << bit).to_bytes(8, "big")
                data = (bytes(8 * (1 + number)) + word).ljust(BLOCK, b"\0")
                session.execute(scsi.orwrite16(BITS_AT, 1), data).expect_good()
                now = session.read(BITS_AT, 1)[8 * (1 + number):][:8]
                assert int.from_bytes(now, "big") == (1 << bit + 1) - 1

    def count():
        done = 0
        with new_session(running) as session:
            while not stop.is_set():
                old = session.read(BITS_AT, 1)
                new = (int.from_bytes(old[:8], "big") + 1).to_bytes(8, "big") + old[8:]
                done += compare_and_write(session, BITS_AT, old, new)
        return done

    with new_session(running) as session, concurrent.futures.ThreadPoolExecutor(COMPARERS + 1) as pool:
        session.write(BITS_AT, bytes(BLOCK))
        counting = pool.submit(count)
        setting = [pool.submit(set_bits, number) for number in range(COMPARERS)]
        concurrent.futures.wait(setting)
        stop.set()
        for one in setting:
            one.result()
        counted = counting.result()
        data = session.read(BITS_AT, 1)
        assert int.from_bytes(data[:8], "big") == counted > 0
        assert data[8:8 * (1 + COMPARERS)] == ((1 << ROUNDS) - 1).to_bytes(8, "big") * COMPARERS


def test_a_miscompare_says_where(running):
    with new_session(running) as session:
        session.write(COUNTER_AT, words(7))
        for at in (0, 1, BLOCK, BLOCK * BLOCKS - 1):
            expected = bytearray(words(7))
            expected[at] ^= 0x40
            task = session.execute(scsi.compare_and_write(COUNTER_AT, BLOCKS), bytes(expected) + words(8))
            assert task.expect_sense(scsi.MISCOMPARE, 0x1D, 0).sense.information == at
            assert session.read(COUNTER_AT, BLOCKS) == words(7)
