# SPDX-License-Identifier: Apache-2.0
"""Options and keys, and the manual pages that describe them, say the same."""

import pathlib
import re

import pytest
from lib import daemon, tools

SOURCE = pathlib.Path(__file__).resolve().parents[2]
PAGES = sorted([*SOURCE.glob("docs/*.[1-8]"), *SOURCE.glob("cli/*.1"), *SOURCE.glob("plugins/*/*.7")])


def plain(page):
    return page.read_text().replace("\\-", "-")


def test_every_option_of_the_daemon_is_in_its_page_and_its_help():
    options = re.findall(r'\{"([a-z-]+)", (?:no|required)_argument', (SOURCE / "core" / "options.c").read_text())
    assert len(options) >= 10
    page = plain(SOURCE / "docs" / "tgtkitd.8")
    shown = tools.run(daemon.Installation().daemon, "--help").stdout
    for option in options:
        assert re.search(rf"--{option}\b", page), option
        assert re.search(rf"--{option}\b", shown), option
    assert set(re.findall(r"--([a-z-]+)", shown)) <= set(options)


def test_every_plugin_has_a_page():
    for folder in (SOURCE / "plugins").iterdir():
        if folder.name != "common" and folder.is_dir() and list(folder.glob("*.c")):
            assert (folder / f"tgtkit-{folder.name}.7").exists(), folder.name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_has_no_mistakes_of_form(page):
    done = tools.run("groff", "-man", "-Tutf8", "-ww", "-z", page, check=False)
    complaints = [line for line in (done.stdout + (done.stderr or "")).splitlines() if "warning" in line or "error" in line]
    assert complaints == []


def test_the_page_says_what_a_change_of_each_key_takes():
    """All that the table does not call live is named in the section about changes, and of the daemon what is live."""
    section = plain(SOURCE / "docs" / "tgtkit.conf.5").split(".SH CHANGES WHILE THE DAEMON RUNS")[1].split(".SH ")[0]
    parts = dict(zip(("reopen", "recreate", "restart"), re.split(r"\.TP\n\.B (?:reopen|recreate|restart)\n", section)[1:]))
    table = (SOURCE / "core" / "config" / "keys.c").read_text()
    rows = re.findall(r'\{"(\w+)",\s*CONF_\w+,\s*CONF_(LIVE|REOPEN|RECREATE|RESTART)', table)
    assert len(rows) > 60
    for key, kind in rows:
        if kind in ("REOPEN", "RECREATE"):
            assert re.search(rf"\b{key}\b", parts[kind.lower()]), (key, kind)
    daemon_rows = re.search(r"daemon_keys\[\] = \{(.*?)\n\};", table, re.S)[1]
    live = re.findall(r'\{"(\w+)",\s*CONF_\w+,\s*CONF_LIVE', daemon_rows)
    assert sorted(live) == sorted(re.findall(r"\b[a-z]+_[a-z_]+\b", parts["restart"]))
