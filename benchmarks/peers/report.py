"""Makes the rounds' samples into cells (medians and ratios), and the cells into Markdown, JSON and plots."""
import json
import os
import statistics

import plot

PLACES = ("in_place", "out_of_place")
# time_us is the harness's figure for the mode: the median of the iterations when isolated, their mean back to back.
FIGURES = ("time_us", "p50_us", "p99_us", "min_us", "iterations")


def kept(timing):
    return {key: timing[key] for key in FIGURES}


def ratio_of(above, below):
    """Median and quartiles of the ratios in the rounds that both have: {round: figures}. None without such rounds."""
    return quartiles_of([above[r]["time_us"] / below[r]["time_us"] for r in sorted(above.keys() & below.keys())
                         if below[r]["time_us"] > 0 and above[r]["time_us"] > 0])


def quartiles_of(ratios):
    if not ratios:
        return None
    quartiles = statistics.quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else ratios * 3
    return {"median": round(statistics.median(ratios), 4), "q1": round(quartiles[0], 4), "q3": round(quartiles[2], 4),
            "rounds": len(ratios)}


def by_cell(rounds):
    """{(ranks, mode, place, bytes): {program: {round: figures}}}"""
    cells = {}
    for (ranks, _, round_index), measured in rounds.items():
        for mode, place, size, programs in measured:
            cell = cells.setdefault((ranks, mode, place, size), {})
            for name, figures in programs.items():
                cell.setdefault(name, {})[round_index] = figures
    return cells


def order_of(key):
    ranks, mode, place, size = key
    return ranks, mode != "isolated", place, size


def summarise(rounds, kolo_names, floor):
    """One cell per (ranks, mode, place, bytes): every program's figures, and Kolo against the best peer and the floor.

    speedup: the best peer's time over Kolo's (above 1: Kolo is faster). over_floor: Kolo's time over memcpy's."""
    cells = []
    for key, programs in sorted(by_cell(rounds).items(), key=lambda item: order_of(item[0])):
        ranks, mode, place, size = key
        figures = {name: {figure: round(statistics.median(row[figure] for row in rows.values()), 3)
                          for figure in FIGURES} for name, rows in programs.items()}
        rivals = [name for name in figures if name not in kolo_names and name != floor]
        best = min(rivals, key=lambda name: figures[name]["time_us"], default=None)
        cell = {"ranks": ranks, "mode": mode, "place": place, "bytes": size, "us": figures, "best_peer": best, "kolo": {}}
        for name in kolo_names:
            if name in programs:
                cell["kolo"][name] = {
                    "speedup": ratio_of(programs[best], programs[name]) if best else None,
                    "over_floor": ratio_of(programs[name], programs[floor]) if floor in programs else None,
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


def markdown(heading, rows):
    return ["| " + " | ".join(line) + " |" for line in (heading, ["---"] * len(heading), *rows)]


def placed(place):
    return place.replace("_", " ")


def grouped(cells):
    groups = {}
    for cell in cells:
        groups.setdefault((cell["ranks"], cell["mode"], cell["place"]), []).append(cell)
    return groups


def detailed(cells, names, ours, floor):
    """One group's table: every program's times, and the ratios."""
    present = [name for name in [*names, floor] if any(name in cell["us"] for cell in cells)]
    ours = [name for name in ours if name in present]
    heading = ["size", *present, "best peer", *(f"{name} against it" for name in ours),
               *(f"{name} / {floor}" for name in ours)]
    rows = []
    for cell in cells:
        row = [human(cell["bytes"])]
        for name in present:
            figures = cell["us"].get(name)
            row.append(f"{digits(figures['time_us'])} ({digits(figures['p99_us'])})" if figures else "")
        row.append(cell["best_peer"] or "")
        for key in ("speedup", "over_floor"):
            row += [ratio_text(cell["kolo"].get(name, {}).get(key)) for name in ours]
        rows.append(row)
    return markdown(heading, rows)


def overview(cells, ours, key):
    """One row per group and Kolo's kind of memory, one column per size: the ratios' medians."""
    sizes = sorted({cell["bytes"] for cell in cells})
    rows = []
    for (ranks, mode, place), group in grouped(cells).items():
        for name in ours:
            found = {cell["bytes"]: cell["kolo"].get(name, {}).get(key) for cell in group}
            if any(found.values()):
                rows.append([f"{ranks} ranks, {mode}, {placed(place)}", name,
                             *(f"{found[size]['median']:.2f}" if found.get(size) else "" for size in sizes)])
    return markdown(["", "", *map(human, sizes)], rows)


def worst_cells(cells, name):
    """Where this one of Kolo's figures is worst against the best peer, and how often it loses, as a sentence; or None."""
    found = sorted((cell["kolo"][name]["speedup"]["median"], index) for index, cell in enumerate(cells)
                   if cell["kolo"].get(name, {}).get("speedup"))
    if not found:
        return None
    ratio, index = found[0]
    cell = cells[index]
    slower = sum(ratio < 1 for ratio, _ in found)
    return (f"**Worst cell of {name}: {human(cell['bytes'])}, {cell['ranks']} ranks, {cell['mode']}, "
            f"{placed(cell['place'])}: {ratio:.2f} times as fast as {cell['best_peer']}.** A peer is faster in {slower} of "
            f"{len(found)} cells.")


def introduction(samples, cells, floor):
    settings = samples.settings
    host = settings["machine"]
    rounds = 1 + max(key[2] for key in samples.rounds)
    return [f"{host['cpu']}, {host['cores']} cores, Linux {host['kernel']}; Kolo {samples.commit}. Sum of floats, "
            f"{rounds} rounds (above 16 MiB half as many), each with every program in turn.", "",
            "Microseconds: isolated the median (p99) of the iterations, each after a barrier, of the slowest rank; b2b, "
            "without a barrier between, their mean (p99) over the ranks; of all this the median over the rounds. "
            "\"against it\" is the best peer's time over Kolo's, the median of the rounds' ratios with its quartiles; above "
            f"1 Kolo is faster. kolo: the program's own memory; kolo-alloc: kolo_alloc's. {floor}: every rank copies as "
            "many bytes at the same time.", ""]


def write(folder, samples, floor):
    names, ours = samples.settings["programs"], samples.settings["kolo"]
    cells = summarise(samples.rounds, ours, floor)
    lines = ["# All-reduce: Kolo and its peers", ""]
    for name in ours:
        worst = worst_cells(cells, name)
        lines += [worst, ""] if worst else []
    for name, ranks in samples.failed:
        lines += [f"**Failed: {name} on {ranks} ranks.**", ""]
    lines += introduction(samples, cells, floor)
    if ours:
        lines += ["## How many times as fast as the best peer", "", *overview(cells, ours, "speedup"), ""]
        lines += [f"## Time over {floor}'s", "", *overview(cells, ours, "over_floor"), ""]
    for (ranks, mode, place), group in grouped(cells).items():
        picture = f"ranks{ranks}-{mode}-{place}.svg"
        title = f"{ranks} ranks, {mode}, {placed(place)}"
        lines += [f"## {title}", "", *detailed(group, names, ours, floor), "", f"![{title}]({picture})", ""]
        curves = {name: [(c["bytes"], c["us"][name]["time_us"]) for c in group if name in c["us"]]
                  for name in [*names, floor]}
        with open(os.path.join(folder, picture), "w", encoding="utf-8") as file:
            file.write(plot.svg(title, curves, human, set(ours), {floor}))
    text = "\n".join(lines)
    with open(os.path.join(folder, "report.md"), "w", encoding="utf-8") as file:
        file.write(text)
    with open(os.path.join(folder, "report.json"), "w", encoding="utf-8") as file:
        json.dump({"settings": samples.settings, "commit": samples.commit, "failed": samples.failed, "cells": cells}, file,
                  indent=1)
        file.write("\n")
    print(text)
