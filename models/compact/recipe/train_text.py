"""Trains the text tower alone, on fixed embeddings of augmented pictures: cheap steps that see very many wordings.

usage: train_text.py OUT.pt --from IN.pt|IN.safetensors [--steps N] [--size 192] [--views N] [--lr 3e-4] [--seed 0]

Besides matching pictures, every caption with its ornaments, sentence and slips must come out where the tower that the run
started with puts its bare words: how something is said must not move it. Things that the tower still puts near a car are said more
often. OUT.pt goes on where it stopped, like train.py.
"""
import argparse, copy, random, time
import numpy as np, torch
from tokenizers import Tokenizer
import captions, things
from augment import augment
from batches import Labels, Sampler, caption_bank, caption_batch, of_things, weights
from captions import Attributes, load_meta
from model import contrastive_loss, load, tokenize
from run import Run, schedule
from training_set import TrainingSet

C, BATCH, PICTURES, INVENTED, THINGS, BANK_EVERY, SAVE_EVERY = "cache", 128, 1024, 48, 64, 5, 100
captions.SENTENCES, captions.SLIPS = 0.35, 0.4
SAY_LOSS, FAR_LOSS, FAR, NEAR = 3.0, 8.0, 0.05, 0.4

p = argparse.ArgumentParser()
p.add_argument("out")
p.add_argument("--from", dest="src", required=True)
p.add_argument("--steps", type=int, default=600)
p.add_argument("--size", type=int, default=192)
p.add_argument("--views", type=int, default=12000)
p.add_argument("--lr", type=float, default=3e-4)
p.add_argument("--seed", type=int, default=0)
a = p.parse_args()
torch.manual_seed(a.seed)

A, tok = Attributes(load_meta()), Tokenizer.from_file(f"{C}/tokenizer.json")
data = TrainingSet()

model = load(a.src)
model.requires_grad_(False).eval()
model.text.requires_grad_(True)
teacher = copy.deepcopy(model.text)
run = Run(a.out, model, torch.optim.AdamW(model.text.parameters(), 0, betas=(0.9, 0.98), weight_decay=0.05))

rng = random.Random(f"views {a.seed}")
views = [data.rows[i] for i in Sampler(data.rows).draw(a.views, rng)]
labels = Labels(A, views)
embedded = []
with torch.no_grad():
    for i in range(0, len(views), 64):
        x = np.stack([augment(data.picture(r), r["src"], r["w"] / r["h"], data.pool, a.size, rng) for r in views[i:i + 64]])
        embedded.append(model.image(torch.from_numpy(x).contiguous(memory_format=torch.channels_last)))
embedded = torch.cat(embedded)
print(len(views), "views embedded", flush=True)
cars = embedded[labels.car(slice(None))]


@torch.no_grad()
def mistaken():
    """Nouns and other things that the tower puts near some of the cars: a few of their pictures show none."""
    model.text.eval()
    known = things.THINGS + A.general
    some = len(cars) // 100 + 1
    nearest = torch.cat([(model.text(tokenize(tok, known[i:i + 256])) @ cars.T).topk(some).values[:, -1] for i in range(0, len(known), 256)])
    return [thing for thing, cos in zip(known, nearest.tolist()) if cos > NEAR]


start, avg, bank_of = time.time(), None, None
scale = model.logit_scale.exp().clamp(max=50)
while (step := run.step) < a.steps:
    if step % SAVE_EVERY == 0:  # a run that goes on begins there as well
        A.mistaken = mistaken()
        print(len(A.mistaken), "things taken for cars", flush=True)
    for g in run.opt.param_groups:
        g["lr"] = a.lr * schedule(step, a.steps, 50)
    rng = random.Random(f"text {a.seed} {step}")
    some = rng.sample(range(len(views)), min(PICTURES, len(views)))  # captions are made for the first BATCH of them
    model.text.train()
    if bank_of != step // BANK_EVERY:
        bank_of = step // BANK_EVERY
        bank_ids, bank_con, bank_tags = caption_bank(A, tok, random.Random(f"bank {a.seed} {bank_of}"))
    pick = torch.tensor(rng.sample(range(len(bank_ids)), min(160, len(bank_ids))))  # a part of it with gradients
    made = caption_batch(A, tok, [views[i] for i in some[:BATCH]], INVENTED, THINGS, rng)
    width = max(made.ids.shape[1], bank_ids.shape[1])
    pad = lambda ids: torch.nn.functional.pad(ids, (0, width - ids.shape[1]))
    txt = model.text(torch.cat([pad(made.ids), pad(bank_ids[pick])]))
    con, tags = np.concatenate([made.con, bank_con[pick]]), np.concatenate([made.tags, bank_tags[pick]])
    cos = embedded[some] @ txt.T
    by_text = contrastive_loss(scale * cos, *labels.captions(some, con, tags), weights(con, tags))
    with torch.no_grad():
        bare = teacher(tokenize(tok, made.cores))
    said = (1 - (txt[:len(bare)] * bare).sum(1)).mean()
    near = cos[labels.car(some)][:, of_things(con)]
    far = (near.topk(len(near) // 20 + 1, 0).values - FAR).clamp(min=0).square().mean()  # of the nearest twentieth
    loss = by_text + SAY_LOSS * said + FAR_LOSS * far
    run.opt.zero_grad(); loss.backward()
    torch.nn.utils.clip_grad_norm_(model.text.parameters(), 5.0)
    run.opt.step()
    run.done()
    now = torch.stack([by_text, said, far]).detach()
    avg = now if avg is None else 0.97 * avg + 0.03 * now
    if run.step % 25 == 0:
        print(f"{run.step} {time.time() - start:.0f}s text {avg[0]:.3f} said {avg[1]:.4f} far {avg[2]:.4f}", flush=True)
    if run.step % SAVE_EVERY == 0:
        run.save()
run.save()
