"""The first phase, from nothing: trains head and text tower with large batches on cached features of the ImageNet trunk.

usage: train_head.py OUT.pt STEPS      (about 1.2 s a step on two cores)
"""
import json, random, sys, time
import numpy as np, torch
from tokenizers import Tokenizer
from batches import Labels, Sampler, caption_bank, caption_batch, weights
from captions import Attributes, load_meta
from model import BF16, Model, contrastive_loss
from run import schedule

C, BATCH, INVENTED, THINGS, LR, BANK_EVERY = "cache", 128, 48, 16, 1.2e-3, 10
OUT, STEPS = sys.argv[1], int(sys.argv[2])
torch.manual_seed(0)
A, tok = Attributes(load_meta()), Tokenizer.from_file(f"{C}/tokenizer.json")
views = [(r, False, r["row"]) for r in json.load(open(f"{C}/labelled.json")) if r["split"] == "train"]
views += [(r, True, i) for i, r in enumerate(json.load(open(f"{C}/feat_aug.json")))]
clean, aug = (np.load(f"{C}/{n}.npy", mmap_mode="r") for n in ("feat_clean", "feat_aug"))

model = Model()
model.trunk.load_imagenet("data/weights/efficientnet-lite0-57934424.pth")
sample = torch.from_numpy(np.stack([aug[i] for i in range(0, len(aug), max(1, len(aug) // 2000))])).float()
model.head.mean.copy_(sample.mean((0, 2, 3)))
model.head.std.copy_(sample.std((0, 2, 3)))
params = [p for m in (model.head, model.text) for p in m.parameters()] + [model.logit_scale]
opt = torch.optim.AdamW(params, LR, betas=(0.9, 0.98), weight_decay=0.05)
sampler, labels = Sampler([v[0] for v in views]), Labels(A, [v[0] for v in views])
start, avg = time.time(), 0.0
for step in range(STEPS):
    rng = random.Random(f"head {step}")
    for g in opt.param_groups:
        g["lr"] = LR * schedule(step, STEPS, 40)
    at = sampler.draw(BATCH, rng)
    batch = [views[i] for i in at]
    x = torch.from_numpy(np.stack([(aug if is_aug else clean)[i] for _, is_aug, i in batch])).float()
    rows = [r for r, _, _ in batch]
    if step % BANK_EVERY == 0:
        bank_ids, bank_con, bank_tags = caption_bank(A, tok, rng)
        with torch.no_grad():
            bank = model.text.train()(bank_ids)
    ids, con, tags, _ = caption_batch(A, tok, rows, INVENTED, THINGS, rng)
    txt = torch.cat([model.text(ids), bank])
    con, tags = np.concatenate([con, bank_con]), np.concatenate([tags, bank_tags])
    model.train()
    with torch.autocast("cpu", torch.bfloat16, enabled=BF16):
        img = model.head(x).float()
    sim = model.logit_scale.exp().clamp(max=50) * img @ txt.T
    loss = contrastive_loss(sim, *labels.captions(at, con, tags), weights(con, tags))
    opt.zero_grad(); loss.backward()
    torch.nn.utils.clip_grad_norm_(params, 1.0)
    opt.step()
    avg = 0.95 * avg + 0.05 * loss.item() if step else loss.item()
    if (step + 1) % 25 == 0:
        print(f"{step + 1} {time.time() - start:.0f}s loss {avg:.3f} scale {model.logit_scale.exp():.1f}", flush=True)
torch.save(model.state_dict(), OUT)
