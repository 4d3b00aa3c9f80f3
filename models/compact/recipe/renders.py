"""Rendered cars -> renders of the cache: render.npy (uint8 [pictures, 224, 224, 3], squashed) and render.json.

usage: renders.py FOLDER...   (what render/render_set.py wrote; pictures and labels.jsonl)
"""
import json, sys
import numpy as np
from PIL import Image
from words import IMITATED

C, S = "cache", 224
out, rows, seen = [], [], set()
for folder in sys.argv[1:]:
    for line in open(f"{folder}/labels.jsonl"):
        r = json.loads(line)
        if (folder, r["file"]) in seen:
            continue
        seen.add((folder, r["file"]))
        img = Image.open(f"{folder}/{r['file']}").convert("RGB")
        make, model = IMITATED.get(r["shape"], (None, None))
        rows.append(dict(src="render", w=img.width, h=img.height, row=len(out), make=make, model=model, **r))
        out.append(np.asarray(img.resize((S, S), Image.BILINEAR)))
np.save(f"{C}/render.npy", np.stack(out))
json.dump(rows, open(f"{C}/render.json", "w"))
print(len(rows), "renders,", {s: sum(r["split"] == s for r in rows) for s in ("train", "test")})
