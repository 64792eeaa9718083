# SPDX-License-Identifier: Apache-2.0
"""Calls and includes go down only, and a plugin knows the ABI's header alone."""

import pathlib
import re

import pytest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
PLUGINS = SOURCE / "plugins"
# Each may include itself and what stands after it; mgmt and config stand side by side, above the others.
LAYERS = ["mgmt", "config", "target", "iscsi", "scsi", "store", "rt"]
QUOTED = re.compile(r'^#include "([^"]+)"', re.MULTILINE)
ANGLED = re.compile(r"^#include <([^>]+)>", re.MULTILINE)


def sources(folder):
    return [path for pattern in ("*.c", "*.h") for path in (SOURCE / folder).rglob(pattern)]


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_includes_itself_and_lower_ones_only(layer):
    allowed = set(LAYERS[LAYERS.index(layer):])
    files = sources(f"core/{layer}")
    assert files
    for path in files:
        for included in QUOTED.findall(path.read_text()):
            folder, slash, _ = included.partition("/")
            assert included == "config.h" or (slash and folder in allowed), f"{path} includes {included}"


def included_file(path, name):
    """What the compiler finds: beside the source, or below plugins/."""
    return next((folder / name for folder in (path.parent, PLUGINS) if (folder / name).exists()), None)


def test_a_plugin_includes_the_abi_and_its_own_folder_only():
    files = sources("plugins")
    assert files
    for path in files:
        own = path.relative_to(PLUGINS).parts[0]
        text = path.read_text()
        assert not [name for name in ANGLED.findall(text) if name.startswith("tgtkit/") and name != "tgtkit/plugin.h"]
        for name in QUOTED.findall(text):
            found = included_file(path, name)
            assert name == "config.h" or (found and found.resolve().relative_to(PLUGINS).parts[0] in (own, "common")), \
                f"{path} includes {name}"


def test_the_core_names_no_plugin():
    names = {path.name for path in PLUGINS.iterdir() if path.is_dir()} - {"common", "file", "null", "remote"}
    assert names
    for path in sources("core"):
        for name in names:
            assert f'"{name}"' not in path.read_text(), f"{path} names the plugin {name}"
