# SPDX-License-Identifier: Apache-2.0
"""One TCP connection that carries PDUs: framing and digests, nothing more.  What goes out may be any bytes."""

import select
import socket
import struct
import time

from . import crc32c, pdu

DEFAULT_TIMEOUT_S = 20


class ConnectionClosed(Exception):
    """The target has ended the connection."""


class DigestError(AssertionError):
    """A digest that the target sent is wrong."""


class Connection:
    def __init__(self, address, timeout=DEFAULT_TIMEOUT_S, receive_buffer_bytes=None):
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        if receive_buffer_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        self.socket.settimeout(timeout)
        self.timeout = timeout
        try:
            self.socket.connect(address)
        except OSError:
            self.socket.close()
            raise
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.header_digest = self.data_digest = False
        self._pending = bytearray()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def close(self):
        self.socket.close()

    def reset(self):
        """Ends with RST instead of FIN, as a crashed peer would."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def local_address(self):
        return self.socket.getsockname()[:2]

    def send_raw(self, data):
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise ConnectionClosed(str(error)) from error

    def send(self, request):
        self.send_raw(self.encode(request))

    def encode(self, request):
        return request.encode(self.header_digest, self.data_digest)

    def _fill(self, count, deadline):
        while len(self._pending) < count:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise TimeoutError(f"no PDU from the target; {len(self._pending)} of {count} bytes are there")
            self.socket.settimeout(remaining)
            try:
                received = self.socket.recv(1 << 18)
            except ConnectionResetError as error:
                raise ConnectionClosed(str(error)) from error
            finally:
                self.socket.settimeout(self.timeout)
            if not received:
                raise ConnectionClosed("end of stream")
            self._pending += received

    def _take(self, count, deadline):
        self._fill(count, deadline)
        taken = bytes(self._pending[:count])
        del self._pending[:count]
        return taken

    def receive(self, timeout=None):
        """The next PDU.  A timeout leaves a partial one in place for the next call."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        self._fill(pdu.BHS_BYTES, deadline)
        response, ahs_length, data_length = pdu.decode_header(self._pending[:pdu.BHS_BYTES])
        padded_length = data_length + -data_length % 4
        header_length = pdu.BHS_BYTES + ahs_length
        total = header_length + 4 * self.header_digest + padded_length + 4 * (self.data_digest and data_length > 0)
        self._fill(total, deadline)
        header = self._take(header_length, deadline)
        if self.header_digest and self._take(4, deadline) != crc32c.digest(header):
            raise DigestError(f"header digest of {response} is wrong")
        data = self._take(padded_length, deadline)
        if self.data_digest and data_length and self._take(4, deadline) != crc32c.digest(data):
            raise DigestError(f"data digest of {response} is wrong")
        response.ahs = header[pdu.BHS_BYTES:]
        response.data = data[:data_length]
        return response

    def wait_for_bytes(self, count):
        """Reads so many bytes and leaves them in place."""
        self._fill(count, time.monotonic() + self.timeout)

    def has_input(self, timeout=0):
        return bool(self._pending) or bool(select.select([self.socket], [], [], timeout)[0])

    def wait_closed(self, timeout=None):
        """Reads until the target ends the connection and returns the PDUs that came before that."""
        received = []
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        while True:
            try:
                received.append(self.receive(max(deadline - time.monotonic(), 0.001)))
            except ConnectionClosed:
                return received
