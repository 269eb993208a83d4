"""The command line of bench/run."""
import argparse
import pathlib
import shlex
import signal
import sys
import time

from lab import experiment, host, paper, progress, report, results, runner, setup
from lab.experiment import LabError, Study

USAGE = """bench/run EXPERIMENT [option ...]
bench/run report DIR [DIR ...] [--out FILE]
bench/run paper DIR [DIR ...] [--out FILE]     renews the figures of docs/report.md

Experiments (bench/run EXPERIMENT --help lists the options of one):
%s
Options of all experiments: --out DIR, --resume DIR, --dry-run, --build DIR, --quiet.
Exit status: 0 the verdict is good or there is none, 1 it is not, 2 nothing was measured, 130 interrupted (--resume DIR goes on).
"""


def usage():
    return USAGE % "".join(f"  {name:<14} {experiment.load(name).TITLE}\n" for name in experiment.names())


class Parser(argparse.ArgumentParser):
    def error(self, message):
        super().error(f"{message}; --help lists what is accepted")


def parser_of(name, module):
    parser = Parser(prog=f"bench/run {name}", description=module.TITLE, allow_abbrev=False)
    if hasattr(module, "add_options"):
        module.add_options(parser)
    common = parser.add_argument_group("options of all experiments")
    common.add_argument("--build", default=str(setup.HERE / "build"), metavar="DIR", help="Tandem's build folder (default: build); built if need be")
    common.add_argument("--out", metavar="DIR", help="results folder (default: build/lab/EXPERIMENT-DATE)")
    common.add_argument("--resume", metavar="DIR", help="make the runs that this results folder lacks, with the options it was begun with")
    common.add_argument("--dry-run", action="store_true", help="list the runs and start none")
    common.add_argument("--quiet", action="store_true", help="no progress on stderr")
    return parser


def resumed(parser, arguments, options):
    """The options of the folder; others would make another plan."""
    others = [word for word in arguments if word.startswith("--") and word.split("=")[0] not in ("--resume", "--quiet")]
    if others:
        parser.error(f"--resume takes its options from the folder; only --quiet is accepted with it, not {' '.join(others)}")
    vars(options).update(vars(results.options_of(pathlib.Path(options.resume))))
    return pathlib.Path(options.resume)


def new_folder(name, options):
    return pathlib.Path(options.out or f"{options.build}/lab/{name}-{time.strftime('%Y%m%d-%H%M%S')}")


def plan_of(study):
    plan = study.module.plan(study)
    keys = [run.key for run in plan]
    if len(set(keys)) != len(keys):
        raise LabError(f"{study.name}: two runs of the plan have one key")
    return plan


def dry_run(study):
    for run in plan_of(study):
        beside = "".join(f"  beside it: {shlex.join(map(str, command))}\n" for command in run.companions)
        print(f"{run.key}: {run.params}\n  {shlex.join(map(str, run.command))}\n{beside}", end="")


def open_study(study, folder):
    """Builds, and makes or opens the folder."""
    setup.packages(*getattr(study.module, "PACKAGES", []))
    setup.build(study.options.build)
    if hasattr(study.module, "prepare"):
        study.module.prepare(study)
    study.host, study.program, study.folder = host.describe(), setup.program(study.tandem), folder.resolve()
    if not study.options.resume:
        results.create(study)
        return
    if results.about(folder)["experiment"] != study.name:
        raise LabError(f"--resume {folder}: that folder is of the experiment {results.about(folder)['experiment']}")
    if results.about(folder)["program"]["sha256"] != study.program["sha256"]:
        raise LabError(f"--resume {folder}: the program was built anew since; begin a new folder")
    study.records = results.read(folder)


def make_runs(study):
    have = {record["key"] for record in study.records}
    todo = [run for run in plan_of(study) if run.key not in have]
    limit = study.limit_s()
    shown = progress.Progress(study.name, todo, study.options.quiet, limit)
    try:
        for run in todo:
            if limit and sum(record["wall_s"] or 0 for record in study.records) > limit:
                break
            shown.begin(run)
            shown.end(run, make_run(study, run))
    finally:
        shown.close()


def make_run(study, run):
    folder = results.work_folder(study)
    outcome = runner.run(study, run, folder)
    record = results.record_of(study, run, outcome)
    results.append(study, record)
    if outcome.why:
        results.keep_failed(study, run)
    return outcome.why or "ok"


def interrupted(study):
    print(f"\nbench/run: interrupted with {len(study.records)} runs done; bench/run {study.name} --resume {study.folder} goes on", file=sys.stderr)
    return 130


def run_experiment(name, arguments):
    module = experiment.load(name)
    parser = parser_of(name, module)
    options = parser.parse_args(arguments)
    folder = resumed(parser, arguments, options) if options.resume else new_folder(name, options)
    options.build = str(pathlib.Path(options.build).resolve())
    study = Study(name, module, options, host.describe())
    if options.dry_run:
        dry_run(study)
        return 0
    open_study(study, folder)
    try:
        make_runs(study)
    except KeyboardInterrupt:
        results.write_csv(study)
        return interrupted(study)
    return finish(study)


def finish(study):
    results.remove_work(study)
    results.write_csv(study)
    verdict = report.write(study)
    word = {True: "good", False: "BAD", None: "measured"}[verdict.ok]
    print(f"{study.name}: {word}: {verdict.word} {verdict.text}\n{study.folder}/report.html")
    return 1 if verdict.ok is False else 0


def run_report(arguments):
    parser = Parser(prog="bench/run report", description="Reports of results folders, as one page.", allow_abbrev=False)
    parser.add_argument("folders", nargs="+", metavar="DIR", help="results folders of bench/run")
    parser.add_argument("--out", default="report.html", metavar="FILE", help="the page (default report.html)")
    options = parser.parse_args(arguments)
    setup.packages()
    report.combine(options.folders, pathlib.Path(options.out))
    print(options.out)
    return 0


def run_paper(arguments):
    parser = Parser(prog="bench/run paper", description="Renews the figures and pictures of docs/report.md from results folders.", allow_abbrev=False)
    parser.add_argument("folders", nargs="+", metavar="DIR", help="results folders of determinism, scaling and breakdown")
    parser.add_argument("--out", default=str(setup.HERE / "docs/report.md"), metavar="FILE", help="the paper, with its folder pictures/ (default docs/report.md)")
    options = parser.parse_args(arguments)
    print("renewed:", ", ".join(paper.write(options.folders, pathlib.Path(options.out))))
    return 0


def terminate(signum, frame):
    raise KeyboardInterrupt


def main(arguments):
    signal.signal(signal.SIGTERM, terminate)
    if not arguments or arguments[0] in ("--help", "-h", "help"):
        print(usage(), end="")
        return 0 if arguments else 2
    name, rest = arguments[0], arguments[1:]
    if name == "report":
        return run_report(rest)
    if name == "paper":
        return run_paper(rest)
    if name not in experiment.names():
        print(f"bench/run: {name}: no such experiment; accepted: {', '.join(experiment.names())}, report, paper", file=sys.stderr)
        return 2
    return run_experiment(name, rest)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except LabError as error:
        print(f"bench/run: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(2)
