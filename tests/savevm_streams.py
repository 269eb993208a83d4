"""savevm_streams.py PORT [MONITOR SERIAL] - the host's side of tests/savevm.sh's TCP connections: says back what comes.

With a monitor: saves the machine while its guest's connection is open, and loads it three times. Each time the connection ends
here, the guest sees it reset and makes another one, by which it goes on."""
import socket
import sys
import time

server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(("127.0.0.1", int(sys.argv[1])))
server.listen()
server.settimeout(30)


def echo(c, lines):
    """What comes is said back, until so many lines have come. The last one whole, or None: it has ended."""
    text = b""
    while text.count(b"\n") < lines:
        try:
            data = c.recv(4096)
        except ConnectionResetError:
            return None
        if not data:
            return None
        text += data
        c.sendall(data)
    return int(text.split(b"\n")[-2])


def accept():
    c, _ = server.accept()
    c.settimeout(30)
    return c


class Monitor:
    def __init__(self, path):
        for _ in range(100):
            try:
                self.s = socket.socket(socket.AF_UNIX)
                self.s.connect(path)
                break
            except OSError:
                time.sleep(0.05)
        self.answer()

    def answer(self):
        text = b""
        while not text.endswith(b"(tandem) "):
            text += self.s.recv(65536)
        return text.decode()

    def __call__(self, line):
        self.s.sendall(line.encode() + b"\n")
        text = self.answer()
        assert "Error" not in text, text
        return text


def wait_for_resets(serial, count):
    for _ in range(100):
        seen = open(serial).read().count("reset")
        if seen >= count:
            break
        time.sleep(0.05)
    assert seen == count, (seen, count)


def main():
    if len(sys.argv) == 2:
        while echo(accept(), 1 << 60) is None:
            pass
    monitor = Monitor(sys.argv[2])
    monitor("cont")
    c = accept()
    saved = echo(c, 5)
    monitor("stop")
    monitor("savevm a")
    monitor("cont")
    for i in range(3):
        before = echo(c, 5)
        monitor("loadvm a")
        assert echo(c, 1 << 60) is None
        if i == 1:
            monitor("stop")
            time.sleep(0.2)
            assert "10.0.2.15" not in monitor("info network")  # none yet
            monitor("cont")
        c = accept()
        after = echo(c, 1)
        assert saved <= after <= saved + 2, (saved, before, after)
        wait_for_resets(sys.argv[3], i + 1)
    monitor.s.sendall(b"quit\n")


main()
