# SPDX-License-Identifier: Apache-2.0
"""A configuration with an error: tgtkitd --check names file, line and key, exits 1, and nothing starts."""

import re
import subprocess

import pytest
from lib import daemon, ports

GOOD = """\
daemon = {
  state_dir = "@FOLDER@/state";
};
portal_groups = ( { tag = 1; portals = ( "127.0.0.1:@PORT@" ); } );
targets = (
  { name = "iqn.2026-11.org.example:disk";
    luns = (
      { lun = 0; path = "null:1M"; },
      { lun = 1; path = "file:@FOLDER@/a.img"; size = "1M"; create = true; }
    );
  }
);
"""


@pytest.fixture
def check(tmp_path):
    """check(old, new): the good configuration with one change; (exit status, output, path)."""

    def run(old=None, new=None):
        text = GOOD
        if old is not None:
            assert text.count(old) == 1
            text = text.replace(old, new)
        text = text.replace("@FOLDER@", str(tmp_path)).replace("@PORT@", str(ports.free_port()))
        path = daemon.write_configuration(tmp_path, text)
        return *daemon.check_configuration(path), path

    return run


def test_a_good_configuration_passes(check, tmp_path):
    status, output, _ = check()
    assert status == 0, output
    assert not (tmp_path / "a.img").exists(), "--check makes no store"


LUN_0 = '{ lun = 0; path = "null:1M"; }'
LUN_1 = '{ lun = 1; path = "file:@FOLDER@/a.img"; size = "1M"; create = true; }'
TAG_1 = '( { tag = 1; portals = ( "127.0.0.1:@PORT@" ); } )'
NAME = 'name = "iqn.2026-11.org.example:disk";'


@pytest.mark.parametrize("old, new, line, named", [
    ('state_dir = "@FOLDER@/state";', 'state_dri = "/x";', 2, "state_dri"),
    ('state_dir = "@FOLDER@/state";', "workers = \"two\";", 2, "workers"),
    ('state_dir = "@FOLDER@/state";', "workers = -1;", 2, "workers"),
    ('state_dir = "@FOLDER@/state";', 'memory_limit = "lots";', 2, "memory_limit"),
    ('state_dir = "@FOLDER@/state";', 'memory_limit = "1";', 2, "memory_limit"),
    ('state_dir = "@FOLDER@/state";', 'log_level = "loud";', 2, "log_level"),
    ('state_dir = "@FOLDER@/state";', 'plugin_dirs = "/x";', 2, "plugin_dirs"),
    (TAG_1, '( { portals = ( "127.0.0.1:@PORT@" ); } )', 4, "tag"),
    (TAG_1, '( { tag = 0; portals = ( "127.0.0.1:@PORT@" ); } )', 4, "tag"),
    (TAG_1, "( { tag = 1; } )", 4, "portals"),
    (TAG_1, '( { tag = 1; portals = ( "nowhere" ); } )', 4, "nowhere"),
    (TAG_1, '( { tag = 1; portals = ( "127.0.0.1:99999" ); } )', 4, "99999"),
    (TAG_1, '( { tag = 1; portals = ( "127.0.0.1:@PORT@", "127.0.0.1:@PORT@" ); } )', 4, "127.0.0.1"),
    (TAG_1, '( { tag = 1; portals = ( { listen = "127.0.0.1:@PORT@"; advertise = "x y"; } ); } )', 4, "advertise"),
    (TAG_1, '( { tag = 1; portals = ( "127.0.0.1:1" ); }, { tag = 1; portals = ( "127.0.0.1:2" ); } )', 4, "1"),
    (NAME, 'name = "not a name";', 6, "name"),
    (NAME, "", 6, "name"),
    (NAME, NAME + " porta_groups = [ 1 ];", 6, "porta_groups"),
    (NAME, NAME + " portal_groups = [ 2 ];", 6, "portal_groups"),
    (NAME, NAME + " parameters = { immediate_data = 3; };", 6, "immediate_data"),
    (NAME, NAME + ' parameters = { header_digest = "md5"; };', 6, "header_digest"),
    (NAME, NAME + " parameters = { max_outstanding_r2t = 99; };", 6, "max_outstanding_r2t"),
    (LUN_0, '{ path = "null:1M"; }', 8, "lun"),
    (LUN_0, '{ lun = 99999; path = "null:1M"; }', 8, "lun"),
    (LUN_0, "{ lun = 0; }", 8, "path"),
    (LUN_0, '{ lun = 0; path = ""; }', 8, "path"),
    (LUN_0, '{ lun = 0; path = "null:1M"; sise = "1M"; }', 8, "sise"),
    (LUN_0, '{ lun = 0; path = "null:huge"; }', 8, "huge"),
    (LUN_0, '{ lun = 0; path = "nul:1M"; }', 8, "nul"),
    (LUN_0, '{ lun = 0; path = "null:1M"; backend = "absent"; }', 8, "absent"),
    (LUN_0, '{ lun = 0; path = "null:1M"; block_size = 520; }', 8, "block_size"),
    (LUN_0, '{ lun = 0; path = "null:1M"; block_size = "512"; }', 8, "block_size"),
    (LUN_0, '{ lun = 0; path = "null:1M"; physical_block_size = 1000; }', 8, "physical_block_size"),
    (LUN_0, '{ lun = 0; path = "null:1M"; options = { latency_us = "soon"; }; }', 8, "latency_us"),
    (LUN_0, '{ lun = 0; path = "null:1M"; options = { colour = "red"; }; }', 8, "colour"),
    (LUN_0, '{ lun = 0; path = "null:1M"; read_only = 1; }', 8, "read_only"),
    (LUN_0, '{ lun = 0; path = "null:1M"; vendor = "far too long for SCSI"; }', 8, "vendor"),
    (LUN_0, '{ lun = 0; path = "null:1M"; features = { unmapp = true; }; }', 8, "unmapp"),
    (LUN_1, '{ lun = 0; path = "file:@FOLDER@/a.img"; size = "1M"; create = true; }', 9, "lun"),
    (LUN_1, '{ lun = 1; path = "file:@FOLDER@/a.img"; size = "1Q"; create = true; }', 9, "size"),
    (LUN_1, '{ lun = 1; path = "file:@FOLDER@/a.img"; size = "-1"; create = true; }', 9, "size"),
    (LUN_1, '{ lun = 1; path = "file:@FOLDER@/a.img"; size = "99999999P"; create = true; }', 9, "size"),
    (LUN_1, '{ lun = 1; path = "file:@FOLDER@/a.img"; }', 9, "a.img"),
    (LUN_1, '{ lun = 1; path = "RemBs:10.0.0.1/x"; }', 9, "remote:"),
], ids=lambda value: str(value) if isinstance(value, int) or len(value) < 20 else "")
def test_an_error_is_named_with_file_line_and_key(check, old, new, line, named):
    status, output, path = check(old, new)
    assert status == 1, output
    assert re.search(rf"^{re.escape(str(path))}:{line}:.*{re.escape(named)}", output, re.MULTILINE), output


def test_an_unknown_group_is_named(check):
    status, output, path = check("daemon = {", "demon = {")
    assert status == 1 and re.search(rf"{re.escape(str(path))}:1:.*demon", output), output


def test_a_syntax_error_is_named_with_its_line(check):
    status, output, path = check('path = "null:1M";', 'path = "null:1M;')
    assert status == 1 and re.search(rf"{re.escape(str(path))}:\d+:", output), output


def test_two_targets_of_one_name_are_an_error(check):
    second = '  { name = "iqn.2026-11.org.example:disk"; luns = ( ); }'
    status, output, path = check(");\n  }\n);", f");\n  }},\n{second}\n);")
    assert status == 1 and re.search(rf"{re.escape(str(path))}:12:.*iqn.2026-11.org.example:disk", output), output


def test_one_unit_with_differing_attributes_is_an_error(check):
    other = f'{LUN_0},\n      {{ lun = 5; path = "null:1M"; vendor = "OTHER"; }}'
    status, output, path = check(LUN_0, other)
    assert status == 1 and re.search(rf"{re.escape(str(path))}:9:.*vendor", output), output


def test_an_unknown_prefix_lists_the_plugins_and_folders(check):
    status, output, _ = check('"null:1M"', '"tape:1M"')
    assert status == 1
    assert "tape" in output and "null" in output and "file" in output
    assert "/" in output.split("tape", 1)[1], "the folders that were searched"


def test_all_errors_are_named_at_once(check):
    status, output, path = check(LUN_0, '{ lun = 0; path = "null:1M"; sise = 1; colour = 2; }')
    assert status == 1 and "sise" in output and "colour" in output


def test_a_configuration_that_is_not_there_is_named(tmp_path):
    status, output = daemon.check_configuration(tmp_path / "absent.conf")
    assert status == 1 and "absent.conf" in output


def test_nothing_starts_with_an_error(tmp_path):
    port = ports.free_port()
    text = GOOD.replace("@FOLDER@", str(tmp_path)).replace("@PORT@", str(port)).replace("create = true", "crate = true")
    path = daemon.write_configuration(tmp_path, text)
    running = daemon.Daemon(["-f", "-c", path], [("127.0.0.1", port)])
    with pytest.raises(AssertionError, match="crate"):
        running.start()
    assert running.wait() == 1
    running.assert_clean()
    assert not ports.listening_addresses(port) and not (tmp_path / "a.img").exists()


@pytest.mark.parametrize("arguments, status", [
    (["--frobnicate"], 2), (["-f", "--listen"], 2), (["--check", "-c", "/nonexistent/tgtkit.conf"], 1),
    (["-f", "--listen", "nonsense:port", "null:1M"], 1), (["-f", "--set", "daemon.no_such_key=1", "null:1M"], 1),
    (["-f", "--set", "nonsense", "null:1M"], 1), (["-f", "--target", "not a name", "null:1M"], 1),
])
def test_a_wrong_command_line_is_refused_with_a_line_that_says_why(arguments, status):
    installation = daemon.Installation()
    done = subprocess.run([str(installation.daemon), *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=30, check=False,
                          env=installation.environment())
    assert done.returncode == status, done.stdout
    assert done.stdout.strip()


def test_help_and_version_answer():
    installation = daemon.Installation()
    for option, expected in (("--help", "--listen"), ("--version", "tgtkit")):
        output = subprocess.run([str(installation.daemon), option], stdout=subprocess.PIPE, text=True, timeout=30,
                                check=True, env=installation.environment()).stdout
        assert expected in output


def test_a_port_in_use_is_named(tmp_path):
    with daemon.serve_paths(tmp_path, "null:1M") as running:
        (tmp_path / "second").mkdir()
        second = daemon.serve_paths(tmp_path / "second", "null:1M")
        second.command[second.command.index("--listen") + 1] = f"127.0.0.1:{running.address[1]}"
        with pytest.raises(AssertionError, match=str(running.address[1])):
            second.start()
        assert second.wait() == 1


def test_a_state_folder_in_use_is_named(tmp_path):
    with daemon.serve_targets(tmp_path, daemon.target("null:1M")):
        second = daemon.serve_targets(tmp_path, daemon.target("null:2M"))
        with pytest.raises(AssertionError, match="state"):
            second.start()
        assert second.wait() == 1
