#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How long I/O on one LUN pauses while others are made, resized, masked and deleted (aim: 100 ms at most).

    TGTKIT_BUILD=BUILD tests/bench/live_change.py [ROUNDS]

Each line is the longest that one exchange (4 KiB written or read back) took while a change went on."""

import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from lib import api, daemon, healthy  # noqa: E402
from lib.initiator import Session  # noqa: E402

MADE = "iqn.2026-11.org.example:made"
AIM_S = 0.1


def changes(running, client, folder):
    """(name, what to do), in an order that works again and again."""
    lun = api.lun_path(MADE, 0)
    store = {"lun": 0, "path": f"file:{folder}/made.img", "size": "64M", "create": True}

    def discover():
        with Session(running.address) as session:
            assert MADE in dict(session.send_targets())

    def log_in():
        with Session(running.address, MADE) as session:
            session.settle()
            session.read(0, 8)

    return [
        ("nothing", lambda: client.get("/v1/version")),
        ("create target", lambda: client.post("/v1/targets", {"name": MADE})),
        ("create LUN", lambda: client.post(api.target_path(MADE) + "/luns", store)),
        ("discover", discover),
        ("log in", log_in),
        ("grow", lambda: client.patch(lun, {"size": "96M"})),
        ("offline", lambda: client.patch(lun, {"online": False})),
        ("shrink", lambda: client.patch(lun, {"size": "64M", "shrink": True})),
        ("online", lambda: client.patch(lun, {"online": True})),
        ("read-only", lambda: client.patch(lun, {"read_only": True})),
        ("mask", lambda: client.post(api.target_path(MADE) + "/initiators", {"name": "*", "luns": [0]})),
        ("reload", lambda: client.post("/v1/config?reload", want=200)),
        ("delete", lambda: client.delete(api.target_path(MADE) + "?force=true")),
    ]


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    longest = {}
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        with daemon.serve_targets(folder, daemon.target(make(folder))) as running:
            client = api.Api(folder / "api.sock")
            with healthy.HealthySession(running.address, daemon.TARGET) as busy:
                for _ in range(rounds):
                    for what, do in changes(running, client, folder):
                        busy.longest_pause_s = 0
                        do()
                        busy.wait_for_exchanges(busy.exchanges + 20)
                        longest[what] = max(longest.get(what, 0), busy.longest_pause_s)
    for what, pause_s in longest.items():
        print(f"{what:15} {pause_s * 1000:8.1f} ms{'' if pause_s <= AIM_S else '   over the aim'}")


def make(folder):
    path = folder / "busy.img"
    path.write_bytes(bytes(8 << 20))
    return path


if __name__ == "__main__":
    main()
