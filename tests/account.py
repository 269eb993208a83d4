#!/usr/bin/env python3
"""account.py - what -account wrote, against what it must say.

    tests/account.py guest ACCOUNT STATS    of tests/guests/account.c: every cell of its two processes
    tests/account.py whole ACCOUNT STATS    of any guest: the sum is the icount, idle ticks apart; under 1 % is booked as other

Prints what is wrong, a line each; exit status 1 if anything is."""
import json
import sys

# MATCH account_guest: (CR3, entry, vector, EAX or IRQ) -> (times, instructions)
A, B = 0x400000, 0x401000
EXPECTED = {
    (A, "user", None, None): (0, 42124),
    (A, "not entered", None, None): (0, 6),
    (A, "software interrupt", 0x40, 3): (2, 22),
    (A, "software interrupt", 0x40, 4): (1, 11),
    (A, "software interrupt", 0x41, 5): (1, 10),
    (A, "software interrupt", 0x42, 7): (1, 6),
    (A, "software interrupt", 0x43, None): (2, 84),
    (A, "software interrupt", 0x44, 12): (1, 2),
    (A, "software interrupt", 0x45, 10): (1, 9),
    (A, "software interrupt", 0x46, 11): (1, 7),
    (A, "exception", 6, None): (1, 2),
    (A, "exception", 14, None): (1, 3),
    (A, "interrupt", 0x20, 0): (2, 10),
    (A, "sysenter", None, 9): (1, 6),
    (B, "user", None, None): (0, 1005),
    (B, "not entered", None, None): (0, 4),
    (B, "software interrupt", 0x40, 3): (1, 11),
    (B, "software interrupt", 0x41, 5): (1, 6),
}


def cells(account):
    cr3 = {p["process"]: p["cr3"] for p in account["processes"]}
    for c in account["cells"]:
        key = (cr3[c["process"]], c["entry"], c.get("vector"), c.get("eax", c.get("irq")))
        if c["instructions"] or c["times"]:
            yield key, (c["times"], c["instructions"])


def check_guest(account):
    got = {k: v for k, v in cells(account) if k[0] in (A, B)}
    for key in sorted(set(got) | set(EXPECTED), key=str):
        if got.get(key) != EXPECTED.get(key):
            yield f"{key}: {got.get(key)} (times, instructions), must be {EXPECTED.get(key)}"
    if account["other_instructions"]:
        yield f"{account['other_instructions']} instructions are booked as other"


def check_whole(account, stats):
    insns = sum(c["instructions"] for c in account["cells"])
    if insns != account["instructions"] or insns != stats["time"]["icount"]:
        yield f"{insns} instructions in cells, {account['instructions']} told, {stats['instructions']} retired"
    idle = sum(p["idle_ticks"] for p in account["processes"])
    if idle != account["idle_ticks"] or idle != stats["time"]["idle_ticks"]:
        yield f"{idle} idle ticks in processes, {account['idle_ticks']} told, {stats['idle_ticks']} went by"
    if account["other_instructions"] * 100 >= insns:
        yield f"{account['other_instructions']} of {insns} instructions are booked as other"


def main(what, account_file, stats_file):
    with open(account_file, encoding="ascii") as a, open(stats_file, encoding="utf-8") as s:
        account, stats = json.load(a), json.load(s)
    wrong = list(check_whole(account, stats))
    if what == "guest":
        wrong += check_guest(account)
    print("\n".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[1] not in ("guest", "whole"):
        sys.exit("account.py: accepted: guest|whole ACCOUNT STATS")
    sys.exit(main(*sys.argv[1:]))
