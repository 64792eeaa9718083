# SPDX-License-Identifier: Apache-2.0
"""Plugins made outside the tree: built against the installed header that pkg-config finds, and nothing else."""

import pathlib
import shlex
import socket

from . import tools
from .daemon import Installation

SOURCES = pathlib.Path(__file__).resolve().parents[1] / "plugins"


class Development:
    """The header and its pkg-config module, installed: in TGTKIT_PREFIX, or from the build tree into a folder."""

    def __init__(self, folder):
        installation = Installation()
        tools.find("pkg-config")
        if installation.prefix:
            self.prefix = pathlib.Path(installation.prefix)
        else:
            self.prefix = folder / "prefix"
            self._stage(installation.build)
        modules = list(self.prefix.glob("**/tgtkit-plugin.pc"))
        assert len(modules) == 1, f"tgtkit-plugin.pc is there {len(modules)} times under {self.prefix}"
        self.environment = {**tools.environment_without_make(), "PKG_CONFIG_PATH": str(modules[0].parent)}

    def _stage(self, build):
        tools.run("make", "-s", "-C", build, f"prefix={self.prefix}", "install-includetgtkitHEADERS",
                  "install-pkgconfigDATA", env=tools.environment_without_make())

    def pkg_config(self, *arguments):
        # The module names the prefix that configure was given; the staged copy is elsewhere.
        define = f"--define-variable=includedir={self.prefix}/include"
        return shlex.split(tools.run("pkg-config", define, *arguments, "tgtkit-plugin", env=self.environment).stdout)

    def compile(self, source, output, *options, compiler="cc", check=True):
        return tools.run(compiler, "-Wall", "-Wextra", "-Werror", *options, *self.pkg_config("--cflags"), "-o", output,
                         source, check=check)

    def compile_plugin(self, source, output, *options):
        """A shared object of one source file, given as text."""
        path = output.with_suffix(".c")
        path.write_text(source)
        self.compile(path, output, "-std=c99", "-D_GNU_SOURCE", "-fPIC", "-shared", *options)
        return output

    def build_plugins(self, folder):
        """tests/plugins, into a folder, by its own Makefile."""
        folder.mkdir(exist_ok=True)
        flags = " ".join(self.pkg_config("--cflags"))
        tools.run("make", "-s", "-C", folder, "-f", SOURCES / "Makefile", f"PLUGIN_CFLAGS={flags}",
                  env=self.environment)
        return folder


class RigControl:
    """The rig's control socket: one line each way (tests/plugins/README.md)."""

    TIMEOUT_S = 30

    def __init__(self, path):
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(self.TIMEOUT_S)
        self._socket.connect(str(path))
        self._input = self._socket.makefile("r")

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._input.close()
        self._socket.close()

    def order(self, command):
        """The words after "ok"."""
        self._socket.sendall(command.encode() + b"\n")
        answer = self._input.readline().split()
        assert answer[:1] == ["ok"], f"the rig answers '{' '.join(answer)}' to '{command}'"
        return answer[1:]

    def status(self):
        return {key: int(value) for key, value in (word.split("=") for word in self.order("status"))}
