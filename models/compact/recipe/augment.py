"""Augmentation of one cached 224x224 picture (squashed) -> uint8 size x size (also squashed).

Colours are never changed here beyond what a white balance does (captions would become wrong); recolour.py does that together
with the label.
A tight crop of a car is either zoomed a little, or placed as a smaller rectangle on some background, the way a whole
photo looks after squashing.
"""
import io
import numpy as np
from PIL import Image, ImageFilter


def background(img, pool, size, rng):
    x = rng.random()
    if x < 0.15:
        return Image.new("RGB", (size, size), (rng.randint(240, 255),) * 3)
    if x < 0.19:
        return Image.new("RGB", (size, size), (rng.randint(0, 25),) * 3)
    if x < 0.28:  # grey or slightly tinted vertical gradient (studio)
        a, b = np.array([rng.randint(40, 230)] * 3), np.array([rng.randint(40, 230)] * 3)
        t = np.linspace(0, 1, size)[:, None]
        g = np.clip(a * (1 - t) + b * t + np.array([rng.randint(-20, 20) for _ in range(3)]), 0, 255)
        return Image.fromarray(np.repeat(g[:, None], size, 1).astype(np.uint8))
    if x < 0.42:  # the picture itself, stretched and blurred: same scene, no edge
        return img.resize((24, 24), Image.BILINEAR).resize((size, size), Image.BILINEAR)
    other = Image.fromarray(pool[rng.randrange(len(pool))])
    return other.resize((size, size), Image.BILINEAR)


def place(img, aspect, pool, size, rng):
    """The car picture as a rectangle inside a squashed photo."""
    photo = rng.uniform(1.0, 1.8)  # width / height of the imagined photo
    w = rng.uniform(0.32, 0.95)
    h = min(w / aspect * photo, 1.1) * rng.uniform(0.9, 1.1)
    w, h = int(w * size), int(h * size)
    x = rng.randint(min(0, size - w), max(0, size - w))
    y = rng.randint(min(0, size - h), max(0, size - h))
    bg = background(img, pool, size, rng)
    car = img.resize((w, h), Image.BILINEAR)
    if rng.random() < 0.5:  # soft border
        m = Image.new("L", (w, h), 0)
        e = max(2, int(0.04 * size))
        m.paste(255, (e, e, w - e, h - e))
        bg.paste(car, (x, y), m.filter(ImageFilter.BoxBlur(e // 2)))
    else:
        bg.paste(car, (x, y))
    return bg


def zoom(img, lo, size, rng):
    n = img.width
    w, h = n * rng.uniform(lo, 1), n * rng.uniform(lo, 1)
    x, y = rng.uniform(0, n - w), rng.uniform(0, n - h)
    return img.resize((size, size), Image.BILINEAR, box=(x, y, x + w, y + h))


def augment(arr, src, aspect, pool, size, rng):
    img = Image.fromarray(arr)
    p_place = {"stanford": 0.78, "recolour": 0.7, "vcor": 0.45, "brand3": 0.15, "render": 0.35}.get(src, 0)
    if rng.random() < p_place:
        img = place(img, aspect if src != "vcor" else rng.uniform(1.2, 1.8), pool, size, rng)
    else:
        img = zoom(img, 0.72 if p_place else 0.65, size, rng)
    if rng.random() < 0.5:
        img = img.transpose(Image.FLIP_LEFT_RIGHT)
    x = rng.random()
    if x < 0.12:  # low resolution
        n = rng.randint(48, 110)
        img = img.resize((n, n), Image.BILINEAR).resize((size, size), Image.BILINEAR)
    elif x < 0.27:
        b = io.BytesIO()
        img.save(b, "JPEG", quality=rng.randint(25, 75))
        img = Image.open(b)
    a = np.asarray(img)
    if rng.random() < 0.5:  # mild contrast, brightness and white balance
        light = np.array([rng.uniform(0.97, 1.03) for _ in range(3)], np.float32)
        a = np.clip(((a.astype(np.float32) - 128) * rng.uniform(0.85, 1.15) + 128 + rng.uniform(-15, 15)) * light, 0, 255).astype(np.uint8)
    return a.transpose(2, 0, 1)
