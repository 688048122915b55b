"""The requests that are sent, and the tool that sends them: wrk, with a script that replays them in turn."""

import json
import subprocess
import time
import urllib.parse

TENANT = ("THANOS-TENANT", "team-a")
FORM = ("Content-Type", "application/x-www-form-urlencoded")

ERRORS = (
    'sum by (job, handler) (rate(http_requests_total{job=~"api|web",handler!="/metrics",code=~"5.."}[5m]))'
    ' / ignoring(code) group_left sum by (job, handler) (rate(http_requests_total{job=~"api|web"}[5m])) > 0.01'
)
QUERIES = [
    "up",
    "sum(rate(http_requests_total[5m])) by (handler)",
    "histogram_quantile(0.99, sum by (le, job) (rate(http_request_duration_seconds_bucket[5m])))",
    'topk(5, sum by (handler) (rate(http_requests_total{code!~"2.."}[5m])))',
    'max_over_time(process_resident_memory_bytes{job="api"}[1h:1m]) / 1024 / 1024',
    'sum(increase(http_requests_total{job="api"}[1h] offset 1d)) or vector(0)',
    "avg without (instance, pod) (rate(node_cpu_seconds_total{mode!=\"idle\"}[1m])) * 100",
    ERRORS,
]


def alternation(size):
    """Instances picked in a dashboard's variable: a selector of about so many bytes."""
    names = "|".join(f"10.0.{n // 250}.{n % 250}:9090" for n in range(size // 15))
    return f'sum by (instance) (rate(node_network_receive_bytes_total{{instance=~"{names}"}}[5m]))'


def encode(pairs):
    return urllib.parse.urlencode(pairs)


ONE_QUERY = 'sum by (job) (rate(http_requests_total{job=~"api|web",code=~"5..",handler!="/%s"}[5m])) / 100 > 0.01'


def plain():
    """One GET whose target has 250 bytes."""
    def target(handler):
        return "/api/v1/query?" + encode([("query", ONE_QUERY % handler), ("time", "1767225600")])

    return [("GET", target("x" * (250 - len(target("")))), [TENANT], "")]


def form():
    """The same query by POST, in a body of 250 bytes, as Grafana sends it."""
    def body(handler):
        return encode([("query", ONE_QUERY % handler), ("time", "1767225600")])

    return [("POST", "/api/v1/query", [TENANT, FORM], body("x" * (250 - len(body("")))))]


def dashboard(now):
    """A mix as dashboards send it: mostly range queries, by POST as Grafana does it, or by GET; short ones to one of 20 KB."""
    span = [("start", str(now - 900)), ("end", str(now)), ("step", "15")]
    requests = []
    for n, query in enumerate(QUERIES):
        ranged = [("query", query), *span]
        requests.append(("POST", "/api/v1/query_range", [TENANT, FORM], encode(ranged)))
        requests.append(("GET", "/api/v1/query_range?" + encode(ranged), [TENANT], ""))
        if n % 2 == 0:
            requests.append(("GET", "/api/v1/query?" + encode([("query", query), ("time", str(now))]), [TENANT], ""))
        else:
            requests.append(("POST", "/api/v1/query", [TENANT, FORM], encode([("query", query)])))
    selector = [("match[]", 'http_requests_total{job="api"}'), ("start", str(now - 900)), ("end", str(now))]
    requests.append(("GET", "/api/v1/series?" + encode(selector), [TENANT], ""))
    requests.append(("POST", "/api/v1/series", [TENANT, FORM], encode(selector)))
    requests.append(("GET", "/api/v1/labels?" + encode(selector), [TENANT], ""))
    requests.append(("POST", "/api/v1/labels", [TENANT, FORM], encode(selector[1:])))
    requests.append(("GET", "/api/v1/label/handler/values?" + encode(selector), [TENANT], ""))
    requests.append(("GET", "/api/v1/label/job/values", [TENANT], ""))
    for size in (500, 2_000, 20_000):
        requests.append(("POST", "/api/v1/query_range", [TENANT, FORM], encode([("query", alternation(size)), *span])))
    # So that neighbours are of different kinds; the same order in every run.
    return [requests[n * 7 % len(requests)] for n in range(len(requests))]


def script(requests):
    """For wrk: every thread begins at another request, and what came out is printed for `run`."""
    def lua(text):
        return json.dumps(text)

    def headers(pairs):
        return "{" + ",".join(f"[{lua(name)}]={lua(value)}" for name, value in pairs) + "}"

    formatted = ",\n".join(
        f"    wrk.format({lua(method)}, {lua(target)}, {headers(pairs)}, {lua(body) if body else 'nil'})"
        for method, target, pairs, body in requests
    )
    return f"""local threads = 0
function setup(thread) thread:set("at", threads * 5); threads = threads + 1 end
local requests
function init(args) requests = {{
{formatted}
}} end
function request() at = at % #requests + 1; return requests[at] end
function done(summary, latency)
    local errors = summary.errors
    io.write(string.format("RESULT %d %d %d %d %d %d\\n", summary.requests, summary.duration, latency:percentile(50),
        latency:percentile(99), errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
"""


def run(way, script_path, cores, connections, seconds):
    """Sends for so long; what that showed."""
    cpu, clock = way.cpu(), time.monotonic()
    threads = min(connections, cores.count(",") + 1)
    command = ["taskset", "--cpu-list", cores, "wrk", f"-t{threads}", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s"]
    command += ["--script", script_path, f"http://127.0.0.1:{way.port}/"]
    output = subprocess.run(command, capture_output=True, text=True, check=False)
    cpu, clock = way.cpu() - cpu, time.monotonic() - clock
    result = [line.split()[1:] for line in output.stdout.splitlines() if line.startswith("RESULT ")]
    if not result:
        raise SystemExit(f"bench: wrk failed: {output.stdout}{output.stderr}")
    count, duration, p50, p99, refused, broken = (int(field) for field in result[0])
    if refused or broken or not count:
        raise SystemExit(f"bench: {way.name}: of {count} requests {refused} were refused and {broken} broke")
    return {
        "rps": count / duration * 1e6,
        "cpu": cpu / count * 1e5,
        "p50": p50 / 1e3,
        "p99": p99 / 1e3,
        "busy": cpu / clock,
        "count": count,
    }
