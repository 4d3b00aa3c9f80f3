"""A colour classifier on the frozen features (trained on vcor9 only), then pseudo colour labels for Stanford and
brand3 where it is confident and paint.tsv says nothing, and removal of brand3 pictures without a car (ImageNet
classifier). -> labelled.json"""
import collections, json
import numpy as np, torch, torch.nn.functional as F
from PIL import Image
from captions import load_meta, load_table
from model import FEATURES

C, CONFIDENT = "cache", 0.7
torch.manual_seed(0)
meta = load_meta()
feat = np.load(f"{C}/feat_clean.npy", mmap_mode="r")
colours = sorted({r["colour"] for r in meta if r.get("colour")})
get = lambda rows: torch.from_numpy(np.stack([feat[r["row"]] for r in rows])).float()

train = [r for r in meta if r["src"] == "vcor" and r["split"] == "train"]
test = [r for r in meta if r["src"] == "vcor" and r["split"] == "test"]
x, y = get(train), torch.tensor([colours.index(r["colour"]) for r in train])


class Probe(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = torch.nn.Linear(FEATURES, 256)
        self.query = torch.nn.Parameter(torch.zeros(256))
        self.out = torch.nn.Linear(256, len(colours))
        self.register_buffer("mean", x.mean((0, 2, 3)))
        self.register_buffer("std", x.std((0, 2, 3)))

    def forward(self, f):
        h = F.gelu(self.fc1((f.flatten(2).transpose(1, 2) - self.mean) / self.std))
        a = (h @ self.query / 16).softmax(1)
        return self.out(F.dropout((a.unsqueeze(-1) * h).sum(1), 0.3, self.training))


net = Probe()
EPOCHS, BATCH = 14, 96
opt = torch.optim.AdamW(net.parameters(), 1e-3, weight_decay=0.1)
sched = torch.optim.lr_scheduler.OneCycleLR(opt, 2e-3, total_steps=EPOCHS * (len(x) // BATCH + 1))
for _ in range(EPOCHS):
    for idx in torch.randperm(len(x)).split(BATCH):
        xb = x[idx]
        if torch.rand(1) < 0.5:
            xb = xb.flip(3)
        loss = F.cross_entropy(net(xb), y[idx], label_smoothing=0.05)
        opt.zero_grad(); loss.backward(); opt.step(); sched.step()
net.eval()


@torch.no_grad()
def predict(rows):
    return torch.cat([net(get(rows[a:a + 256])).softmax(1) for a in range(0, len(rows), 256)])


p = predict(test)
t = torch.tensor([colours.index(r["colour"]) for r in test])
conf = p.max(1).values > CONFIDENT
print(f"vcor test: {len(test)} accuracy {(p.argmax(1) == t).float().mean():.3f}; confident {conf.float().mean():.2f} of them, "
      f"accuracy there {(p.argmax(1) == t)[conf].float().mean():.3f}")

# --- pseudo labels
cars = [r for r in meta if r["src"] in ("stanford", "brand3", "vmmrdb")]
p = predict(cars)
for r, q in zip(cars, p):
    r["colour_p"], r["guess"] = round(q.max().item(), 3), colours[q.argmax()]
    if q.max() > CONFIDENT:
        r["colour"] = colours[q.argmax()]

# --- what the nine classes get wrong, repaired by hue: orange paint is called yellow, brown or red; maroon is called pink
images = np.load(f"{C}/images.npy", mmap_mode="r")


def is_orange(img):
    h, s, v = (a / 255 for a in np.moveaxis(np.asarray(Image.fromarray(img).convert("HSV"), np.float32), -1, 0))
    h, s, v = (a[40:184, 34:190] for a in (h * 360, s, v))
    paint = (s > 0.35) & (v > 0.2)
    if paint.mean() < 0.2:
        return False
    peak = np.histogram(h[paint], 72, (0, 360), weights=s[paint])[0].argmax() * 5 + 2.5
    near = paint & (np.abs(h - peak) < 8)
    return 14 < peak < 35 and s[near].mean() > 0.65 and v[near].mean() > 0.5


for r in cars:
    if r["guess"] in ("yellow", "brown", "red") and is_orange(images[r["row"]]):
        r["colour"] = "orange"
    elif r.get("colour") == "pink":
        del r["colour"]
looked_at = dict(load_table("paint.tsv"))
for r in cars:
    if paint := looked_at.get(r["path"].split("/", 2)[2]):
        r["colour"], r["looked_at"] = paint if paint != "-" else None, True
print("pseudo labels:", collections.Counter(r.get("colour") for r in cars))

# --- brand3: keep pictures whose ImageNet classes say 'car from outside'
VEHICLE = ["n02930766", "n02814533", "n03100240", "n03594945", "n03670208", "n03770679", "n03777568", "n04037443", "n04285008",
           "n03930630", "n04461696", "n03796401", "n03769881", "n03977966", "n02701002", "n03459775"]
order = sorted(r["wnid"] for r in json.load(open(f"{C}/meta.json")) if r["src"] == "imagenet")
assert len(order) == 1000
sd = torch.load("data/weights/efficientnet-lite0-57934424.pth", weights_only=True)
brand = [r for r in meta if r["src"] == "brand3"]
f = get(brand)[:, -320:]
g = sd["_bn1.weight"] / (sd["_bn1.running_var"] + 1e-3).sqrt()
h = torch.einsum("bchw,dc->bdhw", f, sd["_conv_head.weight"][:, :, 0, 0] * g[:, None])
h = F.relu6(h + (sd["_bn1.bias"] - sd["_bn1.running_mean"] * g)[None, :, None, None]).mean((2, 3))
pr = (h @ sd["_fc.weight"].T + sd["_fc.bias"]).softmax(1)
car_p = pr[:, [order.index(w) for w in VEHICLE]].sum(1)
drop = {r["row"] for r, q in zip(brand, car_p) if q < 0.5}
print("brand3: dropped", len(drop), "of", len(brand), collections.Counter(r["make"] for r in brand if r["row"] in drop))
json.dump([r for r in meta if r["row"] not in drop], open(f"{C}/labelled.json", "w"))
