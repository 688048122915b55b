"""Mixed traffic of many tenants through a real Envoy, module and Prometheus, with faults, for as long as it is told.

    python3 tests/soak/soak.py --seconds 3600 --rate 40        # the environment is that of scripts/soak

Traffic comes in rounds. The first part of each round is calm but for reloads: each tenant's requests are counted here and in Envoy's stats,
and both have to agree exactly, by status. The second part has faults: traps of the VM, restarts of the upstream, answers that drip or hang,
clients that read slowly or leave. What it asserts:

- no leak: each label set, name and line of every answer that was read is the asking tenant's
- no unexplained status: each kind of request has the statuses that it may get; others count only near a fault
- exact counters in every calm part
- flat memory: Envoy's resident memory of the last third of the rounds is that of the first third, within a tenth and 8 MiB, which the stats of each tenant and
  handler take as they are met for the first time
- Envoy and its workers live, and serve at the end

It prints one JSON object, and exits with 1 if anything of this does not hold.
"""

import argparse
import asyncio
import json
import os
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "scripts"))
import remote_write  # noqa: E402

METRICS = ["up", "http_requests_total", "queue_length"]
# How long after a fault its traces may be seen, in seconds: a restart of Prometheus on a busy machine takes as long.
AFTERMATH = 4.0


def free_port():
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Soak:
    def __init__(self, options):
        self.options = options
        self.random = random.Random(options.seed)
        self.folder = tempfile.mkdtemp(prefix="tenancy-soak-")
        self.ports = {name: free_port() for name in ("envoy", "admin", "prometheus", "proxy")}
        self.tenants = [f"team-{number:03}" for number in range(options.tenants)]
        self.found = []
        self.counts = {"requests": 0, "answers_checked": 0, "label_sets_checked": 0, "cut_by_faults": 0, "left_by_clients": 0}
        self.statuses = {}
        self.faults = {"reloads": 0, "traps": 0, "upstream_restarts": 0, "hanging_answers": 0, "dripping_answers": 0}
        self.memory = []
        self.fault_until = 0.0
        self.is_calm = True
        # By (tenant, status class): what was answered in this calm part.
        self.tally = {}
        self.pending = set()
        self.limit = 50
        self.bytes_checked = 0
        self.latencies = []

    # What is wrong is said once with an example, and counted.
    def wrong(self, what, example):
        self.found.append((what, example[:400]))

    # --- programs

    def start_prometheus(self):
        log = open(os.path.join(self.folder, "prometheus.log"), "ab")
        self.prometheus = subprocess.Popen(
            [
                os.environ["TENANCY_PROMETHEUS"],
                f"--config.file={self.folder}/prometheus.yml",
                f"--storage.tsdb.path={self.folder}/data",
                f"--web.listen-address=127.0.0.1:{self.ports['prometheus']}",
                "--web.enable-remote-write-receiver",
                "--storage.tsdb.retention.time=30d",
                "--log.level=warn",
            ],
            stdout=log,
            stderr=log,
        )

    async def wait_for(self, url, seconds=60):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                await asyncio.to_thread(lambda: urllib.request.urlopen(url, timeout=2).read())
                return
            except OSError:
                await asyncio.sleep(0.1)
        raise SystemExit(f"{url} did not answer within {seconds} s: see {self.folder}")

    def write_data(self, history):
        """The series of every tenant, and a metric that no other tenant has, with so many samples before now."""
        now = int(time.time() * 1000)
        series = []
        for tenant in self.tenants:
            for metric in METRICS + [f"own_{tenant.replace('-', '_')}"]:
                for instance in ("one", "two"):
                    labels = {"__name__": metric, "tenant_id": tenant, "instance": instance, "secret": f"of-{tenant}"}
                    samples = b"".join(remote_write.sample(float(n), now - n * 15_000) for n in range(history, -1, -1))
                    series.append((remote_write.labels(labels), samples))
        for start in range(0, len(series), 500):
            remote_write.send(f"http://127.0.0.1:{self.ports['prometheus']}/api/v1/write", series[start : start + 500])

    def write_prometheus_files(self):
        with open(f"{self.folder}/prometheus.yml", "w") as file:
            file.write(f"global: {{scrape_interval: 15s, evaluation_interval: 5s}}\nrule_files: ['{self.folder}/rules.yml']\n")
        with open(f"{self.folder}/rules.yml", "w") as file:
            file.write("groups:\n")
            for tenant in self.tenants[:50]:
                file.write(
                    f"- name: g-{tenant}\n  rules:\n"
                    f"  - {{alert: Busy, expr: 'queue_length{{tenant_id=\"{tenant}\"}} >= 0', labels: {{tenant_id: {tenant}}}}}\n"
                )

    def plugin(self):
        return {
            "tenant_header": "THANOS-TENANT",
            "default_tenant_id": "",
            "tenant_label_name": "tenant_id",
            "allow_on_headers_stop_iteration": True,
            "limits": {"max_query_length": "7d", "max_selectors_per_query": self.limit, "query_timeout": "20s"},
            "overrides": {tenant: {"max_concurrent_queries": 200} for tenant in self.tenants[:20]},
            "stats": {"max_tenants": 1000},
        }

    def write_filter(self):
        with open(os.path.join(ROOT, "envoy", "promql_tenancy.yaml")) as file:
            text = file.read()
        text = text.replace("filename: dist/promql_tenancy_filter.wasm", f"filename: {self.folder}/module.wasm")
        head, rest = text.split("        value: |\n", 1)
        text = head + "        value: |\n          " + json.dumps(self.plugin()) + "\n"
        with open(f"{self.folder}/new.yaml", "w") as file:
            file.write(text)
        os.rename(f"{self.folder}/new.yaml", f"{self.folder}/filter/promql_tenancy.yaml")

    def start_envoy(self):
        os.mkdir(f"{self.folder}/filter")
        shutil.copy(os.environ["TENANCY_WASM_TRAP"], f"{self.folder}/module.wasm")
        self.write_filter()
        with open(os.path.join(ROOT, "envoy", "envoy.yaml")) as file:
            text = file.read()
        for mark, port in (("ADMIN_PORT", "admin"), ("LISTEN_PORT", "envoy"), ("PROMETHEUS_PORT", "proxy")):
            text = re.sub(r"port_value: \d+ \} # " + mark, f"port_value: {self.ports[port]} }}", text)
        text = text.replace("path: envoy/promql_tenancy.yaml", f"path: {self.folder}/filter/promql_tenancy.yaml")
        text = text.replace("{ path: envoy }", f"{{ path: {self.folder}/filter }}")
        with open(f"{self.folder}/envoy.yaml", "w") as file:
            file.write(text)
        log = open(f"{self.folder}/envoy.log", "ab")
        self.envoy = subprocess.Popen(
            [
                os.environ["TENANCY_ENVOY"],
                "--config-path",
                f"{self.folder}/envoy.yaml",
                "--concurrency",
                "2",
                "--use-dynamic-base-id",
                "--log-level",
                "warn",
            ],
            stdout=subprocess.DEVNULL,
            stderr=log,
        )

    # --- the way to the upstream, on which answers drip and hang

    async def proxy(self, reader, writer):
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.ports["prometheus"])
        except OSError:
            writer.close()
            return

        async def pump(source, sink, is_answer):
            try:
                while data := await source.read(16_384):
                    if is_answer and not self.is_calm:
                        roll = self.random.random()
                        if roll < 0.01:
                            self.faults["hanging_answers"] += 1
                            await asyncio.sleep(1.5)
                        elif roll < 0.05:
                            self.faults["dripping_answers"] += 1
                            for start in range(0, len(data), 97):
                                sink.write(data[start : start + 97])
                                await sink.drain()
                                await asyncio.sleep(0.001)
                            continue
                    sink.write(data)
                    await sink.drain()
            except (OSError, asyncio.CancelledError):
                pass
            finally:
                sink.close()

        try:
            await asyncio.gather(pump(reader, up_writer, False), pump(up_reader, writer, True), return_exceptions=True)
        except asyncio.CancelledError:
            # The run is over.
            pass

    # --- clients

    def request(self, tenant):
        """A request: method, path, body, extra headers, the statuses that it may get, how its answer is checked."""
        other = self.random.choice(self.tenants)
        metric = self.random.choice(METRICS)
        now = time.time()
        roll = self.random.random()
        q = urllib.parse.quote
        if roll < 0.30:
            query = self.random.choice(
                [
                    metric,
                    f"sum by (tenant_id) ({metric})",
                    f"{metric} or own_{other.replace('-', '_')}",
                    f'{metric}{{tenant_id="{other}"}}',
                    f'{{secret=~"of-.*"}}',
                    f'topk(scalar(count({metric})), {{__name__=~".+"}})',
                    f'label_replace({metric}, "a", "$1", "tenant_id", "(.*)")',
                    f'absent({metric}{{tenant_id="{other}"}})',
                ]
            )
            if self.random.random() < 0.5:
                return ("GET", f"/api/v1/query?query={q(query)}&time={now:.3f}", "", [], {200}, "json")
            return ("POST", "/api/v1/query", f"query={q(query)}&time={now:.3f}", [], {200}, "json")
        if roll < 0.50:
            query = self.random.choice([metric, f"rate({metric}[2m])", '{__name__=~".+"}', f"count({metric}) by (secret)"])
            times = f"start={now - 600:.3f}&end={now:.3f}&step=15"
            if self.random.random() < 0.5:
                return ("GET", f"/api/v1/query_range?query={q(query)}&{times}", "", [], {200}, "json")
            return ("POST", "/api/v1/query_range", f"query={q(query)}&{times}", [], {200}, "json")
        if roll < 0.60:
            return ("GET", f"/api/v1/series?match[]={q('{secret=~%sof-.+%s}' % (chr(34), chr(34)))}", "", [], {200}, "json")
        if roll < 0.66:
            return ("GET", "/api/v1/label/__name__/values", "", [], {200}, "names")
        if roll < 0.72:
            label = self.random.choice(["tenant_id", "secret"])
            return ("GET", f"/api/v1/label/{label}/values", "", [], {200}, label)
        if roll < 0.76:
            return ("GET", "/api/v1/labels", "", [], {200}, "label_names")
        if roll < 0.82:
            return ("GET", self.random.choice(["/api/v1/rules", "/api/v1/alerts"]), "", [], {200}, "json")
        if roll < 0.86:
            return ("GET", f"/federate?match[]={q('{__name__=~%s.+%s}' % (chr(34), chr(34)))}", "", [], {200}, "text")
        if roll < 0.90:
            return ("GET", f"/api/v1/query?query={q('up{')}", "", [], {400}, "error")
        if roll < 0.93:
            query = "+".join(["up"] * 60)
            return ("GET", f"/api/v1/query?query={q(query)}", "", [], {422}, "error")
        if roll < 0.96:
            return ("GET", self.random.choice(["/api/v1/status/tsdb", "/api/v1/admin/tsdb/snapshot"]), "", [], {403}, "error")
        if roll < 0.98:
            return ("GET", "/nothing/here", "", [], {404}, "error")
        return ("GET", "/api/v1/query?query=up&query=up", "", [], {400}, "error")

    def check(self, tenant, kind, text):
        own_metric = f"own_{tenant.replace('-', '_')}"
        self.bytes_checked += len(text)

        def label_set(labels):
            self.counts["label_sets_checked"] += 1
            for name, allowed in (("tenant_id", {tenant, ""}), ("secret", {f"of-{tenant}"})):
                if name in labels and labels[name] not in allowed:
                    self.wrong("leak", f"{tenant} is shown {labels}")
            if str(labels.get("__name__", "")).startswith("own_") and labels["__name__"] != own_metric:
                self.wrong("leak", f"{tenant} is shown {labels}")

        def walk(value):
            if isinstance(value, dict):
                if any(isinstance(value.get(name), str) for name in ("tenant_id", "secret", "__name__")):
                    label_set(value)
                for inner in value.values():
                    walk(inner)
            elif isinstance(value, list):
                for inner in value:
                    walk(inner)

        # Whatever its shape is: no other tenant's secret stands anywhere in it.
        for foreign in set(re.findall(r"of-(team-\d+)", text)) - {tenant}:
            self.wrong("leak", f"{tenant} is shown of-{foreign}: {text[:200]}")
        for foreign in set(re.findall(r"own_team_\d+", text)) - {own_metric}:
            if kind != "error":
                self.wrong("leak", f"{tenant} is shown {foreign}: {text[:200]}")
        if kind == "text":
            for line in text.splitlines():
                if "{" in line and not line.startswith("#"):
                    self.counts["label_sets_checked"] += 1
                    if f'tenant_id="{tenant}"' not in line:
                        self.wrong("leak", f"{tenant} is shown {line}")
            return
        try:
            answer = json.loads(text)
        except ValueError:
            self.wrong("no JSON", f"{tenant} {kind}: {text[:200]!r}")
            return
        if kind == "error":
            if answer.get("status") != "error" or not answer.get("error"):
                self.wrong("no error object", text)
            return
        if answer.get("status") != "success":
            self.wrong("not a success", text)
            return
        if kind in ("tenant_id", "secret"):
            values = answer["data"]
            expected = [tenant] if kind == "tenant_id" else [f"of-{tenant}"]
            # After a restart, Prometheus may not have its data yet.
            if values not in (expected, []):
                self.wrong("leak", f"{tenant} is shown {values}")
        walk(answer.get("data"))

    async def one(self, tenant, trap=False):
        method, path, body, headers, expected, kind = self.request(tenant)
        if trap:
            headers = [("x-tenancy-test-trap", "1")]
        lines = [f"{method} {path} HTTP/1.1", "host: soak", f"thanos-tenant: {tenant}", "connection: close"]
        if method == "POST":
            lines += ["content-type: application/x-www-form-urlencoded", f"content-length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers]
        is_slow, leaves = False, False
        if not self.is_calm and not trap:
            roll = self.random.random()
            is_slow, leaves = roll < 0.03, 0.03 <= roll < 0.05
        began, was_calm = time.monotonic(), self.is_calm
        self.counts["requests"] += 1
        status, text, problem = None, "", None
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.ports["envoy"], limit=1 << 22)
            try:
                data = ("\r\n".join(lines) + "\r\n\r\n" + body).encode()
                if is_slow:
                    for start in range(0, len(data), 40):
                        writer.write(data[start : start + 40])
                        await asyncio.sleep(0.01)
                else:
                    writer.write(data)
                head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)).decode("latin-1")
                status = int(head.split(" ", 2)[1])
                if leaves:
                    self.counts["left_by_clients"] += 1
                    return
                content = bytearray()
                while part := await asyncio.wait_for(reader.read(4096 if is_slow else 1 << 16), 60):
                    content += part
                    if is_slow:
                        await asyncio.sleep(0.005)
                text, problem = self.body(head, bytes(content))
            finally:
                writer.close()
        except (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError, ValueError) as error:
            problem = repr(error)
        finally:
            self.latencies.append(time.monotonic() - began)
        if trap:
            return
        is_explained = began < self.fault_until
        if problem:
            self.counts["cut_by_faults"] += 1
            if not is_explained:
                self.wrong("an answer that is not whole", f"{method} {path}: {problem}")
            return
        self.statuses[status] = self.statuses.get(status, 0) + 1
        if was_calm:
            key = (tenant, f"{status // 100}xx")
            self.tally[key] = self.tally.get(key, 0) + 1
        if status not in expected:
            if not (is_explained and status in (500, 502, 503, 504)):
                self.wrong("a status without a reason", f"{status} for {method} {path} {body}: {text[:200]}")
            return
        self.counts["answers_checked"] += 1
        self.check(tenant, kind, text)

    @staticmethod
    def body(head, content):
        if "transfer-encoding: chunked" in head.lower():
            out, rest = bytearray(), content
            while True:
                size, found, rest = rest.partition(b"\r\n")
                if not found:
                    return out.decode("utf-8", "replace"), "the last chunk is missing"
                length = int(size, 16)
                if length == 0:
                    return out.decode("utf-8", "replace"), None
                out += rest[:length]
                rest = rest[length + 2 :]
        length = re.search(r"content-length: (\d+)", head.lower())
        if length and int(length.group(1)) != len(content):
            return content.decode("utf-8", "replace"), "it is shorter than its content-length"
        return content.decode("utf-8", "replace"), None

    # --- stats

    async def counters(self):
        url = f"http://127.0.0.1:{self.ports['admin']}/stats/prometheus?usedonly&filter=tenancy_requests_total"
        text = await asyncio.to_thread(lambda: urllib.request.urlopen(url, timeout=20).read().decode())
        counted = {}
        for line in text.splitlines():
            if not line.startswith("#") and (found := re.match(r"\S*tenancy_requests_total\{(.*)\} (\d+)$", line)):
                labels = dict(re.findall(r'(\w+)="([^"]*)"', found.group(1)))
                key = (labels.get("tenant"), labels.get("code"))
                counted[key] = counted.get(key, 0) + int(found.group(2))
        return counted

    async def drain(self):
        while self.pending:
            await asyncio.wait(set(self.pending), timeout=1)
        # Workers hand their counts over when a stream is gone.
        await asyncio.sleep(0.3)

    def resident(self):
        with open(f"/proc/{self.envoy.pid}/status") as file:
            return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1)) * 1024

    # --- rounds

    async def traffic(self, seconds, faults):
        end, next_at, at = time.monotonic() + seconds, time.monotonic(), 0
        schedule = sorted((time.monotonic() + delay, fault) for delay, fault in faults)
        while time.monotonic() < end:
            while schedule and schedule[0][0] <= time.monotonic():
                await schedule.pop(0)[1]()
            at += 1
            tenant = self.random.choice(self.tenants)
            if len(self.pending) < 200:
                task = asyncio.create_task(self.one(tenant))
                self.pending.add(task)
                task.add_done_callback(self.pending.discard)
            next_at += self.random.expovariate(self.options.rate)
            await asyncio.sleep(max(0, next_at - time.monotonic()))
            next_at = max(next_at, time.monotonic() - 1)

    async def reload(self):
        self.limit = 51 if self.limit == 50 else 50
        self.write_filter()
        self.faults["reloads"] += 1

    async def trap(self):
        self.fault_until = time.monotonic() + AFTERMATH
        self.faults["traps"] += 1
        await self.one(self.random.choice(self.tenants), trap=True)
        self.fault_until = time.monotonic() + AFTERMATH

    async def restart(self):
        self.fault_until = time.monotonic() + 60
        self.faults["upstream_restarts"] += 1
        self.prometheus.send_signal(signal.SIGKILL)
        self.prometheus.wait()
        self.start_prometheus()

        async def back():
            await self.wait_for(f"http://127.0.0.1:{self.ports['prometheus']}/-/ready")
            self.fault_until = time.monotonic() + AFTERMATH

        self.returning = asyncio.create_task(back())

    async def round(self, number, calm, rough):
        # Calm, but for reloads.
        while time.monotonic() < self.fault_until:
            await asyncio.sleep(0.1)
        self.is_calm, self.tally = True, {}
        # The upstream's data are written anew: queries look back five minutes.
        await asyncio.to_thread(self.write_data, 0 if number else 40)
        before = await self.counters()
        await self.traffic(calm, [(calm * 0.3, self.reload), (calm * 0.7, self.reload)])
        await self.drain()
        after = await self.counters()
        self.memory.append(self.resident())
        grown = {key: after[key] - before.get(key, 0) for key in after if after[key] != before.get(key, 0)}
        expected = {key: count for key, count in self.tally.items()}
        if grown != expected:
            differing = {str(k): (grown.get(k), expected.get(k)) for k in grown.keys() | expected.keys() if grown.get(k) != expected.get(k)}
            self.wrong("counters", f"round {number}: stats and clients disagree: {dict(list(differing.items())[:5])}")
        self.is_calm = False
        faults = [(rough * 0.2, self.trap), (rough * 0.5, self.reload), (rough * 0.7, self.trap)]
        if number % self.options.restart_every == 0:
            faults.append((rough * 0.35, self.restart))
        await self.traffic(rough, faults)
        await self.drain()
        if self.envoy.poll() is not None:
            self.wrong("Envoy", f"it ended with {self.envoy.returncode}")
            return

    async def run(self):
        options = self.options
        self.write_prometheus_files()
        self.start_prometheus()
        try:
            await self.wait_for(f"http://127.0.0.1:{self.ports['prometheus']}/-/ready")
            server = await asyncio.start_server(self.proxy, "127.0.0.1", self.ports["proxy"], limit=1 << 20)
            self.start_envoy()
            try:
                await self.wait_for(f"http://127.0.0.1:{self.ports['admin']}/ready")
                began, number = time.monotonic(), 0
                calm, rough = options.round * 0.4, options.round * 0.6
                while number == 0 or time.monotonic() - began < options.seconds - options.round / 2:
                    await self.round(number, calm, rough)
                    number += 1
                    if options.progress:
                        print(f"{time.monotonic() - began:.0f} s: {self.counts} wrong={len(self.found)} "
                              f"memory={self.memory[-1] >> 20} MiB", file=sys.stderr, flush=True)
                    if self.envoy.poll() is not None:
                        break
                self.seconds = time.monotonic() - began
            finally:
                self.envoy.terminate()
                server.close()
        finally:
            self.prometheus.kill()
        return self.report(number)

    def report(self, rounds):
        third = max(1, len(self.memory) // 3)
        # A VM grows until it has seen its largest answers: the first round is not looked at where there are enough others.
        first = statistics.median(self.memory[:third] if len(self.memory) < 6 else self.memory[1 : third + 1])
        last = statistics.median(self.memory[-third:])
        if last > first * 1.1 + (8 << 20):
            self.wrong("memory", f"it grew from {first} to {last} bytes: {self.memory}")
        if not self.counts["label_sets_checked"]:
            self.wrong("nothing was checked", "no answer had a label set")
        examples = {}
        for what, example in self.found:
            examples.setdefault(what, [0, example])[0] += 1
        self.latencies.sort()
        return {
            "seconds": round(self.seconds),
            "rounds": rounds,
            "tenants": len(self.tenants),
            **self.counts,
            "bytes_checked": self.bytes_checked,
            "statuses": {str(status): count for status, count in sorted(self.statuses.items())},
            "faults": self.faults,
            "memory_mib": [size >> 20 for size in self.memory],
            "p50_ms": round(1000 * self.latencies[len(self.latencies) // 2], 1),
            "p99_ms": round(1000 * self.latencies[len(self.latencies) * 99 // 100], 1),
            "wrong": {what: {"count": count, "example": example} for what, (count, example) in examples.items()},
        }


def main():
    parser = argparse.ArgumentParser(description="see the head of this file")
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--round", type=float, default=60, help="seconds of one round: two fifths calm, three fifths with faults")
    parser.add_argument("--rate", type=float, default=40, help="requests a second")
    parser.add_argument("--tenants", type=int, default=200)
    parser.add_argument("--restart-every", type=int, default=3, help="the upstream is restarted in one of so many rounds")
    parser.add_argument("--seed", type=int, default=23)
    parser.add_argument("--progress", action="store_true")
    parser.add_argument("--keep", action="store_true", help="keep the folder with logs")
    options = parser.parse_args()
    soak = Soak(options)
    try:
        report = asyncio.run(soak.run())
    finally:
        if not options.keep:
            shutil.rmtree(soak.folder, ignore_errors=True)
    print(json.dumps(report, indent=1))
    sys.exit(1 if report["wrong"] else 0)


if __name__ == "__main__":
    main()
