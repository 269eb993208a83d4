"""qmp_shape.py TANDEM QEMU - two QMP sockets: what Tandem says it accepts and answers, compared with QEMU's own schema, and
every query's answer with both.

Tandem may lack commands, optional arguments (named below) and optional members of answers, and may do without an argument
that QEMU demands; it may not have any that QEMU lacks, nor lack one that QEMU always has, nor give anything another type."""
import sys

from qmp_client import Client

# Optional arguments that Tandem does not take, each answered by an error that names it.
LACKING = {"screendump.device", "screendump.head"}
# Of blockdev-add: what tunes a block layer that is not here, and what libvirt's kin may leave out.
LACKING |= {"blockdev-add." + name for name in ("cache", "detect-zeroes", "discard", "force-share")}
LACKING |= {"blockdev-add.file." + name for name in ("aio", "aio-max-batch", "drop-cache", "locking", "pr-manager", "x-check-cache-dropped")}
LACKING |= {"blockdev-add.raw." + name for name in ("offset", "size")}
LACKING |= {"blockdev-add.qcow2." + name for name in (
    "backing", "cache-clean-interval", "cache-size", "data-file", "encrypt", "l2-cache-entry-size", "l2-cache-size",
    "lazy-refcounts", "overlap-check", "pass-discard-other", "pass-discard-request", "pass-discard-snapshot", "refcount-cache-size")}
problems = []


def problem(where, what):
    problems.append("%s: %s" % (where, what))


class Schema:
    def __init__(self, entries):
        self.by_name = {e["name"]: e for e in entries}
        assert len(self.by_name) == len(entries), "a name twice"

    def of(self, kind):
        return {n: e for n, e in self.by_name.items() if e["meta-type"] == kind}

    def members(self, e):
        return {m["name"]: m for m in e["members"]}

    def json_type(self, e):
        kinds = {"array": "array", "object": "object", "enum": "string"}
        return e["json-type"] if e["meta-type"] == "builtin" else kinds[e["meta-type"]]


def is_optional(member):
    return "default" in member


def compare_objects(ours, a, theirs, b, where, arguments):
    mine, other = ours.members(a), theirs.members(b)
    for name, m in mine.items():
        at = "%s.%s" % (where, name)
        if name not in other:
            problem(at, "QEMU has none")
            continue
        if is_optional(m) != is_optional(other[name]) and is_optional(m) != arguments:
            problem(at, "not always there" if is_optional(m) else "demanded, which QEMU does not")
        compare(ours, m["type"], theirs, other[name]["type"], at, arguments)
    for name, m in other.items():
        at = "%s.%s" % (where, name)
        if name not in mine and (not is_optional(m) or (arguments and at not in LACKING)):
            problem(at, "lacking")
    theirs_of = {v["case"]: v["type"] for v in b.get("variants", [])}
    for v in a.get("variants", []):
        compare(ours, v["type"], theirs, theirs_of[v["case"]], where + "." + v["case"], arguments)


def compare(ours, name, theirs, other_name, where, arguments=False):
    a, b = ours.by_name[name], theirs.by_name[other_name]
    if a["meta-type"] == "builtin" and a["json-type"] == "value":
        return
    if ours.json_type(a) != theirs.json_type(b):
        problem(where, "%s, QEMU: %s" % (ours.json_type(a), theirs.json_type(b)))
    elif a["meta-type"] == "array":
        compare(ours, a["element-type"], theirs, b["element-type"], where + "[]", arguments)
    elif a["meta-type"] == "object":
        compare_objects(ours, a, theirs, b, where, arguments)
    elif a["meta-type"] == "enum" and not set(a["values"]) <= set(b["values"]):
        problem(where, "names that QEMU lacks: %s" % (set(a["values"]) - set(b["values"])))


def object_members(schema, e, value):
    members = dict(schema.members(e))
    for v in e.get("variants", []):
        if v["case"] == value.get(e["tag"]):
            members.update(object_members(schema, schema.by_name[v["type"]], value))
    return members


def check_object(schema, e, value, where):
    members = object_members(schema, e, value)
    for name, m in members.items():
        if name in value:
            check(schema, m["type"], value[name], where + "." + name)
        elif not is_optional(m):
            problem(where, "lacks %s" % name)
    for name in value.keys() - members.keys():
        problem(where, "%s is not in the schema" % name)


PYTHON = {"string": str, "int": int, "boolean": bool, "object": dict, "array": list, "number": (int, float), "null": type(None)}


def check(schema, name, value, where):
    """A value against a type."""
    e = schema.by_name[name]
    if e["meta-type"] == "alternate" or schema.json_type(e) == "value":
        return
    if not isinstance(value, PYTHON[schema.json_type(e)]) or isinstance(value, bool) != (schema.json_type(e) == "boolean"):
        problem(where, "%r is no %s" % (value, schema.json_type(e)))
    elif e["meta-type"] == "array":
        for v in value:
            check(schema, e["element-type"], v, where + "[]")
    elif e["meta-type"] == "object":
        check_object(schema, e, value, where)
    elif e["meta-type"] == "enum" and value not in e["values"]:
        problem(where, "%r is none of its names" % value)


def main():
    tandem, qemu = Client(sys.argv[1]), Client(sys.argv[2])
    ours, theirs = Schema(tandem.call("query-qmp-schema")), Schema(qemu.call("query-qmp-schema"))
    names = {c["name"] for c in tandem.call("query-commands")}
    if names != set(ours.of("command")):
        problem("query-commands", "the schema has others: %s" % (names ^ set(ours.of("command"))))
    queries = 0
    for name, e in ours.of("command").items():
        if name not in theirs.of("command"):
            problem(name, "QEMU has none")
            continue
        other = theirs.by_name[name]
        compare(ours, e["arg-type"], theirs, other["arg-type"], name, True)
        compare(ours, e["ret-type"], theirs, other["ret-type"], name + " answers")
        if name.startswith("query-") and all(map(is_optional, ours.by_name[e["arg-type"]]["members"])):
            answer = tandem.call(name)
            check(ours, e["ret-type"], answer, name)
            check(theirs, other["ret-type"], answer, name + " by QEMU's schema")
            check(theirs, other["ret-type"], qemu.call(name), name + " of QEMU")
            queries += 1
    for name, e in ours.of("event").items():
        compare(ours, e["arg-type"], theirs, theirs.by_name[name]["arg-type"], name)
    for c in (tandem, qemu):
        c.call("quit")
        c.rest()
    for e in tandem.events:
        check(ours, ours.by_name[e["event"]]["arg-type"], e.get("data", {}), e["event"])
    for p in problems:
        print(p)
    print("%d commands, %d queries, %d events seen" % (len(names), queries, len(tandem.events)))
    sys.exit(bool(problems) or queries < 15)


if __name__ == "__main__":
    main()
