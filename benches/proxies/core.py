"""Collects what `cargo bench` measured of the core: criterion's estimates, and the curves of benches/growth.rs. Prints JSON.

core.py CRITERION_FOLDER GROWTH_JSON
"""

import glob
import json
import sys

MICRO = ("rewrite", "forms", "decide", "configuration", "held", "streamed")


def micro(folder):
    rows = []
    for path in glob.glob(f"{folder}/*/**/new/benchmark.json", recursive=True):
        with open(path) as benchmark:
            about = json.load(benchmark)
        if about["group_id"] not in MICRO:
            continue
        with open(path.replace("benchmark.json", "estimates.json")) as estimates:
            nanoseconds = json.load(estimates)["median"]["point_estimate"]
        count = (about["throughput"] or {}).get("Bytes")
        rate = count / nanoseconds * 1e3 if count else None
        rows.append({"name": about["full_id"].replace("/", ": ", 1), "us": nanoseconds / 1e3, "rate": rate})
    if not rows:
        raise SystemExit(f"bench: no figures of criterion in {folder}")
    order = {name: place for place, name in enumerate(MICRO)}
    return sorted(rows, key=lambda row: (order[row["name"].split(":")[0]], row["us"]))


with open(sys.argv[2]) as curves:
    print(json.dumps({"micro": micro(sys.argv[1]), "growth": json.load(curves)}))
