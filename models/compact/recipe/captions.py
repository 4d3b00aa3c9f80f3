"""Attributes <-> captions.

An image is a vector of attribute ids per FIELD: 0 = unknown, -1 = surely none of them, k > 0 = known value, plus tag bits.
A caption is a text + a constraint per FIELD (0 = does not care) + required tag bits.
match() says for every image/caption pair: positive (all constraints met), negative (one is surely violated), or neither
(cannot be known from the labels: left out of the loss).
"""
import json, os, random, re
from typing import NamedTuple
import numpy as np
import sentences
from sentences import around, scene
from things import THINGS, other_nouns
from words import (BODIES, BODY_HINTS, CAR_PARTS, COLOURS, COUNTRY, MAKE_WORDS, SOFT_BODIES, SOFT_COLOURS, TAG_ADJECTIVES, TAG_WORDS, base_model,
                   gazetteer_rows, make_words, tags_of)

FIELDS = ["car", "colour", "make", "model", "body", "year", "cls", "thing"]
F = {n: i for i, n in enumerate(FIELDS)}
COLOUR_LIST, BODY_LIST, TAG_LIST = list(COLOURS), list(BODIES), sorted(TAG_WORDS)
# ImageNet classes that are cars: some teach a body type, the ambiguous rest is not used
CLS_BODY = {"convertible": "convertible", "beach wagon": "wagon", "minivan": "minivan", "pickup": "pickup"}
CLS_SKIP = {"sports car", "limousine", "jeep", "cab", "racer", "grille", "car wheel", "police van", "moving van", "ambulance",
            "model t", "tow truck", "recreational vehicle", "passenger car", "car mirror", "seat belt", "minibus"}

PREFIX = [""] * 10 + ["a ", "a ", "the ", "a photo of a ", "a photo of a ", "a picture of a ", "photo of a ", "an image of a ",
                      "picture of a ", "show me a ", "find a ", "a close-up photo of a ", "this is a ", "one ", "any ", "i want a ", "looking for a ",
                      "do you have a ", "rear view of a ", "front view of a ", "side view of a ", "the back of a ", "we would like to see a ",
                      "please find me a photo of a ", "i am searching for pictures of a "]
SUFFIX = [""] * 14 + [" on the road", " parked", " on the street", " outside", " for sale", " driving", " in front of a house",
                      " please", " standing in a car park", " that somebody has taken good care of", " in good condition",
                      " which i saw on the motorway last week", " like the one that my neighbour drives every day",
                      " for a family with two children", " with clean paint and nice wheels", " seen from the side", " from behind", " at sunset",
                      " at night"]
SENTENCES, SLIPS = 0.12, 0.1  # share of captions that are a whole sentence; that are misspelt
NOUN = ["car"] * 6 + ["vehicle", "automobile", "auto", "one"]
HINTS = 0.1  # share of captions that describe the body type instead of naming it


class Caption(NamedTuple):
    text: str        # as somebody would type it
    con: np.ndarray  # constraint per field
    tags: int        # required tag bits
    core: str        # the same in the usual words and order, without ornaments and slips


def misspelt(text, rng):
    """Now and then one slip of the finger in a longer word, after its first letter: a letter lost, doubled, swapped with the one
    before, wrong, or one too many."""
    if rng.random() >= SLIPS:
        return text
    words = text.split(" ")
    long = [i for i, w in enumerate(words) if len(w) >= 4 and w.isalpha()]
    if not long:
        return text
    i = rng.choice(long)
    w, at, other = words[i], rng.randrange(1, len(words[i])), rng.choice("abcdefghijklmnopqrstuvwxyz")
    words[i] = rng.choice([w[:at] + w[at + 1:], w[:at] + w[at] + w[at:], w[:at - 1] + w[at] + w[at - 1] + w[at + 1:],
                           w[:at] + other + w[at + 1:], w[:at] + other + w[at:]])
    return " ".join(words)


def named(words, rng):
    """One of the words for the same, and the usual one, which is the first."""
    return rng.choice(words), words[0]


def load_table(name):
    """The lines of a .tsv file beside this one, but for the comments."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), name)
    return [l.rstrip("\n").split("\t") for l in open(path) if l[0] != "#"]


def load_queries():
    """The evaluation's queries: kind, text, and what the picture must show, "-" if no car fits."""
    return load_table("queries.tsv")


def load_meta(path="cache/meta.json"):
    """Rows of meta.json that are usable, ImageNet car classes turned into car rows."""
    out = []
    for r in json.load(open(path)):
        c = r.get("cls")
        if c in CLS_SKIP:
            continue
        if c in CLS_BODY:
            r = {**r, "body": CLS_BODY[c]}
            del r["cls"]
        out.append(r)
    return out


class Attributes:
    """Names <-> ids, and the table of known cars used to invent captions."""

    def __init__(self, meta):
        cars = [r for r in meta if r["src"] == "stanford"]
        self.table = sorted({(r["make"], r["model"], r["body"], r["year"]) for r in cars})
        self.makes = sorted({t[0] for t in self.table})
        self.models = sorted({(t[0], base_model(t[1])) for t in self.table})
        self.years = sorted({t[3] for t in self.table})
        self.classes = sorted({r["cls"] for r in meta if r.get("cls")})
        self.ids = {"car": {True: 1}, **{n: {v: i + 1 for i, v in enumerate(l)} for n, l in (
            ("colour", COLOUR_LIST), ("make", self.makes), ("model", self.models), ("body", BODY_LIST),
            ("year", self.years), ("cls", self.classes), ("thing", [True]))}}
        said = [*PREFIX, *SUFFIX, *NOUN, *sentences.ASK, *sentences.WHERE, *sentences.SAID, *sentences.WHO, *sentences.DID]
        said += [w for table in (COLOURS, BODIES, BODY_HINTS, MAKE_WORDS, TAG_WORDS, TAG_ADJECTIVES) for ws in table.values() for w in ws]
        said += [f"{m} {n}" for m, n, _ in gazetteer_rows()] + [f"{m} {n}" for m, n in self.models] + ["cars made from painted coloured colored", CAR_PARTS]
        far = {w for _, text, want in load_queries() if want == "-" for w in re.findall("[a-z]+", text)}
        self.nouns = other_nouns("data/wordnet", set(re.findall("[a-z]+", " ".join(said).lower())))
        # What an unknown word looks like. Nothing that is made of the words alone that the evaluation asks for other things with: never
        # a dog, but a hot dog, or every word that begins like a misspelt Dodge would be one.
        self.general = [noun for noun, _ in self.nouns if not far.issuperset(noun.split(" "))]
        self.mistaken = []  # what a text tower takes for a car, of them and of THINGS, which train_text.py finds out: every second word then
        known = {(t[0], t[2]) for t in self.table}
        # (make, model words, body, does the make count, does the body count)
        self.gazetteer = [(m, n, b, m in self.makes, m not in self.makes or (m, b) in known) for m, n, b in gazetteer_rows()]
        self.gaz_of = {}
        for g in self.gazetteer:
            if g[3]:
                self.gaz_of.setdefault((g[0], g[2] if g[4] else None), []).append(g)
        soft = np.zeros((len(FIELDS), 64, 64), bool)
        for name, pairs in (("colour", SOFT_COLOURS), ("body", SOFT_BODIES)):
            for a, b in pairs:
                a, b = self.ids[name][a], self.ids[name][b]
                soft[F[name], a, b] = soft[F[name], b, a] = True
        self.soft = soft

    def image(self, r):
        """meta row -> (field ids, tag bits, are the tags known)."""
        v = np.zeros(len(FIELDS), np.int32)
        if r.get("cls"):
            v[:] = -1
            v[F["cls"]] = self.ids["cls"][r["cls"]]
            v[F["colour"]] = v[F["thing"]] = 0
            return v, 0, True
        v[F["car"]], v[F["cls"]], v[F["thing"]] = 1, -1, -1
        for n in ("colour", "make", "body"):
            if r.get(n):
                v[F[n]] = self.ids[n][r[n]]
        if r.get("model"):
            v[F["model"]] = self.ids["model"][(r["make"], base_model(r["model"]))]
        if r.get("year"):
            v[F["year"]] = self.ids["year"][r["year"]]
        if r["src"] == "render":  # an invented car: nothing but what it imitates
            v[[F[n] for n in ("make", "model", "year") if not r.get(n)]] = -1
        return v, self.bits(with_tags(r).get("tags", ())), bool(r.get("model")) or r["src"] == "render"

    @staticmethod
    def bits(tags):
        return sum(1 << TAG_LIST.index(t) for t in tags)

    # ---- captions -------------------------------------------------------------------------------------------------
    def caption(self, r, rng):
        """A random true caption of the row's attributes -> Caption."""
        for _ in range(4):  # mostly say more than just 'a car'
            caption = self._caption(r, rng)
            if caption.tags or caption.con[1:].any() or rng.random() < 0.04:
                break
        return caption

    def _caption(self, r, rng):
        con, tags = np.zeros(len(FIELDS), np.int32), 0
        if r.get("cls"):
            con[F["cls"]] = self.ids["cls"][r["cls"]]
            return Caption(self._dress(r["cls"], rng), con, 0, r["cls"])
        con[F["car"]] = 1
        make, model, body, colour = (r.get(k) for k in ("make", "model", "body", "colour"))
        colour_word = make_word = model_word = body_word = year = adj = ""
        usual = dict(colour="", year="", adj="", make="", model="", body="")
        if colour and rng.random() < 0.6:
            con[F["colour"]] = self.ids["colour"][colour]
            colour_word, usual["colour"] = named(COLOURS[colour], rng)
        gaz = self.gaz_of.get((make, body), []) + self.gaz_of.get((make, None), [])
        if make and rng.random() < 0.55:
            con[F["make"]] = self.ids["make"][make]
            make_word, usual["make"] = named(make_words(make), rng)
            if model and rng.random() < 0.55:
                con[F["model"]] = self.ids["model"][(make, base_model(model))]
                model_word = base_model(model)
                if rng.random() < 0.12:
                    make_word = ""
                if r.get("year") and rng.random() < 0.15:
                    con[F["year"]], year = self.ids["year"][r["year"]], r["year"]
            elif gaz and rng.random() < 0.2:
                _, model_word, b, _, body_counts = rng.choice(gaz)
                if body_counts:
                    con[F["body"]] = self.ids["body"][b]
        elif r.get("tags") and rng.random() < (0.5 if r.get("src") == "render" else 0.25):
            tag = rng.choice(sorted(r["tags"]))
            tags = self.bits([tag])
            if tag in COUNTRY:
                adj = usual["adj"] = tag
            elif tag in TAG_ADJECTIVES and rng.random() < 0.4:
                adj, usual["adj"] = named(TAG_ADJECTIVES[tag], rng)
                if rng.random() < 0.4:
                    text = f"something {adj}" + (colour_word and f" in {colour_word}")
                    return Caption(self._dress(text, rng, ["", "", "show me ", "i want ", "find "]), con, tags, self._usual(**usual))
            else:
                body_word, usual["body"] = named(TAG_WORDS[tag], rng)
        usual.update(year=year, model=model_word)
        if body and not body_word and not adj and rng.random() < HINTS:
            con[F["body"]] = self.ids["body"][body]
            name = " ".join(w for w in (year, make_word, model_word) if w)
            text = self._describe(colour_word, name, body, rng)
            usual["body"] = BODIES[body][0]
            return Caption(self._dress(text, rng, ["", "", "", "find ", "show me "]), con, tags, self._usual(**usual))
        if body and not body_word and rng.random() < (0.4 if make_word or model_word else 0.55):
            con[F["body"]] = self.ids["body"][body]
            body_word, usual["body"] = named(BODIES[body], rng)
        text = self._order(colour_word, year, adj, make_word, model_word, body_word, rng)
        return Caption(self._dress(text, rng), con, tags, self._usual(**usual))

    @staticmethod
    def _usual(colour, year, adj, make, model, body):
        noun = body or ("" if make or model else "car")
        return " ".join(w for w in (colour, year, adj, make, model, noun) if w)

    @staticmethod
    def _describe(colour, name, body, rng):
        """The car by what its body type is for, or looks like."""
        if not name and (colour or rng.random() < 0.6):
            name = rng.choice(["one", "something", "car", "vehicle"])
        what = (name, colour) if name == "something" else (colour, name)
        return " ".join(w for w in (*what, rng.choice(BODY_HINTS[body])) if w)

    @staticmethod
    def _order(colour, year, adj, make, model, body, rng):
        name = " ".join(w for w in (year, adj, make, model) if w)
        noun = body
        if not body and (not name or adj or rng.random() < 0.3):
            noun = rng.choice(NOUN)
            if colour and not name and rng.random() < 0.2:
                noun = ""  # just the colour
        thing = " ".join(w for w in (name, noun) if w)
        if not colour:
            if make and body and rng.random() < 0.15:
                return f"{body} {rng.choice(['by', 'from', 'made by'])} {make} {model}".strip()
            return thing
        if not thing:
            return rng.choice([colour, colour, f"something {colour}", f"whatever is {colour}", f"all in {colour}"])
        x = rng.random()
        if x < 0.70: return f"{colour} {thing}"
        if x < 0.80: return f"{thing} in {colour}"
        if x < 0.88: return f"{thing} {colour}"
        if x < 0.94: return f"{thing}, {colour}"
        return f"{colour} {rng.choice(['coloured', 'colored', 'painted'])} {thing}"

    def _dress(self, text, rng, prefixes=PREFIX):
        if prefixes is PREFIX and rng.random() < SENTENCES:
            return around(misspelt(text, rng), self.general, rng)
        p = rng.choice(prefixes)
        if not p and rng.random() < 0.06 and text[-1].isalpha() and text[-1] != "s":
            return rng.choice(["", "photos of ", "pictures of "]) + misspelt(text, rng) + "s"
        if p.endswith("a ") and text[0] in "aeio":
            p = p[:-1] + "n "
        return p + misspelt(text, rng) + (scene(self.general, rng) if rng.random() < 0.1 else rng.choice(SUFFIX))

    def thing(self, rng):
        """A caption of something that no picture of a car shows."""
        con = np.zeros(len(FIELDS), np.int32)
        con[F["thing"]] = 1
        x = rng.random()
        if x < 0.06:  # no word at all
            text = "".join(rng.choice("abcdefghijklmnopqrstuvwxyz0123456789" if rng.random() < 0.2 else "aeiounrtlscdmpghbfvkwzxyjq")
                           for _ in range(rng.randint(3, 8)))
        elif x < 0.5:
            text = rng.choice(THINGS)
        else:
            text = " ".join(rng.choice(self.mistaken if self.mistaken and rng.random() < 0.5 else self.general)
                            for _ in range(rng.choice([1, 1, 2, 3])))
        if rng.random() < 0.35:  # a colour alone does not make it a car
            text = f"{rng.choice(COLOURS[rng.choice(COLOUR_LIST)])} {text}"
        return Caption(self._dress(text, rng), con, 0, text)

    def invented(self, rng):
        """A caption of a car that need not be in the batch (or exist): teaches free combinations."""
        colour = rng.choice(COLOUR_LIST)
        if rng.random() < 0.25:
            make, name, body, make_counts, body_counts = rng.choice(self.gazetteer)
            con = np.zeros(len(FIELDS), np.int32)
            con[F["car"]] = 1
            if make_counts: con[F["make"]] = self.ids["make"][make]
            if body_counts: con[F["body"]] = self.ids["body"][body]
            word, usual = named(make_words(make), rng)
            text, core = f"{word} {name}" if rng.random() < 0.85 else name, f"{usual} {name}"
            if rng.random() < 0.5:
                con[F["colour"]] = self.ids["colour"][colour]
                word, usual = named(COLOURS[colour], rng)
                text, core = f"{word} {text}", f"{usual} {core}"
            return Caption(self._dress(text, rng), con, 0, core)
        make, model, body, year = rng.choice(self.table)
        return self.caption(dict(make=make, model=model, body=body, year=year, colour=colour,
                                 tags=tags_of(make, model, body, year)), rng)

    def match(self, img, img_tags, tags_known, guessed, con, con_tags):
        """-> (positive, negative) boolean matrices [images, captions]. Body types that even people mix up are not held against each
        other, nor such colours where they were guessed."""
        i, c = img[:, None, :], con[None, :, :]
        cares = c > 0
        wrong = cares & (i != 0) & (i != c)
        unknown = cares & (i == 0)
        for f, doubtful in ((F["colour"], guessed[:, None]), (F["body"], True)):
            s = self.soft[f][np.clip(img[:, f], 0, 63)][:, np.clip(con[:, f], 0, 63)] & doubtful
            unknown[..., f] |= s & wrong[..., f]
            wrong[..., f] &= ~s
        missing = (con_tags[None] & ~img_tags[:, None]) != 0
        neg = wrong.any(-1) | (missing & tags_known[:, None])
        pos = ~neg & ~unknown.any(-1) & ~missing
        return pos, neg


def with_tags(r):
    """Row plus its tag names, where they are known."""
    if r["src"] == "render":
        return r
    if r.get("model"):
        return {**r, "tags": tags_of(r["make"], r["model"], r["body"], r["year"])}
    if r.get("make"):
        return {**r, "tags": tags_of(r["make"], "", "", None)}
    return r


if __name__ == "__main__":  # a look at what comes out
    meta = load_meta()
    A, rng = Attributes(meta), random.Random(1)
    for r in rng.sample(meta, 25):
        print(r["src"], "|", A.caption({**with_tags(r), "colour": r.get("colour", "red" if r["src"] == "stanford" else None)}, rng)[0])
    for _ in range(25):
        print("invented |", A.invented(rng)[0])
