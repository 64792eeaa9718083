# SPDX-License-Identifier: Apache-2.0
"""Programs of others that the tests run, and what to do when one is not there."""

import os
import shutil
import subprocess


def missing(what):
    """A test cannot run: it fails, so that nobody takes silence for success, unless the environment allows to skip."""
    import pytest  # here, as the benchmark gets by without it

    message = f"{what} is not available (TGTKIT_TESTS_MAY_SKIP=1 skips such tests)"
    if os.environ.get("TGTKIT_TESTS_MAY_SKIP") == "1":
        pytest.skip(message)
    pytest.fail(message)


def environment_without_make():
    """For a make that is run inside `make check`: the outer one's job server is not for it."""
    return {key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}


def find(name):
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    return path or missing(f"the program {name}")


def run(name, *arguments, timeout=120, check=True, **options):
    """Runs a program and returns the completed process with its output as text."""
    done = subprocess.run([find(name), *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace", timeout=timeout, check=False, **options)
    if check:
        assert done.returncode == 0, f"{name} {' '.join(map(str, arguments))}: {done.returncode}\n{done.stdout}"
    return done


def qemu_convert(source, destination, existing=False):
    """Copies a raw image; `existing`: the destination is there already (a LUN)."""
    run("qemu-img", "convert", "-f", "raw", "-O", "raw", *(["-n"] if existing else []), source, destination,
        timeout=300)


def same_bytes(first, second):
    return run("cmp", first, second, check=False).returncode == 0
