# SPDX-License-Identifier: Apache-2.0
"""Plugin files that cannot be used are refused with one line that says why, and the rest is served."""

import os
import shutil

import pytest
from lib import daemon
from lib.initiator import Session
from lib.outside import Development

# A plugin of the blocking tier that serves `size` zero bytes; the parts in capitals are what the tests damage.
PLUGIN = r"""
#include <errno.h>
#include <string.h>
#include <tgtkit/plugin.h>
static int unit;
static int op_open(const struct tgtkit_open_args *args, void **handle, struct tgtkit_capabilities *capabilities,
                   struct tgtkit_error *error)
{
    (void)args; (void)error;
    *handle = &unit;
    capabilities->size_bytes = 1 << 20;
    return 0;
}
static int op_pread(void *handle, void *buffer, size_t length, uint64_t offset)
{
    (void)handle; (void)offset;
    memset(buffer, 0, length);
    return 0;
}
static int op_pwrite(void *handle, const void *buffer, size_t length, uint64_t offset, uint32_t flags)
{
    (void)handle; (void)buffer; (void)length; (void)offset; (void)flags;
    return -EROFS;
}
static void op_close(void *handle) { (void)handle; }
static const char *const prefixes[] = { PREFIX, NULL };
static const struct tgtkit_blocking blocking = { .size = sizeof(blocking), .pread = op_pread, .pwrite = op_pwrite };
static const struct tgtkit_plugin plugin = {
    .size = SIZE, .abi_major = MAJOR, .abi_minor = MINOR, .name = NAME, .version = "1",
    .description = "zeros", .prefixes = prefixes, .open = op_open, .close = op_close, TIER
};
TGTKIT_EXPORT const struct tgtkit_plugin *SYMBOL(const struct tgtkit_host *host)
{
    (void)host;
    return RESULT;
}
"""
DEFAULTS = {"PREFIX": '"zeros"', "SIZE": "sizeof(plugin)", "MAJOR": "TGTKIT_ABI_MAJOR", "MINOR": "TGTKIT_ABI_MINOR",
            "NAME": '"zeros"', "TIER": ".blocking = &blocking", "SYMBOL": "tgtkit_plugin_v1", "RESULT": "&plugin"}


@pytest.fixture(scope="session")
def development(tmp_path_factory):
    return Development(tmp_path_factory.mktemp("development"))


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "plugins"
    path.mkdir(mode=0o755)
    return path


@pytest.fixture
def compile_plugin(development, folder):
    """compile_plugin("zeros.so", MAJOR="2"): a plugin that is good but for what is given."""

    def build(name, into=folder, **changes):
        defines = [f"-D{key}={value}" for key, value in {**DEFAULTS, **changes}.items()]
        return development.compile_plugin(PLUGIN, into / name, *defines, "-Wno-unused-function",
                                          "-Wno-unused-variable", "-Wno-unused-const-variable",
                                          "-Wno-missing-prototypes", "-Wno-override-init")

    return build


def lines_about(running, text):
    return [line for line in running.log().splitlines() if text in line and "serving" not in line]


def assert_refused(tmp_path, folder, file, *reasons):
    """The daemon serves null all the same, and has one line about the file that gives a reason."""
    with daemon.serve_targets(tmp_path, daemon.target("null:1M"), plugin_folders=[folder]) as running:
        with Session(running.address, daemon.TARGET) as session:
            session.settle()
            assert session.read(0, 1) == bytes(512)
        about = lines_about(running, str(file))
        assert len(about) == 1, f"{len(about)} lines about {file}:\n{running.log()}"
        assert any(reason in about[0] for reason in reasons), f"{about[0]} says none of {reasons}"


def test_a_plugin_from_elsewhere_is_served(tmp_path, folder, compile_plugin):
    compile_plugin("zeros.so")
    with daemon.serve_targets(tmp_path, daemon.target("zeros:x"), plugin_folders=[folder]) as running:
        with Session(running.address, daemon.TARGET) as session:
            session.settle()
            assert session.read_capacity() == (2048, 512)
            assert session.read(2040, 8) == bytes(4096)


def test_a_plugin_folder_of_the_configuration_is_searched(tmp_path, folder, compile_plugin):
    compile_plugin("zeros.so")
    with daemon.serve_targets(tmp_path, daemon.target("zeros:x"), plugin_dirs=(str(folder),)) as running:
        with Session(running.address, daemon.TARGET) as session:
            session.settle()


def test_a_file_that_is_no_elf_object_is_refused(tmp_path, folder):
    file = folder / "text.so"
    file.write_text("this is no shared object\n")
    assert_refused(tmp_path, folder, file, "ELF", "invalid", "file too short")


def test_an_empty_file_is_refused(tmp_path, folder):
    (folder / "empty.so").touch()
    assert_refused(tmp_path, folder, folder / "empty.so", "short", "ELF", "invalid", "empty")


def test_an_object_without_the_symbol_is_refused(tmp_path, folder, compile_plugin):
    assert_refused(tmp_path, folder, compile_plugin("zeros.so", SYMBOL="some_other_symbol"), "tgtkit_plugin_v1")


def test_an_object_with_an_unresolved_symbol_is_refused(tmp_path, folder, development):
    source = 'extern int nowhere(void); int tgtkit_plugin_v1(void) { return nowhere(); }\n'
    file = development.compile_plugin(source, folder / "unresolved.so", "-Wno-missing-prototypes")
    assert_refused(tmp_path, folder, file, "nowhere")


@pytest.mark.parametrize("change, reason", [
    ({"MAJOR": "2"}, "2"),
    ({"MAJOR": "0"}, "0"),
    ({"MINOR": "0"}, "1.0"),
    ({"SIZE": "16"}, "16"),
    ({"SIZE": "0"}, "0"),
    ({"NAME": '"other"'}, "other"),
    ({"NAME": '"Bad name"'}, "name"),
    ({"NAME": "0"}, "name"),
    ({"TIER": ".blocking=0"}, "blocking"),
    ({"TIER": ".blocking=&blocking,.options=0,.open=0"}, "open"),
    ({"PREFIX": "0"}, "prefix"),
    ({"PREFIX": '"a:b"'}, "prefix"),
    ({"RESULT": "0"}, "cannot work here"),
], ids=str)
def test_a_wrong_descriptor_is_refused(tmp_path, folder, compile_plugin, change, reason):
    assert_refused(tmp_path, folder, compile_plugin("zeros.so", **change), reason)


def test_a_plugin_that_others_can_write_is_refused(tmp_path, folder, compile_plugin):
    file = compile_plugin("zeros.so")
    file.chmod(0o777)
    assert_refused(tmp_path, folder, file, "writ")


def test_a_plugin_folder_that_others_can_write_is_refused(tmp_path, folder, compile_plugin):
    compile_plugin("zeros.so")
    folder.chmod(0o777)
    with daemon.serve_targets(tmp_path, daemon.target("null:1M"), plugin_folders=[folder]) as running:
        assert [line for line in lines_about(running, str(folder)) if "writ" in line], running.log()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make a file of another user")
def test_a_plugin_of_another_user_is_refused(tmp_path, folder, compile_plugin):
    file = compile_plugin("zeros.so")
    os.chown(file, 12345, 12345)
    assert_refused(tmp_path, folder, file, "own", "writ", "root")


def test_a_second_claim_to_a_prefix_is_refused_with_both_paths(tmp_path, folder, compile_plugin):
    first = compile_plugin("azeros.so", NAME='"azeros"')
    second = compile_plugin("bzeros.so", NAME='"bzeros"')
    assert_refused(tmp_path, folder, second, str(first))


def test_the_first_folder_wins(tmp_path, folder, compile_plugin):
    other = tmp_path / "other"
    other.mkdir(mode=0o755)
    compile_plugin("zeros.so")
    compile_plugin("zeros.so", into=other, PREFIX='"ones"')
    with daemon.serve_targets(tmp_path, daemon.target("zeros:x"), plugin_folders=[folder, other]) as running:
        with Session(running.address, daemon.TARGET) as session:
            session.settle()


def test_a_folder_that_is_not_there_does_no_harm(tmp_path):
    with daemon.serve_targets(tmp_path, daemon.target("null:1M"), plugin_folders=[tmp_path / "absent"]) as running:
        with Session(running.address, daemon.TARGET) as session:
            session.settle()


def test_check_names_a_plugin_that_is_absent(tmp_path, folder):
    settings = daemon.configuration(tmp_path, [daemon.target("zeros:x")], [("127.0.0.1", 1)])
    path = daemon.write_configuration(tmp_path, settings)
    status, output = daemon.check_configuration(path, [folder])
    assert status == 1 and "zeros" in output and str(folder) in output


def test_all_kinds_of_bad_files_at_once_do_not_stop_the_good_one(tmp_path, folder, compile_plugin):
    compile_plugin("zeros.so")
    compile_plugin("major.so", NAME='"major"', MAJOR="9")
    (folder / "text.so").write_text("text\n")
    (folder / "README").write_text("not even called .so\n")
    (folder / "folder.so").mkdir()
    shutil.copy("/bin/true", folder / "true.so")
    (folder / "dangling.so").symlink_to("/nonexistent/plugin.so")
    with daemon.serve_targets(tmp_path, daemon.target("zeros:x"), plugin_folders=[folder]) as running:
        with Session(running.address, daemon.TARGET) as session:
            session.settle()
        for name in ("major.so", "text.so", "true.so"):
            assert len(lines_about(running, name)) == 1, running.log()
        assert not lines_about(running, "README")
