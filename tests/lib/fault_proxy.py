#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An HTTP proxy that injects faults between the s3 plugin and its server.

    fault_proxy.py HOST PORT CONTROL-FILE [CERTIFICATE KEY]

Listens on a free port of 127.0.0.1, prints it, and relays every request to HOST:PORT.  The control file, read anew for
every request, holds "MODE RATE METHODS": this fault, for this share of the requests (0 to 1), with these methods (comma-
separated, * for all).  A file that is empty injects nothing; MODE_once empties it with the first fault.  With a
certificate, its clients speak TLS.
"""
import email.utils
import random
import re
import socket
import ssl
import struct
import sys
import threading
import time

ERRORS = {
    "internal": (500, "InternalError"),
    "slowdown": (503, "SlowDown"),
    "forbidden": (403, "AccessDenied"),
    "notfound": (404, "NoSuchKey"),
    "skew": (403, "RequestTimeTooSkewed"),
    "expired": (400, "ExpiredToken"),
}
SKEW_SECONDS = 300
STALL_SECONDS = 30


def read_head(stream):
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = stream.readline(65536)
        if not line:
            return None
        head += line
    return head


def length_of(head):
    found = re.search(rb"\r\ncontent-length:\s*(\d+)", head, re.IGNORECASE)
    return int(found.group(1)) if found else 0


def damage(data):
    if not data:
        return data
    at = random.randrange(len(data))
    return data[:at] + bytes([data[at] ^ (1 << random.randrange(8))]) + data[at + 1:]


class Relay(threading.Thread):
    def __init__(self, client, server_address, control):
        super().__init__(daemon=True)
        self.client, self.server_address, self.control = client, server_address, control
        self.server = None

    def fault_for(self, method):
        try:
            with open(self.control, encoding="ascii") as file:
                mode, rate, methods = file.read().split()
        except (OSError, ValueError):
            return None
        if methods != "*" and method not in methods.split(","):
            return None
        if random.random() >= float(rate):
            return None
        if mode.endswith("_once"):
            open(self.control, "w", encoding="ascii").close()
        return mode.removesuffix("_once")

    def connect(self):
        if self.server is None:
            self.server = socket.create_connection(self.server_address)
            self.server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.server_stream = self.server.makefile("rb")

    def forward(self, head, body):
        self.connect()
        self.server.sendall(head + body)
        answer = read_head(self.server_stream)
        while answer is not None and answer.startswith(b"HTTP/1.1 100"):
            answer = read_head(self.server_stream)
        if answer is None:
            return None, b""
        if re.search(rb"\r\ntransfer-encoding:\s*chunked", answer, re.IGNORECASE):
            return self.unchunk(answer)
        is_empty = head.startswith(b"HEAD ") or b" 204 " in answer[:16] or b" 304 " in answer[:16]
        return answer, b"" if is_empty else self.server_stream.read(length_of(answer))

    def unchunk(self, answer):
        body = b""
        while True:
            size = int(self.server_stream.readline().split(b";")[0], 16)
            body += self.server_stream.read(size)
            self.server_stream.readline()
            if size == 0:
                break
        answer = re.sub(rb"\r\ntransfer-encoding:[^\r]*", b"", answer, flags=re.IGNORECASE)
        return answer[:-2] + b"Content-Length: %d\r\n\r\n" % len(body), body

    def answer_error(self, mode):
        status, code = ERRORS[mode]
        body = f"<Error><Code>{code}</Code><Message>injected</Message><RequestId>proxy</RequestId></Error>".encode()
        date = email.utils.formatdate(time.time() + (SKEW_SECONDS if mode == "skew" else 0), usegmt=True)
        self.client.sendall(f"HTTP/1.1 {status} Injected\r\nDate: {date}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
                            + body)

    def reset(self):
        self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def one(self, stream):
        """Relays one request; False: the connection is over."""
        head = read_head(stream)
        if head is None:
            return False
        body = stream.read(length_of(head))
        mode = self.fault_for(head.split(b" ", 1)[0].decode("ascii"))
        if mode in ERRORS:
            self.answer_error(mode)
            return True
        if mode == "stall":
            time.sleep(STALL_SECONDS)
            return False
        if mode == "lose":  # done by the server, but nobody learns of it
            self.forward(head, body)
            self.reset()
            return False
        if mode == "damage_up":
            body = damage(body)
        answer, content = self.forward(head, body)
        if answer is None:
            return False
        if mode == "damage":
            content = damage(content)
        if mode in ("reset", "truncate") and len(content) > 1:
            self.client.sendall(answer + content[:len(content) // 2])
            if mode == "reset":
                self.reset()
            return False
        if mode == "short" and len(content) > 1:
            content = content[:len(content) // 2]
            answer = re.sub(rb"(\r\ncontent-length:\s*)\d+", rb"\g<1>%d" % len(content), answer, flags=re.IGNORECASE)
        self.client.sendall(answer + content)
        return True

    def run(self):
        self.client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            with self.client.makefile("rb") as stream:
                while self.one(stream):
                    pass
        except (OSError, ValueError):
            pass
        finally:
            self.client.close()
            if self.server is not None:
                self.server.close()


def main():
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    print(listener.getsockname()[1], flush=True)
    tls = None
    if len(sys.argv) > 4:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(sys.argv[4], sys.argv[5])
    while True:
        client, _ = listener.accept()
        try:
            client = tls.wrap_socket(client, server_side=True) if tls else client
        except (OSError, ssl.SSLError):
            continue
        Relay(client, (sys.argv[1], int(sys.argv[2])), sys.argv[3]).start()


if __name__ == "__main__":
    main()
