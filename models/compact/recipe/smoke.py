"""The recipe on forty pictures of the demo gallery, in about two minutes: does every step still run after a change?

usage: smoke.py FOLDER      (an empty folder; nothing that comes out of it is of use)
Data and labels are made up; what the features of ImageNet's trunk are for (features.py, colours.py, train_head.py) is left out, since
it needs the trunk's weights and all thousand classes of ImageNet, and so is the tokenizer, which comes with the model.
"""
import csv, json, os, shutil, subprocess, sys
from PIL import Image

HERE = os.path.dirname(os.path.abspath(__file__))
STATIC = os.path.join(HERE, "../../../static")
work = os.path.abspath(sys.argv[1])
for d in ("cache", "ckpt", "export", "data/stanford_meta"):
    os.makedirs(f"{work}/{d}")
labels = json.load(open(f"{STATIC}/labels.json"))
names = sorted(labels)[:40]


def put(name, *folders, size=None):
    path = os.path.join(work, "data", *folders)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    img = Image.open(f"{STATIC}/images/{name}")
    (img.resize(size) if size else img).save(path, "JPEG")


classes = [("Ford", "Focus Sedan", "sedan"), ("Tesla", "Model S Sedan", "sedan"), ("Toyota", "4Runner SUV", "SUV"), ("Volvo", "C30 Hatchback", "hatchback")]
with open(f"{work}/data/stanford_meta/labels.csv", "w") as f:
    out = csv.writer(f)
    out.writerow(["path", "class", "make", "model", "year", "body"])
    for i, name in enumerate(names):
        make, model, body = classes[i % 4]
        folder = f"{make} {model} 2012"
        put(name, "stanford_cars", folder, f"{i:05d}.jpg")
        out.writerow([f"{folder}/{i:05d}.jpg", folder, make, model, "2012", body])
for i, name in enumerate(names):
    put(name, "vcor9", ["train", "test"][i % 2], ["red", "blue", "white"][i % 3], f"{i}.jpg")
    put(name, "brand3", ["Tesla", "Ford", "Toyota"][i % 3], f"{i}.jpg")
    put(name, "vmmrdb_sample4", ["bmw_x5_2001", "chevrolet_impala_2007"][i % 2], f"{i}.jpg")
    put(name, "imagenet1000", f"n{i:08d}_thing_{i}.JPEG")
    for k in range(25 if i < 3 else 0):
        put(names[k], "tiny_imagenet200/train", f"n{i:08d}", f"{k}.JPEG", size=(64, 64))
with open(f"{work}/data/tiny_imagenet200/words.txt", "w") as f:
    f.writelines(f"n{i:08d}\tstone, rock\n" for i in range(3))
os.makedirs(f"{work}/data/wordnet")
with open(f"{work}/data/wordnet/data.noun", "w") as f:
    f.write("00000001 06 n 01 wheeled_vehicle 0 001 ~ 00000002 n 0000 | what rolls\n00000002 06 n 01 truck 0 000 | a large one\n")
with open(f"{work}/data/wordnet/index.noun", "w") as f:
    f.writelines(f"{noun} n 1 1 @ 1 1 00000002\n" for noun in ("truck", "rock", "tin_whistle"))
for split in ("train", "test"):
    os.makedirs(f"{work}/render/{split}")
    with open(f"{work}/render/{split}/labels.jsonl", "w") as f:
        for i, name in enumerate(names[:20]):
            shutil.copy(f"{STATIC}/images/{name}", f"{work}/render/{split}/{name}")
            f.write(json.dumps(dict(file=name, split=split, body="sedan", shape=["sedan", "electric"][i % 2], colour=labels[name]["colour"].split(" ")[-1],
                                    tags=["old"])) + "\n")
shutil.copy(f"{HERE}/../tokenizer.json", f"{work}/cache/tokenizer.json")


def run(script, *args):
    print("$", script, *args, flush=True)
    subprocess.run([sys.executable, f"{HERE}/{script}", *args], cwd=work, check=True)


run("pictures.py")
meta = json.load(open(f"{work}/cache/meta.json"))
for r in meta:  # in place of colours.py
    if r["src"] in ("stanford", "brand3"):
        r["colour"] = labels[names[r["row"] % 40]]["colour"].split(" ")[-1]
        if r["colour"] not in ("red", "blue", "white", "silver", "yellow"):
            r["colour"] = "red"
json.dump(meta, open(f"{work}/cache/labelled.json", "w"))
run("twins.py")
run("recolour.py")
run("renders.py", "render/train", "render/test")
model = f"{HERE}/../model.safetensors"
run("train.py", "ckpt/a.pt", "--from", model, "--steps", "4", "--batch", "16", "--size", "96", "--stop", "2")
run("train.py", "ckpt/a.pt", "--from", model, "--steps", "4", "--batch", "16", "--size", "96")
run("train_text.py", "ckpt/b.pt", "--from", "ckpt/a.pt", "--steps", "3", "--size", "96", "--views", "300")
run("train.py", "ckpt/c.pt", "--from", "ckpt/b.pt", "--steps", "2", "--batch", "16", "--size", "96", "--pictures-only")
run("evaluate.py", "ckpt/c.pt", "96", "figures.json")
run("export.py", "ckpt/c.pt", "192")
print("every step ran")
