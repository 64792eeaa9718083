# SPDX-License-Identifier: Apache-2.0
"""A well-behaved session in the background: whatever happens to others, its I/O goes on and every byte is right."""

import random
import threading
import time

from .initiator import Session

LONGEST_PAUSE_S = 10  # a generous bound: sanitizers, two cores, other programs


class HealthySession:
    """Writes and reads back blocks of random bytes on one LUN until the `with` block ends, which raises if anything has
    gone wrong, if nothing was done at all, or if one exchange took far too long."""

    def __init__(self, address, target, lun=0, first_block=0, blocks=256, block_bytes=512):
        self.session = Session(address, target, initiator="iqn.2026-11.org.example:healthy")
        self.lun, self.first_block, self.blocks, self.block_bytes = lun, first_block, blocks, block_bytes
        self.exchanges = 0
        self.longest_pause_s = 0
        self._random = random.Random(first_block + 1)
        self._content = {}
        self._stopped = threading.Event()
        self._progress = threading.Condition()
        self._error = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self.session.settle(self.lun)
        self._thread.start()
        return self

    def __exit__(self, kind, *exception):
        self._stopped.set()
        self._thread.join(60)
        self.session.close()
        if kind is None:
            assert self._error is None, f"the healthy session noticed: {self._error!r}"
            assert self.exchanges > 0, "the healthy session has done nothing"
            assert self.longest_pause_s < LONGEST_PAUSE_S, f"the healthy session waited {self.longest_pause_s:.1f} s"

    def wait_for_exchanges(self, count, timeout=60):
        """Returns when so many exchanges have been done in all, or one has gone wrong."""
        with self._progress:
            self._progress.wait_for(lambda: self.exchanges >= count or self._error, timeout)
        assert self._error is None and self.exchanges >= count, f"{self.exchanges} exchanges, {self._error!r}"

    def _run(self):
        try:
            while not self._stopped.is_set():
                started = time.monotonic()
                self._exchange()
                self.longest_pause_s = max(self.longest_pause_s, time.monotonic() - started)
                with self._progress:
                    self.exchanges += 1
                    self._progress.notify_all()
            self.session.logout()
        except Exception as error:  # noqa: BLE001 (handed over to the thread that ends the block)
            with self._progress:
                self._error = error
                self._progress.notify_all()

    def _exchange(self):
        count = self._random.choice((1, 2, 8, 32))
        at = self.first_block + self._random.randrange(0, self.blocks - count + 1, count)
        data = self._random.randbytes(count * self.block_bytes)
        options = {"lun": self.lun, "block_bytes": self.block_bytes}
        self.session.write(at, data, **options)
        for number in range(count):
            self._content[at + number] = data[number * self.block_bytes:][:self.block_bytes]
        check_at = self._random.choice(list(self._content))
        read = self.session.read(check_at, 1, **options)
        assert read == self._content[check_at], f"block {check_at} reads back wrong"
