# SPDX-License-Identifier: Apache-2.0
"""The daemon's API over its Unix socket, and the command that uses it."""

import http.client
import json
import os
import socket
import subprocess
import urllib.parse

from . import daemon


class _Connection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class ApiError(AssertionError):
    """An answer with another status than the one that was wanted."""


class Api:
    def __init__(self, path, timeout=30):
        self.path = path
        self.timeout = timeout

    def raw(self, method, path, body=None, headers=()):
        """(status, content type, bytes)."""
        connection = _Connection(self.path, self.timeout)
        try:
            connection.request(method, path, body, dict(headers))
            response = connection.getresponse()
            return response.status, response.getheader("Content-Type"), response.read()
        finally:
            connection.close()

    def call(self, method, path, body=None, want=None):
        """(status, decoded JSON); a body that is no str or bytes is sent as JSON."""
        data = body if body is None or isinstance(body, (str, bytes)) else json.dumps(body)
        status, _, text = self.raw(method, path, data)
        answer = json.loads(text)
        if want is not None and status != want:
            raise ApiError(f"{method} {path}: {status}, not {want}: {answer}")
        if status >= 400:
            assert set(answer) == {"error"} and set(answer["error"]) == {"code", "message"}, answer
            assert answer["error"]["message"], answer
        return status, answer

    def get(self, path, want=200):
        return self.call("GET", path, want=want)[1]

    def post(self, path, body=None, want=201):
        return self.call("POST", path, body, want)[1]

    def patch(self, path, body, want=200):
        return self.call("PATCH", path, body, want)[1]

    def delete(self, path, want=200):
        return self.call("DELETE", path, want=want)[1]


def target_path(name):
    return "/v1/targets/" + urllib.parse.quote(name, safe="")


def lun_path(name, lun):
    return f"{target_path(name)}/luns/{lun}"


class Command:
    """tgtkit with the socket of one daemon."""

    def __init__(self, path):
        installation = daemon.Installation()
        self.program = installation.daemon.parent.parent / "bin" / "tgtkit" if installation.prefix \
            else installation.daemon.parent / "tgtkit"
        self.environment = installation.environment()
        self.environment["PATH"] = f"{installation.daemon.parent}:{os.environ['PATH']}"
        self.path = path

    def _run(self, arguments, status, stdin):
        done = subprocess.run([str(self.program), "--socket", str(self.path), *map(str, arguments)], input=stdin,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
                              env=self.environment)
        assert done.returncode == status, (arguments, done.returncode, done.stdout, done.stderr)
        assert not daemon.SANITIZER_REPORT.search(done.stderr), done.stderr
        return done

    def run(self, *arguments, status=0, stdin=""):
        """What it wrote to stdout; with a status that is not 0: to stderr."""
        done = self._run(arguments, status, stdin)
        return done.stderr if status else done.stdout

    def warned(self, *arguments, stdin=""):
        """What it wrote to stderr although it did what was wanted."""
        return self._run(arguments, 0, stdin).stderr

    def json(self, *arguments):
        return json.loads(self.run("-o", "json", *arguments))
