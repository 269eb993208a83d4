"""page.py - blocks of a report, and their HTML. A page is one file: no scripts, nothing from elsewhere, light and dark."""
import dataclasses
import html
import statistics


@dataclasses.dataclass
class Verdict:
    """ok: True (as it must be), False (not so), None (a measurement: there is no bar)."""
    ok: object
    text: str
    word: str = ""  # the answer in a word or two; empty: Yes, No, Measured


@dataclasses.dataclass
class Text:
    text: str
    title: str = ""


@dataclasses.dataclass
class Figure:
    """A picture (a path from plot.py; None: there is nothing to draw) and what it shows."""
    path: object
    caption: str
    title: str = ""
    small: bool = False     # two of them stand side by side


@dataclasses.dataclass
class Table:
    """Rows of cells; a cell that is a number stands to the right."""
    head: list
    rows: list
    title: str = ""
    note: str = ""


def spread(values, form="{:.2f}"):
    """Median, least and greatest as one cell."""
    values = sorted(v for v in values if v is not None)
    if not values:
        return "none"
    least, middle, most = (form.format(v) for v in (values[0], statistics.median(values), values[-1]))
    return middle if len(values) == 1 else f"{middle} ({least} to {most})"


def html_of(block):
    return {Verdict: verdict, Text: paragraph, Figure: figure, Table: table}[type(block)](block)


def quote(value):
    return html.escape(str(value))


def heading(title):
    return f"<h3>{quote(title)}</h3>\n" if title else ""


def verdict(block):
    kind = {True: "good", False: "bad", None: "plain"}[block.ok]
    word = block.word or {True: "Yes.", False: "No.", None: "Measured."}[block.ok]
    return f'<p class="verdict {kind}"><strong>{word}</strong> {quote(block.text)}</p>\n'


def paragraph(block):
    return heading(block.title) + "".join(f"<p>{quote(part)}</p>\n" for part in block.text.split("\n\n"))


def figure(block):
    if block.path is None:
        return f"{heading(block.title)}<p class=note>No picture: there is no run to draw. {quote(block.caption)}</p>\n"
    svg = block.path.read_text(encoding="utf-8")
    svg = svg[svg.index("<svg"):]
    return f"{heading(block.title)}<figure{' class=small' * block.small}>{svg}<figcaption>{quote(block.caption)}</figcaption></figure>\n"


def table(block):
    head = "".join(f"<th>{quote(name)}</th>" for name in block.head)
    rows = "".join("<tr>" + "".join(cell(value) for value in row) + "</tr>\n" for row in block.rows)
    note = f"<p class=note>{quote(block.note)}</p>\n" if block.note else ""
    return f"{heading(block.title)}<div class=wide><table><thead><tr>{head}</tr></thead>\n<tbody>{rows}</tbody></table></div>\n{note}"


def cell(value):
    text = "" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)
    return f"<td{' class=number' if text[:1].isdigit() or text[:1] == '-' else ''}>{quote(text)}</td>"


CSS = """
:root{color-scheme:light dark;--ink:#1c1e21;--soft:#5b616a;--paper:#fdfdfc;--line:#dcdfe3;--good:#1a7f37;--bad:#c62f2f;--plain:#3a6ea5}
@media (prefers-color-scheme:dark){:root{--ink:#d8dadd;--soft:#9aa0a8;--paper:#17191c;--line:#33373d;--good:#4cc46a;--bad:#ff7b72;--plain:#79b0ea}}
body{margin:0 auto;padding:2.5rem 1.25rem 4rem;max-width:52rem;background:var(--paper);color:var(--ink);
 font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
h1{font-size:1.9rem;line-height:1.2;margin:0 0 .3rem}h2{font-size:1.5rem;margin:3rem 0 .5rem;padding-top:1rem;border-top:1px solid var(--line)}
h3{font-size:1.08rem;margin:2.2rem 0 .4rem}.lead{font-size:1.08rem;color:var(--soft);margin-top:.4rem}
.verdict{border-left:.35rem solid;padding:.7rem 1rem;margin:1.4rem 0;border-radius:.2rem;font-size:1.12rem}
.good{border-color:var(--good);background:color-mix(in srgb,var(--good) 10%,transparent)}.good strong{color:var(--good)}
.bad{border-color:var(--bad);background:color-mix(in srgb,var(--bad) 12%,transparent)}.bad strong{color:var(--bad)}
.plain{border-color:var(--plain);background:color-mix(in srgb,var(--plain) 10%,transparent)}.plain strong{color:var(--plain)}
figure{margin:1.2rem 0}figure svg{width:100%;height:auto;display:block;color:var(--ink)!important}
figure.small{display:inline-block;width:49%;vertical-align:top;margin:.6rem 0}@media (max-width:40rem){figure.small{width:100%}}
figcaption,.note,footer{color:var(--soft);font-size:.9rem}.wide{overflow-x:auto}
table{border-collapse:collapse;font-size:.92rem;font-variant-numeric:tabular-nums;min-width:60%}
th{text-align:left;font-weight:600;border-bottom:1.5px solid var(--ink)}td,th{padding:.32rem .9rem .32rem 0;vertical-align:top}
td{border-bottom:1px solid var(--line)}td.number{white-space:nowrap}
pre{background:color-mix(in srgb,var(--ink) 6%,transparent);padding:.8rem 1rem;border-radius:.3rem;white-space:pre-wrap;overflow-wrap:anywhere;font-size:.86rem}
nav a{color:var(--plain);margin-right:1.2rem}
"""


def page(title, body):
    return (f'<!doctype html>\n<html lang=en><head><meta charset=utf-8><meta name=viewport content="width=device-width">'
            f"<title>{quote(title)}</title><style>{CSS}</style></head>\n<body>\n{body}</body></html>\n")
