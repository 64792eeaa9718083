# SPDX-License-Identifier: Apache-2.0
"""The plugin s3 under the daemon, against a real radosgw: what initiators see of durability, of the one writer, of
faults.  What the plugin does by itself is for tests/unit/s3."""

import contextlib
import datetime
import http.server
import json
import os
import random
import signal
import threading

import pytest
from lib import api, daemon, s3, scsi
from lib.initiator import Session

MIB = 1 << 20
VOLUME_BYTES = 8 * MIB
BLOCK = 4096
CONTENDERS = 16
NOT_READY = (scsi.NOT_READY, 0x04, 0x0C)
TIMED_OUT = (scsi.ABORTED_COMMAND, 0x08, 0x01)
# As the plugin says that it has to wait.
WAITS = "waiting up to .* for its lease to lapse"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    daemon.need_plugin("s3")
    with s3.Server(tmp_path_factory.mktemp("s3")) as one:
        yield one


class Host:
    """A machine of its own, as far as the plugin can see: a folder for configuration and state, and perhaps a daemon
    that serves one volume."""

    def __init__(self, folder, name, server, path):
        self.folder = folder / name
        self.folder.mkdir(exist_ok=True)
        self.server, self.path = server, path

    def daemon(self, settings=(), daemon_settings=(), **options):
        lun = self.server.lun(self.path, VOLUME_BYTES, settings=settings, **options)
        return daemon.serve_targets(self.folder, daemon.target(lun), **{"shutdown_timeout_s": 15,
                                                                        **dict(daemon_settings)})

    @contextlib.contextmanager
    def serve(self, **options):
        """The daemon, and a settled session to it."""
        with self.daemon(**options) as running:
            with Session(running.address, daemon.TARGET) as session:
                session.settle()
                yield running, session


@pytest.fixture
def hosts(tmp_path, server):
    """Two hosts and one volume."""
    path = server.new_path()
    return [Host(tmp_path, name, server, path) for name in ("a", "b")]


def flush(session):
    session.execute(scsi.synchronize_cache10()).expect_good()


def whole(session):
    return b"".join(session.read(lba, 1024) for lba in range(0, VOLUME_BYTES // 512, 1024))


def scatter(session, model, seed, count=24, flags=0):
    """Writes blocks here and there, on the volume and in the model."""
    generator = random.Random(seed)
    tasks = []
    for at in generator.sample(range(0, VOLUME_BYTES, BLOCK), count):
        model[at:at + BLOCK] = generator.randbytes(BLOCK)
        tasks.append(session.start(scsi.write16(at // 512, BLOCK // 512, flags), bytes(model[at:at + BLOCK])))
    for task in tasks:
        session.wait(task).expect_good()


# ---- Durability ----


def test_what_was_flushed_survives_kill_9_of_the_daemon(hosts):
    """The other daemon has to wait for the lease, for longer than open_timeout_s, and comes up all the same."""
    first, second = hosts
    flushed = bytearray(VOLUME_BYTES)
    with first.serve(lease_s=4) as (running, session):
        scatter(session, flushed, 1)
        flush(session)
        serial = session.inquiry(page=0x80)
        newer = bytearray(flushed)
        scatter(session, newer, 2)
        running.expected_status = -signal.SIGKILL
        running.kill()
    with second.serve(lease_s=4, daemon_settings={"open_timeout_s": 1}) as (running, session):
        assert running.wait_for_log(WAITS)
        found = whole(session)
        assert session.inquiry(page=0x80) == serial
    for at in range(0, VOLUME_BYTES, BLOCK):
        assert found[at:at + BLOCK] in (flushed[at:at + BLOCK], newer[at:at + BLOCK]), f"garbage at {at}"


@pytest.mark.parametrize("flags", [0, scsi.FUA], ids=["write_cache off", "FUA"])
def test_without_a_write_cache_or_with_fua_every_write_is_stored(hosts, flags):
    """The same host opens it again at once, whatever lease_s says."""
    host = hosts[0]
    model = bytearray(VOLUME_BYTES)
    with host.serve(settings={"write_cache": flags != 0}, lease_s=600) as (running, session):
        scatter(session, model, 3, count=8, flags=flags)
        running.expected_status = -signal.SIGKILL
        running.kill()
    with host.serve(lease_s=600) as (running, session):
        assert whole(session) == model
        assert not [line for line in running.log_lines if "waiting" in line]


def test_a_clean_stop_flushes_and_lets_another_in_at_once(hosts):
    model = bytearray(VOLUME_BYTES)
    for round_number, host in enumerate(hosts * 2):
        with host.serve(lease_s=600) as (_, session):
            assert whole(session) == model
            scatter(session, model, round_number)


# ---- One writer ----


def test_a_daemon_that_was_fenced_answers_not_ready(hosts):
    first, second = hosts
    model = bytearray(VOLUME_BYTES)
    with first.serve() as (running, session):
        scatter(session, model, 4)
        flush(session)
        scatter(session, bytearray(VOLUME_BYTES), 5)
        with second.serve(take_over="true") as (_, other):
            scatter(other, model, 6)
            flush(other)
            running.wait_for_log("another host has taken")
            session.execute(scsi.write16(0, 8), bytes(BLOCK)).expect_sense(*NOT_READY)
            session.execute(scsi.read16(0, 8), read_length=BLOCK).expect_sense(*NOT_READY)
            session.execute(scsi.synchronize_cache10()).expect_sense(*NOT_READY)
            session.execute(scsi.test_unit_ready()).expect_sense(*NOT_READY)
        # What it had not stored when it was fenced is lost, and it says so.
        running.expected_status = 3
    with second.serve() as (_, other):
        found = whole(other)
    generator = random.Random(6)
    for at in generator.sample(range(0, VOLUME_BYTES, BLOCK), 24):
        assert found[at:at + BLOCK] == model[at:at + BLOCK]


def test_a_paused_daemon_that_wakes_up_changes_nothing(hosts):
    first, second = hosts
    with first.serve() as (running, session):
        session.write(0, b"\1" * MIB)
        flush(session)
        # In the middle of the uploads of these; the task is answered when it has woken up, if at all.
        for lba in range(0, VOLUME_BYTES // 512, 2048):
            session.write(lba, b"\2" * MIB)
        late = session.start(scsi.synchronize_cache10())
        running.signal(signal.SIGSTOP)
        os.waitid(os.P_PID, running.pid, os.WSTOPPED | os.WNOWAIT)
        with second.serve() as (_, other):
            for lba in range(0, VOLUME_BYTES // 512, 2048):
                other.write(lba, b"\3" * MIB)
            flush(other)
            running.signal(signal.SIGCONT)
            session.wait(late)
            assert late.sense.triple == NOT_READY
            session.execute(scsi.write16(0, 8), bytes(BLOCK)).expect_sense(*NOT_READY)
            assert whole(other) == b"\3" * VOLUME_BYTES
        running.expected_status = 3
    with second.serve() as (_, other):
        assert whole(other) == b"\3" * VOLUME_BYTES


def start_or_say_why(one, winners, losers):
    try:
        winners.append(one.start())
    except AssertionError as error:
        losers.append(str(error))


@pytest.mark.long
def test_of_sixteen_daemons_at_once_one_serves(tmp_path, server):
    """The plugin's own test has sixteen processes without the rest of the daemon, which is quicker."""
    path = server.new_path()
    daemons = [Host(tmp_path, str(number), server, path).daemon(lease_s=6) for number in range(CONTENDERS)]
    winners, losers = [], []
    threads = [threading.Thread(target=start_or_say_why, args=(one, winners, losers)) for one in daemons]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (len(winners), len(losers)) == (1, CONTENDERS - 1)
        for said in losers:
            assert f"s3:{path}" in said and "cannot be opened" in said, said
        winners[0].stop()
    finally:
        for one in daemons:
            one.kill()


# ---- Faults ----


def test_faults_end_in_the_right_sense_and_lose_nothing(tmp_path, server):
    host = Host(tmp_path, "a", server, server.new_path())
    model = bytearray(os.urandom(VOLUME_BYTES))
    with s3.FaultProxy(tmp_path, server) as proxy:
        options = {"endpoint": proxy.endpoint, "timeout_s": 1, "lease_s": 60, "cache_size": "1M"}
        with host.serve(daemon_settings={"command_timeout_s": 2}, **options) as (running, session):
            for at in range(0, VOLUME_BYTES, MIB):
                session.write(at // 512, bytes(model[at:at + MIB]))
            flush(session)
            # Early ones, which the small cache has no more.
            for at, fault, flush_sense, read_sense in [
                    (MIB, "internal 1 *", TIMED_OUT, TIMED_OUT), (2 * MIB, "stall 1 *", TIMED_OUT, TIMED_OUT),
                    (3 * MIB, "forbidden 1 PUT,GET", (scsi.MEDIUM_ERROR, 0x0C, 0x00), (scsi.MEDIUM_ERROR, 0x11, 0x00))]:
                proxy.set(fault)
                model[:64 << 10] = os.urandom(64 << 10)
                session.write(0, bytes(model[:64 << 10]))
                session.execute(scsi.synchronize_cache10()).expect_sense(*flush_sense)
                session.execute(scsi.read16(at // 512, 8), read_length=BLOCK).expect_sense(*read_sense)
                proxy.set()
                # Attempts that hang still hang for a while; a flush may be repeated.
                while not session.execute(scsi.synchronize_cache10()).good:
                    running.assert_alive()
                assert session.read(at // 512, 8) == model[at:at + BLOCK]
                session.execute(scsi.test_unit_ready()).expect_good()
            assert whole(session) == model
    with host.serve() as (_, session):
        assert whole(session) == model


def test_a_cache_full_of_dirty_data_is_task_set_full_and_then_goes_on(tmp_path, server):
    host = Host(tmp_path, "a", server, server.new_path())
    with s3.FaultProxy(tmp_path, server) as proxy:
        options = {"endpoint": proxy.endpoint, "timeout_s": 1, "lease_s": 60, "cache_size": "1M"}
        with host.serve(daemon_settings={"command_timeout_s": 2}, **options) as (_, session):
            proxy.set("internal 1 PUT")
            written = 0
            while written < VOLUME_BYTES:
                task = session.execute(scsi.write16(written // 512, 256), b"\5" * (128 << 10))
                if not task.good:
                    break
                written += 128 << 10
            assert task.status == scsi.TASK_SET_FULL and written >= MIB // 2
            proxy.set()
            while written < VOLUME_BYTES:
                session.write(written // 512, b"\5" * (128 << 10))
                written += 128 << 10
            flush(session)
            assert whole(session) == b"\5" * VOLUME_BYTES


# ---- The rest of what initiators and administrators see ----


def test_unmap_is_true_to_the_byte(hosts):
    with hosts[0].serve() as (_, session):
        model = bytearray(os.urandom(VOLUME_BYTES))
        for at in range(0, VOLUME_BYTES, MIB):
            session.write(at // 512, bytes(model[at:at + MIB]))
        for first, blocks in [(1, 1), (130, 640), (4096, 2048)]:
            parameters = scsi.unmap_parameters((first, blocks))
            session.execute(scsi.unmap(len(parameters)), parameters).expect_good()
            model[first * 512:(first + blocks) * 512] = bytes(blocks * 512)
        assert whole(session) == model
    with hosts[1].serve() as (_, session):
        assert whole(session) == model


def test_a_volume_grows_while_it_is_served(hosts):
    with hosts[0].serve() as (_, session):
        control = api.Api(hosts[0].folder / "api.sock")
        control.patch(api.lun_path(daemon.TARGET, 0), {"size": "12M"})
        session.settle()
        assert session.read_capacity()[0] == 12 * MIB // 512
        session.write(8 * MIB // 512, b"\6" * MIB)
    with hosts[1].serve() as (running, session):
        # The configuration still says what it was made with.
        running.wait_for_log("not the 8388608 of the configuration")
        assert session.read(8 * MIB // 512, 2048) == b"\6" * MIB


def test_session_tokens(tmp_path, server, hosts):
    access_key, secret_key, token = server.session_credentials()
    (tmp_path / "secret").write_text(secret_key)
    (tmp_path / "token").write_text(token)
    options = {"access_key": access_key, "secret_key_file": str(tmp_path / "secret"),
               "session_token_file": str(tmp_path / "token")}
    with hosts[0].serve(**options) as (_, session):
        session.write(0, b"\7" * MIB)
        flush(session)
    (tmp_path / "token").write_text(token[:20] + token[20:].swapcase())
    with pytest.raises(AssertionError, match="cannot be opened"):
        hosts[0].daemon(retries=1, **options).start()
    with hosts[1].serve() as (_, session):
        assert session.read(0, 2048) == b"\7" * MIB


class CredentialService(http.server.BaseHTTPRequestHandler):
    """A container's endpoint: gives out the next of `answers`, the last of them for ever."""

    answers = []

    def do_GET(self):
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def test_credentials_are_refreshed_before_they_expire(server, hosts, monkeypatch):
    """Those of somebody who may do nothing stand between two good ones, so that one sees which are in use."""
    def answer(access_key, secret_key, seconds):
        expires = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
        return {"AccessKeyId": access_key, "SecretAccessKey": secret_key, "Expiration": f"{expires:%Y-%m-%dT%H:%M:%SZ}"}

    class Service(CredentialService):
        answers = [answer(server.access_key, server.secret_key, 60),
                   answer(server.strange_access_key, server.strange_secret_key, 60),
                   answer(server.access_key, server.secret_key, 86400)]

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Service) as service:
        threading.Thread(target=service.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"http://127.0.0.1:{service.server_address[1]}/")
        with hosts[0].serve(access_key=None, secret_key_file=None) as (running, session):
            running.wait_for_log("the lease could not be renewed")
            running.wait_for_log("the lease is renewed again")
            session.write(0, b"\x09" * MIB)
            flush(session)
        service.shutdown()
    with hosts[1].serve() as (_, session):
        assert session.read(0, 2048) == b"\x09" * MIB


def requests_of(host):
    (unit,) = api.Api(host.folder / "api.sock").get("/v1/stats")["units"]
    return unit["plugin_counters"]["requests"]


@pytest.mark.long
def test_a_volume_of_100000_chunks_opens_without_a_list_of_them(tmp_path, server):
    """A list would be 100 requests, or 200."""
    chunks, chunk_blocks = 100_000, (64 << 10) // 512
    path = server.new_path()
    first, second = (Host(tmp_path, name, server, path) for name in ("a", "b"))
    tasks = []
    with first.serve(settings={"size": f"{chunks * 64}K"}, max_requests=64,
                     daemon_settings={"shutdown_timeout_s": 120, "command_timeout_s": 120}) as (_, session):
        for chunk in range(chunks):
            content = bytes(512) if chunk % 1000 else b"\x08" * 512
            tasks.append(session.start(scsi.write16(chunk * chunk_blocks, 1), content))
            if len(tasks) == 64:
                for task in tasks:
                    session.wait(task).expect_good()
                tasks = []
                # Now and then, so that no flush has so much to do that it outlasts its limit.
                if (chunk + 1) % 320 == 0:
                    flush(session)
        for task in tasks:
            session.wait(task).expect_good()
        flush(session)
        assert requests_of(first) > chunks
    with second.serve(settings={"size": f"{chunks * 64}K"}) as (_, session):
        assert requests_of(second) < 30
        for chunk in range(0, chunks, 1000):
            assert session.read(chunk * chunk_blocks, 2) == b"\x08" * 512 + bytes(512)


@pytest.mark.parametrize("change, message", [
    ({}, "the bucket does not exist"),
    # A radosgw that also gives out session tokens, as this one does, says no more than that of key and secret.
    ({"access_key": "NOBODY"}, "does not accept these credentials"),
    ({"access_key": "stranger"}, "lack the permission"),
    ({"secret_key_file": "other"}, "does not accept these credentials"),
    ({"endpoint": "http://127.0.0.1:1"}, "connect"),
], ids=["bucket", "key", "right", "secret", "server"])
def test_what_is_wrong_is_said(tmp_path, server, change, message):
    bucket = s3.BUCKET if change else "tgtkit-no-such-bucket"
    other = tmp_path / "other"
    other.write_text(server.strange_secret_key)
    if change.get("access_key") == "stranger":
        change = {"access_key": server.strange_access_key, "secret_key_file": str(other)}
    elif "secret_key_file" in change:
        change = {"secret_key_file": str(other)}
    with pytest.raises(AssertionError, match=rf"s3:{bucket}/x.*cannot be opened.*{message}"):
        Host(tmp_path, "a", server, f"{bucket}/x").daemon(retries=1, **change).start()
