"""man_commands.py MAN HELP SCHEMA - the commands of the manual page and those that the program names, both ways.

HELP: the answers of the monitor's `help` and `help info`; SCHEMA: the answer of QMP's query-qmp-schema, on a line of its own."""
import json
import re
import sys

bad = 0


def compare(what, program, page):
    global bad
    for name in sorted(program - page):
        bad += 1
        print("%s: %s is not in the manual page" % (what, name))
    for name in sorted(page - program):
        bad += 1
        print("%s: %s is in the manual page alone" % (what, name))
    print("%s: %d" % (what, len(program)))
    bad += not program


def section(text, name):
    return re.search(r"^\.Sh %s\n(.*?)(?=^\.Sh |\Z)" % name, text, re.S | re.M).group(1)


def names_of_help(text):
    names = set()
    for line in text.splitlines():
        m = re.match(r"(info )?([\w?|-]+).* -- ", line)
        if m:
            names |= {(m.group(1) or "") + n for n in m.group(2).split("|")}
    return names


def names_of_items(text):
    """.It Ic NAME ARGUMENTS , Ic NAME ARGUMENTS , ALIAS"""
    names = set()
    for line in re.findall(r"^\.It (Ic .*)$", text, re.M):
        for item in line.split(" , "):
            words = item.removeprefix("Ic ").split()
            if words[0] == "Ns":
                continue  # a comma of a list of arguments
            names.add(" ".join(words[:2]) if words[0] == "info" and words[1] != "Ar" else words[0])
    return names


def words_between(text, begin, end):
    part = text[text.index(begin) : text.index(end)]
    return set(re.findall(r"^\.Li ([\w-]+)", part, re.M))


def main():
    page = open(sys.argv[1]).read()
    compare("monitor", names_of_help(open(sys.argv[2]).read()), names_of_items(section(page, "MONITOR")))
    for line in open(sys.argv[3]):
        answer = json.loads(line).get("return")
        if isinstance(answer, list):
            schema = answer
    qmp = section(page, "QMP")
    kinds = {k: {e["name"] for e in schema if e["meta-type"] == k} for k in ("command", "event")}
    compare("QMP's commands", kinds["command"], words_between(qmp, "Commands:", "Events:") | {"qmp_capabilities"})
    compare("QMP's events", kinds["event"], words_between(qmp, "Events:", ".Pp"))
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
