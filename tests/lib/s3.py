# SPDX-License-Identifier: Apache-2.0
"""A real radosgw for tests of the plugin s3, and the proxy that puts faults between the two."""

import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import urllib.parse

from . import tools

LIB = pathlib.Path(__file__).resolve().parent
BUCKET = "tgtkit-functional"


class Server:
    """Ceph of one node with a bucket, until the `with` block ends.  `strange_*`: a user who may do nothing there.  `conf`:
    its configuration, for clients of rbd; with `images`, there is a pool for these."""

    def __init__(self, folder, images=False):
        self.folder = folder
        self.conf = folder / "ceph" / "ceph.conf"
        self.environment = {**os.environ, **({"CEPH_USE": "both"} if images else {})}
        self._volumes = 0

    def __enter__(self):
        done = subprocess.run(["sh", LIB / "ceph.sh", "up", self.folder / "ceph"], stdout=subprocess.PIPE, text=True,
                              env=self.environment, timeout=180, check=False)
        if done.returncode == 77:
            tools.missing("radosgw with its Ceph")
        assert done.returncode == 0, done.stdout
        try:
            self._take(done.stdout)
        except BaseException:
            self.__exit__()
            raise
        return self

    def _take(self, output):
        said = dict(line.split("=", 1) for line in output.splitlines())
        self.endpoint = said["S3_ENDPOINT"]
        self.access_key, self.secret_key = said["S3_ACCESS_KEY"], said["S3_SECRET_KEY"]
        self.strange_access_key, self.strange_secret_key = said["S3_STRANGE_ACCESS_KEY"], said["S3_STRANGE_SECRET_KEY"]
        self.secret_file = self.folder / "secret"
        self.secret_file.write_text(self.secret_key + "\n")
        self.request("PUT", BUCKET)

    def __exit__(self, *_):
        subprocess.run(["sh", LIB / "ceph.sh", "down", self.folder / "ceph"], timeout=60, check=True)

    def session_credentials(self):
        """Of 15 minutes: access key, secret key, session token."""
        policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
        self._ask("iam", Action="PutUserPolicy", PolicyName="all", UserName="tests", Version="2010-05-08",
                  PolicyDocument=json.dumps(policy))
        answer = self._ask("sts", Action="GetSessionToken", DurationSeconds="900", Version="2011-06-15").decode()
        return [re.search(f"<{name}>(.*?)</{name}>", answer)[1]
                for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")]

    def _ask(self, service, **form):
        return self.request("POST", "", urllib.parse.urlencode(form).encode(), service)

    def request(self, method, path, body=None, service="s3"):
        """The body of a signed request's answer."""
        digest = hashlib.sha256(body or b"").hexdigest()
        command = ["curl", "-sS", "--fail-with-body", "-X", method, "--aws-sigv4", f"aws:amz:us-east-1:{service}",
                   "--user", f"{self.access_key}:{self.secret_key}", "-H", f"x-amz-content-sha256: {digest}",
                   f"{self.endpoint}/{path}"]
        if body is not None:
            command += ["--data-binary", "@-"]
        done = subprocess.run(command, input=body, stdout=subprocess.PIPE, timeout=60, check=False)
        assert done.returncode == 0, f"{method} {path}: {done.stdout!r}"
        return done.stdout

    def new_path(self):
        """Of a volume that nobody has."""
        self._volumes += 1
        return f"{BUCKET}/volume-{self._volumes}"

    def options(self, **changes):
        """Of the plugin; a value of None takes an option away."""
        options = {"endpoint": self.endpoint, "access_key": self.access_key, "secret_key_file": str(self.secret_file),
                   "chunk_size": "64K", "lease_s": 3, **changes}
        return {key: value for key, value in options.items() if value is not None}

    def lun(self, path, size="8M", lun=0, settings=(), **options):
        """For a configuration: the volume at `path`, made if it is not there."""
        return {"lun": lun, "path": f"s3:{path}", "size": size, "create": True, "options": self.options(**options),
                **dict(settings)}


class FaultProxy:
    """tests/lib/fault_proxy.py before a server; `set` says which fault comes, see there."""

    def __init__(self, folder, server):
        self.control = folder / "fault"
        self.server = server

    def set(self, fault=""):
        fresh = self.control.with_suffix(".new")
        fresh.write_text(fault)
        fresh.rename(self.control)

    def __enter__(self):
        self.set()
        host, port = self.server.endpoint.removeprefix("http://").rsplit(":", 1)
        self.process = subprocess.Popen([sys.executable, LIB / "fault_proxy.py", host, port, self.control],
                                        stdout=subprocess.PIPE, text=True)
        self.endpoint = f"http://127.0.0.1:{int(self.process.stdout.readline())}"
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
