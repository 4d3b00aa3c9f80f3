"""What one step is made of: pictures drawn by source, their captions, and a bank of canonical captions.

Everything is drawn from the step's number, so a run that was stopped goes on exactly as it would have.
"""
import math
from collections import Counter
from typing import NamedTuple
import numpy as np, torch
from captions import BODY_LIST, COLOUR_LIST, F as FI, FIELDS, TAG_LIST, with_tags
from model import tokenize
from words import BODIES, COLOURS, TAG_WORDS, base_model, make_words

MIX = {"stanford": 0.43, "vcor": 0.14, "brand3": 0.05, "recolour": 0.11, "imagenet": 0.04, "tiny": 0.06, "render": 0.17}
RARE = {"stanford": ("body", "colour"), "vcor": ("colour",), "brand3": ("colour",)}  # of which labels the rare values are drawn more often
WEIGHT = {"colour": 3.0, "make": 1.2, "model": 1.5, "body": 1.6, "year": 0.5, "cls": 1.0}
THINGS_IN_BANK = 96


def model_of(row):
    """Make and model, or the shape of a rendered car; None where nobody knows."""
    if row["src"] == "render":
        return "render", row["shape"]
    return (row["make"], base_model(row["model"])) if row.get("model") else None


class Sampler:
    """Draws rows by source (MIX). A picture whose model is known mostly brings a second one of that model, of any colour:
    that is what picture-to-picture search is taught with. What is rare (RARE) is drawn more often, by about the root of its rarity."""

    def __init__(self, rows):
        self.by, self.of_model = {s: [] for s in MIX}, {}
        for i, r in enumerate(rows):
            self.by[r["src"]].append(i)
            if (model := model_of(r)):
                self.of_model.setdefault(model, []).append(i)
        self.sources = [s for s in MIX if self.by[s]]
        self.rows = rows
        self.weights = {}
        for s, rare in RARE.items():
            count = Counter((label, rows[i].get(label)) for i in self.by[s] for label in rare)
            self.weights[s] = [math.prod(count[label, rows[i].get(label)] ** -0.4 for label in rare) for i in self.by[s]]

    def draw(self, n, rng):
        out = []
        while len(out) < n:
            s = rng.choices(self.sources, [MIX[x] for x in self.sources])[0]
            i = rng.choices(self.by[s], self.weights.get(s))[0]
            out.append(i)
            r = self.rows[i]
            if (model := model_of(r)) and len(out) < n and rng.random() < 0.8:
                out.append(rng.choice(self.of_model[model]))
        return out


class Captions(NamedTuple):
    ids: torch.Tensor  # [captions, tokens]
    con: np.ndarray    # [captions, fields], see captions.py
    tags: np.ndarray   # [captions]
    cores: list        # the bare words


def caption_batch(A, tok, rows, invented, things, rng):
    """One caption per row, some of cars that need not exist, some of other things -> Captions."""
    caps = [A.caption(with_tags(r), rng) for r in rows]
    caps += [A.invented(rng) for _ in range(invented)] + [A.thing(rng) for _ in range(things)]
    return Captions(tokenize(tok, [c.text for c in caps]), np.stack([c.con for c in caps]), np.array([c.tags for c in caps]), [c.core for c in caps])


def caption_bank(A, tok, rng):
    """One caption (random wording) of every colour, body, make, tag and car class, plus general words and other things."""
    caps = []

    def add(text, tags=0, **con):
        v = np.zeros(len(FIELDS), np.int32)
        for k, x in con.items():
            v[FI[k]] = A.ids[k][x]
        caps.append((A._dress(text, rng), v, tags))

    for c in COLOUR_LIST: add(rng.choice(COLOURS[c]) + " " + rng.choice(["car", "vehicle"]), car=True, colour=c)
    for b in BODY_LIST: add(rng.choice(BODIES[b]), car=True, body=b)
    for m in A.makes: add(rng.choice(make_words(m)) + rng.choice(["", " car"]), car=True, make=m)
    for t in TAG_LIST: add(rng.choice(TAG_WORDS[t]), tags=A.bits([t]), car=True)
    for make, model, body, year in A.table:
        text = f"{rng.choice(make_words(make))} {base_model(model)} {rng.choice(BODIES[body])}"
        add(f"{year} {text}" if rng.random() < 0.5 else text, car=True, make=make, model=(make, base_model(model)), body=body, year=year)
    for c in rng.sample(A.classes, min(60, len(A.classes))): add(c, cls=c)
    caps += [A.thing(rng)[:3] for _ in range(THINGS_IN_BANK)]
    return tokenize(tok, [c[0] for c in caps]), np.stack([c[1] for c in caps]), np.array([c[2] for c in caps])


class Labels:
    """The rows' labels as arrays, and what follows from them."""

    def __init__(self, A, rows):
        self.A = A
        v, tags, known = zip(*(A.image(r) for r in rows))
        self.v, self.tags, self.known = np.stack(v), np.array(tags), np.array(known)
        models = {m: i for i, m in enumerate(sorted({model_of(r) for r in rows} - {None}), 1)}
        self.model = np.where(self.v[:, FI["car"]] < 0, -1, [models.get(model_of(r), 0) for r in rows])
        self.guessed = np.array([r["src"] in ("stanford", "brand3") and not r.get("looked_at") for r in rows])

    def captions(self, at, con, con_tags):
        """-> which caption is right and which is wrong for which picture, both boolean [pictures, captions]."""
        pos, neg = self.A.match(self.v[at], self.tags[at], self.known[at], self.guessed[at], con, con_tags)
        return torch.from_numpy(pos), torch.from_numpy(neg)

    def same_model(self, at, others):
        """-> which pictures show the same make and model, or shape, and which surely do not, both boolean [pictures, others]."""
        a, b = self.model[at][:, None], self.model[others]
        return torch.from_numpy((a == b) & (a > 0)), torch.from_numpy((a != b) & (a != 0) & (b != 0))

    def car(self, at):
        return torch.from_numpy(self.v[at, FI["car"]] > 0)


def of_things(con):
    """-> which captions are about something that is no car, boolean [captions]."""
    return torch.from_numpy((con[:, FI["thing"]] > 0) | (con[:, FI["cls"]] > 0))


def weights(con, con_tags):
    """The more a caption says, the more it counts in the loss."""
    w = 0.2 + 0.4 * (con_tags != 0)
    for name, x in WEIGHT.items():
        w = w + x * (con[:, FI[name]] > 0)
    return torch.from_numpy(w).float()
