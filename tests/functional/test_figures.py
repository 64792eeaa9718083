# SPDX-License-Identifier: Apache-2.0
"""Figures: they count what an initiator did, and /metrics is what Prometheus reads."""

import re

import pytest
from lib import api, daemon, scsi
from lib.initiator import Session

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
SAMPLE = re.compile(rf'^({NAME})(?:\{{((?:{NAME}="(?:[^"\\\n]|\\["\\n])*",?)*)\}})? ([0-9.eE+-]+|\+Inf|NaN)$')
LABEL = re.compile(rf'({NAME})="((?:[^"\\]|\\.)*)"')


def parse(text):
    """{family: (type, [(name, labels, value)])}, by the rules of the text format 0.0.4."""
    assert text.endswith("\n")
    families, current = {}, None
    for line in text.splitlines():
        if line.startswith("# HELP "):
            _, _, current, helped = line.split(" ", 3)
            assert helped and current not in families, line
            families[current] = (None, [])
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name == current and kind in ("counter", "gauge", "histogram"), line
            families[current] = (kind, [])
        else:
            found = SAMPLE.match(line)
            assert found, line
            name, labels, value = found[1], dict(LABEL.findall(found[2] or "")), float(found[3])
            kind, samples = families[current]
            suffixes = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
            assert name in [current + suffix for suffix in suffixes], line
            assert kind != "counter" or name.endswith("_total"), line
            assert (name, labels) not in [one[:2] for one in samples], line
            samples.append((name, labels, value))
    return families


@pytest.fixture
def running(tmp_path, make_image):
    with daemon.serve_targets(tmp_path, daemon.target(make_image('quoted "disk".img', 8 << 20), "null:1G")) as one:
        one.api = api.Api(tmp_path / "api.sock")
        yield one


def work(running):
    """3 writes of 8 blocks, 5 reads of 16, 1 flush, 1 read beyond the end."""
    with Session(running.address, daemon.TARGET) as session:
        session.settle()
        for _ in range(3):
            session.write(0, b"w" * 4096)
        for _ in range(5):
            session.read(0, 16)
        session.execute(scsi.synchronize_cache10()).expect_good()
        session.execute(scsi.read16(1 << 40, 1), read_length=512).expect_sense(5)


def test_stats_count_what_was_done(running):
    before = running.api.get("/v1/stats")["units"][0]
    assert before["operations"]["read"] == 0
    work(running)
    unit = running.api.get("/v1/stats")["units"][0]
    assert (unit["operations"]["read"], unit["operations"]["write"], unit["operations"]["flush"]) == (5, 3, 1)
    assert (unit["read_bytes"], unit["written_bytes"]) == (5 * 8192, 3 * 4096)
    assert unit["errors"]["5"] == 1 and unit["errors"]["6"] >= 1
    assert sum(unit["latency"]["buckets"]) == sum(unit["operations"].values())
    assert unit["queue_depth"] == 0
    workers = running.api.get("/v1/stats")["workers"]
    assert sum(one["operations"]["read"] for one in workers) == 5


def test_metrics_are_what_prometheus_reads(running):
    work(running)
    _, content_type, text = running.api.raw("GET", "/metrics")
    assert content_type.startswith("text/plain; version=0.0.4")
    families = parse(text.decode())
    unit = [labels["unit"] for _, labels, _ in families["tgtkit_unit_size_bytes"][1] if "quoted" in labels["unit"]][0]
    assert '\\"disk\\"' in unit
    operations = {labels["kind"]: value for _, labels, value in families["tgtkit_unit_operations_total"][1]
                  if labels["unit"] == unit}
    assert (operations["read"], operations["write"]) == (5, 3)
    kind, samples = families["tgtkit_unit_latency_seconds"]
    assert kind == "histogram"
    buckets = [(float(labels["le"]), value) for name, labels, value in samples
               if name.endswith("_bucket") and labels["unit"] == unit]
    assert buckets == sorted(buckets) and [value for _, value in buckets] == sorted(value for _, value in buckets)
    (count,) = [value for name, labels, value in samples if name.endswith("_count") and labels["unit"] == unit]
    assert buckets[-1] == (float("inf"), count) and count == sum(operations.values())


def test_the_command_shows_totals_and_rates(running, tmp_path):
    work(running)
    tgtkit = api.Command(tmp_path / "api.sock")
    assert re.search(r"disk.*\.img +5 +3 ", tgtkit.run("stats"))
    assert tgtkit.json("stats")["units"][0]["operations"]["write"] == 3
    watched = tgtkit.run("stats", "--watch", "--interval", 1, "--rounds", 2)
    assert len(re.findall(r"^UNIT +R/S +W/S", watched, re.M)) == 2
