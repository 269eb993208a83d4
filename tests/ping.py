"""ping.py ADDRESS BYTES... - pings an address with so many bytes of data each time, as root; fails if an answer is missing or wrong."""
import os
import socket
import struct
import sys
import time


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def message(kind, number, data):
    head = struct.pack("!BBHHH", kind, 0, 0, os.getpid() & 0xFFFF, number)
    return head[:2] + struct.pack("!H", checksum(head + data)) + head[4:] + data


def ping(s, address, number, data):
    """Sent again each second: the guest may be slow, not silent."""
    s.settimeout(1)
    end = time.monotonic() + 20
    while time.monotonic() < end:
        s.sendto(message(8, number, data), (address, 0))
        try:
            while s.recvfrom(65536)[0][20:] != message(0, number, data):
                pass
            return
        except socket.timeout:
            pass
    sys.exit("%s: no answer with %d bytes of data" % (address, len(data)))


if __name__ == "__main__":
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    for i, count in enumerate(sys.argv[2:]):
        ping(raw, sys.argv[1], i, bytes(k * (i + 3) & 255 for k in range(int(count))))
