# SPDX-License-Identifier: Apache-2.0
"""The load generator of the benchmark, for tests."""

import pathlib

from . import daemon, tools


def load_program():
    installation = daemon.Installation()
    path = pathlib.Path(installation.build or "", "tests/bench/iscsiload")
    if not installation.build or not path.exists():
        tools.missing("tests/bench/iscsiload of the build tree")
    return path
