"""experiment.py - what an experiment consists of, and what it is given.

An experiment is a module of experiments/ with these names:

    TITLE      a line for the page's head and the list of experiments
    QUESTION   a paragraph: what is asked, and why anyone would
    READING    a paragraph: how to read the pictures and tables
    PACKAGES   Debian packages beyond the driver's own (optional)
    add_options(parser)     its command-line options; `number` below checks ranges (optional)
    program_path(study)     the program that is measured, if it is not the build's tandem (optional)
    limit_s(study)          seconds behind which no further run begins, or None (optional)
    prepare(study)          what must exist before the first run, such as a second build (optional)
    plan(study)             the list of Run, the same whenever the options are the same
    findings(study)         a list of blocks (page.py) made from study.records; the first is a Verdict

The driver runs the plan in order, writes a record per run and calls findings once all runs are there.
"""
import argparse
import dataclasses
import importlib
import pkgutil

from lab import experiments


class LabError(Exception):
    """A message for the user: nothing can be measured like this."""


@dataclasses.dataclass
class Run:
    """One run of the plan. The command starts in an empty folder; files that it writes there are read by `collect`."""
    key: str                    # its name in the results, unique in the plan
    params: dict                # what is varied: a column each in the CSV
    command: list               # program and arguments
    expect: int = 0             # exit status of success
    limit_s: float = 900        # longer is a failure
    weight_s: float = 1         # a guess of its length, for the time left
    companions: list = dataclasses.field(default_factory=list)  # commands that run beside it: host load
    environment: dict = dataclasses.field(default_factory=dict)  # added to the driver's own
    measure: object = None      # function(study, run, folder) -> Outcome instead of starting `command`
    collect: object = None      # function(folder) -> further figures, by name


@dataclasses.dataclass
class Outcome:
    """What came of one run."""
    status: int = None
    wall_s: float = None
    cpu_s: float = None
    rss_mib: float = None
    figures: dict = dataclasses.field(default_factory=dict)
    digest: str = None          # the last line of the digest file
    points: int = None          # digest points
    why: str = None             # what failed; None: nothing did


@dataclasses.dataclass
class Study:
    """One experiment with its options, host and, as they come in, records (dicts, as in results.jsonl)."""
    name: str
    module: object
    options: argparse.Namespace
    host: dict
    folder: object = None       # pathlib.Path; None in a dry run
    program: dict = None        # what was measured
    records: list = dataclasses.field(default_factory=list)
    began: str = ""             # when; empty: not yet

    @property
    def tandem(self):
        """The program that is measured."""
        return self.module.program_path(self) if hasattr(self.module, "program_path") else f"{self.options.build}/tandem"

    def limit_s(self):
        """All runs together end behind this time, or None."""
        return self.module.limit_s(self) if hasattr(self.module, "limit_s") else None

    def guest(self, name):
        return f"{self.options.build}/tests/guests/{name}.elf"

    def good(self, **params):
        """Records of successful runs with these parameters."""
        return [r for r in self.records if r["ok"] and all(r["params"].get(k) == v for k, v in params.items())]

    def failed(self):
        return [r for r in self.records if not r["ok"]]


def names():
    return sorted(module.name for module in pkgutil.iter_modules(experiments.__path__))


def load(name):
    return importlib.import_module(f"lab.experiments.{name}")


def defaults(module):
    """Its options as they are where none is given."""
    parser = argparse.ArgumentParser()
    if hasattr(module, "add_options"):
        module.add_options(parser)
    return parser.parse_args([])


def number(least, most, kind=int):
    """A checker of option values for add_argument(type=...)."""
    def check(text):
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{text}: a number from {least} to {most} is accepted")
        return value
    return check


def choices(*accepted):
    """A checker of comma-separated lists of names."""
    def check(text):
        chosen = text.split(",")
        for name in chosen:
            if name not in accepted:
                raise argparse.ArgumentTypeError(f"{name}: accepted are {', '.join(accepted)}, several separated by commas")
        return chosen
    return check
