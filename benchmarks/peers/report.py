"""Makes the rounds' samples into cells (medians and ratios), and the cells into Markdown, JSON and plots."""
import json
import os
import statistics

import plot

FIGURES = ("min_us", "p50_us", "p99_us")


def median_ratio(above, below):
    """Median and quartiles of the rounds' ratios; None without rounds that both have."""
    ratios = [a["p50_us"] / b["p50_us"] for a, b in zip(above, below) if b["p50_us"] > 0 and a["p50_us"] > 0]
    if not ratios:
        return None
    quartiles = statistics.quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else ratios * 3
    return {"median": round(statistics.median(ratios), 4), "q1": round(quartiles[0], 4), "q3": round(quartiles[2], 4)}


def summarise(samples, kolo_names, floor):
    """One cell per (ranks, mode, place, bytes): every program's figures, and Kolo against the best peer and the floor.

    speedup: the best peer's time over Kolo's (above 1: Kolo is faster). over_floor: Kolo's time over memcpy's."""
    cells = []
    for (ranks, mode, place, size), rounds in sorted(samples.items()):
        figures = {name: {key: round(statistics.median(row[key] for row in rows), 3) for key in FIGURES}
                   for name, rows in rounds.items()}
        cell = {"ranks": ranks, "mode": mode, "place": place, "bytes": size, "us": figures, "kolo": {}}
        rivals = [name for name in figures if name not in kolo_names and name != floor]
        best = min(rivals, key=lambda name: figures[name]["p50_us"], default=None)
        cell["best_peer"] = best
        for name in kolo_names:
            if name not in rounds:
                continue
            cell["kolo"][name] = {
                "speedup": median_ratio(rounds[best], rounds[name]) if best else None,
                "over_floor": median_ratio(rounds[name], rounds[floor]) if floor in rounds else None,
            }
        cells.append(cell)
    return cells


def human(size):
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if size >= unit and size % unit == 0:
            return f"{size // unit} {name}"
    return f"{size} B"


def digits(value):
    return f"{value:,.0f}" if value >= 1000 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def ratio_text(ratio):
    return "" if ratio is None else f"{ratio['median']:.2f} ({ratio['q1']:.2f}-{ratio['q3']:.2f})"


def table(cells, names, kolo_names, floor):
    present = [name for name in [*names, floor] if any(name in cell["us"] for cell in cells)]
    ours = [name for name in kolo_names if name in present]
    heading = ["size", *present, "best peer"]
    heading += [f"{name} against it" for name in ours] + [f"{name} / {floor}" for name in ours]
    lines = ["| " + " | ".join(heading) + " |", "|" + "---|" * len(heading)]
    for cell in cells:
        row = [human(cell["bytes"])]
        for name in present:
            figures = cell["us"].get(name)
            row.append(f"{digits(figures['p50_us'])} ({digits(figures['p99_us'])})" if figures else "")
        row.append(cell["best_peer"] or "")
        for key in ("speedup", "over_floor"):
            row += [ratio_text(cell["kolo"].get(name, {}).get(key)) for name in ours]
        lines.append("| " + " | ".join(row) + " |")
    return lines


def worst_cell(cells, name):
    """The cell in which this one of Kolo's figures is worst against the best peer, as a sentence; or None."""
    found = [(cell["kolo"][name]["speedup"]["median"], index) for index, cell in enumerate(cells)
             if cell["kolo"].get(name, {}).get("speedup")]
    if not found:
        return None
    ratio, index = min(found)
    cell = cells[index]
    return (f"Worst cell of {name}: {human(cell['bytes'])}, {cell['ranks']} ranks, {cell['mode']}, "
            f"{cell['place'].replace('_', ' ')}: {ratio:.2f} times as fast as {cell['best_peer']}.")


def write(folder, cells, names, kolo_names, floor, settings):
    groups = {}
    for cell in cells:
        groups.setdefault((cell["ranks"], cell["mode"], cell["place"]), []).append(cell)
    host = settings["machine"]
    lines = ["# All-reduce: Kolo and its peers", "",
             f"{host['cpu']}, {host['cores']} cores, Linux {host['kernel']}. float sum, {settings['rounds']} rounds"
             + (f", {settings['in_flight']} tensors in flight" if settings["in_flight"] else "") + ".",
             "Microseconds: median (p99), each the median over the rounds. \"against it\" is the best peer's time over",
             f"Kolo's, the median of the rounds' ratios with its quartiles; above 1 Kolo is faster. {floor}: every",
             "rank copies as many bytes.", ""]
    for failure in settings["failed"]:
        lines.append(f"**Failed: {failure}.**")
    for name in kolo_names:
        worst = worst_cell(cells, name)
        if worst:
            lines += [worst, ""]
    for (ranks, mode, place), group in groups.items():
        picture = f"ranks{ranks}-{mode}-{place}.svg"
        title = f"{ranks} ranks, {mode}, {place.replace('_', ' ')}"
        lines += [f"## {title}", "", *table(group, names, kolo_names, floor), "", f"![{title}]({picture})", ""]
        curves = {name: [(c["bytes"], c["us"][name]["p50_us"]) for c in group if name in c["us"]]
                  for name in [*names, floor]}
        with open(os.path.join(folder, picture), "w", encoding="utf-8") as file:
            file.write(plot.svg(title, curves, human))
    with open(os.path.join(folder, "report.md"), "w", encoding="utf-8") as file:
        file.write("\n".join(lines))
    with open(os.path.join(folder, "report.json"), "w", encoding="utf-8") as file:
        json.dump({"settings": settings, "cells": cells}, file, indent=1)
        file.write("\n")
    print("\n".join(lines))
