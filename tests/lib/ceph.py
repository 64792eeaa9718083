# SPDX-License-Identifier: Apache-2.0
"""A real Ceph of one monitor and one OSD for tests, started and ended by ceph.sh."""

import json
import os
import pathlib
import subprocess
import time

from . import tools

SCRIPT = pathlib.Path(__file__).with_name("ceph.sh")
NOT_INSTALLED = 77
COMMAND_TIMEOUT_S = 120


class Cluster:
    """Its pool is "rbd".  An OSD on bluestore keeps its objects in a file, so that it can be killed."""

    def __init__(self, folder, store="bluestore"):
        self.folder = folder / "ceph"
        self.conf = self.folder / "ceph.conf"
        self.environment = {**os.environ, "CEPH_USE": "rbd", "CEPH_STORE": store}

    def _script(self, *arguments):
        return subprocess.run(["sh", SCRIPT, *arguments], env=self.environment, stdin=subprocess.DEVNULL,
                              timeout=COMMAND_TIMEOUT_S, check=False)

    def __enter__(self):
        status = self._script("up", self.folder).returncode
        if status == NOT_INSTALLED:
            tools.missing("Ceph (ceph-mon, ceph-osd, ceph-common)")
        if status:
            self._script("down", self.folder)
        assert status == 0, "the cluster does not start"
        return self

    def __exit__(self, *_):
        self._script("down", self.folder)

    def kill(self, name):
        assert self._script("kill", self.folder, name).returncode == 0

    def start(self, name):
        """Returns at once for the OSD: whoever needs it waits for it anyway."""
        assert self._script("start", self.folder, name).returncode == 0

    def ceph(self, *arguments):
        return tools.run("ceph", "-c", self.conf, "--connect-timeout", 20, *arguments, timeout=COMMAND_TIMEOUT_S).stdout

    def rbd(self, *arguments):
        return tools.run("rbd", "-c", self.conf, *arguments, timeout=COMMAND_TIMEOUT_S).stdout

    def dump(self):
        text = self.ceph("osd", "dump", "--format=json")
        return json.loads(text[text.index("{"):])  # after whatever the command had to say

    def set_full(self, full):
        """Has the OSD find itself full, or not any more, and waits until the cluster knows."""
        ratios = {"nearfull": 0.85, "backfillfull": 0.90, "full": 0.95}
        for name in ratios if full else reversed(ratios):
            self.ceph("osd", f"set-{name}-ratio", str(ratios[name] / 10000 if full else ratios[name]))
        deadline = time.monotonic() + COMMAND_TIMEOUT_S
        while ("full" in self.dump()["osds"][0]["state"]) != full:
            assert time.monotonic() < deadline, "the OSD does not say whether it is full"

    def path(self, image):
        return f"rbd:{image}"

    def options(self, **others):
        return {"conf": str(self.conf), **others}
