"""Trains both towers end to end; the stem and the first blocks stay as ImageNet left them (they are the slow ones).

usage: train.py OUT.pt --from IN.pt|IN.safetensors [--steps N] [--size 160] [--frozen 3] [--trunk-lr 0.004] [--lr 4e-4] [--seed 0]
                [--pictures-only]

--trunk-lr is relative: every tensor of the trunk moves by about that share of its own size per step (an Adam step times the
root mean square of the tensor), because BatchNorm is folded and the tensors have very different sizes.
--pictures-only leaves the text tower as train_text.py has left it: trained along, it lets other things come nearer to cars again.
OUT.pt holds everything a run needs to go on: the same command again continues it from the last checkpoint, with the same
batches it would have seen. "ema" in it, the moving average of the weights, is the result.
"""
import argparse, random, time
from concurrent.futures import ThreadPoolExecutor
import numpy as np, torch
from tokenizers import Tokenizer
from augment import augment
from batches import Labels, Sampler, caption_bank, caption_batch, of_things, weights
from captions import Attributes, load_meta
from model import DIM, contrastive_loss, load, pair_losses
from run import Run, schedule
from training_set import TrainingSet

C, INVENTED, THINGS, BANK_EVERY, SAVE_EVERY = "cache", 16, 8, 10, 100
PICTURE_LOSS, FAR_LOSS, FAR = 0.2, 8.0, 0.05
QUEUE = 16  # batches whose embeddings are kept as further pictures to choose among

p = argparse.ArgumentParser()
p.add_argument("out")
p.add_argument("--from", dest="src", required=True)
p.add_argument("--steps", type=int, default=2000)
p.add_argument("--batch", type=int, default=64)
p.add_argument("--size", type=int, default=160)
p.add_argument("--frozen", type=int, default=3)
p.add_argument("--trunk-lr", type=float, default=0.004)
p.add_argument("--lr", type=float, default=4e-4)
p.add_argument("--seed", type=int, default=0)
p.add_argument("--pictures-only", action="store_true")
p.add_argument("--stop", type=int, help="stop after this step (to be continued)")
a = p.parse_args()
torch.manual_seed(a.seed)

A, tok = Attributes(load_meta()), Tokenizer.from_file(f"{C}/tokenizer.json")
data = TrainingSet()
sampler, labels = Sampler(data.rows), Labels(A, data.rows)

model = load(a.src)
model.trunk.frozen_blocks = a.frozen
model.text.requires_grad_(not a.pictures_only)
for x in [*model.trunk.stem.parameters(), *(x for b in model.trunk.blocks[:a.frozen] for x in b.parameters())]:
    x.requires_grad_(False)
groups = [dict(params=[x], base=a.trunk_lr * max(x.detach().square().mean().sqrt().item(), 1e-3), weight_decay=0.0)
          for x in model.trunk.parameters() if x.requires_grad]
groups += [dict(params=[*model.head.parameters(), *model.text.parameters(), model.logit_scale], base=a.lr, weight_decay=0.05)]
opt = torch.optim.AdamW(groups, 0, betas=(0.9, 0.98))
run = Run(a.out, model, opt, queue=torch.zeros(0, DIM), queued=[])


def make_batch(step):
    rng = random.Random(f"pictures {a.seed} {step}")
    at = sampler.draw(a.batch, rng)
    return at, torch.from_numpy(np.stack([augment(data.picture(r), r["src"], r["w"] / r["h"], data.pool, a.size, rng)
                                          for r in (data.rows[i] for i in at)]))


worker = ThreadPoolExecutor(1)  # prepares the next batch meanwhile
upcoming = worker.submit(make_batch, run.step)
start, first, avg, bank = time.time(), run.step, None, None
while (step := run.step) < a.steps and step != a.stop:
    for g in opt.param_groups:
        g["lr"] = g["base"] * schedule(step, a.steps, 50)
    at, x = upcoming.result()
    upcoming = worker.submit(make_batch, step + 1)
    model.train()
    if bank is None or step % BANK_EVERY == 0:
        bank_ids, bank_con, bank_tags = caption_bank(A, tok, random.Random(f"bank {a.seed} {step // BANK_EVERY}"))
        with torch.no_grad():
            bank = model.text(bank_ids)
    ids, con, tags, _ = caption_batch(A, tok, [data.rows[i] for i in at], INVENTED, THINGS, random.Random(f"captions {a.seed} {step}"))
    txt = torch.cat([model.text(ids), bank])
    con, tags = np.concatenate([con, bank_con]), np.concatenate([tags, bank_tags])
    img = model.image(x.contiguous(memory_format=torch.channels_last))
    all_img, all_at = torch.cat([img, run.more["queue"]]), at + run.more["queued"]
    scale, cos = model.logit_scale.exp().clamp(max=50), all_img @ txt.T
    by_text = contrastive_loss(scale * cos, *labels.captions(all_at, con, tags), weights(con, tags), len(at))
    same, differs = labels.same_model(at, all_at)
    same[range(len(at)), range(len(at))] = False
    twin = same.sum(1).clamp(min=1)
    by_picture = (pair_losses(scale * (img @ all_img.T), same, differs).sum(1) / twin)[same.any(1)].mean()
    far = (cos[labels.car(all_at)][:, of_things(con)] - FAR).clamp(min=0).square().mean()  # a car is far from whatever is none
    loss = by_text + PICTURE_LOSS * by_picture + FAR_LOSS * far
    opt.zero_grad(); loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
    opt.step()
    run.done(queue=all_img.detach()[:QUEUE * a.batch], queued=all_at[:QUEUE * a.batch])
    now = torch.stack([by_text, by_picture, far]).detach()
    avg = now if avg is None else 0.97 * avg + 0.03 * now
    if run.step % 25 == 0:
        dt = time.time() - start
        print(f"{run.step} {dt:.0f}s {(run.step - first) * a.batch / dt:.1f} img/s text {avg[0]:.3f} picture {avg[1]:.3f} far {avg[2]:.4f} "
              f"scale {scale.item():.1f}", flush=True)
    if run.step % SAVE_EVERY == 0:
        run.save()
run.save()
