"""plot.py - pictures by gnuplot, as SVG files that fit light and dark pages: text and axes take the page's colour.

Each function writes folder/plots/NAME.svg and returns its path, or None where there is nothing to draw, since all runs failed. `lines` and `strips`
draw single values with their spread.
"""
import colorsys
import re
import subprocess

from lab.experiment import LabError

PALETTE = ["#4477aa", "#ee6677", "#228833", "#b8a020", "#3aa6c0", "#aa3377", "#888888", "#dd8833"]
STYLE = "<style>svg{color:#1c1e21}@media (prefers-color-scheme:dark){svg{color:#d8dadd}}</style>"


def draw(study, name, script, size=(820, 380)):
    """Runs a gnuplot script behind the common settings."""
    folder = study.folder / "plots"
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.svg"
    done = subprocess.run(["gnuplot", "-"], input=HEAD % (*size, path) + script, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LabError(f"gnuplot, {name}: {done.stderr.strip()}")
    path.write_text(recoloured(path.read_text(encoding="utf-8")), encoding="utf-8")
    return path


HEAD = """set terminal svg size %d,%d dynamic font "sans-serif,13" noenhanced
set output "%s"
set border 3 lw 0.8
set tics nomirror scale 0.4
set grid ytics lc rgb "#80808080" lw 0.5 dt 3
set key outside top center horizontal samplen 1.5
set style fill solid 0.85 noborder
""" + "".join(f'set linetype {i + 1} lc rgb "{colour}" lw 2 pt 7 ps 0.5\n' for i, colour in enumerate(PALETTE))


def recoloured(svg):
    svg = re.sub(r"<use [^>]*color='white'/>", "", svg)  # gnuplot rubs out what lies under the dots of error bars
    svg = re.sub(r"(['\"])black\1|rgb\( *0, *0, *0\)", lambda m: f"{m[1]}currentColor{m[1]}" if m[1] else "currentColor", svg)
    return re.sub(r"(<svg[^>]*>)", r"\1" + STYLE, svg, count=1)


def text(value):
    return '"' + str(value).replace("\\", "").replace('"', "'") + '"'


def block(name, rows):
    return f"${name} << EOD\n" + "\n".join(" ".join(map(str, row)) for row in rows) + "\nEOD\n"


def lines(study, name, series, x, y, logx=False, logy=False):
    """series: {label: [(x, y) or (x, y, least, greatest)]}."""
    if not any(series.values()):
        return None
    script = f"set xlabel {text(x)}\nset ylabel {text(y)}\n"
    script += "set logscale x\nset format x '%.0s %c'\n" * logx + ("set logscale y\n" if logy else "set yrange [0:*]\n")
    parts = []
    for number, (label, rows) in enumerate(series.items(), 1):
        script += block(f"s{number}", [(row + row[1:2] * 2)[:4] for row in map(tuple, rows)])
        parts.append(f"$s{number} using 1:2 with linespoints lt {number} title {text(label)}")
        parts.append(f"$s{number} using 1:2:3:4 with yerrorbars lt {number} lw 1 notitle")
    return draw(study, name, script + "plot " + ", ".join(parts) + "\n")


def dots(study, name, series, x, y, legend=False):
    """series: {label: [(x, y)]}: single dots, a colour a label; y by powers of ten, since the slowest run takes many times the fastest one's time."""
    if not any(series.values()):
        return None
    last = max(row[0] for rows in series.values() for row in rows)
    script = f"set xlabel {text(x)}\nset ylabel {text(y)}\nset logscale y\nset xrange [0:{last + 1}]\n"
    parts = []
    for number, (label, rows) in enumerate(series.items(), 1):
        script += block(f"s{number}", rows)
        title = f"title {text(label)}" if legend else "notitle"
        parts.append(f"$s{number} using 1:2 with points lc rgb {text(colour(number))} pt 7 ps 0.8 {title}")
    return draw(study, name, script + "plot " + ", ".join(parts) + "\n", (820, 300))


def colour(number):
    """The palette's colours first, then hues around the circle."""
    if number <= len(PALETTE):
        return PALETTE[number - 1]
    red, green, blue = colorsys.hls_to_rgb(number * 0.618034 % 1, 0.55, 0.6)
    return f"#{int(red * 255):02x}{int(green * 255):02x}{int(blue * 255):02x}"


def strips(study, name, groups, y, logy=False, size=(820, 420), key=True):
    """groups: {label: values}: every value a dot beside its neighbours, with a bar at the median of each group."""
    if not any(groups.values()):
        return None
    crowded = sum(map(len, groups)) > size[0] / 12
    script = f"set ylabel {text(y)}\nset xrange [0.4:{len(groups) + 0.6}]\n" + "set xtics rotate by -20\n" * crowded + "unset key\n" * (not key)
    script += "set logscale y\n" if logy else "set yrange [0:*]\n"
    script += "set xtics (" + ", ".join(f"{text(label)} {i}" for i, label in enumerate(groups, 1)) + ")\n"
    dots = [(i + spread(k, len(values)), v) for i, values in enumerate(groups.values(), 1) for k, v in enumerate(values)]
    middles = [(i - 0.3, sorted(v)[len(v) // 2], 0.6, 0) for i, v in enumerate(groups.values(), 1) if v]
    script += block("dots", dots) + block("middles", middles)
    script += "plot $dots using 1:2 with points lt 1 notitle, $middles using 1:2:3:4 with vectors nohead lt 2 lw 3 title 'median'\n"
    return draw(study, name, script, size)


def spread(index, count):
    """Where a dot lies within its group's strip: apart from its neighbours, the same each time."""
    return ((index * 0.618034) % 1 - 0.5) * min(0.6, 0.1 * count)


def bars(study, name, rows, y, stacked=False, logy=False, mark=None):
    """rows: {label: {series: value}}: a group of bars (or one stacked bar) a label. mark: where a line crosses the picture."""
    if not any(rows.values()):
        return None
    series = list(dict.fromkeys(key for values in rows.values() for key in values))
    script = f"set ylabel {text(y)}\nset style data histograms\nset xtics rotate by -25\nset rmargin 10\n"
    script += "set style histogram rowstacked\nset boxwidth 0.6\n" if stacked else "set style histogram clustered gap 1\n"
    script += f"set arrow from graph 0, first {mark} to graph 1, first {mark} nohead lc rgb '#888888' dt 2 front\n" if mark else ""
    script += "set logscale y\n" if logy else "set yrange [0:*]\n"
    script += block("rows", [(text(label), *(values.get(key, "NaN") for key in series)) for label, values in rows.items()])
    parts = [f"$rows using {i}:xtic(1) lt {i - 1} title {text(key)}" for i, key in enumerate(series, 2)]
    return draw(study, name, script + "plot " + ", ".join(parts) + "\n", (820, 420))
