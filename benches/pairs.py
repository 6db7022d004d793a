#!/usr/bin/env python3
"""Makes pairs of versions of files as people have them, for `cargo bench --bench pairs`.

usage: benches/pairs.py FOLDER         needs numpy, pandas, pyarrow and pillow

Each pair is FOLDER/NAME.old and FOLDER/NAME.new; what changed between the two is the tool's own work:
pandas writes the CSV, pyarrow the Parquet files, numpy the checkpoints, tar the images. The seed is
fixed, so that the same versions of these libraries make the same bytes.
"""
import io
import sys
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

ROWS = 600_000


def table(rng, rows):
    """A table with text, numbers that rise, numbers that do not, and missing values."""
    return pd.DataFrame({
        "id": np.arange(rows),
        "time": pd.Timestamp("2026-01-01") + pd.to_timedelta(np.cumsum(rng.integers(1, 90, rows)), unit="s"),
        "user": rng.choice([f"user-{n:05d}" for n in range(20_000)], rows),
        "country": rng.choice(["DE", "FR", "JP", "US", "BR"], rows, p=[0.3, 0.2, 0.1, 0.3, 0.1]),
        "amount": np.round(rng.lognormal(3, 1, rows), 2),
        "score": np.where(rng.random(rows) < 0.05, np.nan, rng.random(rows)),
    })


def edited(rng, frame, share):
    """`share` of the rows with another amount and score."""
    frame = frame.copy()
    rows = rng.choice(len(frame), int(len(frame) * share), replace=False)
    frame.loc[rows, "amount"] = np.round(rng.lognormal(3, 1, len(rows)), 2)
    frame.loc[rows, "score"] = rng.random(len(rows))
    return frame


def with_rows_inserted(rng, frame, count):
    """`count` new rows in ten runs at places in the middle."""
    parts, last = [], 0
    for place in sorted(rng.choice(len(frame), 10, replace=False)):
        parts += [frame.iloc[last:place], table(rng, count // 10)]
        last = place
    return pd.concat(parts + [frame.iloc[last:]], ignore_index=True)


def csv(frame):
    return frame.to_csv(index=False).encode()


def parquet(frame, **options):
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), out, **options)
    return out.getvalue()


def checkpoint(weights):
    out = io.BytesIO()
    np.savez(out, **weights)
    return out.getvalue()


def trained(rng, weights, layers):
    """One more step of training, of `layers` only."""
    step = lambda name, w: w - 1e-3 * rng.standard_normal(w.shape, dtype=np.float32) if name in layers else w
    return {name: step(name, w) for name, w in weights.items()}


def image(rng):
    small = rng.integers(0, 255, (24, 24, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(small).resize((256, 256), Image.BICUBIC).save(out, "JPEG", quality=90)
    return out.getvalue()


def tar(images):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for number, data in enumerate(images):
            entry = tarfile.TarInfo(f"images/{number:05d}.jpg")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def pairs(rng):
    frame = table(rng, ROWS)
    one_percent = edited(rng, frame, 0.01)
    yield "csv-rows-inserted", csv(frame), csv(with_rows_inserted(rng, frame, ROWS // 100))
    yield "csv-1-percent-edited", csv(frame), csv(one_percent)
    some = frame.copy()
    rows = slice(ROWS // 3, ROWS // 3 + ROWS // 100)
    some.loc[rows, "amount"] = 0.0
    yield "csv-one-run-edited", csv(frame), csv(some)
    yield "parquet-1-percent-edited", parquet(frame), parquet(one_percent)
    yield "parquet-one-run-edited", parquet(frame), parquet(some)
    cdc = {"use_content_defined_chunking": True}
    try:
        yield "parquet-cdc-one-run-edited", parquet(frame, **cdc), parquet(some, **cdc)
    except TypeError:
        print("this pyarrow cuts no pages by content: one pair less", file=sys.stderr)
    yield "parquet-rows-appended", parquet(frame), parquet(pd.concat([frame, table(rng, ROWS // 100)]))
    layers = {f"layer{n}": rng.standard_normal((1024, 1024), dtype=np.float32) for n in range(12)}
    yield "checkpoint-all-trained", checkpoint(layers), checkpoint(trained(rng, layers, set(layers)))
    yield "checkpoint-head-trained", checkpoint(layers), checkpoint(trained(rng, layers, {"layer11"}))
    images = [image(rng) for _ in range(3_000)]
    new = list(images)
    for at in rng.choice(len(images), 30, replace=False):
        new[at] = image(rng)
    yield "tar-1-percent-of-images", tar(images), tar(new)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, old, new in pairs(np.random.default_rng(1)):
        (folder / f"{name}.old").write_bytes(old)
        (folder / f"{name}.new").write_bytes(new)
        print(f"{name}: {len(old):,} and {len(new):,} bytes")


main()
