# SPDX-License-Identifier: Apache-2.0
"""Discovery by open-iscsi, the initiator of Linux: its iscsiadm logs in and asks in user space, so that only what it
finds out about the machine has to be there: a transport in /sys, and an iscsid that says what the initiator is called.
Both exist in a mount namespace and on a socket of the test's alone."""

import contextlib
import errno
import pathlib
import re
import shlex
import socket
import struct
import subprocess
import threading
import time

from . import tools

INITIATOR = "iqn.1993-08.org.debian:01:open-iscsi-test"
# usr/mgmt_ipc.h: what iscsiadm asks iscsid for.
NAME, ALIAS, CONFIGURATION_FILE = 8, 9, 10
ANSWERS = {ALIAS: b"a test", CONFIGURATION_FILE: b"/etc/iscsi/iscsid.conf", NAME: INITIATOR.encode()}
LONGEST_ANSWER_BYTES = 1 << 16


class Iscsid:
    """Answers what iscsiadm wants to know before a discovery.  Where a real one listens, that one does."""

    def __enter__(self):
        self._thread = None
        self._socket = socket.socket(socket.AF_UNIX)
        if not self._bind():
            return self
        self._socket.listen(8)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def _bind(self):
        """Another run of this test may have the address for some seconds; whoever keeps it is a real iscsid."""
        deadline = time.monotonic() + 30
        while True:
            try:
                self._socket.bind("\0ISCSIADM_ABSTRACT_NAMESPACE")
                return True
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)

    def __exit__(self, *exception):
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        if self._thread:
            self._thread.join(10)  # as long as it waits on the socket, the address is taken

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                with self._socket.accept()[0] as client:
                    self._answer(client)

    @staticmethod
    def _answer(client):
        request = client.recv(1 << 16)
        if len(request) < 4:
            return
        (command,) = struct.unpack("i", request[:4])
        answer = struct.pack("ii", command, 0) + ANSWERS.get(command, b"")
        # The client takes as much of it as its version wants.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            client.sendall(answer.ljust(LONGEST_ANSWER_BYTES, b"\0"))


def _write(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def discover(folder, address, **settings):
    """iscsiadm -m discovery -t sendtargets: (exit status, [(portal, target), ...], all that it said).  The settings are
    those of iscsid.conf, with _ for every dot."""
    tools.find("iscsiadm")
    lines = [f"{key.replace('_', '.', 3)} = {value}\n" for key, value in settings.items()]
    _write(folder, {"sys/class/iscsi_transport/tcp/caps": "0x39\n", "sys/class/iscsi_transport/tcp/handle": "1\n",
                    "sys/module/iscsi_tcp/refcnt": "1\n", "etc/initiatorname.iscsi": f"InitiatorName={INITIATOR}\n",
                    "etc/iscsid.conf": "iscsid.startup = /bin/true\n" + "".join(lines)})
    source = shlex.quote(str(folder))
    portal = shlex.quote(f"{address[0]}:{address[1]}")
    script = (f"mkdir -p /etc/iscsi && mount --bind {source}/sys /sys && mount --bind {source}/etc /etc/iscsi && "
              f"exec iscsiadm -m discovery -t sendtargets -p {portal}")
    with Iscsid():
        done = subprocess.run([tools.find("unshare"), "--mount", "sh", "-c", script], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=120, check=False)
    return done.returncode, re.findall(r"^(\S+:\d+),\d+ (iqn\S+)$", done.stdout, re.MULTILINE), done.stdout


def state_folder(tmp_path):
    path = pathlib.Path(tmp_path, "open-iscsi")
    path.mkdir()
    return path
