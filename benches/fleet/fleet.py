"""How large a fleet of Envoys with the filter has to be: coefficients that are measured, and a simulation with them.

    scripts/size-fleet --requests 100000 --tenants 10000        # with the coefficients of benches/fleet/coefficients.json
    scripts/size-fleet --measure                                # measures them anew on this machine: that file, and the table of docs/sizing.md
    scripts/size-fleet --measure --short                        # a tenth of the runs, printed and not written: does it run through?

The model: a request costs CPU by itself and by the bytes of its answer; an Envoy holds what it starts with, for each worker a VM with the
configuration, and for each pair of tenant and handler its stats; each stream holds its buffers. The simulation draws a second of traffic many
times, with tenants of very different weight (Zipf) and connections that stay with the worker that accepted them, and says how busy the
busiest workers are: an average alone hides them.
"""

import argparse
import asyncio
import json
import os
import random
import re
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "coefficients.json")
TICKS = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


# --- measuring


class Envoy:
    def __init__(self, plugin, workers=1, with_filter=True, upstream=None):
        self.folder = tempfile.mkdtemp(prefix="tenancy-fleet-")
        self.ports = {name: free_port() for name in ("admin", "envoy")}
        os.mkdir(f"{self.folder}/filter")
        self.write(plugin)
        with open(f"{ROOT}/envoy/envoy.yaml") as file:
            text = file.read()
        for mark, port in (("ADMIN_PORT", "admin"), ("LISTEN_PORT", "envoy")):
            text = re.sub(r"port_value: \d+ \} # " + mark, f"port_value: {self.ports[port]} }}", text)
        text = re.sub(r"port_value: \d+ \} # PROMETHEUS_PORT", f"port_value: {upstream or UPSTREAM.port} }}", text)
        text = text.replace("path: envoy/promql_tenancy.yaml", f"path: {self.folder}/filter/promql_tenancy.yaml")
        text = text.replace("{ path: envoy }", f"{{ path: {self.folder}/filter }}")
        if not with_filter:
            start = text.index("          - name: promql_tenancy\n")
            text = text[:start] + text[text.index("          - name: envoy.filters.http.router\n") :]
        with open(f"{self.folder}/envoy.yaml", "w") as file:
            file.write(text)
        command = [os.environ["TENANCY_ENVOY"], "--config-path", f"{self.folder}/envoy.yaml", "--concurrency", str(workers)]
        self.process = subprocess.Popen(command + ["--use-dynamic-base-id", "--log-level", "error"], stdout=subprocess.DEVNULL)
        end = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.ports['admin']}/ready", timeout=5)
                break
            except OSError:
                if time.monotonic() > end or self.process.poll() is not None:
                    raise SystemExit("Envoy does not start")
                time.sleep(0.1)

    def write(self, plugin):
        with open(f"{ROOT}/envoy/promql_tenancy.yaml") as file:
            text = file.read().replace("filename: dist/promql_tenancy_filter.wasm", f"filename: {os.environ['TENANCY_WASM']}")
        keys = {"tenant_header": "THANOS-TENANT", "default_tenant_id": "", "allow_on_headers_stop_iteration": True, **plugin}
        with open(f"{self.folder}/new.yaml", "w") as file:
            file.write(text.split("        value: |\n")[0] + "        value: |\n          " + json.dumps(keys) + "\n")
        os.rename(f"{self.folder}/new.yaml", f"{self.folder}/filter/promql_tenancy.yaml")

    def cpu(self):
        with open(f"/proc/{self.process.pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory(self):
        with open(f"/proc/{self.process.pid}/status") as file:
            return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1)) / 1024

    def asked(self):
        """How many requests its upstream got: the clients', and questions of the filter."""
        url = f"http://127.0.0.1:{self.ports['admin']}/stats?filter=^cluster.prometheus.upstream_rq_total$"
        return int(urllib.request.urlopen(url, timeout=60).read().decode().rpartition(":")[2])

    def stop(self):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class Upstream:
    """Another Envoy, which answers by itself, so that it costs little beside the one that is measured."""

    def __init__(self):
        self.folder, self.port = tempfile.mkdtemp(prefix="tenancy-fleet-"), free_port()
        bodies = {"small": '{"status":"success","data":{"resultType":"vector","result":[]}}'}
        values = ",".join(f'[{1_700_000_000 + 15 * n},"{n}.25"]' for n in range(11_000))
        bodies["large"] = '{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[%s]}]}}' % values
        self.large = len(bodies["large"])
        names = [f"tenancy_fleet_metric_{n:03}_total" for n in range(100)]
        bodies["names"] = json.dumps({"status": "success", "data": names})
        of_name = {"type": "counter", "help": "Counts what happened.", "unit": ""}
        bodies["metadata"] = json.dumps({"status": "success", "data": {name: [of_name] for name in names[:2]}})
        target = {"tenant_id": "a", "instance": "a:9090", "job": "a"}
        bodies["targets"] = json.dumps({"status": "success", "data": [{"target": target, "metric": name, **of_name} for name in names[:2]]})
        for name, body in bodies.items():
            with open(f"{self.folder}/{name}", "w") as file:
                file.write(body)
        routes = [
            {"match": {"prefix": f"/api/v1/{path}"},
             "direct_response": {"status": 200, "body": {"filename": f"{self.folder}/{name}"}},
             "response_headers_to_add": [{"header": {"key": "content-type", "value": "application/json"}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}]}
            for path, name in (
                ("query_range", "large"), ("label/__name__/values", "names"), ("metadata", "metadata"), ("targets/metadata", "targets"), ("", "small")
            )
        ]
        manager = {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "u",
            "route_config": {"max_direct_response_body_size_bytes": 1 << 20, "virtual_hosts": [{"name": "u", "domains": ["*"], "routes": routes}]},
            "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}],
        }
        listener = {"name": "u", "address": {"socket_address": {"address": "127.0.0.1", "port_value": self.port}},
                    "filter_chains": [{"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}]}
        with open(f"{self.folder}/envoy.json", "w") as file:
            json.dump({"static_resources": {"listeners": [listener]}}, file)
        command = [os.environ["TENANCY_ENVOY"], "--config-path", f"{self.folder}/envoy.json", "--concurrency", "1"]
        self.process = subprocess.Popen(command + ["--use-dynamic-base-id", "--log-level", "error"])
        end = time.monotonic() + 60
        while time.monotonic() < end:
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.1)
        raise SystemExit("the upstream does not start")

    def stop(self):
        self.process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


UPSTREAM = None


async def load(port, count, tenants, path="/api/v1/query?query=sum(rate(http_requests_total%5B5m%5D))", connections=16, first=0):
    number = iter(range(first, first + count))

    async def one():
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for n in number:
            writer.write(f"GET {path} HTTP/1.1\r\nhost: x\r\nthanos-tenant: tenant-{n % tenants:06}\r\n\r\n".encode())
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            assert head.startswith("http/1.1 200"), head
            if "content-length" in head:
                await reader.readexactly(int(re.search(r"content-length: (\d+)", head).group(1)))
            else:
                while (size := int(await reader.readline(), 16)) or await reader.readline() is None:
                    await reader.readexactly(size + 2)
        writer.close()

    await asyncio.gather(*(one() for _ in range(connections)))


def spent(envoy, count, tenants, **more):
    """CPU of a request, in microseconds: the least of three."""
    asyncio.run(load(envoy.ports["envoy"], min(count, 1000), tenants, **more))
    costs = []
    for run in range(1, 4):
        before = envoy.cpu()
        asyncio.run(load(envoy.ports["envoy"], count, tenants, first=run * count, **more))
        costs.append((envoy.cpu() - before) / count * 1e6)
    return min(costs)


def measure(short):
    global UPSTREAM
    UPSTREAM = Upstream()
    found = {}

    def run(name, plugin, work, **options):
        envoy = Envoy(plugin, **options)
        try:
            found[name] = work(envoy)
            print(f"{name}: {found[name]}", flush=True)
        finally:
            envoy.stop()

    small, large = (400, 6) if short else (4000, 60)
    try:
        ranges = {"path": "/api/v1/query_range?query=up&start=1&end=2&step=1"}
        run("without", {}, lambda e: {"cpu_us": spent(e, small, 10), "large_cpu_us": spent(e, large, 10, **ranges), "memory": e.memory()}, with_filter=False)
        run("with", {}, lambda e: {"memory": e.memory(), "cpu_us": spent(e, small, 10), "large_cpu_us": spent(e, large, 10, **ranges), "busy": e.memory()})
        run("workers_2", {}, lambda e: {"memory": e.memory(), "cpu_us": spent(e, small, 10)}, workers=2)
        # Metadata by names asks the upstream for the tenant's names first, of which there are 100; by targets it needs no question. Where each
        # request is another tenant's, each asks; the names of one tenant are asked for once, and the other requests wait for that answer, or find it.
        def asking(tenants, connections):
            def work(e):
                before = e.asked()
                cpu = spent(e, small, tenants, path="/api/v1/metadata", connections=connections)
                # Each of the runs that `spent` makes.
                return {"cpu_us": cpu, "questions": (e.asked() - before) / (min(small, 1000) + 3 * small) - 1}
            return work

        run("metadata", {"enable_metadata": "targets"}, asking(1_000_000, 16))
        by_names = {"enable_metadata": "names", "call_out_cluster": "prometheus"}
        run("questions", by_names, asking(1_000_000, 16))
        run("questions_shared", by_names, asking(1, 64))
        for tenants in (100, 1_000, 10_000):
            # Each tenant once before, so that its stats are there.
            def by_tenants(e):
                before = e.memory()
                asyncio.run(load(e.ports["envoy"], tenants, tenants))
                after = e.memory()
                url = f"http://127.0.0.1:{e.ports['admin']}/stats/prometheus?filter=tenancy_"
                lines = urllib.request.urlopen(url, timeout=60).read().decode().splitlines()
                series = sum('tenant="tenant-' in line for line in lines) / tenants
                return {"grown": after - before, "cpu_us": spent(e, small, tenants), "series": series}
            run(f"tenants_{tenants}", {"stats": {"max_tenants": tenants}}, by_tenants)
        for entries in (1_000, 10_000, 100_000):
            plugin = {"overrides": {f"tenant-{n * 7919 % entries:06}": {"max_query_points": 11_000} for n in range(entries)}}
            def reading(e):
                before, began = e.memory(), e.cpu()
                e.write(plugin)
                time.sleep(0.5 + entries / 20_000)
                asyncio.run(load(e.ports["envoy"], 10, 10))
                return {"cpu_s": e.cpu() - began, "grown": e.memory() - before}
            run(f"overrides_{entries}", {}, reading)
        # Streams that wait for their answers. What listens and accepts nothing is an upstream that never answers.
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen(4096)

            def waiting(e):
                before, clients = e.memory(), []
                for _ in range(500):
                    client = socket.create_connection(("127.0.0.1", e.ports["envoy"]))
                    client.sendall(b"GET /api/v1/query?query=up HTTP/1.1\r\nhost: x\r\nthanos-tenant: a\r\n\r\n")
                    clients.append(client)
                time.sleep(1)
                grown = e.memory() - before
                for client in clients:
                    client.close()
                return {"grown": grown}

            run("streams_500", {}, waiting, upstream=silent.getsockname()[1])
    finally:
        UPSTREAM.stop()
    mebibyte = UPSTREAM.large / (1 << 20)
    with_, without = found["with"], found["without"]
    if found["questions"]["questions"] < 0.9 or found["questions_shared"]["questions"] > 0.1:
        raise SystemExit("the runs of questions did not ask as they should: look at benches/fleet/fleet.py")
    call_out, shared = (found[name]["cpu_us"] - found["metadata"]["cpu_us"] for name in ("questions", "questions_shared"))
    coefficients = {
        "request_cpu_us": with_["cpu_us"],
        "request_cpu_us_without_filter": without["cpu_us"],
        "answer_cpu_us_per_mib": (with_["large_cpu_us"] - with_["cpu_us"]) / mebibyte,
        "envoy_mib": without["memory"],
        "filter_mib": with_["memory"] - without["memory"],
        "worker_mib": max(0, found["workers_2"]["memory"] - with_["memory"]),
        "stats_kib_per_tenant_and_handler": found["tenants_10000"]["grown"] * 1024 / 10_000,
        "series_per_tenant_and_handler": found["tenants_1000"]["series"],
        "cpu_growth_at_10000_tenants": found["tenants_10000"]["cpu_us"] / with_["cpu_us"],
        "second_worker": found["workers_2"]["cpu_us"] / with_["cpu_us"],
        "reload_cpu_us_per_override": found["overrides_100000"]["cpu_s"] / 100_000 * 1e6,
        "reload_growth": (found["overrides_100000"]["cpu_s"] / 100_000) / (found["overrides_10000"]["cpu_s"] / 10_000),
        "override_bytes_per_worker": found["overrides_100000"]["grown"] * (1 << 20) / 100_000,
        "stream_kib": found["streams_500"]["grown"] * 1024 / 500,
        "call_out_cpu_us": call_out,
        "shared_question_cpu_us": max(0, shared),
    }
    return {"load_average": os.getloadavg()[0], "coefficients": {k: round(v, 2) for k, v in coefficients.items()}, "runs": found}


def table(found):
    """The rows of docs/sizing.md."""
    c = found["coefficients"]
    return [
        "| coefficient | measured |",
        "|---|---|",
        f"| CPU of a request with a small answer | {c['request_cpu_us']:.0f} µs ({c['request_cpu_us_without_filter']:.0f} µs without the filter) |",
        f"| CPU of a MiB of answer | {c['answer_cpu_us_per_mib'] / 1000:.1f} ms |",
        f"| the same request with two workers | {c['second_worker']:.2f} times the CPU |",
        f"| the same request with 10,000 tenants, each with stats | {c['cpu_growth_at_10000_tenants']:.2f} times the CPU |",
        f"| memory: Envoy, the filter, one more worker | {c['envoy_mib']:.0f} MiB, {c['filter_mib']:.0f} MiB, {c['worker_mib']:.1f} MiB |",
        f"| memory: stats of a tenant and handler | {c['stats_kib_per_tenant_and_handler']:.1f} KiB |",
        f"| memory: a stream that waits for its answer | {c['stream_kib']:.0f} KiB |",
        f"| memory: a tenant with an override, in each worker | {c['override_bytes_per_worker']:.0f} bytes |",
        f"| reload: CPU for a tenant with an override, in each worker | {c['reload_cpu_us_per_override']:.1f} µs (100,000 against 10,000 overrides: {c['reload_growth']:.2f} times as much each) |",
        f"| series in Prometheus, of a tenant and handler | {c['series_per_tenant_and_handler']:.0f} |",
        f"| CPU of a question to the upstream (a call-out), with 100 names in its answer | {c['call_out_cpu_us']:.0f} µs |",
        f"| CPU of a question that another request has asked, or is asking | {c['shared_question_cpu_us']:.0f} µs |",
        "",
        f"({os.cpu_count()} cores with a load average of {found['load_average']:.0f}. Load by other work raises CPU times: on a quiet machine see [benchmarks.md](benchmarks.md).)",
    ]


def write_between(path, lines):
    """Replaces what stands between the two comment lines."""
    with open(path) as file:
        text = file.read()
    begin, end = "<!-- coefficients: written by scripts/size-fleet --measure -->\n", "<!-- coefficients: end -->\n"
    head, _, rest = text.partition(begin)
    _, mark, tail = rest.partition(end)
    if not mark:
        raise SystemExit(f"{path} has no lines {begin!r} and {end!r}")
    with open(path, "w") as file:
        file.write(head + begin + "\n".join(lines) + "\n" + end + tail)


# --- sizing


def simulate(options, c, envoys):
    """How busy the workers are: the median, the 99th of a hundred, and the busiest, of many seconds."""
    rng = random.Random(1)
    workers = envoys * options.workers
    per_second = options.requests / workers
    # A tenant's clients keep connections open; each stays with one worker.
    weights = [1 / (rank + 1) for rank in range(options.tenants)]
    total = sum(weights)
    assigned = [0.0] * workers
    for weight in weights:
        rate = options.requests * weight / total
        # A connection carries about 20 requests a second; the largest tenants have many.
        connections = max(1, round(rate / 20))
        for _ in range(min(connections, 2_000)):
            assigned[rng.randrange(workers)] += rate / min(connections, 2_000)
    cost = options.cost_us / 1e6
    busy = []
    for _ in range(20):
        for rate in assigned:
            # Poisson, as a normal where it is large.
            count = max(0.0, rng.gauss(rate, rate**0.5))
            busy.append(count * cost)
    busy.sort()
    return per_second * cost, busy[len(busy) // 2], busy[len(busy) * 99 // 100], busy[-1]


def size(options):
    with open(options.coefficients) as file:
        c = json.load(file)["coefficients"]
    growth = 1 + (max(1.0, c["cpu_growth_at_10000_tenants"]) - 1) * min(1, options.tenants / 10_000)
    options.cost_us = (
        c["request_cpu_us"] * growth
        + options.answer_kib / 1024 * c["answer_cpu_us_per_mib"]
        + options.call_outs * (c["call_out_cpu_us"] * (1 - options.shared) + c["shared_question_cpu_us"] * options.shared)
    )
    cores = options.requests * options.cost_us / 1e6
    envoys = max(2, -(-int(cores / options.busy + 1) // options.workers))
    while simulate(options, c, envoys)[2] > options.peak and envoys < 10_000:
        envoys += max(1, envoys // 20)
    mean, median, p99, busiest = simulate(options, c, envoys)
    # Each Envoy may meet each tenant, up to stats.max_tenants.
    pairs = min(options.tenants, options.max_tenants) * options.handlers
    streams = options.requests / envoys * options.latency_ms / 1000
    memory = (
        c["envoy_mib"] + c["filter_mib"] + c["worker_mib"] * (options.workers - 1)
        + pairs * c["stats_kib_per_tenant_and_handler"] / 1024
        + options.overrides * c["override_bytes_per_worker"] / (1 << 20) * options.workers
        + streams * c["stream_kib"] / 1024
    )
    return {
        "envoys": envoys,
        "workers": envoys * options.workers,
        "cores_busy": round(cores, 1),
        "cpu_us_per_request": round(options.cost_us, 1),
        "worker_busy_mean_median_p99_most": [round(share, 2) for share in (mean, median, p99, busiest)],
        "streams_per_envoy": round(streams),
        "memory_mib_per_envoy": round(memory),
        "series_of_each_envoy": round(pairs * c["series_per_tenant_and_handler"]),
        "series_in_prometheus": round(pairs * c["series_per_tenant_and_handler"] * envoys),
        "reload_cpu_s_per_worker": round(options.overrides * c["reload_cpu_us_per_override"] / 1e6, 2),
        "without_the_filter_cores": round(options.requests * c["request_cpu_us_without_filter"] / 1e6, 1),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--short", action="store_true", help="with --measure: a tenth of the requests, and nothing is written")
    parser.add_argument("--coefficients", default=FILE)
    parser.add_argument("--requests", type=float, default=100_000, help="a second, of the whole fleet")
    parser.add_argument("--tenants", type=int, default=10_000)
    parser.add_argument("--handlers", type=int, default=4, help="handlers that a tenant uses")
    parser.add_argument("--max-tenants", type=int, default=1_000, help="stats.max_tenants")
    parser.add_argument("--overrides", type=int, default=10_000, help="tenants with overrides")
    parser.add_argument("--answer-kib", type=float, default=8, help="of an answer, on average")
    parser.add_argument("--latency-ms", type=float, default=100, help="of the upstream")
    parser.add_argument("--call-outs", type=float, default=0, help="questions to the upstream for each request")
    parser.add_argument("--shared", type=float, default=0, help="the share of these questions whose answer the worker has, or waits for")
    parser.add_argument("--workers", type=int, default=4, help="of each Envoy")
    parser.add_argument("--busy", type=float, default=0.5, help="how busy workers may be on average")
    parser.add_argument("--peak", type=float, default=0.8, help="how busy they may be in 99 of 100 seconds")
    options = parser.parse_args()
    if options.measure:
        found = measure(options.short)
        print(json.dumps(found["coefficients"], indent=1))
        if options.short:
            return
        with open(options.coefficients, "w") as file:
            json.dump(found, file, indent=1)
            file.write("\n")
        if options.coefficients == FILE:
            write_between(f"{ROOT}/docs/sizing.md", table(found))
        return
    print(json.dumps(size(options), indent=1))


if __name__ == "__main__":
    main()
