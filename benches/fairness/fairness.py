"""What a tenant's flood does to another tenant: team-b's latency with and without it, for each way to set limits.

    scripts/fairness                # prints a table, and one JSON object with --json
    scripts/fairness --write        # writes the table into docs/fleet.md
    scripts/fairness --seconds 1    # a short run: does it run through?

The upstream serves SLOTS queries at a time, each for SERVICE seconds, and queues the rest, as Prometheus does (--query.max-concurrency). Team-a
sends FLOOD queries at the same time, without a pause. Team-b sends a few queries a second, each on its schedule.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SLOTS, SERVICE, FLOOD, RATE = 8, 0.04, 200, 10

ROUTES = """              - match: {{ prefix: /, headers: [{{ name: thanos-tenant, string_match: {{ exact: team-a }} }}] }}
                route: {{ cluster: {cluster}, timeout: 130s{priority} }}
"""
CLUSTER = """  - name: {name}
    type: STATIC
    circuit_breakers:
      thresholds:
{thresholds}
    load_assignment:
      cluster_name: {name}
      endpoints:
      - lb_endpoints:
        - endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }} }}
"""


def threshold(priority, requests):
    return f"      - {{ priority: {priority}, max_requests: {requests}, max_pending_requests: {requests}, max_connections: 1000 }}"


# Name, keys of the plugin, and what is added to the bootstrap.
WAYS = [
    ("nothing", {}, None),
    ("max_concurrent_queries: 6", {"limits": {"max_concurrent_queries": 6}}, None),
    ("max_concurrent_queries: 4", {"limits": {"max_concurrent_queries": 4}}, None),
    ("a cluster for team-a, with a circuit breaker of 4", {}, "cluster"),
    ("one circuit breaker of 8 for everyone", {}, "common"),
    ("priorities: team-b HIGH, others 4", {}, "priority"),
    ("adaptive_concurrency", {}, "adaptive"),
]


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


async def upstream(port):
    slots = asyncio.Semaphore(SLOTS)
    body = b'{"status":"success","data":{"resultType":"vector","result":[]}}'
    answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)

    async def serve(reader, writer):
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                async with slots:
                    await asyncio.sleep(SERVICE)
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    await server.serve_forever()


async def ask(port, tenant):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"GET /api/v1/query?query=up HTTP/1.1\r\nhost: x\r\nthanos-tenant: {tenant}\r\nconnection: close\r\n\r\n".encode())
        return int((await reader.read()).split(b" ", 2)[1])
    finally:
        writer.close()


async def flood(port, counts):
    async def one():
        while True:
            try:
                status = await ask(port, "team-a")
                counts[0 if status == 200 else 1] += 1
                if status != 200:
                    # A client that tries again at once.
                    await asyncio.sleep(0.02)
            except (OSError, IndexError):
                await asyncio.sleep(0.1)

    await asyncio.gather(*(one() for _ in range(FLOOD)))


async def measured(port, seconds):
    latencies, failed = [], 0
    begin = time.monotonic()

    async def one(at):
        nonlocal failed
        await asyncio.sleep(max(0, begin + at - time.monotonic()))
        start = time.monotonic()
        if await ask(port, "team-b") == 200:
            latencies.append(time.monotonic() - start)
        else:
            failed += 1

    await asyncio.gather(*(one(n / RATE) for n in range(int(seconds * RATE))))
    latencies.sort()
    at = lambda share: round(1000 * latencies[min(len(latencies) - 1, int(len(latencies) * share))]) if latencies else None
    return {"p50_ms": at(0.5), "p99_ms": at(0.99), "served": len(latencies), "failed": failed}


def bootstrap(folder, ports, plugin, way):
    with open(f"{ROOT}/envoy/promql_tenancy.yaml") as file:
        text = file.read().replace("filename: dist/promql_tenancy_filter.wasm", f"filename: {os.environ['TENANCY_WASM']}")
    keys = {"tenant_header": "THANOS-TENANT", "forward_tenant_header": "thanos-tenant", "default_tenant_id": "",
            "allow_on_headers_stop_iteration": True, **plugin}
    os.makedirs(f"{folder}/filter", exist_ok=True)
    with open(f"{folder}/filter/promql_tenancy.yaml", "w") as file:
        file.write(text.split("        value: |\n")[0] + "        value: |\n          " + json.dumps(keys) + "\n")
    with open(f"{ROOT}/envoy/envoy.yaml") as file:
        text = file.read()
    for mark, port in (("ADMIN_PORT", "admin"), ("LISTEN_PORT", "envoy"), ("PROMETHEUS_PORT", "upstream")):
        text = re.sub(r"port_value: \d+ \} # " + mark, f"port_value: {ports[port]} }}", text)
    text = text.replace("path: envoy/promql_tenancy.yaml", f"path: {folder}/filter/promql_tenancy.yaml")
    text = text.replace("{ path: envoy }", f"{{ path: {folder}/filter }}")
    default = "              - match: { prefix: / }\n"
    assert text.count(default) == 1
    cluster = lambda name, *thresholds: CLUSTER.format(name=name, port=ports["upstream"], thresholds="\n".join(thresholds))
    if way == "cluster":
        text = text.replace(default, ROUTES.format(cluster="team_a", priority="") + default)
        text += cluster("team_a", threshold("DEFAULT", 4))
    elif way == "common":
        text = text.replace("                  cluster: prometheus\n", "                  cluster: common\n")
        text += cluster("common", threshold("DEFAULT", 8))
    elif way == "priority":
        route = ROUTES.replace("exact: team-a", "exact: team-b")
        text = text.replace(default, route.format(cluster="common", priority=", priority: HIGH") + default)
        text = text.replace("                  cluster: prometheus\n", "                  cluster: common\n")
        text += cluster("common", threshold("DEFAULT", 4), threshold("HIGH", 4))
    elif way == "adaptive":
        with open(f"{ROOT}/examples/rate-limits/adaptive_concurrency.yaml") as file:
            lines = [f"          {line}" for line in file if not line.startswith("#")]
        router = "          - name: envoy.filters.http.router\n"
        text = text.replace(router, "".join(lines) + router)
    with open(f"{folder}/envoy.yaml", "w") as file:
        file.write(text)
    return f"{folder}/envoy.yaml"


def run_upstream(port):
    asyncio.run(upstream(port))


def run_flood(port, counts):
    asyncio.run(flood(port, counts))


def measure(name, plugin, way, seconds):
    folder = tempfile.mkdtemp(prefix="tenancy-fairness-")
    ports = {name: free_port() for name in ("admin", "envoy", "upstream")}
    server = multiprocessing.Process(target=run_upstream, args=(ports["upstream"],), daemon=True)
    server.start()
    envoy = subprocess.Popen(
        [os.environ["TENANCY_ENVOY"], "--config-path", bootstrap(folder, ports, plugin, way), "--concurrency", "1",
         "--use-dynamic-base-id", "--reject-unknown-dynamic-fields", "--log-level", "error"],
        stdout=subprocess.DEVNULL,
    )
    try:
        end = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{ports['admin']}/ready", timeout=2)
                break
            except OSError:
                if time.monotonic() > end or envoy.poll() is not None:
                    raise SystemExit(f"{name}: Envoy does not start")
                time.sleep(0.1)
        asyncio.run(measured(ports["envoy"], 1))
        alone = asyncio.run(measured(ports["envoy"], seconds))
        counts = multiprocessing.Array("L", 2)
        attacker = multiprocessing.Process(target=run_flood, args=(ports["envoy"], counts), daemon=True)
        attacker.start()
        time.sleep(2)
        before, begin = list(counts), time.monotonic()
        beside = asyncio.run(measured(ports["envoy"], seconds))
        took = time.monotonic() - begin
        served, refused = (round((now - then) / took) for now, then in zip(counts, before))
        attacker.kill()
        attacker.join()
        return {"way": name, "alone": alone, "beside": beside, "flood_served_s": served, "flood_refused_s": refused}
    finally:
        envoy.kill()
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--write", action="store_true", help="the table, into docs/fleet.md")
    options = parser.parse_args()
    rows = [measure(*way, options.seconds) for way in WAYS]
    if options.json:
        print(json.dumps(rows))
        return
    lines = [
        f"The upstream serves {SLOTS} queries at a time, {SERVICE * 1000:.0f} ms each. Team-a has {FLOOD} queries under way, team-b sends {RATE} a second,"
        f" for {options.seconds:.0f} s. Load average: {os.getloadavg()[0]:.0f}.",
        "",
        "| set-up | team-b alone: p50, p99 (ms) | beside the flood: p50, p99 (ms) | of team-b refused | of team-a served, refused (1/s) |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        a, b = row["alone"], row["beside"]
        total = b["served"] + b["failed"]
        lines.append(f"| {row['way']} | {a['p50_ms']}, {a['p99_ms']} | {b['p50_ms']}, {b['p99_ms']} | {b['failed']} of {total} | {row['flood_served_s']}, {row['flood_refused_s']} |")
    print("\n".join(lines))
    if options.write:
        write_between(f"{ROOT}/docs/fleet.md", "fairness", lines)


def write_between(path, name, lines):
    """Replaces what stands between the two comment lines of this name."""
    with open(path) as file:
        text = file.read()
    begin, end = f"<!-- {name}: written by scripts/fairness --write -->\n", f"<!-- {name}: end -->\n"
    head, _, rest = text.partition(begin)
    _, mark, tail = rest.partition(end)
    if not mark:
        raise SystemExit(f"{path} has no lines {begin!r} and {end!r}")
    with open(path, "w") as file:
        file.write(head + begin + "\n".join(lines) + "\n" + end + tail)


if __name__ == "__main__":
    main()
