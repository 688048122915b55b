"""Compares what stands between a client and a Prometheus, and writes docs/benchmarks.md. Started by scripts/bench.

Every figure is a median over rounds in which all ways take turns, so that what else the machine does falls on all of them alike;
beside it stands how far the rounds lie apart. CPU is what the processes of a way have used, not what they waited for.
"""

import argparse
import concurrent.futures
import contextlib
import datetime
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
import mix  # noqa: E402
import processes  # noqa: E402
import report  # noqa: E402

PROXY_CORES, LOAD_CORES, ALL_CORES = "0", "1", "0,1"


def say(text):
    print(f"==> {text}", file=sys.stderr, flush=True)


class Results:
    """Per load and way: each round's figures."""

    def __init__(self):
        self.rounds = {}

    def add(self, load, name, figures):
        self.rounds.setdefault(load, {}).setdefault(name, []).append(figures)

    def summary(self):
        """Median and quartiles of every figure."""
        def of(rounds, key):
            values = [figures[key] for figures in rounds]
            low, _, high = statistics.quantiles(values, method="inclusive") if len(values) > 1 else values * 3
            return {"median": statistics.median(values), "low": low, "high": high}

        return {
            load: {name: {key: of(rounds, key) for key in rounds[0]} for name, rounds in ways.items()}
            for load, ways in self.rounds.items()
        }


def take_turns(results, load, ways, script, cores, connections, rounds, options):
    """Rounds of one load, back and forth through the ways. Each round has new processes: where a process lies in memory decides on
    what meets in the caches, and as long as it lives. A first run, that nobody counts, fills them."""
    for turn in range(rounds):
        say(f"{load}: round {turn + 1} of {rounds}")
        for way in ways if turn % 2 == 0 else reversed(ways):
            with way:
                mix.run(way, script, cores, connections, 1)
                figures = mix.run(way, script, cores, connections, options.seconds)
                figures["memory"] = way.memory()
            results.add(load, way.name, figures)


def start_ups(results, machine, options):
    chains = {
        "router": [],
        "no-op filter": [processes.wasm_filter(machine.programs["noop"], {})],
        "no-op native": [processes.native_filter(machine.programs["noop_native"], {})],
        "this filter": [processes.wasm_filter(machine.programs["filter"], processes.OURS)],
        "this filter, native": [processes.native_filter(machine.programs["native"], processes.OURS)],
    }
    for turn in range(2 * options.rounds):
        for name, chain in chains.items():
            wall, cpu, memory = machine.start_up(chain, ALL_CORES)
            results.add("start-up", name, {"wall": wall, "cpu": cpu, "memory": memory})
    say(f"start-up: {turn + 1} of each")


def prometheus(machine, options):
    """A Prometheus with an hour of two tenants' data; its port."""
    port = processes.free_port()
    arguments = [machine.programs["prometheus"], f"--storage.tsdb.path={machine.folder}/data", "--log.level=error"]
    arguments += [f"--config.file={options.empty_config}", f"--web.listen-address=127.0.0.1:{port}"]
    machine.start("prometheus", arguments + ["--web.enable-remote-write-receiver"], LOAD_CORES, port)
    fill = [options.demo_data, "--prometheus", f"http://127.0.0.1:{port}", "--tenants", "team-a,team-b", "--hours", "1"]
    subprocess.run(fill, check=True, stdout=subprocess.DEVNULL)
    return port


def soak(machine, chains, script, options):
    """Filters under the mix for so many minutes, all at once: memory and requests, half a minute at a time. Anything refused ends it."""
    stub, _ = machine.stub(LOAD_CORES)
    slices = {name: [] for name in chains}

    def start(number, chain):
        return machine.envoy(f"soak-{number}", PROXY_CORES, 1, [chain], *processes.to_upstream(stub))

    with contextlib.ExitStack() as stack, concurrent.futures.ThreadPoolExecutor() as pool:
        ways = [
            stack.enter_context(processes.Way(name, lambda number=number, chain=chain: start(number, chain)))
            for number, (name, chain) in enumerate(chains.items())
        ]
        for turn in range(2 * options.soak):
            for way, figures in zip(ways, pool.map(lambda way: mix.run(way, script, LOAD_CORES, 32, 30), ways)):
                slices[way.name].append([figures["count"], way.memory()])
            held = ", ".join(f"{name} {slices[name][-1][1]:.1f} MiB" for name in chains)
            say(f"soak: {(turn + 1) / 2} of {options.soak} minutes, {held}")
    for number in range(len(chains)):
        with open(f"{machine.folder}/soak-{number}.log") as log:
            if text := log.read():
                raise SystemExit(f"bench: Envoy logged errors under load:\n{text[-2000:]}")
    return slices


def measure(options, folder):
    results = Results()
    programs = {name: getattr(options, name) for name in ("envoy", "filter", "native", "noop", "noop_native", "label_proxy", "prometheus")}
    now = int(time.time())
    scripts = {}
    for name, requests in (("plain", mix.plain()), ("form", mix.form()), ("mix", mix.dashboard(now))):
        scripts[name] = f"{folder}/{name}.lua"
        with open(scripts[name], "w") as out:
            out.write(mix.script(requests))
    # What the goals are about has more rounds than what stands beside it.
    rounds, fewer = options.rounds, (options.rounds + 1) // 2

    with processes.Machine(programs, folder) as machine:
        start_ups(results, machine, options)
        stub, _ = machine.stub(LOAD_CORES)
        ways = machine.ways(stub, PROXY_CORES, 1)
        for load, script in scripts.items():
            take_turns(results, load, ways, script, LOAD_CORES, 32, rounds, options)
        direct = processes.Way("upstream alone", lambda: (stub, []))
        for load in ("plain", "mix"):
            take_turns(results, f"{load}, one connection", [direct, *ways], scripts[load], LOAD_CORES, 1, fewer, options)
    with processes.Machine(programs, folder) as machine:
        stub, _ = machine.stub(ALL_CORES)
        ways = machine.ways(stub, ALL_CORES, 2)
        for load in ("plain", "mix"):
            take_turns(results, f"{load}, two workers", ways, scripts[load], ALL_CORES, 32, fewer, options)
    with processes.Machine(programs, folder) as machine:
        ways = machine.ways(prometheus(machine, options), PROXY_CORES, 1)
        take_turns(results, "mix, Prometheus", ways, scripts["mix"], LOAD_CORES, 16, fewer, options)
    summary = results.summary()
    if options.soak:
        chains = {
            "this filter": processes.wasm_filter(programs["filter"], processes.OURS),
            "this filter, native": processes.native_filter(programs["native"], processes.OURS),
        }
        with processes.Machine(programs, folder) as machine:
            summary["soak"] = soak(machine, chains, scripts["mix"], options)
    return summary


def main():
    parser = argparse.ArgumentParser()
    names = ("envoy", "filter", "native", "noop", "noop-native", "label-proxy", "prometheus", "demo-data", "empty-config")
    for name in (*names, "output", "core"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--load", type=float, required=True, help="the load average before anything was started")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--soak", type=int, default=0, help="minutes")
    options = parser.parse_args()
    if len(os.sched_getaffinity(0)) < 2:
        raise SystemExit("bench: needs two cores: one for what is measured, one for the load and the upstream")
    with tempfile.TemporaryDirectory() as folder:
        summary = measure(options, folder)
    with open(options.core) as core:
        summary["core"] = json.load(core)
    about = {
        "date": datetime.date.today().isoformat(),
        "rounds": options.rounds,
        "seconds": options.seconds,
        "load": options.load,
        "sizes": {
            "no-op filter": os.path.getsize(options.noop),
            "no-op native": os.path.getsize(options.noop_native),
            "this filter": os.path.getsize(options.filter),
            "this filter, native": os.path.getsize(options.native),
        },
    }
    report.write(options.output, summary, about)


main()
