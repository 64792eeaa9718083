# SPDX-License-Identifier: Apache-2.0
"""Debian's tgt on a loopback port: the peer of the benchmark, and a check of the tests' own initiator."""

import subprocess
import time

from . import ports, tools

TARGET = "iqn.2026-11.org.example:tgt"
START_TIMEOUT_S = 10


class Tgt:
    """One tgtd process with one target; LUNs are numbered from 1 (tgt keeps LUN 0 for itself)."""

    def __init__(self, wrapper=()):
        self.port = ports.free_port()
        self.control_port = str(self.port % 30000 + 1)  # names a socket in tgt's run-time folder
        self.address = ("127.0.0.1", self.port)
        self.wrapper = list(wrapper)
        self.process = None
        self.luns = 0

    @property
    def pid(self):
        return self.process.pid

    def _admin(self, mode, operation, *arguments):
        tools.run("tgtadm", "-C", self.control_port, "--lld", "iscsi", "--mode", mode, "--op", operation, "--tid", 1,
                  *arguments)

    def __enter__(self):
        command = [*self.wrapper, tools.find("tgtd"), "-f", "-C", self.control_port, "--iscsi",
                   f"portal=127.0.0.1:{self.port}"]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + START_TIMEOUT_S
        while not ports.listening_addresses(self.port):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                raise RuntimeError("tgtd does not start")
            time.sleep(0.01)
        self._admin("target", "new", "-T", TARGET)
        self._admin("target", "bind", "-I", "ALL")
        for key in ("HeaderDigest", "DataDigest"):  # for those who offer it
            self._admin("target", "update", "-n", key, "-v", "CRC32C")
        return self

    def add_lun(self, kind, path):
        """kind: rdwr or null.  Returns the LUN."""
        self.luns += 1
        self._admin("logicalunit", "new", "--lun", self.luns, "--bstype", kind, "-b", path)
        return self.luns

    def __exit__(self, *exception):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
