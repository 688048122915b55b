"""docs/benchmarks.md and its plots, from what was measured."""

import math
import os
import platform
import re
import subprocess

import plot

ROUTER, NOOP, OURS, NATIVE = "router", "no-op filter", "this filter", "this filter, native"
BOTH, ALONE = "Envoy + prom-label-proxy", "prom-label-proxy"

TITLES = {
    "plain": "GETs of 250 bytes, one worker",
    "form": "The same query in forms of 250 bytes, one worker",
    "mix": "Dashboard mix, one worker",
    "plain, two workers": "GETs of 250 bytes, two workers on both cores, which the load and the upstream share",
    "mix, two workers": "Dashboard mix, two workers on both cores, which the load and the upstream share",
    "mix, Prometheus": "Dashboard mix, one worker, a real Prometheus as the upstream",
}


def processor():
    with open("/proc/cpuinfo") as cpuinfo:
        names = re.findall(r"^model name\s*:\s*(.*)$", cpuinfo.read(), re.M)
    return f"{len(names)} × {names[0]}" if names else platform.machine()


def memory():
    with open("/proc/meminfo") as meminfo:
        kilobytes = int(re.search(r"MemTotal:\s+(\d+)", meminfo.read()).group(1))
    return f"{kilobytes / 2**20:.0f} GiB"


def versions():
    """What the scripts pin, and the compiler."""
    with open("scripts/versions.env") as env:
        pinned = dict(re.findall(r"^([A-Z_]+)_VERSION=v?(.*)$", env.read(), re.M))
    rustc = subprocess.run(["rustc", "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
    return f"Envoy {pinned['ENVOY']}, prom-label-proxy {pinned['LABEL_PROXY']}, Prometheus {pinned['PROMETHEUS']}, Rust {rustc}"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def spread(figure, digits=1):
    return f"{figure['median']:,.{digits}f} ({figure['low']:,.{digits}f}–{figure['high']:,.{digits}f})"


def ratio(figure, other):
    return f"{figure['median'] / other['median']:.2f}"


def compared(ways):
    rows = []
    for name, figures in ways.items():
        rows.append(
            [
                f"**{name}**" if name in (OURS, NATIVE) else name,
                spread(figures["rps"], 0),
                spread(figures["cpu"], 2),
                ratio(figures["cpu"], ways[NOOP]["cpu"]),
                ratio(figures["cpu"], ways[BOTH]["cpu"]),
                f"{figures['memory']['median']:.0f}",
            ]
        )
    return table(["", "requests/s", "CPU s per 100,000", "÷ no-op", "÷ Envoy + proxy", "MiB after"], rows)


def added(ways):
    alone = ways["upstream alone"]
    rows = []
    for name, figures in ways.items():
        if name != "upstream alone":
            extra = [f"{figures[key]['median'] - alone[key]['median']:.3f}" for key in ("p50", "p99")]
            rows.append([f"**{name}**" if name in (OURS, NATIVE) else name, *extra])
    return table(["", "p50, ms", "p99, ms"], rows)


def start_up(ways, sizes):
    rows = []
    for name, figures in ways.items():
        size = f"{sizes[name] / 1000:,.0f}" if name in sizes else "–"
        rows.append(
            [
                f"**{name}**" if name in (OURS, NATIVE) else name,
                size,
                spread(figures["wall"], 0),
                spread(figures["cpu"], 0),
                f"{figures['memory']['median']:.0f}",
            ]
        )
    return table(["", "module, KB", "listens after, ms", "CPU until then, ms", "MiB then"], rows)


def exponent(line):
    """How a curve grows between its last two sizes: 1 is linear."""
    (x0, y0), (x1, y1) = line[-2], line[-1]
    return math.log(y1 / y0) / math.log(x1 / x0)


def growth(curves):
    rows = []
    for name, line in curves.items():
        points = ", ".join(f"{size:,}: {took:,.2f}" for size, took in line)
        rows.append([name, points, f"{exponent(line):.2f}"])
    return table(["curve", "size: µs", "exponent at the end"], rows)


def goals(summary, sizes):
    """What was aimed at, and what was seen."""
    plain, form, mixed, start = (summary[load] for load in ("plain", "form", "mix", "start-up"))

    def of(ways, key, name, other):
        return ways[name][key]["median"] / ways[other][key]["median"]

    def worker(name):
        two, one = summary["mix, two workers"][name]["memory"], mixed[name]["memory"]
        return two["median"] - one["median"]

    def later(name):
        return start[name]["wall"]["median"] - start[ROUTER]["wall"]["median"]

    rows = [
        ("native: CPU of a 250-byte GET ÷ no-op filter", of(plain, "cpu", NATIVE, NOOP), "at most", 1.15, ""),
        ("native: CPU of a 250-byte form ÷ no-op filter", of(form, "cpu", NATIVE, NOOP), "at most", 1.12, ""),
        ("native: CPU of the mix ÷ no-op filter", of(mixed, "cpu", NATIVE, NOOP), "at most", 1.18, ""),
        ("native: start-up beyond that of the router", later(NATIVE), "at most", 5, " ms"),
        ("native: memory of one more worker beyond the router's", worker(NATIVE) - worker(ROUTER), "at most", 1, " MiB"),
        ("wasm: CPU of a 250-byte GET ÷ no-op filter", of(plain, "cpu", OURS, NOOP), "at most", 1.45, ""),
        ("wasm: CPU of the mix ÷ no-op filter", of(mixed, "cpu", OURS, NOOP), "at most", 1.35, ""),
        ("wasm: requests/s of 250-byte GETs ÷ Envoy + prom-label-proxy", of(plain, "rps", OURS, BOTH), "at least", 3, ""),
        ("wasm: CPU of a 250-byte GET ÷ Envoy + prom-label-proxy", of(plain, "cpu", OURS, BOTH), "at most", 1 / 3, ""),
        ("wasm: CPU of the mix ÷ Envoy + prom-label-proxy", of(mixed, "cpu", OURS, BOTH), "at most", 1 / 3, ""),
        ("wasm: start-up beyond that of the router", later(OURS), "at most", 274, " ms"),
        ("wasm: memory of one more worker beyond the no-op filter's", worker(OURS) - worker(NOOP), "at most", 4, " MiB"),
        ("wasm: module", sizes[OURS] / 1000, "at most", 600, " KB"),
    ]
    seen = []
    for what, value, bound, goal, unit in rows:
        met = value <= goal if bound == "at most" else value >= goal
        digits = 2 if not unit else 0
        seen.append([what, f"{value:.{digits}f}{unit}", f"{bound} {goal:.{digits}f}{unit}", "yes" if met else "**no**"])
    return table(["", "seen", "goal", "met"], seen)


def figures(path, summary):
    groups = []
    for load in ("plain", "form", "mix"):
        rows = [(name, way["cpu"]["median"], name in (OURS, NATIVE)) for name, way in summary[load].items()]
        groups.append((TITLES[load], rows))
    plots = {
        "-cpu.svg": plot.bars("CPU per 100,000 requests", "seconds", groups),
        "-growth.svg": plot.curves("How cost grows", "µs against size", summary["core"]["growth"]),
    }
    for name, content in plots.items():
        with open(path.removesuffix(".md") + name, "w") as out:
            out.write(content)


def long_run(soaked):
    """Nothing where it was not asked for."""
    if not soaked:
        return []
    minutes = len(soaked[OURS]) / 2
    parts = [f"## {minutes:.0f} minutes of the mix at full load\n", "Both at once, on one core. None was refused, none broken, and no line came into Envoy's error log.\n"]
    rows = []
    for name, slices in soaked.items():
        held = [memory for _, memory in slices]
        count = sum(requests for requests, _ in slices)
        rows.append([name, f"{count:,}", f"{held[0]:.1f}", f"{max(held):.1f}", f"{held[-1]:.1f}"])
    return [*parts, table(["", "requests", "MiB after half a minute", "at most", "at the end"], rows)]


def headline(summary, about):
    """The README's figures."""
    plain, mixed, start = summary["plain"], summary["mix"], summary["start-up"]

    def times(ways, key, name, other):
        return f"{ways[name][key]['median'] / ways[other][key]['median']:.2f}"

    def added_ms(ways, key):
        return f"{ways[OURS][key]['median'] - ways[ROUTER][key]['median']:.2f} ms"

    one = summary["plain, one connection"]
    rows = []
    for kind, name in (("wasm", OURS), ("native", NATIVE)):
        for what, ways, key in (
            ("CPU of a GET of 250 bytes", plain, "cpu"),
            ("CPU of a dashboard mix", mixed, "cpu"),
            ("requests a second, GETs", plain, "rps"),
        ):
            rows.append([f"{kind}: {what}", *(times(ways, key, name, other) for other in (ROUTER, NOOP, BOTH))])
    head = table(["this filter, in times of", "Envoy alone", "with a no-op filter", "before prom-label-proxy"], rows)
    about_this = f"({about['date']}; see [docs/benchmarks.md](docs/benchmarks.md))"
    # Ratios of CPU time are meaningful on a busy machine. Latencies are not.
    if about["load"] > 1:
        return f"{head}\nLatencies are left out: the machine was busy (load average {about['load']:.1f}) {about_this}.\n"
    return (
        f"{head}\nIt adds {added_ms(one, 'p50')} to the median and {added_ms(one, 'p99')} to the 99th percentile of a request"
        f" that Envoy alone passes on, and {start[OURS]['wall']['median'] - start[ROUTER]['wall']['median']:.0f} ms to Envoy's"
        f" start, {max(0, start[NATIVE]['wall']['median'] - start[ROUTER]['wall']['median']):.0f} ms as native code {about_this}.\n"
    )


BEGIN, END = "<!-- written by make bench -->\n", "<!-- until here -->\n"


def into_readme(text):
    with open("README.md") as readme:
        before, rest = readme.read().split(BEGIN)
    after = rest.split(END)[1]
    with open("README.md", "w") as readme:
        readme.write(before + BEGIN + text + END + after)


def write(path, summary, about):
    if path == "docs/benchmarks.md":
        into_readme(headline(summary, about))
    figures(path, summary)
    name = os.path.basename(path).removesuffix(".md")
    parts = [
        "# Benchmarks\n",
        "`make bench` writes this page; don't edit it. It compares what can stand between a client and a Prometheus: Envoy alone"
        f" (router), Envoy with a filter of the proxy-wasm SDK that does nothing, and with a dynamic module that does nothing; Envoy with this"
        " filter as a wasm module, and as native code (docs/native.md); Envoy in front of"
        " prom-label-proxy, and prom-label-proxy alone.\n",
        f"{about['date']}; {processor()}, {memory()}, Linux {platform.release()}; {versions()}. The load average at the beginning was"
        f" {about['load']:.1f}: above 0.5, other programs were running, and only the ratios are meaningful. There were {about['rounds']} rounds"
        f" of {about['seconds']} s (half as many with one connection, two workers or a real Prometheus), which took turns, each with new"
        " processes. The figures are the median, and in parentheses the quartiles.\n",
        "One worker runs on one core. The load generator (wrk, 32 connections) and the upstream, an Envoy that answers every request"
        " itself, share the other. CPU is the time that the processes between them used. prom-label-proxy does less: it does not"
        " enforce some selectors, and does not filter messages (docs/promql.md, docs/answers.md).\n",
        "“+ samples” is `\"stats\": {\"samples\": true}` (docs/stats.md): the filter asks for statistics, reads them in the answer and"
        " removes them. The figures don't include what the statistics cost the upstream. Only the answers of the real Prometheus have"
        " statistics, those of the stub have none.\n",
        "## Against the goals\n",
        goals(summary, about["sizes"]),
        f"![CPU per 100,000 requests]({name}-cpu.svg)\n",
    ]
    for load, title in TITLES.items():
        parts += [f"## {title}\n", compared(summary[load])]
    parts.append("## Added latency\n\nWith one connection, and one request at a time. The latency of the upstream alone is subtracted.\n")
    for load, title in (("plain, one connection", "GETs of 250 bytes"), ("mix, one connection", "Dashboard mix")):
        parts += [f"{title}:\n", added(summary[load])]
    parts += [
        "## Start-up and memory\n",
        "Envoy compiles the whole module before it listens, on all cores.\n",
        start_up(summary["start-up"], about["sizes"]),
        *long_run(summary.get("soak", [])),
        "## The core alone\n",
        "Estimates by criterion of native code, without Envoy (`cargo bench`).\n",
        table(
            ["", "µs", "MB/s"],
            [[row["name"], f"{row['us']:,.2f}", f"{row['rate']:,.0f}" if row["rate"] else "–"] for row in summary["core"]["micro"]],
        ),
        "## Growth\n",
        "An exponent of about 1 or less means that the cost grows linearly or more slowly.\n",
        f"![How cost grows]({name}-growth.svg)\n",
        growth(summary["core"]["growth"]),
    ]
    with open(path, "w") as out:
        out.write("\n".join(parts))
