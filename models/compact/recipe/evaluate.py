"""Every figure of the model card, on pictures and queries that training never saw, with 95 % confidence intervals.

usage: evaluate.py CHECKPOINT.pt|model.safetensors SIZE [OUT.json]
A share is followed by its interval (Wilson score) and the number of cases. Pictures: the recipe's part of Stanford Cars
("val"), the same inside wide photos ("wide"), the colour set's test half, owners' photos, rendered cars in places training
never showed ("renders"), and the demo gallery when GALLERY names the folder of its labels.json.
"""
import json, math, os, random, sys
import numpy as np, torch
from PIL import Image
from tokenizers import Tokenizer
from captions import Attributes, BODY_LIST, COLOUR_LIST, load_meta, load_queries, with_tags
from model import load, tokenize
from things import THINGS
from words import BODIES, base_model, make_words

C, CAPTIONS = "cache", 100_000
GALLERY = os.environ.get("GALLERY")
GALLERY_BODY = {"sedan": "sedan", "station wagon": "wagon", "hatchback": "hatchback", "electric hatchback": "hatchback", "sports coupe": "coupe",
                "convertible (two-seat roadster)": "convertible", "convertible": "convertible", "SUV": "SUV", "off-road SUV with spare wheel": "SUV",
                "pickup truck": "pickup", "passenger van": "van", "minivan": "minivan", "high-roof van": "van"}


def share(hits):
    """-> [share, low, high, cases]"""
    hits = [bool(h) for h in hits]
    if not hits:
        return [None, None, None, 0]
    n, p, z = len(hits), sum(hits) / len(hits), 1.96
    mid, half = p + z * z / 2 / n, z * math.sqrt(p * (1 - p) / n + z * z / 4 / n / n)
    return [round(v, 3) for v in (p, (mid - half) / (1 + z * z / n), (mid + half) / (1 + z * z / n))] + [n]


@torch.no_grad()
def embed_images(model, arrays, size):
    """arrays: uint8 [224, 224, 3], already squashed."""
    out = []
    for i in range(0, len(arrays), 32):
        x = np.stack([np.asarray(Image.fromarray(a).resize((size, size), Image.BILINEAR)) for a in arrays[i:i + 32]])
        out.append(model.image(torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)))
    return torch.cat(out)


@torch.no_grad()
def embed_texts(model, tok, texts):
    return torch.cat([model.text(tokenize(tok, texts[a:a + 256])) for a in range(0, len(texts), 256)])


def make_word(m):
    return make_words(m)[0]


def wide(rows, images, pool):
    """Every picture inside a photo of something else, one and a half times as wide as high, of which it takes about half the width
    (0.4 to 0.7) and at most nine tenths of the height; the same photos on every run."""
    rng, out = random.Random(7), []
    for r in rows:
        photo = Image.fromarray(pool[rng.randrange(len(pool))]).resize((224, 224), Image.BILINEAR)
        w = rng.uniform(0.4, 0.7)
        h = w / (r["w"] / r["h"]) * 1.5
        w, h = (int(224 * min(x, x * 0.9 / h)) for x in (w, h))
        photo.paste(Image.fromarray(images[r["row"]]).resize((w, h), Image.BILINEAR), (rng.randint(0, 224 - w), rng.randint(0, 224 - h)))
        out.append(np.asarray(photo))
    return out


def gallery():
    labels = json.load(open(f"{GALLERY}/labels.json"))
    rows, arrays = [], []
    for name, l in sorted(labels.items()):
        colour = {"light blue": "blue", "white and blue": None}.get(l["colour"], l["colour"].split(" ")[0])
        rows.append(dict(src="render", colour=colour, body=GALLERY_BODY.get(l["body"]), tags=[], name=name))
        arrays.append(np.asarray(Image.open(f"{GALLERY}/images/{name}").convert("RGB").resize((224, 224), Image.BILINEAR)))
    return rows, arrays


def report(model, tok, A, size):
    model.eval()
    meta = load_meta()
    images = np.load(f"{C}/images.npy", mmap_mode="r")
    paint = {r["row"]: r.get("colour") for r in json.load(open(f"{C}/labelled.json"))}
    of = lambda src, split=None: [r for r in meta if r["src"] == src and split in (None, r["split"])]
    pictures = lambda rows: [images[r["row"]] for r in rows]
    val, vcor, ood = of("stanford", "val"), of("vcor", "test"), of("vmmrdb")
    val = [{**r, "colour": paint[r["row"]]} for r in val]
    tiny = [r for r in of("tiny", "val") if r.get("cls")]
    iv, ic, io, it = (embed_images(model, pictures(rows), size) for rows in (val, vcor, ood, tiny))
    iw = embed_images(model, wide(val, images, pictures(tiny)), size)
    vw = embed_images(model, wide([{**r, "w": 1.45, "h": 1} for r in vcor], images, pictures(tiny)), size)
    emb = lambda texts: embed_texts(model, tok, texts)
    res = {}

    def zero_shot(name, img, truth, options, text, each=False):
        p = (img @ emb([text(o) for o in options]).T).argmax(1).tolist()
        right = [options[x] == t for x, t in zip(p, truth)]
        res[name] = share(right)
        if each:
            res[name + ", each"] = {t: share([r for r, u in zip(right, truth) if u == t]) for t in options if t in truth}

    def retrieval(name, rows, img, key, text):
        """Queries = all values of key; a hit if a right picture is among the first k."""
        groups = {}
        for i, r in enumerate(rows):
            k = key(r)
            if k and all(k): groups.setdefault(k, set()).add(i)
        if not groups:
            return
        top = (emb([text(*k) for k in groups]) @ img.T).topk(min(5, len(rows)), 1).indices.tolist()
        for n in (1, 5):
            res[f"{name}, hit@{n}"] = share([any(i in g for i in t[:n]) for t, g in zip(top, groups.values())])

    def like_itself(name, img, labels, cars):
        """Is the nearest picture of another car labelled like the one asked with, where there is such a picture?"""
        another = torch.tensor([[a != b for b in cars] for a in cars])
        like = torch.tensor([[a == b for b in labels] for a in labels]) & another
        near = (img @ img.T).masked_fill(~another, -2).argmax(1)
        res[name] = share(like[i, near[i]].item() for i, label in enumerate(labels) if label and like[i].any())

    colour_text, body_text = lambda c: f"a {c} car", lambda b: f"a photo of a {BODIES[b][0]}"
    colour_make = lambda c, m: f"{c} {make_word(m)}"
    colour_body = lambda c, b: f"{c} {BODIES[b][0]}"
    keys = [(r["make"], r["model"], r["body"], r["year"]) for r in val]
    class_text = lambda t: f"a photo of a {t[3]} {make_word(t[0])} {base_model(t[1])} {BODIES[t[2]][0]}"
    same = torch.tensor([[a[:2] == b[:2] for a in keys] for b in keys])
    for suffix, img, cimg in (("", iv, ic), (", wide", iw, vw)):
        zero_shot("colour of 14, vcor test" + suffix, cimg, [r["colour"] for r in vcor], COLOUR_LIST, colour_text, not suffix)
        zero_shot("colour of 14, val" + suffix, *of_known(img, val, "colour"), COLOUR_LIST, colour_text, not suffix)
        zero_shot("body of 9, val" + suffix, img, [r["body"] for r in val], BODY_LIST, body_text, not suffix)
        zero_shot("make of 49, val" + suffix, img, [r["make"] for r in val], A.makes, lambda m: f"a photo of a {make_word(m)} car")
        zero_shot("class of 196, val" + suffix, img, keys, A.table, class_text)
        s = (img @ emb([class_text(t) for t in A.table]).T).topk(min(5, len(A.table)), 1).indices
        res["class of 196, top-5, val" + suffix] = share(A.table.index(k) in row.tolist() for k, row in zip(keys, s))
        retrieval("'<colour> <make>', val" + suffix, val, img, lambda r: (r["colour"], r["make"]), colour_make)
        retrieval("'<colour> <body>', val" + suffix, val, img, lambda r: (r["colour"], r["body"]), colour_body)
        like_itself("picture to picture, same make and model first, val" + suffix, img, [k[:2] for k in keys], range(len(val)))
    colours = [r["colour"] for r in val]
    known = torch.tensor([c is not None for c in colours])
    dyed = torch.tensor([[a == b for b in colours] for a in colours])
    other, rival = same & known & ~dyed, dyed & ~same
    best = lambda i, of: (iv[i] @ iv.T)[of].max()
    res["picture to picture, same make and model in another colour before any other car of the same colour, val"] = share(
        best(i, other[i]) > best(i, rival[i]) for i in range(len(val)) if known[i] and other[i].any() and rival[i].any())
    zero_shot("colour of 9, vcor test", ic, [r["colour"] for r in vcor], sorted({r["colour"] for r in vcor}), colour_text)
    retrieval("'<make> <model>', val", val, iv, lambda r: (r["make"], base_model(r["model"])), lambda m, n: f"{make_word(m)} {n}")
    names = sorted({r["cls4"] for r in ood})
    zero_shot("model of 4, owners' photos", io, [r["cls4"] for r in ood], names, lambda n: "a photo of a " + n.rsplit("_", 1)[0].replace("_", " "))
    zero_shot("thing of 200, tiny-imagenet", it, [r["cls"] for r in tiny], sorted({r["cls"] for r in tiny}), lambda c: f"a photo of a {c}")

    renders = []
    if os.path.exists(f"{C}/render.json"):
        renders = [r for r in json.load(open(f"{C}/render.json")) if r["split"] == "test"]
        array = np.load(f"{C}/render.npy", mmap_mode="r")
        ir = embed_images(model, [array[r["row"]] for r in renders], size)
        zero_shot("colour of 14, renders", ir, [r["colour"] for r in renders], COLOUR_LIST, colour_text, True)
        bodied = [i for i, r in enumerate(renders) if r["body"]]
        zero_shot("body of 9, renders", ir[bodied], [renders[i]["body"] for i in bodied], BODY_LIST, body_text, True)
        like_itself("picture to picture, same shape first, renders", ir, [r["shape"] for r in renders], [r["file"].split("-")[0] for r in renders])
        retrieval("'<colour> <body>', renders", renders, ir, lambda r: (r["colour"], r["body"]), colour_body)
    if GALLERY:
        rows, arrays = gallery()
        ig = embed_images(model, arrays, size)
        zero_shot("colour of 14, gallery", *of_known(ig, rows, "colour"), COLOUR_LIST, colour_text)
        zero_shot("body of 9, gallery", *of_known(ig, rows, "body"), BODY_LIST, body_text, True)
        like_itself("picture to picture, same body first, gallery", ig, [r["body"] for r in rows], range(len(rows)))
        retrieval("'<colour> <body>', gallery", rows, ig, lambda r: (r["colour"], r["body"]), colour_body)

    asked(res, model, tok, A, val + vcor + renders, torch.cat([iv, ic] + ([ir] if renders else [])))
    return res


def of_known(img, rows, field):
    known = [i for i, r in enumerate(rows) if r[field]]
    return img[known], [rows[i][field] for i in known]


def said(A, texts):
    """Those of the texts that are captions in training word for word, of three times CAPTIONS."""
    rng, texts, found = random.Random(0), set(texts), set()
    rows = [with_tags(r) for r in json.load(open(f"{C}/labelled.json")) if r["split"] == "train"]
    for _ in range(CAPTIONS):
        for caption in (A.caption(rng.choice(rows), rng), A.invented(rng), A.thing(rng)):
            found |= texts & {caption.text, caption.core}
    return found


def asked(res, model, tok, A, rows, img):
    """queries.tsv over all test pictures of cars: is the first one right (pictures whose labels cannot tell are left out)?"""
    queries = load_queries()
    in_training = said(A, [q[1] for q in queries])
    rows = [with_tags(r) for r in rows]
    cos = embed_texts(model, tok, [q[1] for q in queries]) @ img.T

    def shows(r, field, value):
        """True, False, or None when the labels cannot tell."""
        if field == "tag":
            return value in r["tags"] if r.get("model") or r["src"] == "render" else None
        if r["src"] == "render" and field in ("make", "model") and not r.get(field):
            return False
        if field == "model":
            return base_model(r["model"]) == value if r.get("model") else None
        return r[field] == value if r.get(field) else None

    cars = torch.tensor([r["src"] != "vcor" for r in rows])  # a few pictures of that set show no car
    kinds, best, wrong, unsaid, far_unsaid = {}, {}, [], [], []
    for (kind, text, want), c in zip(queries, cos):
        if want == "-":
            best.setdefault("far", []).append(c[cars].max().item())
            far_unsaid.append(text not in in_training)
            continue
        want = [w.split("=") for w in parts(want)]
        told = [[shows(r, f, v) for f, v in want] for r in rows]
        fit = torch.tensor([False if False in t else None not in t for t in told])
        unknown = torch.tensor([False not in t and None in t for t in told])
        if not fit.any():
            print("no picture can answer", text, want)
            continue
        c = c.masked_fill(unknown, -2)
        hit = fit[c.argmax()].item()
        kinds.setdefault(kind, []).append(hit)
        if text not in in_training:
            unsaid.append(hit)
        best.setdefault("car", []).append(c.max().item())
        if not hit:
            wrong.append(text)
    for k, hits in kinds.items():
        res[f"queries, {k}, hit@1"] = share(hits)
    res["queries, all about cars, hit@1"] = share(sum(kinds.values(), []))
    res["queries, those that are no caption, hit@1"] = share(unsaid)
    res["queries, answered wrongly"] = wrong
    car, far = (np.array(best[k]) for k in ("car", "far"))
    res["best cosine, car queries: 1 %, 5 %, median"] = [round(float(v), 3) for v in np.percentile(car, [1, 5, 50])]
    res["best cosine, other things: median, 95 %, highest"] = [round(float(v), 3) for v in (np.median(far), np.percentile(far, 95), far.max())]
    res["other things below 95 % of the car queries"] = share(far < np.percentile(car, 5))
    res["other things that are no caption below 95 % of the car queries"] = share(far[far_unsaid] < np.percentile(car, 5))
    taught = THINGS + random.Random(0).sample(A.general, min(1000, len(A.general)))
    nearest = (embed_texts(model, tok, taught) @ img[cars].T).amax(1).numpy()
    res["other things that training has, below 95 % of the car queries"] = share(nearest < np.percentile(car, 5))
    for text in ("dog", "aeroplane", "tree"):
        i = [q[1] for q in queries].index(text)
        res[f"best cosine, '{text}'"] = round(cos[i][cars].max().item(), 3)


def parts(want):
    """'make=Rolls-Royce tag=crew cab' -> ['make=Rolls-Royce', 'tag=crew cab']"""
    out = []
    for w in want.split(" "):
        if "=" in w:
            out.append(w)
        else:
            out[-1] += " " + w
    return out


if __name__ == "__main__":
    res = report(load(sys.argv[1]), Tokenizer.from_file(f"{C}/tokenizer.json"), Attributes(load_meta()), int(sys.argv[2]))
    for k, v in res.items():
        print(f"{k}: {v}", flush=True)
    if len(sys.argv) > 3:
        json.dump(dict(checkpoint=os.path.basename(sys.argv[1]), size=int(sys.argv[2]), figures=res), open(sys.argv[3], "w"), indent=1)
