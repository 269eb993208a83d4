"""qmp_ganeti.py SOCKET - all that ganeti's QMP client can ask, of a running machine with a disk and a network card (qmp.sh).

PYTHONPATH has Debian's package ganeti-3.0, unpacked; the system's own Python runs this. What Tandem does not have (hot-plug,
migration, SPICE) the client finds in query-commands, and says so without asking."""
import sys
import types

from ganeti.hypervisor.hv_kvm import monitor

failed = 0


def expect(what, condition):
    global failed
    if not condition:
        failed += 1
        print("FAIL", what)


def expect_unsupported(what, call):
    try:
        call()
    except monitor.QmpCommandNotSupported:
        return
    except monitor.errors.HotplugError:
        return
    expect(what + " is refused", False)


def run_state(qmp):
    with qmp:
        return qmp.Execute("query-status")["status"]


def supported(qmp):
    with qmp:
        expect("version", qmp.version >= (7, 2, 0))
        expect("package", qmp.package.startswith("Tandem "))
        expect("commands", {"stop", "cont", "query-pci", "query-qmp-schema"} <= qmp.supported_commands)
        used = {d["slot"] for d in qmp.Execute("query-pci")[0]["devices"]}
    qmp.StopGuestEmulation()
    expect("stop", run_state(qmp) == "paused")
    qmp.ContinueGuestEmulation()
    expect("cont", run_state(qmp) == "running")
    expect("a drive by its name", qmp.HasDevice("ide0-hd0"))
    expect("no such device", not qmp.HasDevice("hotnic-1"))
    expect("a free PCI slot", qmp.GetFreePCISlot() == min(set(range(32)) - used))
    expect("features of the schema", qmp.HasDynamicAutoReadOnly() is False)


def unsupported(qmp):
    thing = types.SimpleNamespace(mac="52:54:00:12:34:56", hvinfo={"driver": "e1000", "id": "x", "bus": "pci.0", "addr": "0x9"})
    expect_unsupported("disk hot-plug", qmp.CheckDiskHotAddSupport)
    expect_unsupported("NIC hot-plug", qmp.CheckNicHotAddSupport)
    expect_unsupported("a NIC", lambda: qmp.HotAddNic(thing, "x"))
    expect_unsupported("a NIC with a descriptor", lambda: qmp.HotAddNic(thing, "x", tapfds=[0]))
    expect_unsupported("a NIC's removal", lambda: qmp.HotDelNic("x"))
    expect_unsupported("a disk", lambda: qmp.HotAddDisk(thing, "x", "nbd:localhost", lambda name: None))
    expect_unsupported("a disk with a descriptor", lambda: qmp.HotAddDisk(thing, "x", "/dev/null"))
    expect_unsupported("a disk's removal", lambda: qmp.HotDelDisk("x"))
    expect_unsupported("migration's parameters", lambda: qmp.SetMigrationParameters(1, 2))
    expect_unsupported("migration's capabilities", lambda: qmp.SetMigrationCapabilities(["xbzrle"], True))
    expect_unsupported("migration", lambda: qmp.StartMigration("localhost", 4444))
    expect_unsupported("migration, behind", qmp.StartPostcopyMigration)
    expect_unsupported("migration's status", qmp.GetMigrationStatus)
    expect_unsupported("a SPICE password", lambda: qmp.SetSpicePassword("x"))


def refused(qmp):
    """An error of ours becomes the client's exception, and the connection goes on."""
    with qmp:
        try:
            qmp.Execute("pmemsave", {"val": 0, "size": 16})
            expect("an error is one", False)
        except monitor.errors.HypervisorError as e:
            expect("its text", "Parameter 'filename' is missing" in str(e))
        expect("goes on", qmp.Execute("query-status")["running"])


def main():
    methods = {n for n, f in vars(monitor.QmpConnection).items() if n[0].isupper() and callable(f)}
    known = {"Execute", "HotAddNic", "HotDelNic", "HotAddDisk", "HotDelDisk", "HasDevice", "GetFreePCISlot", "CheckDiskHotAddSupport",
             "CheckNicHotAddSupport", "HasDynamicAutoReadOnly", "SetMigrationParameters", "SetMigrationCapabilities", "StopGuestEmulation",
             "ContinueGuestEmulation", "StartMigration", "StartPostcopyMigration", "GetMigrationStatus", "SetSpicePassword"}
    expect("each of the client's commands is tried here: %s" % (methods ^ known), methods == known)
    qmp = monitor.QmpConnection(sys.argv[1])  # each of its commands makes a connection of its own
    supported(qmp)
    unsupported(qmp)
    refused(qmp)
    with qmp:
        qmp.Execute("quit")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
