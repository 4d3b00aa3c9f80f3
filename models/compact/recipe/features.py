"""Features of the frozen ImageNet trunk at 192 px, float16, for the fast first training phase and the colour probe.

features.py clean   every cached picture as it is        -> feat_clean.npy  (index = meta row)
features.py aug     one augmented view per Stanford training picture and recoloured picture -> feat_aug.npy + feat_aug.json
"""
import json, random, sys, time
import numpy as np, torch, torch.nn.functional as F
from augment import augment
from model import BF16, FEATURES, Trunk

C, SIZE, B = "cache", 192, 32


def load_trunk():
    t = Trunk().eval()
    t.load_imagenet("data/weights/efficientnet-lite0-57934424.pth")
    return t.to(memory_format=torch.channels_last)


@torch.no_grad()
def run(trunk, batches, n, path):
    out = np.lib.format.open_memmap(path, "w+", np.float16, (n, FEATURES, SIZE // 32, SIZE // 32))
    i, t = 0, time.time()
    for x in batches:
        with torch.autocast("cpu", torch.bfloat16, enabled=BF16):
            x = x.float().contiguous(memory_format=torch.channels_last)
            f = trunk((x - 127) / 128).float()
        out[i:i + len(f)] = f.numpy()
        i += len(f)
        if i % (B * 60) == 0:
            print(i, n, f"{i / (time.time() - t):.0f}/s", flush=True)
    out.flush()


if __name__ == "__main__":
    images = np.load(f"{C}/images.npy", mmap_mode="r")
    trunk = load_trunk()
    if sys.argv[1] == "clean":
        def batches():
            for a in range(0, len(images), B):
                x = torch.from_numpy(np.ascontiguousarray(images[a:a + B])).permute(0, 3, 1, 2)
                yield F.interpolate(x, (SIZE, SIZE), mode="bilinear", antialias=True)
        run(trunk, batches(), len(images), f"{C}/feat_clean.npy")
    else:
        rng = random.Random(5)
        labelled = json.load(open(f"{C}/labelled.json"))
        general = [r["row"] for r in labelled if r["src"] in ("imagenet", "tiny")]
        rows = [r for r in labelled if r["split"] == "train" and r["src"] == "stanford"]
        rows += json.load(open(f"{C}/recolour.json"))
        rec = np.load(f"{C}/recolour.npy", mmap_mode="r")
        pool = np.ascontiguousarray(images[general])
        def batches():
            for a in range(0, len(rows), B):
                yield torch.from_numpy(np.stack([augment(
                    (rec if r["src"] == "recolour" else images)[r["row"]], r["src"], r["w"] / r["h"], pool, SIZE, rng)
                    for r in rows[a:a + B]]))
        run(trunk, batches(), len(rows), f"{C}/feat_aug.npy")
        json.dump(rows, open(f"{C}/feat_aug.json", "w"))
