"""Test pictures that are training pictures as well, as the sets have some twice: one line for each.  usage: twins.py [0.98]

Pictures are compared by the correlation of their thumbnails of 16 x 16.
"""
import sys
import numpy as np
from captions import load_meta

C = "cache"
images = np.load(f"{C}/images.npy", mmap_mode="r")


def thumbnails(rows):
    x = np.stack([images[r["row"]].reshape(16, 14, 16, 14, 3).mean((1, 3)).ravel() for r in rows])
    x -= x.mean(1, keepdims=True)
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


cars = [r for r in load_meta() if r["src"] in ("stanford", "vcor", "brand3")]
train, test = [r for r in cars if r["split"] == "train"], [r for r in cars if r["split"] != "train"]
alike = thumbnails(test) @ thumbnails(train).T
for row, best, at in zip(test, alike.max(1), alike.argmax(1)):
    if best > float((sys.argv + ["0.98"])[1]):
        print(f"{best:.3f}\t{row['path']}\t{train[at]['path']}")
