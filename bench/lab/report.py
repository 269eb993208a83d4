"""report.py - results folders as one page: question, verdict, pictures, tables, host, and the command that repeats it."""
import pathlib
import shlex

from lab import experiment, page, results
from lab.experiment import Study


def study_of(folder):
    """A finished or unfinished study, from its folder."""
    folder = pathlib.Path(folder)
    about = results.about(folder)
    module = experiment.load(about["experiment"])
    options = experiment.defaults(module)  # an older folder lacks options that came later
    vars(options).update(vars(results.options_of(folder)))
    return Study(about["experiment"], module, options, about["host"], folder, about["program"], results.read(folder), about["began"])


def write(study):
    """report.html of one folder. Returns whether the verdict is good, or None."""
    blocks = study.module.findings(study)
    body = f"<h1>{page.quote(study.module.TITLE)}</h1>\n" + section(study, blocks)
    (study.folder / "report.html").write_text(page.page(study.module.TITLE, body), encoding="utf-8")
    return blocks[0]


def combine(folders, path):
    """Several folders, one page."""
    studies = [study_of(folder) for folder in folders]
    links = "".join(f'<a href="#s{i}">{page.quote(study.module.TITLE)}</a> ' for i, study in enumerate(studies))
    body = f"<h1>Tandem, measured</h1>\n<nav>{links}</nav>\n"
    for i, study in enumerate(studies):
        body += f'<h2 id="s{i}">{page.quote(study.module.TITLE)}</h2>\n' + section(study, study.module.findings(study))
    path.write_text(page.page("Tandem, measured", body), encoding="utf-8")


def section(study, blocks):
    head = f"<p class=lead>{page.quote(study.module.QUESTION)}</p>\n"
    reading = page.html_of(page.Text(study.module.READING, "How to read this"))
    return head + "".join(map(page.html_of, blocks)) + failures(study) + reading + about_host(study) + repeat(study)


def failures(study):
    rows = [(record["key"], record["why"], record["command"]) for record in study.failed()]
    return page.html_of(page.Table(["run", "why", "command"], rows, "Runs that failed")) if rows else ""


def about_host(study):
    host = study.host
    caches = [f"{c['level']} {c['kib'] // 1024} MiB" if c["kib"] >= 1024 else f"{c['level']} {c['kib']} KiB" for c in host["caches"]]
    shared = [f"{caches[i]} shared by CPUs {listed(c['cpus'])}" for i, c in enumerate(host["caches"]) if len(c["cpus"]) > 1]
    alone = sorted({caches[i] for i, c in enumerate(host["caches"]) if len(c["cpus"]) == 1})
    rows = [
        ("processor", host["cpu"] + (", in a virtual machine" if host["virtual_machine"] else "")),
        ("host CPUs used", f"{len(host['cpus'])} ({listed(host['cpus'])})"),
        ("caches of one CPU", ", ".join(alone) or "unknown"),
        ("shared caches", "; ".join(shared) or "none"),
        ("memory", f"{host['memory_mib'] / 1024:.1f} GiB"),
        ("system", host["system"]),
        ("load average when it began", host["load"]),
        ("program", f"{study.program['version']} (commit {study.program.get('commit', 'unknown')}, sha256 {study.program['sha256']}...)"),
    ]
    return page.html_of(page.Table(["", ""], rows, "The host"))


def listed(numbers):
    return ", ".join(map(str, numbers))


def repeat(study):
    return f"<h3>To repeat it</h3>\n<pre>{page.quote(command(study))}</pre>\n<p class=note>{len(study.records)} runs; " \
           "results.jsonl has one line for each of them, results.csv the same as a table, plots/ the pictures.</p>\n"


def command(study):
    """The command line that makes the same plan."""
    words = ["bench/run", study.name]
    for name, value in vars(study.options).items():
        if name in ("build", "out", "resume", "quiet") or value is None or value is False:
            continue
        flag = "--" + name.replace("_", "-")
        words += [flag] if value is True else [flag, ",".join(value) if isinstance(value, list) else str(value)]
    return shlex.join(words)
