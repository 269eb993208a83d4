"""qmp_client.py PATH TASK - a QMP client for tests/qmp.sh.

Tasks: viewers VNC-CLIENT PORT PASSWORD (who watches by VNC is told as events), pictures (the formats of screendump), buttons (a recorded session with keys and buttons), flood (requests whose answers nobody reads), beside (the guest
goes on), prompt (how long a request takes, while the machine stands and while it runs)."""
import json
import socket
import subprocess
import sys
import time


class Client:
    def __init__(self, path):
        for _ in range(200):
            try:
                self.s = socket.socket(socket.AF_UNIX)
                self.s.connect(path)
                break
            except OSError:
                time.sleep(0.05)
        self.f = self.s.makefile("rwb")
        self.events = []
        assert "QMP" in json.loads(self.f.readline())
        self.call("qmp_capabilities")

    def call(self, name, **arguments):
        self.f.write(json.dumps({"execute": name, "arguments": arguments, "id": name}).encode())
        self.f.flush()
        while True:
            answer = json.loads(self.f.readline())
            if "event" not in answer:
                assert answer["id"] == name and "error" not in answer, answer
                return answer["return"]
            self.events.append(answer)

    def rest(self):
        for line in self.f:
            self.events.append(json.loads(line))


def buttons(c):
    c.call("cont")
    for _ in range(3):
        time.sleep(0.1)
        c.call("send-key", keys=[{"type": "qcode", "data": "ctrl"}, {"type": "qcode", "data": "a"}])
        c.call("input-send-event", events=[{"type": "rel", "data": {"axis": "x", "value": 3}}])
        c.call("inject-nmi")
        c.call("system_powerdown")
        time.sleep(0.1)
        c.call("system_reset")
    time.sleep(0.2)
    c.call("stop")
    assert c.call("query-status")["status"] == "paused"
    print(c.call("query-replay")["icount"])
    c.call("quit")
    c.rest()
    names = [e["event"] for e in c.events]
    assert names.count("RESET") == 3 and names.count("POWERDOWN") == 3, names
    assert names[0] == "RESUME" and names[-1] == "SHUTDOWN" and "STOP" in names, names
    assert all(e["data"]["guest"] is False for e in c.events if e["event"] in ("RESET", "SHUTDOWN"))
    assert all(abs(e["timestamp"]["seconds"] - time.time()) < 3600 for e in c.events)


def beside(c):
    before = c.call("query-replay")["icount"]
    time.sleep(1)
    after = c.call("query-replay")["icount"]
    c.call("quit")
    assert after > before


def flood(c):
    c.s.settimeout(2)
    try:
        while True:
            c.s.sendall(b'{"execute":"query-commands"}' * 100)
    except OSError:
        pass
    time.sleep(600)


PROMPT_MS = 2


def round_trip_ms(c):
    """The median of some, again until one is short: other work on the host delays many answers, a wait for the next look at
    the clock would delay them all."""
    medians = []
    while len(medians) < 40 and (not medians or medians[-1] > PROMPT_MS):
        times = []
        for _ in range(21):
            time.sleep(0.001)
            begin = time.perf_counter()
            c.call("query-status")
            times.append((time.perf_counter() - begin) * 1000)
        medians.append(sorted(times)[10])
    return min(medians)


def run_viewer(c, *command):
    """The events of a viewer that comes and goes."""
    p = subprocess.run(command, capture_output=True)
    events = []
    while "VNC_DISCONNECTED" not in [e["event"] for e in events]:
        events.append(json.loads(c.f.readline()))
    return p.returncode, events


def viewers(c, client, port, password):
    status, events = run_viewer(c, client, "localhost:" + port, "-p", password, "wait:100")
    assert status == 0 and [e["event"] for e in events] == ["VNC_CONNECTED", "VNC_INITIALIZED", "VNC_DISCONNECTED"], events
    server, viewer = events[0]["data"]["server"], events[0]["data"]["client"]
    assert server == {"host": "127.0.0.1", "service": port, "family": "ipv4", "websocket": False, "auth": "vnc"}, server
    assert viewer["host"] == "127.0.0.1" and viewer["family"] == "ipv4" and int(viewer["service"]) > 1023, viewer
    assert all(e["data"] == events[0]["data"] for e in events)
    status, events = run_viewer(c, client, "localhost:" + port, "-p", "wrong", "wait:100")
    assert status != 0 and [e["event"] for e in events] == ["VNC_CONNECTED", "VNC_DISCONNECTED"], events
    c.call("quit")


def head(name):
    with open(name, "rb") as f:
        return f.read(8)


def pictures(c):
    for arguments, magic in (({"filename": "shot"}, b"P6"), ({"filename": "shot.png"}, b"\x89PNG"), ({"filename": "shot.ppm"}, b"P6"),
                             ({"filename": "shot", "format": "png"}, b"\x89PNG"), ({"filename": "shot.png", "format": "ppm"}, b"P6"),
                             ({"filename": "shot.json"}, b"{")):
        c.call("screendump", **arguments)
        assert head(arguments["filename"]).startswith(magic), arguments
    c.f.write(b'{"execute":"screendump","arguments":{"filename":"shot","format":"gif"}}')
    c.f.flush()
    assert "does not accept value 'gif'" in json.loads(c.f.readline())["error"]["desc"]
    c.call("quit")


def prompt(c):
    running = round_trip_ms(c)
    c.call("stop")
    print("%.3f ms while it runs, %.3f ms while it stands" % (running, (standing := round_trip_ms(c))))
    c.call("quit")
    sys.exit(running > PROMPT_MS or standing > PROMPT_MS)


if __name__ == "__main__":
    {"buttons": buttons, "flood": flood, "beside": beside, "prompt": prompt, "viewers": viewers, "pictures": pictures}[sys.argv[2]](Client(sys.argv[1]), *sys.argv[3:])
