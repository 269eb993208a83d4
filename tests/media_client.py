"""media_client.py PATH TASK ... - a QMP client for tests/media.sh.

Tasks: media FILE FILE (trays and discs of a guest that opens the tray behind its first disc), qcow2 FILE FILE (a node with a
format into an empty drive; the second file is no such image), errors FAULT MONITOR (the
file that makes the block server fail, the monitor's socket)."""
import json
import os
import socket
import sys
import time

import qmp_client


class Client(qmp_client.Client):
    def ask(self, name, **arguments):
        self.f.write(json.dumps({"execute": name, "arguments": {k.replace("_", "-"): v for k, v in arguments.items()},
                                 "id": name}).encode())
        self.f.flush()
        while True:
            answer = json.loads(self.f.readline())
            if "event" not in answer:
                assert answer["id"] == name, answer
                return answer
            self.events.append(answer)

    def call(self, name, **arguments):
        answer = self.ask(name, **arguments)
        assert "error" not in answer, answer
        return answer["return"]

    def fails(self, text, name, **arguments):
        answer = self.ask(name, **arguments)
        assert text in answer.get("error", {}).get("desc", ""), answer

    def event(self, name):
        while not any(e["event"] == name for e in self.events):
            answer = json.loads(self.f.readline())
            self.events.append(answer)
        at = next(i for i, e in enumerate(self.events) if e["event"] == name)
        return self.events.pop(at).get("data")

    def drive(self):
        return next(d for d in self.call("query-block") if d["device"] == "ide1-cd0")


def media(c, b, a):
    d = c.drive()
    assert d["removable"] and not d["tray_open"] and not d["locked"] and d["inserted"]["file"].endswith("a.iso"), d
    c.fails("not open", "blockdev-remove-medium", id="ide1-cd0")
    c.fails("exactly one", "eject")
    c.fails("not found", "eject", device="nosuch")
    c.fails("No such file", "blockdev-change-medium", id="ide1-cd0", filename="/nowhere/x")
    c.fails("Unknown driver", "blockdev-change-medium", id="ide1-cd0", filename=b, format="x")
    c.call("cont")
    moved = c.event("DEVICE_TRAY_MOVED")  # the guest's doing
    assert moved == {"device": "ide1-cd0", "id": "ide1-cd0", "tray-open": True}, moved
    d = c.drive()
    assert d["tray_open"] and "inserted" in d, d
    nodes(c, b, a)
    assert c.event("DEVICE_TRAY_MOVED")["tray-open"] is False
    d = c.drive()
    assert d["inserted"]["file"] == b and d["inserted"]["ro"] and not d["tray_open"], d
    stats = c.call("query-blockstats")
    while stats[0]["stats"]["rd_operations"] < 100:
        time.sleep(0.05)
        stats = c.call("query-blockstats")
    assert stats[0]["stats"]["rd_bytes"] >= 100 * 2048 and stats[0]["device"] == "ide1-cd0", stats
    time.sleep(0.3)
    c.call("blockdev-open-tray", id="ide1-cd0")
    assert c.event("DEVICE_TRAY_MOVED")["tray-open"] is True
    c.call("blockdev-close-tray", id="ide1-cd0")
    assert c.event("DEVICE_TRAY_MOVED")["tray-open"] is False
    c.call("eject", device="ide1-cd0", force=True)
    assert c.event("DEVICE_TRAY_MOVED")["tray-open"] is True
    assert "inserted" not in c.drive()
    c.call("blockdev-change-medium", id="ide1-cd0", filename=a, read_only_mode="read-only")
    c.event("SHUTDOWN")


def nodes(c, b, a):
    """The tray is open, with a disc; behind it, it is closed with b."""
    c.fails("No such file", "blockdev-add", driver="file", node_name="n", filename="/nowhere/x")
    c.fails("node-name", "blockdev-add", driver="file", filename=b)
    c.fails("does not accept", "blockdev-add", driver="nosuch", node_name="n")
    c.fails("filename", "blockdev-add", driver="file", node_name="n")
    c.fails("unexpected", "blockdev-add", driver="file", node_name="n", filename=b, file="x")
    c.fails("unexpected", "blockdev-add", driver="raw", node_name="n", filename=b)
    c.fails("nor node-name", "blockdev-add", driver="raw", node_name="n", file="nosuch")
    c.fails("nor node-name", "blockdev-add", driver="raw", node_name="n")
    c.fails("driver", "blockdev-add", driver="raw", node_name="n", file={"driver": "raw", "filename": b})
    c.fails("unexpected", "blockdev-add", driver="raw", node_name="n", file={"driver": "file", "filename": b, "x": 1})
    c.call("blockdev-add", driver="file", node_name="storage", filename=b, auto_read_only=True)
    c.fails("Duplicate", "blockdev-add", driver="file", node_name="storage", filename=b)
    c.call("blockdev-add", driver="raw", node_name="disc", read_only=True, file="storage")
    c.call("blockdev-add", driver="raw", node_name="other", read_only=True, file={"driver": "file", "filename": a})
    c.fails("in use", "blockdev-del", node_name="storage")
    c.fails("Failed to find", "blockdev-del", node_name="nosuch")
    c.fails("already is a medium", "blockdev-insert-medium", id="ide1-cd0", node_name="disc")
    c.fails("already in use", "blockdev-insert-medium", id="ide1-cd0", node_name="other")
    c.fails("not found", "blockdev-insert-medium", id="ide1-cd0", node_name="nosuch")
    for name, more in ("insert-medium", {"node_name": "disc"}), ("change-medium", {"filename": b}), ("open-tray", {}), ("close-tray", {}), ("remove-medium", {}):
        answer = c.ask("blockdev-" + name, id="nosuch", **more)
        assert answer["error"] == {"class": "DeviceNotFound", "desc": "Device 'nosuch' not found"}, answer
    c.call("blockdev-remove-medium", id="ide1-cd0")
    assert "inserted" not in c.drive()
    c.call("blockdev-del", node_name="other")
    c.call("blockdev-insert-medium", id="ide1-cd0", node_name="disc")
    d = c.drive()
    assert d["tray_open"] and d["inserted"]["file"] == b and d["inserted"]["node-name"] == "disc", d
    named = {n["node-name"]: (n["drv"], n["file"], n["image"]["virtual-size"]) for n in c.call("query-named-block-nodes")}
    size = os.path.getsize(b)
    assert named == {"storage": ("file", b, size), "disc": ("raw", b, size)}, named
    c.fails("in use", "blockdev-del", node_name="disc")
    c.call("blockdev-close-tray", id="ide1-cd0")
    c.fails("in use", "blockdev-insert-medium", id="ide1-cd0", node_name="disc")


def qcow2(c, image, other):
    """A drive that is empty gets an image that has a format, then another one in its place, and then none."""
    c.fails("not in qcow2", "blockdev-add", driver="qcow2", node_name="n", file={"driver": "file", "filename": other})
    c.call("blockdev-add", driver="file", node_name="storage", filename=image, read_only=True)
    c.call("blockdev-add", driver="qcow2", node_name="disc", read_only=True, file="storage")
    c.call("cont")
    c.call("blockdev-open-tray", id="disc0")
    c.event("DEVICE_TRAY_MOVED")
    c.call("blockdev-insert-medium", id="disc0", node_name="disc")
    named = {n["node-name"]: n for n in c.call("query-named-block-nodes", flat=True)}
    assert named.keys() == {"storage", "disc"}, named.keys()
    assert named["disc"]["drv"] == "qcow2" and named["disc"]["image"]["virtual-size"] == 20 * 2048, named
    assert named["storage"]["image"]["virtual-size"] == os.path.getsize(image), named
    c.call("blockdev-close-tray", id="disc0")
    inserted = next(d for d in c.call("query-block") if d["device"] == "disc0")["inserted"]
    assert inserted["node-name"] == "disc" and inserted["drv"] == "qcow2" and inserted["ro"], inserted
    c.fails("in use", "blockdev-del", node_name="disc")
    c.event("SHUTDOWN")


def monitor(path, line):
    s = socket.socket(socket.AF_UNIX)
    s.connect(path)
    f = s.makefile("rwb")
    f.write(line.encode() + b"\n")
    f.flush()
    text = b""
    while text.count(b"(tandem) ") < 2:
        text += f.read1()
    s.close()
    return text.decode()


def errors(c, fault, path):
    open(fault, "w").close()
    c.call("cont")
    e = c.event("BLOCK_IO_ERROR")
    assert e["device"] == "ide1-cd0" and e["operation"] == "read" and e["action"] == "stop" and not e["nospace"], e
    c.event("STOP")
    for _ in range(100):
        status = c.call("query-status")
        assert status["status"] == "io-error" and not status["running"], status
    assert "io-error" in monitor(path, "info status")
    c.events.clear()
    assert "io-error" not in monitor(path, "cont")
    c.event("RESUME")
    assert c.event("BLOCK_IO_ERROR")["action"] == "stop"  # it fails again, at once
    os.unlink(fault)
    begin = time.time()
    c.call("cont")
    while c.call("query-status")["status"] == "io-error":
        assert time.time() < begin + 20
    c.event("SHUTDOWN")


{"media": media, "errors": errors, "qcow2": qcow2}[sys.argv[2]](Client(sys.argv[1]), *sys.argv[3:])
