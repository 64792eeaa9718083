# SPDX-License-Identifier: Apache-2.0
"""An iSCSI initiator that obeys RFC 7143 to the letter unless it is told to do otherwise, and that checks the target's
every sequence number, offset, length and flag while it is at it."""

import itertools
import os

from . import pdu, scsi
from .connection import DEFAULT_TIMEOUT_S, Connection, ConnectionClosed  # noqa: F401 (for those who use Session)

SECURITY, OPERATIONAL, FULL_FEATURE = 0, 1, 3
INITIATOR_NAME = "iqn.2026-11.org.example:raw-initiator"

# RFC 7143 section 13: what holds when a key was not negotiated.
DEFAULTS = {
    "HeaderDigest": "None", "DataDigest": "None", "MaxConnections": 1, "InitialR2T": True, "ImmediateData": True,
    "MaxBurstLength": 262144, "FirstBurstLength": 65536, "DefaultTime2Wait": 2, "DefaultTime2Retain": 20,
    "MaxOutstandingR2T": 1, "DataPDUInOrder": True, "DataSequenceInOrder": True, "ErrorRecoveryLevel": 0,
    "MaxRecvDataSegmentLength": 8192,
}

# What Linux's initiator offers.
LINUX_KEYS = {
    "HeaderDigest": "None", "DataDigest": "None", "DefaultTime2Wait": 2, "DefaultTime2Retain": 0,
    "ErrorRecoveryLevel": 0, "InitialR2T": "No", "ImmediateData": "Yes", "MaxBurstLength": 16776192,
    "FirstBurstLength": 262144, "MaxOutstandingR2T": 1, "MaxConnections": 1, "DataPDUInOrder": "Yes",
    "DataSequenceInOrder": "Yes", "MaxRecvDataSegmentLength": 262144,
}


class ProtocolViolation(AssertionError):
    """The target has broken RFC 7143."""


class LoginError(Exception):
    def __init__(self, response):
        super().__init__(f"login status {response.status:04x}h")
        self.response = response
        self.status = response.status


class RejectedError(Exception):
    """The target has answered a PDU with Reject."""

    def __init__(self, reject):
        super().__init__(f"reject, reason {reject.reason:02x}h")
        self.reject = reject


def require(condition, message, *about):
    if not condition:
        raise ProtocolViolation(": ".join([message] + [repr(one) for one in about]))


def serial_before(first, second):
    return 0 < (second - first) % (1 << 32) < 1 << 31


def parse_value(key, text):
    """A key's value as bool, int or text, in the way that DEFAULTS has it."""
    kind = type(DEFAULTS.get(key, ""))
    if kind is bool:
        return text == "Yes"
    return int(text, 0) if kind is int else text


class Task:
    """One SCSI command from its PDU to its status."""

    def __init__(self, tag, request, data_out):
        self.tag, self.request, self.data_out = tag, request, data_out
        self.edtl = request.expected_data_transfer_length
        self.data_in = bytearray()
        self.data_in_pdus, self.r2ts, self.unanswered_r2ts = [], [], []
        self.burst_bytes = 0
        self.r2t_offset = None
        self.hold_r2ts = False
        self.done = False
        self.status = self.response = self.response_pdu = None
        self.sense = scsi.Sense(b"")
        self.underflow = self.overflow = 0

    @property
    def good(self):
        return self.done and self.status == scsi.GOOD and self.response == 0

    def expect_good(self):
        assert self.good, f"command {self.request.cdb.hex()}: status {self.status}, {self.sense}"
        return self

    def expect_sense(self, key, asc=None, ascq=None):
        assert self.status == scsi.CHECK_CONDITION, f"command {self.request.cdb.hex()}: status {self.status}"
        wanted = (key, self.sense.asc if asc is None else asc, self.sense.ascq if ascq is None else ascq)
        assert self.sense.triple == wanted, f"command {self.request.cdb.hex()}: {self.sense}, not {wanted}"
        return self


class Session:
    """A session of one connection.  Every request can be sent at once (`start`, `wait`, `execute`, `nop`, ...), or made
    by `prepare`, damaged, and sent by `connection.send` or `connection.send_raw`."""

    _isids = itertools.count(1)

    def __init__(self, address, target=None, *, initiator=INITIATOR_NAME, isid=None, tsih=0, keys=None, cmd_sn=1,
                 timeout=DEFAULT_TIMEOUT_S, receive_buffer_bytes=None, login=True, security_stage=False):
        self.connection = Connection(address, timeout, receive_buffer_bytes)
        self.target, self.initiator, self.tsih, self.cid = target, initiator, tsih, 0
        self.isid = isid or self.new_isid()
        self.cmd_sn = cmd_sn
        self.exp_stat_sn = 0
        self.exp_cmd_sn = self.max_cmd_sn = None
        self.keys = dict(LINUX_KEYS if keys is None else keys)
        self.offered, self.answered = {}, {}
        self.negotiated = dict(DEFAULTS)
        self.target_segment_length = self.own_segment_length = DEFAULTS["MaxRecvDataSegmentLength"]
        self.tasks, self.inbox = {}, []
        self.answer_pings = True
        self._tags = itertools.count(1)
        self._login_tag = 0
        if login:
            try:
                self.login(security_stage)
            except BaseException:
                self.connection.close()
                raise

    @classmethod
    def new_isid(cls):
        """RFC 7143 11.12.5, type 10b (random): unique in this process and between processes."""
        return bytes([0x80]) + (os.getpid() & 0xFFFF).to_bytes(2, "big") + next(cls._isids).to_bytes(3, "big")

    def __enter__(self):
        return self

    def __exit__(self, kind, *exception):
        self.close()

    def close(self):
        self.connection.close()

    # ---- Login ----

    def first_login_keys(self):
        names = {"InitiatorName": self.initiator}
        if self.target is None:
            return {**names, "SessionType": "Discovery"}
        return {**names, "TargetName": self.target, "SessionType": "Normal"}

    def prepare_login(self, keys=(), csg=OPERATIONAL, nsg=FULL_FEATURE, transit=True, continued=False, data=None):
        request = pdu.LoginRequest(
            transit=transit, continued=continued, csg=csg, nsg=nsg if transit else 0, isid=self.isid, tsih=self.tsih,
            cid=self.cid, cmd_sn=self.cmd_sn, exp_stat_sn=self.exp_stat_sn, initiator_task_tag=self._login_tag,
            immediate=1, data=pdu.encode_keys(keys) if data is None else data)
        self.offered.update(keys)
        return request

    def exchange_login(self, *arguments, **fields):
        """Sends one login PDU and returns the answer to it."""
        self.connection.send(self.prepare_login(*arguments, **fields))
        return self.receive_login()

    def receive_login(self):
        response = self.connection.receive()
        require(isinstance(response, pdu.LoginResponse), "a login was not answered by a login response", response)
        require(response.initiator_task_tag == self._login_tag, "wrong task tag", response)
        require(response.isid == self.isid, "wrong ISID", response)
        if response.status == 0:
            require(self.exp_cmd_sn is None or response.stat_sn == self.exp_stat_sn, "StatSN out of order", response)
            require(response.exp_cmd_sn == self.cmd_sn, "ExpCmdSN is not the login's CmdSN", response)
            self.exp_cmd_sn, self.max_cmd_sn = response.exp_cmd_sn, response.max_cmd_sn
            self.exp_stat_sn = (response.stat_sn + 1) % (1 << 32)
            self.answered.update(response.keys())
        return response

    def login(self, security_stage=False):
        """The whole login: in one PDU, or with a security stage of its own first."""
        if security_stage:
            self.login_step({**self.first_login_keys(), "AuthMethod": "None"}, SECURITY, OPERATIONAL)
            response = self.login_step(self.keys)
        else:
            response = self.login_step({**self.first_login_keys(), **self.keys})
        self.enter_full_feature(response)
        return response

    def login_step(self, keys, csg=OPERATIONAL, nsg=FULL_FEATURE):
        """Sends keys and goes on until the target has followed to the next stage."""
        for _ in range(10):
            response = self.exchange_login(keys, csg, nsg)
            if response.status:
                raise LoginError(response)
            if response.transit:
                require(response.csg == csg and response.nsg == nsg, "transit to another stage", response)
                return response
            keys = {}
        raise ProtocolViolation("the target never follows to the next login stage")

    def enter_full_feature(self, final_response):
        """Makes what was negotiated hold, from the last login response on."""
        self.tsih = final_response.tsih
        require(self.tsih != 0, "a session with TSIH 0", final_response)
        for key in self.negotiated:
            if key in self.answered and self.answered[key] not in ("Reject", "NotUnderstood", "Irrelevant"):
                self.negotiated[key] = parse_value(key, self.answered[key])
        self.target_segment_length = self.negotiated["MaxRecvDataSegmentLength"]
        self.own_segment_length = int(self.offered.get("MaxRecvDataSegmentLength", 8192))
        self.connection.header_digest = self.negotiated["HeaderDigest"] == "CRC32C"
        self.connection.data_digest = self.negotiated["DataDigest"] == "CRC32C"

    # ---- Sending ----

    def new_tag(self):
        return next(self._tags)

    def prepare(self, request, immediate=False):
        """Fills in tag (unless there is one) and sequence numbers.  A request that is not immediate takes a CmdSN."""
        if not request.initiator_task_tag:
            request.initiator_task_tag = self.new_tag()
        request.exp_stat_sn = self.exp_stat_sn
        if hasattr(type(request), "cmd_sn"):
            request.cmd_sn = self.cmd_sn
            request.immediate = immediate
            if not immediate:
                self.cmd_sn = (self.cmd_sn + 1) % (1 << 32)
        return request

    def send(self, request, immediate=False):
        self.connection.send(self.prepare(request, immediate))
        return request

    @property
    def has_window(self):
        return not serial_before(self.max_cmd_sn, self.cmd_sn)

    def wait_for_window(self):
        while not self.has_window:
            self.pump()

    def prepare_command(self, cdb, data_out=None, read_length=0, edtl=None, lun=0, attribute=1, ahs=b"",
                        immediate_bytes=None, unsolicited_bytes=None, immediate=False):
        """The task with its command PDU, and the unsolicited Data-Out PDUs that have to follow.  `immediate_bytes` and
        `unsolicited_bytes` (both together, from the start of the data) are as many as negotiated by default."""
        writes = data_out is not None
        length = len(data_out) if writes else read_length
        request = pdu.ScsiCommand(
            cdb=cdb[:16], lun=lun, attribute=attribute, ahs=ahs, write=writes, read=bool(read_length and not writes),
            expected_data_transfer_length=length if edtl is None else edtl)
        data_out = data_out or b""
        unsolicited = self.unsolicited_limit(request, immediate_bytes, unsolicited_bytes) if writes else (0, 0)
        request.data = data_out[:unsolicited[0]]
        request.final = unsolicited[1] <= unsolicited[0]
        self.prepare(request, immediate)
        task = Task(request.initiator_task_tag, request, data_out)
        self.tasks[task.tag] = task
        return task, self.data_outs(task, pdu.RESERVED_TAG, unsolicited[0], unsolicited[1] - unsolicited[0])

    def unsolicited_limit(self, request, immediate_bytes, unsolicited_bytes):
        """How much of the data goes with the command, and how much goes unasked in all."""
        first_burst = min(self.negotiated["FirstBurstLength"], self.negotiated["MaxBurstLength"],
                          request.expected_data_transfer_length)
        immediate = min(first_burst, self.target_segment_length) if self.negotiated["ImmediateData"] else 0
        if immediate_bytes is not None:
            immediate = min(immediate, immediate_bytes)
        unsolicited = immediate if self.negotiated["InitialR2T"] else first_burst
        if unsolicited_bytes is not None:
            unsolicited = max(immediate, min(unsolicited, unsolicited_bytes))
        return immediate, unsolicited

    def data_outs(self, task, transfer_tag, offset, length):
        """The Data-Out PDUs of one sequence: the answer to an R2T, or what goes unasked."""
        requests = []
        end = offset + length
        lun = task.request.lun
        for number, start in enumerate(range(offset, end, self.target_segment_length)):
            stop = min(start + self.target_segment_length, end)
            piece = task.data_out[start:stop].ljust(stop - start, b"\0")
            requests.append(pdu.DataOut(
                data=piece, initiator_task_tag=task.tag, target_transfer_tag=transfer_tag, lun=lun, data_sn=number,
                buffer_offset=start, exp_stat_sn=self.exp_stat_sn, final=stop == end))
        return requests

    def start(self, cdb, data_out=None, read_length=0, hold_r2ts=False, ignore_window=False, **options):
        if not ignore_window:
            self.wait_for_window()
        task, unsolicited = self.prepare_command(cdb, data_out, read_length, **options)
        task.hold_r2ts = hold_r2ts
        self.connection.send_raw(b"".join(self.connection.encode(one) for one in [task.request] + unsolicited))
        return task

    def answer(self, task, r2t):
        """Sends what one R2T asks for."""
        for request in self.data_outs(task, r2t.target_transfer_tag, r2t.buffer_offset,
                                      r2t.desired_data_transfer_length):
            self.connection.send(request)
        if r2t in task.unanswered_r2ts:
            task.unanswered_r2ts.remove(r2t)

    def wait(self, task, timeout=None):
        while not task.done:
            self.pump(timeout)
        return task

    def execute(self, cdb, data_out=None, read_length=0, **options):
        return self.wait(self.start(cdb, data_out, read_length, **options))

    # ---- Receiving ----

    def pump(self, timeout=None):
        """Receives one PDU, checks it, and gives it to its task or puts it into `inbox`."""
        response = self.connection.receive(timeout)
        require(isinstance(response, pdu.FromTarget), "a PDU that no target sends", response)
        self._check_numbers(response)
        task = self.tasks.get(response.initiator_task_tag)
        if isinstance(response, pdu.DataIn):
            require(task, "Data-In for no command", response)
            self._data_in(task, response)
        elif isinstance(response, pdu.ScsiResponse):
            require(task, "a response to no command", response)
            self._finish(task, response)
        elif isinstance(response, pdu.R2T):
            require(task, "R2T for no command", response)
            self._r2t(task, response)
        elif isinstance(response, pdu.NopIn) and self._is_ping(response) and self.answer_pings:
            self.connection.send(self.prepare_ping_answer(response))
        else:
            self.inbox.append(response)
        return response

    @staticmethod
    def _is_ping(response):
        return response.initiator_task_tag == pdu.RESERVED_TAG and response.target_transfer_tag != pdu.RESERVED_TAG

    def prepare_ping_answer(self, ping):
        answer = pdu.NopOut(initiator_task_tag=pdu.RESERVED_TAG, target_transfer_tag=ping.target_transfer_tag,
                            lun=ping.lun)
        return self.prepare(answer, immediate=True)

    def _check_numbers(self, response):
        tagged = response.initiator_task_tag != pdu.RESERVED_TAG
        if isinstance(response, pdu.DataIn):
            counted = takes_number = bool(response.has_status)
        else:
            counted = True
            takes_number = not isinstance(response, pdu.R2T) and (not isinstance(response, pdu.NopIn) or tagged)
        if counted:
            require(response.stat_sn == self.exp_stat_sn, f"StatSN is not {self.exp_stat_sn}", response)
        if takes_number:
            self.exp_stat_sn = (self.exp_stat_sn + 1) % (1 << 32)
        require(not serial_before(self.cmd_sn, response.exp_cmd_sn), "ExpCmdSN is ahead of us", response)
        require(not serial_before(response.exp_cmd_sn, self.exp_cmd_sn), "ExpCmdSN went back", response)
        require(not serial_before(response.max_cmd_sn, self.max_cmd_sn), "MaxCmdSN went back", response)
        self.exp_cmd_sn, self.max_cmd_sn = response.exp_cmd_sn, response.max_cmd_sn

    def _data_in(self, task, response):
        require(task.request.read, "Data-In for a command that reads nothing", response)
        require(not task.done, "Data-In after the status", response)
        require(response.data_sn == len(task.data_in_pdus), "DataSN out of order", response)
        require(response.buffer_offset == len(task.data_in), "Data-In out of order", response)
        require(len(response.data) <= self.own_segment_length, "Data-In is longer than we declared", response)
        task.data_in += response.data
        require(len(task.data_in) <= task.edtl, "more data than expected", response)
        task.burst_bytes += len(response.data)
        require(task.burst_bytes <= self.negotiated["MaxBurstLength"], "burst too long", response)
        if response.final:
            task.burst_bytes = 0
        task.data_in_pdus.append(response)
        if response.has_status:
            require(response.final, "status without the F bit", response)
            task.response = 0
            self._end(task, response)

    def _finish(self, task, response):
        require(not task.done, "a second response", response)
        require(response.final, "a response without the F bit", response)
        task.response = response.response
        task.sense = scsi.Sense(response.sense())
        if task.response == 0 and task.request.read:
            require(response.exp_data_sn == len(task.data_in_pdus), "wrong ExpDataSN", response)
        self._end(task, response)

    def _end(self, task, response):
        require(not (response.overflow and response.underflow), "overflow and underflow at once", response)
        task.status, task.response_pdu, task.done = response.status, response, True
        if response.overflow:
            task.overflow = response.residual_count
        if response.underflow:
            task.underflow = response.residual_count
        if task.request.read and task.good and not task.overflow:
            require(len(task.data_in) == task.edtl - task.underflow, "residual and data differ", response)
        del self.tasks[task.tag]

    def _r2t(self, task, response):
        length, offset = response.desired_data_transfer_length, response.buffer_offset
        require(response.final, "R2T without the F bit", response)
        require(task.request.write and not task.done, "R2T for a command that wants none", response)
        require(response.r2t_sn == len(task.r2ts), "R2TSN out of order", response)
        require(response.target_transfer_tag != pdu.RESERVED_TAG, "R2T without a tag", response)
        require(0 < length <= self.negotiated["MaxBurstLength"], "R2T for too much", response)
        require(offset + length <= task.edtl, "R2T past the end", response)
        require(task.r2t_offset in (None, offset), "R2T out of order", response)
        task.r2t_offset = offset + length
        task.r2ts.append(response)
        task.unanswered_r2ts.append(response)
        require(len(task.unanswered_r2ts) <= self.negotiated["MaxOutstandingR2T"], "too many R2Ts", response)
        if not task.hold_r2ts:
            self.answer(task, response)

    def receive(self, kind, timeout=None):
        """The next PDU of a kind that no task claims; whatever else comes is dealt with, and a Reject is an error."""
        while True:
            for waiting in self.inbox:
                if isinstance(waiting, (kind, pdu.Reject)):
                    self.inbox.remove(waiting)
                    if isinstance(waiting, kind):
                        return waiting
                    raise RejectedError(waiting)
            self.pump(timeout)

    def receive_answer(self, request, kind, timeout=None):
        response = self.receive(kind, timeout)
        require(response.initiator_task_tag == request.initiator_task_tag, "an answer to something else", response)
        return response

    def receive_reject(self, timeout=None):
        """A Reject that is wanted."""
        return self.receive(pdu.Reject, timeout)

    # ---- Other requests ----

    def nop(self, data=b"", immediate=True, **fields):
        """A ping of ours, answered."""
        request = self.send(pdu.NopOut(data=data, target_transfer_tag=pdu.RESERVED_TAG, **fields), immediate)
        return self.receive_answer(request, pdu.NopIn)

    def text_exchange(self, keys=(), data=None, immediate=False, **fields):
        fields.setdefault("target_transfer_tag", pdu.RESERVED_TAG)
        request = pdu.TextRequest(data=pdu.encode_keys(keys) if data is None else data, **fields)
        self.send(request, immediate)
        return self.receive_answer(request, pdu.TextResponse)

    def text(self, keys, immediate=False):
        """A whole text negotiation: all of the answer's bytes, over as many PDUs as it takes."""
        response = self.text_exchange(keys, immediate=immediate)
        answer = response.data
        while not response.final:
            require(response.target_transfer_tag != pdu.RESERVED_TAG, "an unfinished text without a tag", response)
            response = self.text_exchange(target_transfer_tag=response.target_transfer_tag,
                                          initiator_task_tag=response.initiator_task_tag, immediate=immediate)
            answer += response.data
        return answer

    def send_targets(self, which="All"):
        """SendTargets: [(target name, [address, ...]), ...]."""
        found = []
        for item in self.text({"SendTargets": which}).split(b"\0"):
            key, _, value = item.decode().partition("=")
            if key == "TargetName":
                found.append((value, []))
            elif key == "TargetAddress":
                found[-1][1].append(value)
        return found

    def task_management(self, function, lun=0, referenced_task=None, immediate=True):
        """The function's response code."""
        return self.task_management_response(function, lun, referenced_task, immediate).response

    def task_management_response(self, function, lun=0, referenced_task=None, immediate=True):
        request = pdu.TaskManagementRequest(function=function, lun=lun, referenced_task_tag=pdu.RESERVED_TAG)
        if referenced_task is not None:
            request.referenced_task_tag = referenced_task.tag
            request.ref_cmd_sn = referenced_task.request.cmd_sn
        self.send(request, immediate)
        return self.receive_answer(request, pdu.TaskManagementResponse)

    def logout(self, reason=0, cid=0, immediate=False):
        request = self.send(pdu.LogoutRequest(reason=reason, cid=cid), immediate)
        return self.receive_answer(request, pdu.LogoutResponse)

    # ---- Helpers that want success ----

    def settle(self, lun=0):
        """TEST UNIT READY until the unit attentions are gone; returns their (ASC, ASCQ)."""
        attentions = []
        for _ in range(20):
            task = self.execute(scsi.test_unit_ready(), lun=lun)
            if task.good:
                return attentions
            task.expect_sense(scsi.UNIT_ATTENTION)
            attentions.append((task.sense.asc, task.sense.ascq))
        raise AssertionError(f"the unit attentions never end: {attentions}")

    def inquiry(self, page=None, length=255, lun=0):
        return bytes(self.execute(scsi.inquiry(length, page), read_length=length, lun=lun).expect_good().data_in)

    def read_capacity(self, lun=0):
        """(number of blocks, bytes per block)"""
        data = self.execute(scsi.read_capacity16(), read_length=32, lun=lun).expect_good().data_in
        return int.from_bytes(data[:8], "big") + 1, int.from_bytes(data[8:12], "big")

    def report_luns(self):
        return scsi.decode_luns(self.execute(scsi.report_luns(), read_length=4096).expect_good().data_in)

    def read(self, lba, blocks, lun=0, block_bytes=512, build=scsi.read16, **options):
        task = self.execute(build(lba, blocks), read_length=blocks * block_bytes, lun=lun, **options)
        return bytes(task.expect_good().data_in)

    def write(self, lba, data, lun=0, block_bytes=512, build=scsi.write16, **options):
        return self.execute(build(lba, len(data) // block_bytes), data, lun=lun, **options).expect_good()
