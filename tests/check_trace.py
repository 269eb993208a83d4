"""A trace against the Trace Event Format's rules for JSON objects, and against what the timeline promises."""
import json
import sys

PHASES = {"X": {"ts", "dur", "name"}, "i": {"ts", "s", "name"}, "M": {"args", "name"}}


def number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0


def check_event(e):
    need = PHASES[e["ph"]]
    assert need <= e.keys(), e
    assert isinstance(e["name"], str) and e["name"], e
    assert isinstance(e["pid"], int) and isinstance(e["tid"], int), e
    assert all(number(e[k]) for k in ("ts", "dur") if k in e), e
    assert e.get("s", "t") in ("g", "p", "t"), e
    if e["ph"] == "M":
        assert e["name"] in ("process_name", "thread_name") and isinstance(e["args"]["name"], str), e


def tracks(events):
    of = {}
    for e in events:
        if e["ph"] == "X":
            of.setdefault((e["pid"], e["tid"]), []).append((round(e["ts"] * 1000), round(e["dur"] * 1000), e["name"]))
    return of


def check(path):
    trace = json.load(open(path))
    events = trace["traceEvents"]
    for e in events:
        check_event(e)
    of = tracks(events)
    for track, slices in of.items():
        for (t, d, _), (t2, _, _) in zip(slices, slices[1:]):
            assert t + d <= t2, (track, t, d, t2)
    names = {(e["pid"], e["tid"]): e["args"]["name"] for e in events if e["name"] == "thread_name"}
    assert set(of) <= set(names), names
    return trace, of, names


trace, of, names = check(sys.argv[1])
for test in sys.argv[2:]:
    assert eval(test), test
