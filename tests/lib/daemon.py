# SPDX-License-Identifier: Apache-2.0
"""Starts tgtkitd from the build tree or from an installation, waits until it listens, and judges how it ends."""

import os
import pathlib
import re
import select
import signal
import subprocess
import threading
import time

from . import libconfig, ports, tools

TARGET = "iqn.2026-11.org.example:disk"
# What their libraries bring along makes every start and, above all, every search for leaks at the end take seconds:
# a daemon of the tests has them only if its configuration names a path with one of these prefixes.
LARGE_PLUGINS = {"rbd": ("rbd:", "ceph:", "ceph-rbd:")}
READY = r"tgtkitd \S+ is ready"
# Bounds for whatever else the machine does meanwhile: the search for leaks at the end takes a sanitized daemon seconds.
START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 60
SANITIZER_REPORT = re.compile(r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|: runtime error: ")


class Installation:
    """Where the programs and plugins are: TGTKIT_PREFIX (installed) or TGTKIT_BUILD (build tree)."""

    def __init__(self, environment=os.environ):
        self.prefix = environment.get("TGTKIT_PREFIX")
        self.build = environment.get("TGTKIT_BUILD")
        if self.prefix:
            self.daemon = pathlib.Path(self.prefix, "sbin", "tgtkitd")
            self.plugin_folders = self.large_plugin_folders = []
        elif self.build:
            self.daemon = pathlib.Path(self.build, "tgtkitd")
            folders = sorted(pathlib.Path(self.build, "plugins").glob("*/.libs"))
            self.plugin_folders = [folder for folder in folders if folder.parent.name not in LARGE_PLUGINS]
            self.large_plugin_folders = [folder for folder in folders if folder not in self.plugin_folders]
        else:
            tools.missing("tgtkitd: neither TGTKIT_BUILD nor TGTKIT_PREFIX is set, so it")
        if not self.daemon.exists():
            tools.missing(str(self.daemon))

    def folders_for(self, targets):
        """Of the large plugins that these targets need."""
        paths = [str(lun["path"]) for one in targets for lun in one["luns"]]
        return [folder for folder in self.large_plugin_folders
                if any(path.startswith(LARGE_PLUGINS[folder.parent.name]) for path in paths)]

    def has_plugin(self, name):
        folders = self.plugin_folders + self.large_plugin_folders or \
            pathlib.Path(self.prefix).glob("lib*/**/tgtkit/plugins")
        return any((folder / f"{name}.so").exists() for folder in folders)

    def environment(self, extra_plugin_folders=()):
        """For a child: sanitizers that stop at the first error, and the plugins of this build."""
        environment = dict(os.environ)
        environment.pop("NOTIFY_SOCKET", None)
        environment["ASAN_OPTIONS"] = "detect_leaks=1:abort_on_error=0:exitcode=99:detect_stack_use_after_return=1"
        environment["LSAN_OPTIONS"] = "exitcode=98"
        environment["UBSAN_OPTIONS"] = "print_stacktrace=1:halt_on_error=1:exitcode=97"
        environment["TGTKIT_PLUGIN_PATH"] = ":".join(map(str, [*extra_plugin_folders, *self.plugin_folders]))
        return environment

    def is_sanitized(self):
        return b"__asan_init" in self.daemon.read_bytes() or b"__tsan_init" in self.daemon.read_bytes()


class Daemon:
    """One tgtkitd process.  Leaving the `with` block stops it with SIGTERM and asserts that it ended well."""

    def __init__(self, arguments, addresses, plugin_folders=(), wrapper=(), environment=()):
        self.installation = Installation()
        self.addresses = addresses
        self.command = [*map(str, wrapper), str(self.installation.daemon), *map(str, arguments)]
        self.environment = {**self.installation.environment(plugin_folders), **dict(environment)}
        self.log_lines = []
        self._log_ended = False
        self._log_changed = threading.Condition()
        self.process = None
        self.expected_status = 0

    # ---- Start ----

    def start(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, env=self.environment)
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()
        try:
            self.wait_for_log(READY)
        except BaseException:
            self.kill()
            raise
        return self

    def _read_log(self):
        for line in self.process.stderr:
            with self._log_changed:
                self.log_lines.append(line.decode(errors="replace").rstrip("\n"))
                self._log_changed.notify_all()
        with self._log_changed:
            self._log_ended = True
            self._log_changed.notify_all()

    # ---- While it runs ----

    @property
    def address(self):
        return self.addresses[0]

    @property
    def pid(self):
        return self.process.pid

    def log(self):
        with self._log_changed:
            return "\n".join(self.log_lines)

    def last_words(self):
        """The end of the log, for messages."""
        return "\n".join(self.log().splitlines()[-30:])

    def wait_for_log(self, pattern, timeout=START_TIMEOUT_S, since=0):
        """The first log line that matches."""
        deadline = time.monotonic() + timeout
        with self._log_changed:
            while True:
                for line in self.log_lines[since:]:
                    if re.search(pattern, line):
                        return line
                remaining = deadline - time.monotonic()
                if self._log_ended or remaining <= 0 or not self._log_changed.wait(remaining):
                    raise AssertionError(f"no line of the log matches {pattern}:\n" + "\n".join(self.log_lines))

    def assert_alive(self):
        assert self.process.poll() is None, f"the daemon has ended with {self.process.returncode}:\n{self.last_words()}"

    def open_descriptors(self):
        return len(list(pathlib.Path("/proc", str(self.pid), "fd").iterdir()))

    def resident_bytes(self):
        status = pathlib.Path("/proc", str(self.pid), "status").read_text()
        return int(re.search(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)[1]) * 1024

    def wait_for_descriptors(self, at_most, timeout=10):
        """Connections of the past have to be freed, if not at once."""
        deadline = time.monotonic() + timeout
        while self.open_descriptors() > at_most:
            assert time.monotonic() < deadline, f"{self.open_descriptors()} descriptors are open, not {at_most}"
            time.sleep(0.01)

    # ---- End ----

    def signal(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def wait(self, timeout=STOP_TIMEOUT_S):
        """The exit status."""
        self._wait_for_end(timeout)
        status = self.process.wait()
        self._reader.join(STOP_TIMEOUT_S)
        return status

    def _wait_for_end(self, timeout):
        """At once when it comes: Popen.wait with a timeout looks again every 50 ms."""
        if self.process.poll() is not None:
            return
        descriptor, end = os.pidfd_open(self.process.pid), select.poll()
        end.register(descriptor, select.POLLIN)
        try:
            if not end.poll(1000 * timeout):
                raise subprocess.TimeoutExpired(self.command, timeout)
        finally:
            os.close(descriptor)

    def stop(self, timeout=STOP_TIMEOUT_S):
        """SIGTERM; the daemon has to exit with the expected status, in time, and no sanitizer has to say anything."""
        self.assert_alive()
        self.signal()
        try:
            status = self.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the daemon has not ended {timeout} s after SIGTERM:\n{self.last_words()}") from None
        assert status == self.expected_status, f"the daemon has ended with {status}:\n{self.last_words()}"
        self.assert_clean()

    def assert_clean(self):
        assert not SANITIZER_REPORT.search(self.log()), self.last_words()

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.wait()

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *exception):
        if kind is None and self.process.poll() is None:
            self.stop()
        elif self.process.poll() is None:
            self.kill()
            print(self.last_words())
        else:
            status = self.process.returncode
            assert status == self.expected_status, f"the daemon has ended with {status}:\n{self.last_words()}"


def serve_paths(folder, *paths, target=TARGET, settings=(), host="127.0.0.1", **options):
    """tgtkitd without a configuration file: every path becomes the next LUN of one target."""
    port = ports.free_port()
    overrides = [part for key, value in {**local_settings(folder), **dict(settings)}.items()
                 for part in ("--set", f"{key}={value}")]
    listen = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return Daemon(["-f", "--listen", listen, "--target", target, *overrides, *paths], [(host, port)], **options)


def local_settings(folder):
    """What keeps a daemon from touching the machine's own folders."""
    return {"daemon.state_dir": folder / "state"}


def configuration(folder, targets, portals=None, discovery=None, **daemon):
    """The settings of a configuration file; `portals` is [(host, port), ...]."""
    settings = {"state_dir": str(folder / "state"), "api": {"socket": str(folder / "api.sock")}, **daemon}
    listen = [f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in portals or []]
    return {"daemon": settings, **({"discovery": discovery} if discovery else {}),
            "portal_groups": [{"tag": 1, "portals": listen}], "targets": targets}


def target(*luns, name=TARGET, **settings):
    """A target; a LUN is a path (numbered from 0) or a dict."""
    entries = [{"lun": number, "path": str(one)} if not isinstance(one, dict) else {"lun": number, **one}
               for number, one in enumerate(luns)]
    return {"name": name, "luns": entries, **settings}


def write_configuration(folder, settings, name="tgtkit.conf"):
    path = folder / name
    path.write_text(settings if isinstance(settings, str) else libconfig.dumps(settings))
    return path


def serve_targets(folder, *targets, hosts=("127.0.0.1",), plugin_folders=(), wrapper=(), **daemon):
    """tgtkitd with a configuration file and one portal per host, all on one port."""
    port = ports.free_port()
    portals = [(host, port) for host in hosts]
    path = write_configuration(folder, configuration(folder, list(targets), portals, **daemon))
    return Daemon(["-f", "-c", path], portals, [*plugin_folders, *Installation().folders_for(targets)], wrapper)


def need_plugin(name):
    """For a plugin that the build leaves out where its library is absent."""
    if not Installation().has_plugin(name):
        tools.missing(f"the plugin {name}")


def check_configuration(path, plugin_folders=()):
    """tgtkitd --check: (exit status, everything that it wrote)."""
    installation = Installation()
    done = subprocess.run([str(installation.daemon), "--check", "-c", str(path)], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=60, check=False,
                          env=installation.environment(plugin_folders))
    assert not SANITIZER_REPORT.search(done.stdout), done.stdout
    return done.returncode, done.stdout
