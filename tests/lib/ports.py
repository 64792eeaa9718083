# SPDX-License-Identifier: Apache-2.0
"""Free TCP ports, and who listens where."""

import collections
import pathlib
import random
import socket
import sys

# Below what the kernel takes ports from for whoever wants any: nobody but a test gets one of these by chance, however long
# it is not in use.  (ceph.sh takes its ports from below.)
FIRST = 20000
_chance = random.SystemRandom()
# The latest ports given to this process: others that pick ports in the same way keep off them.
_reservations = collections.deque(maxlen=256)


def _reserve(port):
    """Whether this process got it: a name that only one can have, and that is free again when the process ends."""
    holder = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        holder.bind(f"\0tgtkit-tests-port-{port}")
    except OSError:
        holder.close()
        return False
    _reservations.append(holder)
    return True


def _kernels_first():
    return int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])


def free_port():
    """A port on which nobody listens, whatever the address, and that no other process of the tests was given just now."""
    last = max(_kernels_first() - 1, FIRST + 10000)
    for _ in range(50):
        port = _chance.randint(FIRST, last)
        if not listening_addresses(port) and _reserve(port):
            return port
    raise RuntimeError("no free TCP port")


def _address(text, family):
    packed = bytes.fromhex(text)
    if sys.byteorder == "little":  # the kernel prints each 32-bit word as a number of the host
        packed = b"".join(packed[at:at + 4][::-1] for at in range(0, len(packed), 4))
    return socket.inet_ntop(family, packed)


def listeners(inodes=None):
    """The set of (address, port) that somebody, or the owner of these socket inodes, listens on."""
    found = set()
    for name, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        table = pathlib.Path("/proc/net", name)
        for line in table.read_text().splitlines()[1:] if table.exists() else []:
            fields = line.split()
            address, port = fields[1].split(":")
            if fields[3] == "0A" and (inodes is None or fields[9] in inodes):
                found.add((_address(address, family), int(port, 16)))
    return found


def listening_addresses(port):
    return {address for address, of_port in listeners() if of_port == port}


def socket_inodes(pid):
    """The inodes of the sockets that a process holds."""
    inodes = set()
    for link in pathlib.Path("/proc", str(pid), "fd").iterdir():
        try:
            target = str(link.readlink())
        except FileNotFoundError:  # closed meanwhile
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    return inodes


def listeners_of(pid):
    return listeners(socket_inodes(pid))
