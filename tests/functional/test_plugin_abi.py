# SPDX-License-Identifier: Apache-2.0
"""Plugins made outside the tree, against the installed header alone: both tiers compile, load and serve."""

import hashlib
import itertools
import platform
import random
import threading
import time

import pytest
from lib import daemon, outside, scsi
from lib.initiator import LINUX_KEYS, Session

MIB = 1 << 20


@pytest.fixture(scope="session")
def development(tmp_path_factory):
    return outside.Development(tmp_path_factory.mktemp("development"))


@pytest.fixture(scope="session")
def plugins(development, tmp_path_factory):
    folder = tmp_path_factory.mktemp("outside") / "plugins"
    folder.mkdir(mode=0o755)
    return development.build_plugins(folder)


@pytest.mark.parametrize("compiler, standard", [("cc", "c99"), ("cc", "c11"), ("cc", "c17"), ("c++", "c++11"),
                                                ("c++", "c++17")])
def test_the_header_is_valid(development, tmp_path, compiler, standard):
    source = tmp_path / ("header.cc" if compiler == "c++" else "header.c")
    source.write_text("#include <tgtkit/plugin.h>\nint main(void) { return (int)sizeof(struct tgtkit_plugin) == 0; }\n")
    development.compile(source, tmp_path / "header", f"-std={standard}", "-pedantic-errors", compiler=compiler)


def test_a_plugin_in_cplusplus_compiles_and_is_served(development, tmp_path):
    folder = tmp_path / "plugins"
    folder.mkdir(mode=0o755)
    source = tmp_path / "cplus.cc"
    source.write_text(r"""
#include <cstring>
#include <tgtkit/plugin.h>
static int unit;
static int op_open(const tgtkit_open_args *, void **handle, tgtkit_capabilities *capabilities, tgtkit_error *)
{
    *handle = &unit;
    capabilities->size_bytes = 1 << 20;
    return 0;
}
static int op_pread(void *, void *buffer, size_t length, uint64_t) { memset(buffer, 0x2b, length); return 0; }
static int op_pwrite(void *, const void *, size_t, uint64_t, uint32_t) { return 0; }
static void op_close(void *) {}
static const char *const prefixes[] = { "cplus", NULL };
static tgtkit_blocking blocking;
static tgtkit_plugin plugin;
extern "C" TGTKIT_EXPORT const tgtkit_plugin *tgtkit_plugin_v1(const tgtkit_host *)
{
    blocking.size = sizeof(blocking);
    blocking.pread = op_pread;
    blocking.pwrite = op_pwrite;
    plugin.size = sizeof(plugin);
    plugin.abi_major = TGTKIT_ABI_MAJOR;
    plugin.abi_minor = TGTKIT_ABI_MINOR;
    plugin.name = "cplus";
    plugin.version = "1";
    plugin.description = "plus signs";
    plugin.prefixes = prefixes;
    plugin.open = op_open;
    plugin.close = op_close;
    plugin.blocking = &blocking;
    return &plugin;
}
""")
    development.compile(source, folder / "cplus.so", "-std=c++11", "-fPIC", "-shared", compiler="c++")
    with daemon.serve_targets(tmp_path, daemon.target("cplus:x"), plugin_folders=[folder]) as running:
        with Session(running.address, daemon.TARGET) as session:
            session.settle()
            assert session.read(9, 2) == b"+" * 1024


def test_the_ram_disk_is_at_most_60_lines():
    assert len((outside.SOURCES / "ramdisk.c").read_text().splitlines()) <= 60


def serve(folder, plugins, path, options=(), **settings):
    lun = {"path": path, "options": dict(options)} if options else {"path": path}
    return daemon.serve_targets(folder, daemon.target(lun), plugin_folders=[plugins], **settings)


def check_data(session, length=4 * MIB, seed=1):
    """Random writes of all shapes against a model in memory, then everything read back."""
    choose = random.Random(seed)
    model = bytearray().join(session.read(at // 512, MIB // 512) for at in range(0, length, MIB))
    for _ in range(60):
        blocks = choose.choice((1, 2, 7, 8, 64, 300, 1024))
        at = choose.randrange(length // 512 - blocks)
        data = choose.randbytes(blocks * 512)
        session.write(at, data)
        model[at * 512:(at + blocks) * 512] = data
        blocks = choose.choice((1, 3, 8, 129))
        at = choose.randrange(length // 512 - blocks)
        assert session.read(at, blocks) == model[at * 512:(at + blocks) * 512]
    for at in range(0, length, MIB):
        assert session.read(at // 512, MIB // 512) == model[at:at + MIB]


def test_the_ram_disk_is_served(tmp_path, plugins):
    with serve(tmp_path, plugins, f"ram:{4 * MIB}") as running, Session(running.address, daemon.TARGET) as session:
        session.settle()
        assert session.read_capacity() == (4 * MIB // 512, 512)
        check_data(session)


def test_what_the_ram_disk_lacks_is_emulated_or_refused(tmp_path, plugins):
    """It declares no flush, FUA, zero or discard: FUA and SYNCHRONIZE CACHE succeed (there is no volatile cache), zeros
    are written, UNMAP is not offered."""
    with serve(tmp_path, plugins, f"ram:{4 * MIB}") as running, Session(running.address, daemon.TARGET) as session:
        session.settle()
        session.write(0, b"\xff" * 8192)
        session.execute(scsi.synchronize_cache10()).expect_good()
        session.execute(scsi.write10(0, 1, scsi.FUA), b"\x01" * 512).expect_good()
        session.execute(scsi.write_same16(1, 4), bytes(512)).expect_good()
        assert session.read(0, 16) == b"\x01" * 512 + bytes(2048) + b"\xff" * (8192 - 2560)
        assert not session.inquiry(0xB2)[5] & 0x80, "LBPU"


def test_a_path_that_the_plugin_refuses_is_named(tmp_path, plugins):
    with pytest.raises(AssertionError, match="is not a number of bytes"):
        serve(tmp_path, plugins, "ram:lots").start()


# ---- Binaries of declared versions ----

FROZEN = outside.SOURCES / "frozen"


@pytest.mark.parametrize("file, path", [("1.1/ramdisk.so", f"ram:{4 * MIB}"), ("1.1/rig.so", f"rig:{4 * MIB}")])
def test_a_plugin_of_a_declared_version_is_served_for_ever(tmp_path, file, path):
    binary = (FROZEN / file).read_bytes()
    assert hashlib.sha256(binary).hexdigest() in (FROZEN / "README.md").read_text(), "a frozen binary has been replaced"
    if platform.machine() != "x86_64":
        pytest.skip("the frozen binaries are for x86-64")
    # A copy, as the modes of a checkout may be too open for the loader.
    folder = tmp_path / "plugins"
    folder.mkdir(mode=0o755)
    copy = folder / file.split("/")[1]
    copy.write_bytes(binary)
    copy.chmod(0o644)
    with serve(tmp_path, folder, path) as running, Session(running.address, daemon.TARGET) as session:
        session.settle()
        assert session.read_capacity() == (4 * MIB // 512, 512)
        check_data(session)
        session.write(0, b"\xff" * 8192)
        session.execute(scsi.write10(0, 1, scsi.FUA), b"\x01" * 512).expect_good()
        session.execute(scsi.write_same16(1, 4), bytes(512)).expect_good()
        session.execute(scsi.synchronize_cache10()).expect_good()
        assert session.read(0, 16) == b"\x01" * 512 + bytes(2048) + b"\xff" * (8192 - 2560)


@pytest.mark.parametrize("workers, max_queues", itertools.product((1, 2), (0, 1)))
def test_the_rig_is_served_by_own_queues_and_by_a_home_worker(tmp_path, plugins, workers, max_queues):
    with serve(tmp_path, plugins, f"rig:{4 * MIB}", {"max_queues": max_queues}, workers=workers) as running:
        sessions = [Session(running.address, daemon.TARGET) for _ in range(4)]
        for session in sessions:
            session.settle()
        sessions[0].write(0, b"\x07" * 65536)
        for session in sessions:
            assert session.read(0, 128) == b"\x07" * 65536
        check_data(sessions[-1])
        for session in sessions:
            session.close()


@pytest.mark.parametrize("options", [
    {"delay_us": 300}, {"again_every": 3}, {"reorder": True, "delay_us": 200}, {"maximum_transfer": "16K"},
    {"maximum_segments": 1}, {"offset_alignment": "4K"}, {"memory_alignment": "4K"},
    {"capabilities": "flush"}, {"capabilities": "flush,zero,discard"},
    {"offset_alignment": "64K", "maximum_transfer": "64K", "memory_alignment": "4K", "again_every": 5,
     "maximum_segments": 2, "reorder": True},
], ids=str)
def test_any_limits_of_a_plugin_are_kept_and_no_byte_is_lost(tmp_path, plugins, options):
    control = tmp_path / "rig.sock"
    with serve(tmp_path, plugins, f"rig:{4 * MIB}", {**options, "control": control}) as running:
        with Session(running.address, daemon.TARGET) as session, outside.RigControl(control) as rig:
            session.settle()
            check_data(session)
            session.execute(scsi.synchronize_cache10()).expect_good()
            status = rig.status()
            assert status["violations"] == 0, "the core broke a limit that the plugin declared"
            assert status["pending"] == status["hung"] == 0


def test_unaligned_writes_side_by_side_lose_nothing(tmp_path, plugins):
    """Neighbouring blocks inside one aligned unit of the store, from two sessions at once: the bounce of one must not
    bring back what the other had there before."""
    with serve(tmp_path, plugins, f"rig:{MIB}", {"offset_alignment": "4K", "delay_us": 100}, workers=2) as running:
        def write_own_block(number):
            with Session(running.address, daemon.TARGET) as session:
                session.settle()
                for value in range(1, 60):
                    session.write(number, bytes([value]) * 512)

        threads = [threading.Thread(target=write_own_block, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with Session(running.address, daemon.TARGET) as session:
            session.settle()
            assert session.read(0, 8) == bytes([59]) * 2048 + bytes(2048)


def test_options_reach_the_plugin_and_wrong_ones_are_named(tmp_path, plugins):
    for options, named in (({"delay_us": -1}, "delay_us"), ({"max_queues": 2}, "max_queues"), ({"what": 1}, "what")):
        with pytest.raises(AssertionError, match=named):
            serve(tmp_path, plugins, f"rig:{MIB}", options).start()


def test_a_grown_store_is_seen(tmp_path, plugins):
    control = tmp_path / "rig.sock"
    with serve(tmp_path, plugins, f"rig:{MIB}", {"control": control}) as running:
        with Session(running.address, daemon.TARGET, keys=LINUX_KEYS) as session, outside.RigControl(control) as rig:
            session.settle()
            assert session.read_capacity() == (2048, 512)
            rig.order(f"resize {2 * MIB}")
            running.wait_for_log(r"2097152 bytes now")
            deadline = time.monotonic() + 30
            while (0x2A, 0x09) not in session.settle():
                assert time.monotonic() < deadline, "no CAPACITY DATA HAS CHANGED"
            assert session.read_capacity() == (4096, 512)
            session.write(4095, b"\x42" * 512)
