"""What is measured: each way from a client to an upstream, as processes that are started once and stay up."""

import json
import os
import re
import socket
import subprocess
import time

HOST = "127.0.0.1"


def free_port():
    with socket.socket() as s:
        s.bind((HOST, 0))
        return s.getsockname()[1]


def manager(prefix, filters, route):
    """A listener's HTTP connection manager, without an access log: nobody else writes one either."""
    kind = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
    router = {
        "name": "envoy.filters.http.router",
        "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
    }
    return {
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {
            "@type": kind,
            "stat_prefix": prefix,
            "use_remote_address": True,
            "http_filters": filters + [router],
            "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        },
    }


def bootstrap(port, filters, route, clusters):
    listener = {
        "name": "query",
        "address": {"socket_address": {"address": HOST, "port_value": port}},
        "per_connection_buffer_limit_bytes": 2 << 20,
        "filter_chains": [{"filters": [manager("query", filters, route)]}],
    }
    return {"static_resources": {"listeners": [listener], "clusters": clusters}}


def to_upstream(port):
    """A route and the cluster that it leads to."""
    cluster = {
        "name": "upstream",
        "type": "STATIC",
        "connect_timeout": "2s",
        "load_assignment": {
            "cluster_name": "upstream",
            "endpoints": [
                {
                    "lb_endpoints": [
                        {"endpoint": {"address": {"socket_address": {"address": HOST, "port_value": port}}}}
                    ]
                }
            ],
        },
    }
    return {"match": {"prefix": "/"}, "route": {"cluster": "upstream", "timeout": "130s"}}, [cluster]


def native_filter(path, configuration):
    """A filter as envoy/native.yaml has it."""
    return {
        "name": "native",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.dynamic_modules.v3.DynamicModuleFilter",
            "dynamic_module_config": {"module": {"local": {"filename": path}}, "do_not_close": True},
            "filter_name": "bench",
            "filter_config": {
                "@type": "type.googleapis.com/google.protobuf.StringValue",
                "value": json.dumps(configuration),
            },
        },
    }


def wasm_filter(path, configuration):
    """A filter as envoy/promql_tenancy.yaml has it."""
    return {
        "name": "wasm",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
            "config": {
                "name": "bench",
                "failure_policy": "FAIL_RELOAD",
                "reload_config": {"backoff": {"base_interval": "0.01s"}},
                "allow_on_headers_stop_iteration": True,
                "vm_config": {"runtime": "envoy.wasm.runtime.v8", "code": {"local": {"filename": path}}},
                "configuration": {
                    "@type": "type.googleapis.com/google.protobuf.StringValue",
                    "value": json.dumps(configuration),
                },
            },
        },
    }


OURS = {
    "tenant_header": "THANOS-TENANT",
    "default_tenant_id": "",
    "tenant_label_name": "tenant_id",
    "allow_on_headers_stop_iteration": True,
}

# Samples that queries read are counted: statistics are asked for, read in the answer and taken out again.
COUNTING = {**OURS, "stats": {"samples": True}}

# A vector of one series, as an instant query's answer has it.
ANSWER = (
    '{"status":"success","data":{"resultType":"vector","result":'
    '[{"metric":{"job":"api","tenant_id":"team-a"},"value":[1767225600.123,"0.0123"]}]}}'
)


class Process:
    """One process, on certain cores."""

    def __init__(self, arguments, cores, log):
        self.log = log
        with open(log, "w") as out:
            self.child = subprocess.Popen(
                ["taskset", "--cpu-list", cores, *arguments], stdout=out, stderr=out, stdin=subprocess.DEVNULL
            )

    def wait_for(self, port):
        for _ in range(5000):
            try:
                socket.create_connection((HOST, port), 1).close()
                return
            except OSError:
                if self.child.poll() is not None:
                    break
                time.sleep(0.002)
        with open(self.log) as log:
            raise SystemExit(f"bench: this does not run: {self.child.args}\n{log.read()[-2000:]}")

    def cpu(self):
        """Seconds of CPU so far, of all threads, to the nanosecond."""
        tasks = f"/proc/{self.child.pid}/task"
        seconds = 0
        for task in os.listdir(tasks):
            with open(f"{tasks}/{task}/schedstat") as schedstat:
                seconds += int(schedstat.read().split()[0]) / 1e9
        return seconds

    def memory(self):
        """MiB that it holds now."""
        with open(f"/proc/{self.child.pid}/status") as status:
            return int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1)) / 1024

    def stop(self):
        """Also of one that has ended."""
        self.child.kill()
        self.child.wait()


class Way:
    """From a client to an upstream: a name, and while it is entered, the port to ask and the processes between."""

    def __init__(self, name, start):
        self.name = name
        self.start = start

    def __enter__(self):
        self.port, self.processes = self.start()
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.stop()

    def cpu(self):
        return sum(process.cpu() for process in self.processes)

    def memory(self):
        return sum(process.memory() for process in self.processes)


class Machine:
    """Starts what is measured, and stops it."""

    def __init__(self, programs, folder):
        self.programs = programs
        self.folder = folder
        self.started = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.started:
            process.stop()

    def start(self, name, arguments, cores, port):
        """The port, and the process in a list of its own."""
        process = Process(arguments, cores, f"{self.folder}/{name}.log")
        self.started.append(process)
        process.wait_for(port)
        return port, [process]

    def envoy(self, name, cores, workers, filters, route, clusters):
        port = free_port()
        path = f"{self.folder}/{name}.json"
        with open(path, "w") as out:
            json.dump(bootstrap(port, filters, route, clusters), out)
        arguments = [self.programs["envoy"], "--config-path", path, "--disable-hot-restart"]
        arguments += ["--concurrency", str(workers), "--log-level", "error"]
        return self.start(name, arguments, cores, port)

    def stub(self, cores):
        """The fastest upstream at hand: an Envoy that answers every request itself."""
        headers = {"header": {"key": "content-type", "value": "application/json"}}
        headers["append_action"] = "OVERWRITE_IF_EXISTS_OR_ADD"
        answer = {"status": 200, "body": {"inline_string": ANSWER}}
        route = {"match": {"prefix": "/"}, "direct_response": answer, "response_headers_to_add": [headers]}
        return self.envoy("stub", cores, 1, [], route, [])

    def label_proxy(self, name, cores, upstream):
        port = free_port()
        arguments = [self.programs["label_proxy"], f"-insecure-listen-address={HOST}:{port}"]
        arguments += [f"-upstream=http://{HOST}:{upstream}", "-label=tenant_id"]
        arguments += ["-header-name=THANOS-TENANT", "-enable-label-apis"]
        return self.start(name, arguments, cores, port)

    def ways(self, upstream, cores, workers):
        """All of them, before the same upstream."""
        filters = {
            "router": [],
            "no-op filter": [wasm_filter(self.programs["noop"], {})],
            "no-op native": [native_filter(self.programs["noop_native"], {})],
            "this filter": [wasm_filter(self.programs["filter"], OURS)],
            "this filter, native": [native_filter(self.programs["native"], OURS)],
            "this filter + samples": [wasm_filter(self.programs["filter"], COUNTING)],
        }
        route = to_upstream(upstream)
        ways = [
            Way(name, lambda chain=chain: self.envoy("filter", cores, workers, chain, *route)) for name, chain in filters.items()
        ]

        def both():
            port, proxy = self.label_proxy("behind-envoy", cores, upstream)
            port, envoy = self.envoy("before-label-proxy", cores, workers, [], *to_upstream(port))
            return port, envoy + proxy

        ways.append(Way("Envoy + prom-label-proxy", both))
        ways.append(Way("prom-label-proxy", lambda: self.label_proxy("alone", cores, upstream)))
        return ways

    def start_up(self, chain, cores):
        """Milliseconds until an Envoy with this chain listens, and of CPU until then."""
        route, clusters = to_upstream(1)
        before = time.monotonic()
        _, [process] = self.envoy("start-up", cores, 1, chain, route, clusters)
        wall, cpu = time.monotonic() - before, process.cpu()
        memory = process.memory()
        process.stop()
        return wall * 1e3, cpu * 1e3, memory
