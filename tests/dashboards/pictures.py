"""Draws what the panels of the dashboards ask for: a picture of each panel, one of each dashboard, and a page with all of them.

Run with a Python that has matplotlib: pictures.py FOLDER, in which results.json is. Not Grafana, but the same results in the
same places, with the same words.
"""

import html
import json
import math
import pathlib
import re
import sys
import textwrap
from datetime import datetime

import matplotlib

matplotlib.use("Agg")
import matplotlib.dates
import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Of a part of a row and of a row, in pixels.
WIDTH, HEIGHT, DPI = 66, 40, 100
COLORS = {"green": "#3b8a3f", "red": "#c0392b", "orange": "#d98324", "blue": "#2f6db3"}


def amount(value, unit):
    """A value as Grafana writes it, about."""
    if value is None or math.isnan(value):
        return "-"
    if math.isinf(value):
        return "+Inf"
    if unit == "bytes":
        for word in ("B", "KiB", "MiB", "GiB", "TiB"):
            if abs(value) < 1024 or word == "TiB":
                return f"{value:.3g} {word}"
            value /= 1024
    if unit == "percentunit":
        return f"{value * 100:.3g}%"
    if unit in ("s", "dtdurations"):
        if abs(value) < 1:
            return f"{value * 1000:.3g} ms"
        for size, word in ((86400, "d"), (3600, "h"), (60, "min")):
            if abs(value) >= size:
                return f"{value / size:.3g} {word}"
        return f"{value:.3g} s"
    if unit.startswith("suffix:"):
        return f"{value:.3g}{unit.removeprefix('suffix:')}"
    if unit == "short" and abs(value) >= 10000:
        return f"{value / 1000:.4g} K" if abs(value) < 1e6 else f"{value / 1e6:.4g} Mil"
    word = {"ops": " ops/s", "reqps": " req/s"}.get(unit, "")
    return f"{value:.0f}" if unit == "short" and value >= 1 else f"{value:.3g}{word}"


def legend(target, metric):
    if target["legendFormat"] in ("", "__auto"):
        return json.dumps(metric)
    return re.sub(r"{{(\w+)}}", lambda found: metric.get(found[1], ""), target["legendFormat"]).strip()


def at_steps(panel, value):
    color = None
    for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"]:
        if step["value"] is None or value >= step["value"]:
            color = step["color"]
    return COLORS.get(color, color)


def labelled(panel, results):
    """Pairs of a legend and a series, over all targets."""
    return [(legend(target, series["metric"]), series) for target, found in zip(panel["targets"], results) for series in found]


def last(series):
    pairs = [series["value"]] if "value" in series else series["values"]
    return next((float(value) for _, value in reversed(pairs) if not math.isnan(float(value))), math.nan)


def points(series):
    return [datetime.fromtimestamp(time) for time, _ in series["values"]], [float(value) for _, value in series["values"]]


def show_times(axes, times):
    seconds = (times[-1] - times[0]).total_seconds() if times else 0
    axes.xaxis.set_major_formatter(matplotlib.dates.DateFormatter("%H:%M" if seconds > 1200 else "%H:%M:%S"))
    axes.tick_params(labelsize=7)


def draw_stat(panel, series, axes, unit):
    axes.axis("off")
    value = last(series[0][1])
    axes.text(0.5, 0.45, amount(value, unit), ha="center", va="center", fontsize=19, color=at_steps(panel, value), transform=axes.transAxes)
    if "values" in series[0][1]:
        behind = axes.inset_axes([0, 0, 1, 0.3])
        behind.axis("off")
        behind.fill_between(*points(series[0][1]), alpha=0.25, color="gray")


def draw_lines(panel, series, axes, unit):
    if panel["fieldConfig"]["defaults"]["custom"]["stacking"]["mode"] == "normal":
        times = sorted({time for _, one in series for time, _ in one["values"]})
        # A series that is absent at a time adds nothing then.
        rows = [[float(dict(map(tuple, one["values"])).get(time, 0)) for time in times] for _, one in series]
        axes.stackplot([datetime.fromtimestamp(time) for time in times], rows, labels=[name for name, _ in series], alpha=0.6)
    else:
        for name, one in series:
            axes.plot(*points(one), label=name, linewidth=1)
        bottom, top = axes.get_ylim()
        axes.set_ylim(min(0, bottom), top if top > 0 else 1)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: amount(value, unit)))
    show_times(axes, points(series[0][1])[0])
    axes.grid(alpha=0.25)
    if len(series) <= 12:
        axes.legend(fontsize=6, ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.1), frameon=False)


def draw_bars(panel, pairs, axes, unit):
    pairs = pairs[:16]
    values = [value for _, value in pairs]
    axes.barh(range(len(pairs)), values, color=[at_steps(panel, value) for value in values], height=0.6)
    axes.set_yticks(range(len(pairs)), [name or "all" for name, _ in pairs], fontsize=7)
    axes.invert_yaxis()
    axes.set_xticks([])
    axes.set_xlim(0, (panel["fieldConfig"]["defaults"].get("max") or max([*values, 1e-9])) * 1.25)
    for row, value in enumerate(values):
        axes.text(value, row, f" {amount(value, unit)}", va="center", fontsize=8)


def by_bound(series):
    """Buckets from small to large, each without what is in those below."""
    ordered = sorted(series, key=lambda pair: float(pair[1]["metric"]["le"]))
    return [(pair[1]["metric"]["le"], pair[1]) for pair in ordered]


def draw_buckets(panel, series, axes, unit):
    found, below = [], 0.0
    for bound, one in by_bound(series):
        found.append((bound, last(one) - below))
        below = last(one)
    # Bars without anything at both ends say nothing.
    full = [index for index, (_, value) in enumerate(found) if value > 0.001]
    draw_bars(panel, found[full[0]:full[-1] + 1] if full else found, axes, unit)


def draw_heatmap(panel, series, axes, unit):
    ordered = by_bound(series)
    times = sorted({time for _, one in ordered for time, _ in one["values"]})
    rows, below = [], [0.0] * len(times)
    for _, one in ordered:
        values = dict(map(tuple, one["values"]))
        row = [float(values.get(time, 0)) for time in times]
        rows.append([max(0.0, value - under) for value, under in zip(row, below)])
        below = row
    axes.pcolormesh([datetime.fromtimestamp(time) for time in times], range(len(rows)), rows, cmap="Blues", shading="nearest")
    axes.set_yticks(range(len(rows)), [amount(float(bound), unit) for bound, _ in ordered], fontsize=6)
    show_times(axes, [datetime.fromtimestamp(time) for time in times])


def draw_states(series, axes):
    for row, (_, one) in enumerate(series):
        times, values = points(one)
        for begin, end, value in zip(times, times[1:], values):
            axes.barh(row, end - begin, left=begin, color="#2f6db3" if value else "#b0b0b0", height=0.7)
    axes.set_yticks(range(len(series)), [name for name, _ in series], fontsize=7)
    axes.invert_yaxis()
    axes.xaxis_date()
    show_times(axes, points(series[0][1])[0])


def draw_table(panel, results, axes):
    heads = next(step for step in panel["transformations"] if step["id"] == "organize")["options"]["renameByName"]
    units = {rule["matcher"]["options"]: rule["properties"][0]["value"] for rule in panel["fieldConfig"]["overrides"]}
    rows = {}
    for target, found in zip(panel["targets"], results):
        head = heads[f"Value #{target['refId']}"]
        for series in found:
            rows.setdefault(" ".join(series["metric"].values()), {})[head] = amount(last(series), units[head])
    axes.axis("off")
    cells = [[name, *(row.get(head, "") for head in heads.values())] for name, row in rows.items()][:12]
    table = axes.table(cells, colLabels=["job", *heads.values()], loc="upper center", cellLoc="left")
    table.auto_set_font_size(False)
    table.set_fontsize(8)


def draw(panel, results, path):
    place, unit = panel["gridPos"], panel["fieldConfig"]["defaults"]["unit"]
    figure = plt.figure(figsize=(place["w"] * WIDTH / DPI, place["h"] * HEIGHT / DPI), dpi=DPI, layout="constrained", facecolor="white", edgecolor="#ccc", linewidth=1)
    axes = figure.add_subplot()
    axes.set_title(panel["title"], fontsize=9, loc="left", fontweight="bold")
    series, kind = labelled(panel, results), panel["type"]
    if not series:
        axes.axis("off")
        axes.text(0.5, 0.5, panel["fieldConfig"]["defaults"]["noValue"], ha="center", va="center", fontsize=13, color="gray", transform=axes.transAxes)
    elif kind == "stat":
        draw_stat(panel, series, axes, unit)
    elif kind == "timeseries":
        draw_lines(panel, series, axes, unit)
    elif kind == "heatmap":
        draw_heatmap(panel, series, axes, unit)
    elif kind == "state-timeline":
        draw_states(series, axes)
    elif kind == "table":
        draw_table(panel, results, axes)
    elif panel["targets"][0]["format"] == "heatmap":
        draw_buckets(panel, series, axes, unit)
    else:
        draw_bars(panel, [(name, last(one)) for name, one in series], axes, unit)
    figure.savefig(path)
    plt.close(figure)


def paste(dashboard, name, folder):
    """All pictures of a dashboard in one, each panel at its place."""
    below = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in dashboard["panels"])
    whole = Image.new("RGB", (24 * WIDTH, below * HEIGHT), "#f2f2f2")
    for panel in dashboard["panels"]:
        if panel["type"] != "row":
            whole.paste(Image.open(folder / name / f"{panel['id']}.png"), (panel["gridPos"]["x"] * WIDTH, panel["gridPos"]["y"] * HEIGHT))
    whole.save(folder / f"{name}.png")


def page(dashboards):
    parts = ["<!doctype html><meta charset=utf-8><title>Dashboards</title><style>body{font:14px sans-serif;margin:1em;background:#f2f2f2}",
             "div{display:grid;grid-template-columns:repeat(24,1fr);grid-auto-rows:40px;gap:2px}img{width:100%;height:100%;object-fit:fill}h3{grid-column:1/-1;margin:.6em 0 0}</style>"]
    for name, dashboard in dashboards.items():
        parts.append(f"<h1>{html.escape(dashboard['title'])}</h1><p>{html.escape(dashboard['description'])}</p><div>")
        for panel in dashboard["panels"]:
            place = panel["gridPos"]
            at = f"grid-column:{place['x'] + 1}/span {place['w']};grid-row:{place['y'] + 1}/span {place['h']}"
            if panel["type"] == "row":
                parts.append(f'<h3 style="{at}">{html.escape(panel["title"])}</h3>')
            else:
                words = html.escape("\n".join(textwrap.wrap(panel["description"], 80)))
                parts.append(f'<img style="{at}" src="{name}/{panel["id"]}.png" title="{words}" alt="{html.escape(panel["title"])}">')
        parts.append("</div>")
    return "\n".join(parts)


def main():
    folder = pathlib.Path(sys.argv[1])
    results = json.loads((folder / "results.json").read_text())
    names = list(dict.fromkeys(key.partition("/")[0] for key in results))
    dashboards = {name: json.loads((ROOT / f"dashboards/{name}.json").read_text()) for name in names}
    for name, dashboard in dashboards.items():
        (folder / name).mkdir(exist_ok=True)
        for panel in dashboard["panels"]:
            if panel["type"] != "row":
                draw(panel, results[f"{name}/{panel['id']}"], folder / name / f"{panel['id']}.png")
        paste(dashboard, name, folder)
    (folder / "index.html").write_text(page(dashboards))
    print(f"drew {len(results)} panels: {folder}/index.html, and each dashboard as one picture beside it")


if __name__ == "__main__":
    main()
