"""Decodes every picture once, squashes it to 224x224, stores all as one uint8 array (images.npy) with meta.json (1 min).

meta rows: src, split (train/val/test/ood), w, h (original size), and what is known: make, model, body, year, colour, cls.
"""
import csv, json, os, random
import numpy as np
from PIL import Image

DATA, OUT, S = "data", "cache", 224
random.seed(0)
rows = []

by_class = {}
for r in csv.DictReader(open(f"{DATA}/stanford_meta/labels.csv")):
    by_class.setdefault(r["class"], []).append(r)
for cls, rs in sorted(by_class.items()):  # 10 % of each class is validation
    random.shuffle(rs)
    n_val = round(len(rs) * 0.1)
    for i, r in enumerate(rs):
        rows.append(dict(src="stanford", split="val" if i < n_val else "train", path=f"{DATA}/stanford_cars/{r['path']}",
                         make=r["make"], model=r["model"], body=r["body"], year=r["year"]))
for split in ("train", "test"):
    for c in sorted(os.listdir(f"{DATA}/vcor9/{split}")):
        for f in sorted(os.listdir(f"{DATA}/vcor9/{split}/{c}")):
            rows.append(dict(src="vcor", split=split, path=f"{DATA}/vcor9/{split}/{c}/{f}", colour=c))
for m in ("Tesla", "Ford", "Toyota"):
    for f in sorted(os.listdir(f"{DATA}/brand3/{m}")):
        rows.append(dict(src="brand3", split="train", path=f"{DATA}/brand3/{m}/{f}", make=m))
for d in sorted(os.listdir(f"{DATA}/vmmrdb_sample4")):
    for f in sorted(os.listdir(f"{DATA}/vmmrdb_sample4/{d}")):
        rows.append(dict(src="vmmrdb", split="ood", path=f"{DATA}/vmmrdb_sample4/{d}/{f}", cls4=d))
for f in sorted(os.listdir(f"{DATA}/imagenet1000")):
    if f.endswith(".JPEG"):
        rows.append(dict(src="imagenet", split="train", path=f"{DATA}/imagenet1000/{f}", wnid=f.split("_")[0],
                         cls=f[:-5].split("_", 1)[1].replace("_", " ").lower()))
words = dict(l.rstrip("\n").split("\t") for l in open(f"{DATA}/tiny_imagenet200/words.txt"))
tiny = f"{DATA}/tiny_imagenet200/train"
for w in sorted(os.listdir(tiny)):
    fs = sorted(os.path.join(d, f) for d, _, g in os.walk(f"{tiny}/{w}") for f in g if f.endswith(".JPEG"))
    for i, f in enumerate(random.sample(fs, 25)):
        rows.append(dict(src="tiny", split="train" if i < 22 else "val", path=f, wnid=w, cls=words[w].split(",")[0].lower()))

arr = np.lib.format.open_memmap(f"{OUT}/images.npy", "w+", np.uint8, (len(rows), S, S, 3))
keep = []
for i, r in enumerate(rows):
    try:
        im = Image.open(r["path"])
        r["w"], r["h"] = im.size
        im.draft("RGB", (2 * S, 2 * S))
        arr[i] = np.asarray(im.convert("RGB").resize((S, S), Image.BILINEAR))
        r["row"] = i
        keep.append(r)
    except OSError as e:
        print("skipped", r["path"], e)
arr.flush()
json.dump(keep, open(f"{OUT}/meta.json", "w"))
print(len(rows), "rows,", len(keep), "readable")
