# SPDX-License-Identifier: Apache-2.0
"""Figures: they count what an initiator did, and /metrics is what Prometheus reads."""

import json
import re
import threading

import pytest
from lib import api, daemon, outside, scsi, tools
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


def big_write(session):
    """1 MiB: more than may come unasked, so R2Ts go out."""
    session.write(0, b"W" * (1 << 20))


def test_sessions_portals_and_plugins_are_counted(running):
    with Session(running.address, daemon.TARGET) as session:
        session.settle()
        session.read(0, 16)
        big_write(session)
        session.execute(scsi.read16(1 << 40, 1), read_length=512).expect_sense(5)
        (one,) = running.api.get("/v1/sessions")["sessions"]
        assert (one["operations"]["read"], one["operations"]["write"]) == (1, 1)
        assert (one["read_bytes"], one["written_bytes"], one["errors"]["5"]) == (8192, 1 << 20, 1)
        assert one["r2ts"] >= 1 and one["received_bytes"] > 1 << 20 and one["sent_bytes"] > 8192
        assert sum(one["latency"]["buckets"]) == sum(one["operations"].values())
        assert one["portal"] == "%s:%d" % running.address
        (portal,) = running.api.get("/v1/stats")["portals"]
        assert (portal["sessions"], portal["sessions_total"]) == (1, 1)
        assert portal["operations"] == one["operations"]
    with Session(running.address, daemon.TARGET) as session:
        session.settle()
        session.read(0, 16)
        stats = running.api.get("/v1/stats")
    (portal,) = stats["portals"]
    assert (portal["portal"], portal["sessions_total"], portal["connections_total"]) == ("%s:%d" % running.address, 2, 2)
    assert portal["operations"]["read"] == 2, "those of the session that has ended count on"
    assert portal["r2ts"] >= 1 and portal["queue_depth"] == 0
    plugins = {one["plugin"]: one for one in stats["plugins"]}
    assert plugins["file"]["written_bytes"] == 1 << 20 and plugins["null"]["read_bytes"] == 0


def test_figures_never_go_back_when_a_unit_goes(running):
    name = "iqn.2026-11.org.example:short"
    running.api.post("/v1/targets", {"name": name, "luns": [{"lun": 0, "path": "null:2M"}]})
    with Session(running.address, name) as session:
        session.settle()
        session.read(0, 16)
    before = running.api.get("/v1/stats")
    running.api.delete(api.target_path(name) + "?force=true")
    running.wait_for_log("null:2M: closed")
    after = running.api.get("/v1/stats")
    for kind, count in (("workers", len(before["workers"])), ("plugins", len(before["plugins"]))):
        for index in range(count):
            old, new = before[kind][index]["operations"], after[kind][index]["operations"]
            assert all(new[key] >= old[key] for key in old), (kind, index)
    assert {one["plugin"]: one["operations"]["read"] for one in after["plugins"]}["null"] == 1


def test_prometheus_own_tool_finds_nothing_wrong(running):
    with Session(running.address, daemon.TARGET) as session:
        session.settle()
        big_write(session)
        _, _, text = running.api.raw("GET", "/metrics")
    done = tools.run("promtool", "check", "metrics", input=text.decode(), check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_metrics_have_every_scope(running):
    with Session(running.address, daemon.TARGET) as session:
        session.settle()
        big_write(session)
        _, _, text = running.api.raw("GET", "/metrics")
    families = parse(text.decode())
    for scope in ("unit", "session", "portal", "worker", "backend"):
        for what in ("operations_total", "bytes_total", "errors_total", "latency_seconds", "queue_depth"):
            assert f"tgtkit_{scope}_{what}" in families
        written = [value for _, labels, value in families[f"tgtkit_{scope}_bytes_total"][1]
                   if labels["direction"] == "written"]
        assert sum(written) == 1 << 20, scope
    for scope in ("session", "portal"):
        assert sum(value for _, _, value in families[f"tgtkit_{scope}_r2ts_total"][1]) >= 1


def test_counters_of_a_plugin_come_through_the_abi(tmp_path):
    folder = tmp_path / "plugins"
    folder.mkdir(mode=0o755)
    outside.Development(tmp_path / "development").build_plugins(folder)
    with daemon.serve_targets(tmp_path, daemon.target("rig:4194304"), plugin_folders=[folder]) as one:
        with Session(one.address, daemon.TARGET) as session:
            session.settle()
            session.read(0, 8)
        client = api.Api(tmp_path / "api.sock")
        (unit,) = client.get("/v1/stats")["units"]
        assert unit["plugin_counters"]["violations_total"] == 0 and len(unit["plugin_counters"]) > 1
        families = parse(client.raw("GET", "/metrics")[2].decode())
        assert [name for name in families if name.startswith("tgtkit_plugin_rig_")]


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
    totals = tgtkit.run("stats")
    assert re.search(rf"^{re.escape(daemon.TARGET)} +0 +\d+ +5 +3 .*disk.*\.img$", totals, re.M)
    assert re.search(rf"^{re.escape(daemon.TARGET)} +1 .* null:1G$", totals, re.M)
    assert tgtkit.json("stats")["units"][0]["operations"]["write"] == 3
    watched = tgtkit.run("stats", "--watch", "--interval", 1, "--rounds", 2)
    assert len(re.findall(r"^TARGET +LUN +IOPS +R/S +W/S +RMB/S +WMB/S +P50 MS +P99 MS +QUEUE +UNIT", watched, re.M)) == 2


def test_rates_are_lines_of_json_for_programs(running, tmp_path):
    tgtkit, lines = api.Command(tmp_path / "api.sock"), []
    watcher = threading.Thread(target=lambda: lines.extend(
        tgtkit.run("-o", "json", "stats", "--watch", "--interval", 1, "--rounds", 2).splitlines()))
    with Session(running.address, daemon.TARGET) as session:
        session.settle(1)
        session.read(0, 8, lun=1)
        watcher.start()
        while watcher.is_alive():
            session.read(0, 8, lun=1)
    assert len(lines) == 2
    for line in lines:
        taken = json.loads(line)
        idle, busy = taken["luns"]
        assert taken["seconds"] >= 1 and (busy["target"], busy["lun"], busy["unit"]) == (daemon.TARGET, 1, "null:1G")
        assert busy["reads"] > 0 and busy["iops"] == busy["reads"] and busy["writes"] == 0
        assert busy["read_mb"] == pytest.approx(busy["reads"] * 4096 / 1e6, rel=1e-3)
        assert 0 < busy["p50_ms"] <= busy["p99_ms"] and busy["queue_depth"] in (0, 1)
        assert idle["iops"] == idle["p99_ms"] == 0
