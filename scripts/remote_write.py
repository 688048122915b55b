"""Sends series to a Prometheus by its remote-write protocol, version 1.0, with nothing but the standard library.

Backfilling over HTTP is what lets one program write history and native histograms alike: promtool's importer reads
OpenMetrics text, which has no native histograms. Field numbers are those of prompb/types.proto in Prometheus 3.15.
"""

import struct
import urllib.error
import urllib.request

VARINT, FIXED64, BYTES = 0, 1, 2


def varint(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def zigzag(number):
    return varint(number * 2 if number >= 0 else -number * 2 - 1)


def field(number, kind, content):
    return varint(number << 3 | kind) + content


def nested(number, content):
    return field(number, BYTES, varint(len(content)) + content)


def double(number, value):
    return field(number, FIXED64, struct.pack("<d", value))


def labels(pairs, number=1):
    """The labels of a series or exemplar: the protocol wants them sorted."""
    return b"".join(
        nested(number, nested(1, name.encode()) + nested(2, value.encode())) for name, value in sorted(pairs.items())
    )


def sample(value, milliseconds):
    return nested(2, double(1, value) + field(2, VARINT, varint(milliseconds)))


def exemplar(pairs, value, milliseconds):
    return nested(3, labels(pairs) + double(2, value) + field(3, VARINT, varint(milliseconds)))


def native_histogram(buckets, total, schema, milliseconds):
    """`buckets` maps the index of a bucket to its count; all observations are above zero."""
    spans, deltas, last, run, gap = b"", b"", 0, 0, 0
    previous = None
    for index in sorted(buckets):
        if previous is not None and index == previous + 1:
            run += 1
        else:
            if run:
                spans += nested(11, field(1, VARINT, zigzag(gap)) + field(2, VARINT, varint(run)))
            # The first offset is the index itself; later ones count the empty buckets between two spans.
            gap, run = (index if previous is None else index - previous - 1), 1
        deltas += zigzag(buckets[index] - last)
        last, previous = buckets[index], index
    if run:
        spans += nested(11, field(1, VARINT, zigzag(gap)) + field(2, VARINT, varint(run)))
    content = field(1, VARINT, varint(sum(buckets.values()))) + double(3, total)
    content += field(4, VARINT, zigzag(schema)) + double(5, 1e-128) + field(6, VARINT, varint(0))
    content += spans + nested(12, deltas) + field(15, VARINT, varint(milliseconds))
    return nested(4, content)


def snappy(content):
    """The block format, literals only: valid, and not smaller, which does not matter on loopback."""
    out = bytearray(varint(len(content)))
    for start in range(0, len(content), 65536):
        literal = content[start : start + 65536]
        out += bytes([61 << 2]) + struct.pack("<H", len(literal) - 1) + literal
    return bytes(out)


def send(url, series, headers=None):
    """`series` are pairs: the encoded labels, and the encoded samples in the order of time."""
    content = b"".join(nested(1, name + samples) for name, samples in series)
    request = urllib.request.Request(url, data=snappy(content), method="POST")
    request.add_header("content-type", "application/x-protobuf")
    request.add_header("content-encoding", "snappy")
    request.add_header("x-prometheus-remote-write-version", "0.1.0")
    for name, value in (headers or {}).items():
        request.add_header(name, value)
    try:
        urllib.request.urlopen(request, timeout=30).close()
    except urllib.error.HTTPError as error:
        raise OSError(f"{url} answered {error.code}: {error.read(300).decode(errors='replace').strip()}") from None
    except urllib.error.URLError as error:
        raise OSError(f"{url}: {error.reason}") from None
