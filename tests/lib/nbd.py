# SPDX-License-Identifier: Apache-2.0
"""NBD servers for tests of the plugin remote."""

import os
import signal
import socket
import subprocess


class Server:
    """nbdkit on a Unix socket that listens before nbdkit runs, so that nobody has to wait for it."""

    def __init__(self, folder, *arguments):
        self.path = folder / "nbd.sock"
        self.uri = f"nbd+unix:///?socket={self.path}"
        self.arguments = ["nbdkit", "-f", *map(str, arguments)]
        self.process = None

    def start(self):
        self.path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self.path))
            listener.listen(64)
            # nbdkit finds the socket as descriptor 3, as systemd would pass it.
            command = ["bash", "-c", f'exec 3<&{listener.fileno()}; LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"', "bash"]
            self.process = subprocess.Popen([*command, *self.arguments], pass_fds=[listener.fileno()],
                                            stderr=subprocess.DEVNULL)
        return self

    def kill(self):
        self.process.kill()
        self.process.wait()

    def restart(self):
        self.kill()
        self.start()

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOWAIT)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.kill()
