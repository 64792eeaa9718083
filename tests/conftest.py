# SPDX-License-Identifier: Apache-2.0
"""What all functional and fault tests share: the daemons that they talk to, and which tests run where."""

import contextlib
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from lib import daemon, healthy, outside  # noqa: E402
from lib.initiator import Session  # noqa: E402

IMAGE_BYTES = 64 << 20
HEALTHY_TARGET = "iqn.2026-11.org.example:healthy-disk"
# What takes longest comes first, so that no process is left with one of them when the others are done.
FIRST_FILES = ("test_rbd.py", "test_main_job.py", "test_s3.py", "test_cli.py", "test_every_store.py", "test_stores.py")


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", help="also run what takes long")


def place_of(item):
    return FIRST_FILES.index(item.path.name) if item.path.name in FIRST_FILES else len(FIRST_FILES)


def pytest_collection_modifyitems(config, items):
    items.sort(key=place_of)
    sanitized = None
    for item in items:
        if item.get_closest_marker("long") and not config.getoption("--long"):
            item.add_marker(pytest.mark.skip(reason="takes long: runs with --long"))
        if item.get_closest_marker("plain"):
            sanitized = daemon.Installation().is_sanitized() if sanitized is None else sanitized
            if sanitized:
                item.add_marker(pytest.mark.skip(reason="needs a build without sanitizers"))


class Served:
    """A running daemon and the LUNs that the protocol tests use."""

    FILE, NULL, FILE_4K = 0, 1, 2

    def __init__(self, folder):
        self.folder = folder
        self.images = [folder / "file.img", folder / "file4k.img", folder / "healthy.img"]
        for image in self.images:
            image.touch()
            with image.open("r+b") as file:
                file.truncate(IMAGE_BYTES)
        luns = [str(self.images[0]), "null:1G", {"path": str(self.images[1]), "block_size": 4096}]
        self.daemon = daemon.serve_targets(
            folder, daemon.target(*luns), daemon.target(self.images[2], name=HEALTHY_TARGET), login_timeout_s=5,
            nop_interval_s=2, nop_timeout_s=5)
        self.target = daemon.TARGET
        self.blocks = IMAGE_BYTES // 512

    @property
    def address(self):
        return self.daemon.address

    def session(self, **options):
        return Session(self.address, self.target, **options)

    def healthy(self):
        return healthy.HealthySession(self.address, HEALTHY_TARGET)


@contextlib.contextmanager
def serving(folder):
    served = Served(folder)
    with served.daemon:
        yield served


class SharedDaemon:
    """One daemon for many tests; a new one after a test has brought it down."""

    def __init__(self, tmp_path_factory):
        self._factory = tmp_path_factory
        self._stack = contextlib.ExitStack()
        self._served = None

    def get(self):
        if self._served is None or self._served.daemon.process.poll() is not None:
            self._served = self._stack.enter_context(serving(self._factory.mktemp("shared")))
        return self._served

    def forget(self):
        """The daemon has died, and the test that killed it has said so."""
        self._stack.pop_all()
        self._served = None

    def close(self):
        self._stack.close()


@pytest.fixture(scope="session")
def shared_daemon(tmp_path_factory):
    shared = SharedDaemon(tmp_path_factory)
    yield shared
    shared.close()


@pytest.fixture
def served(shared_daemon):
    """The shared daemon, which has to live through the test."""
    one = shared_daemon.get()
    yield one
    try:
        one.daemon.assert_alive()
        one.daemon.assert_clean()
    except AssertionError:
        shared_daemon.forget()
        raise


@pytest.fixture
def served_alone(tmp_path):
    """A daemon in which no other test has left anything, such as lines that its log still owes."""
    with serving(tmp_path) as one:
        yield one


@pytest.fixture
def session(served):
    """A session, logged in with what Linux offers, unit attentions taken."""
    with served.session() as one:
        for lun in (served.FILE, served.NULL, served.FILE_4K):
            one.settle(lun)
        yield one


@pytest.fixture
def others_notice_nothing(served):
    """A second session does verified I/O during the whole test."""
    with served.healthy() as one:
        yield one


@pytest.fixture(scope="session")
def rig_plugins(tmp_path_factory):
    """The folder with the tests' own plugins, among them the rig."""
    folder = tmp_path_factory.mktemp("outside") / "plugins"
    folder.mkdir(mode=0o755)
    return outside.Development(tmp_path_factory.mktemp("development")).build_plugins(folder)


@pytest.fixture
def make_image(tmp_path):
    """Makes sparse images: make_image("a.img", size)."""

    def make(name, size_bytes):
        path = tmp_path / name
        path.touch()
        with path.open("r+b") as file:
            file.truncate(size_bytes)
        return path

    return make


@pytest.fixture
def random_image(tmp_path):
    """Makes images of random bytes."""

    def make(name, size_bytes):
        path = tmp_path / name
        with open("/dev/urandom", "rb") as source, path.open("wb") as file:
            for at in range(0, size_bytes, 1 << 20):
                file.write(source.read(min(1 << 20, size_bytes - at)))
        return path

    return make
