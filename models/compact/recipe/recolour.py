"""Changes the colour of confidently coloured cars, label included (orange, purple, grey, beige and gold have no
real examples; and e.g. yellow Teslas do not occur). Writes recolour.npy / recolour.json next to images.npy."""
import json, random
import numpy as np
from PIL import Image, ImageFilter

# target: hue (degrees) low..high, saturation (kept part, minimum, maximum), mean brightness darkest..lightest
TARGETS = {
    "red": ((-6, 6), (1.0, 0.65, 1.0), (0.50, 0.78)), "orange": ((19, 29), (1.0, 0.75, 1.0), (0.75, 1.0)),
    "yellow": ((48, 57), (1.0, 0.65, 1.0), (0.75, 1.0)), "green": ((95, 150), (0.9, 0.45, 1.0), (0.28, 0.62)),
    "blue": ((205, 232), (1.0, 0.5, 1.0), (0.22, 0.65)), "purple": ((268, 292), (0.9, 0.4, 0.9), (0.34, 0.58)),
    "pink": ((318, 342), (0.8, 0.3, 0.95), (0.75, 1.0)), "brown": ((10, 30), (0.55, 0.2, 0.6), (0.22, 0.40)),
    "beige": ((34, 44), (0.2, 0.14, 0.26), (0.66, 0.84)), "gold": ((40, 47), (0.5, 0.38, 0.6), (0.60, 0.78)),
    "white": ((0, 360), (0.04, 0.0, 0.05), (0.82, 1.0)), "silver": ((0, 360), (0.05, 0.0, 0.06), (0.58, 0.76)),
    "grey": ((0, 360), (0.05, 0.0, 0.07), (0.32, 0.46)), "black": ((0, 360), (0.1, 0.0, 0.15), (0.07, 0.12))}
CHROMATIC = {"red": 0, "yellow": 50, "blue": 220, "green": 110, "pink": 335}
PALE = {"white", "silver"}


def blur(m, r):
    return np.asarray(Image.fromarray((m * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(r)), np.float32) / 255


def mask_of(hsv, colour):
    """Soft mask of the paint, or None when too little of it is found."""
    h, s, v = hsv[..., 0] * 360 / 255, hsv[..., 1] / 255, hsv[..., 2] / 255
    n = h.shape[0]
    yy, xx = np.mgrid[0:n, 0:n] / n - 0.5
    if colour in CHROMATIC:
        near = lambda ref, tol: np.abs((h - ref + 180) % 360 - 180) < tol
        centre = (np.abs(xx) < 0.35) & (np.abs(yy) < 0.32) & near(CHROMATIC[colour], 35) & (s > 0.35) & (v > 0.15)
        if centre.sum() < 0.06 * n * n:
            return None
        peak = np.histogram(h[centre], 36, (0, 360), weights=s[centre])[0].argmax() * 10 + 5
        m = near(peak, 22) & (s > 0.25) & (v > 0.10)
        return blur(m.astype(np.float32), 1.0)
    pale, away = (s < 0.22) & (v > 0.42), (xx / 0.47) ** 2 + (yy / 0.40) ** 2  # pale paint: achromatic and bright, near the middle
    m = pale & (away < 1)
    if m.mean() < 0.12 or pale[(0.8 < away) & (away < 1.2)].mean() > 0.45:  # the road or the sky is as pale as the car
        return None
    return blur(m.astype(np.float32), 1.5)


def recolour(img, source, target, rng):
    hsv = np.asarray(Image.fromarray(img).convert("HSV"), np.float32)
    m = mask_of(hsv, source)
    if m is None:
        return None
    (h0, h1), (keep, smin, smax), (dark, light) = TARGETS[target]
    s, v = hsv[..., 1] / 255, hsv[..., 2] / 255
    bright, keep = rng.uniform(dark, light), keep * rng.uniform(0.7, 1.2)
    mean_v = (v * m).sum() / m.sum()
    if source in CHROMATIC:
        new_s = np.clip(s * keep, smin, smax) if smin else s * keep
    else:
        new_s = rng.uniform(0.4 * smax + 0.6 * smin, smax) * np.clip((1.25 - v) / 0.25, 0.3, 1)  # highlights stay whitish
    new_v = np.clip(v * bright / mean_v, 0, 1)
    out = np.stack([np.full_like(s, rng.uniform(h0, h1) % 360 * 255 / 360), np.clip(new_s, 0, 1) * 255, new_v * 255], -1)
    out = np.asarray(Image.fromarray(out.astype(np.uint8), "HSV").convert("RGB"), np.float32)
    return (img * (1 - m[..., None]) + out * m[..., None]).astype(np.uint8)


if __name__ == "__main__":
    C = "cache"
    rng = random.Random(3)
    meta = [r for r in json.load(open(f"{C}/labelled.json")) if r["split"] == "train" and r.get("colour") and r["src"] != "recolour"]
    images = np.load(f"{C}/images.npy", mmap_mode="r")
    chromatic = [r for r in meta if r["colour"] in CHROMATIC]
    pale = [r for r in meta if r["colour"] in PALE and r["src"] != "vcor"]
    rare = ["orange", "purple", "grey", "beige", "gold", "brown"]
    jobs = []
    for r in chromatic:  # Teslas and other makes get more than the plain colour set
        for _ in range({"stanford": 2, "brand3": 3}.get(r["src"], 1)):
            jobs.append((r, rng.choice(rare if rng.random() < 0.55 else list(TARGETS))))
    for r in pale:
        if rng.random() < 0.35:
            jobs.append((r, rng.choice([t for t in TARGETS if t not in ("white", "silver", "black", "grey", "beige")])))
        elif rng.random() < 0.25:
            jobs.append((r, "grey"))
    out, rows = [], []
    for r, t in jobs:
        if t == r["colour"]:
            continue
        x = recolour(images[r["row"]], r["colour"], t, rng)
        if x is not None:
            rows.append({**r, "src": "recolour", "orig": r["src"], "from": r["colour"], "colour": t, "row": len(out)})
            out.append(x)
    np.save(f"{C}/recolour.npy", np.stack(out))
    json.dump(rows, open(f"{C}/recolour.json", "w"))
    print(len(jobs), "jobs ->", len(rows), {t: sum(r["colour"] == t for r in rows) for t in TARGETS})
