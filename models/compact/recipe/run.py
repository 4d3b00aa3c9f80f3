"""A training run: its schedule, the moving average of the weights, and a checkpoint from which it goes on."""
import copy, math, os
import torch

EMA = 0.995


def schedule(step, steps, warm):
    """Share of the learning rate: up over the first steps, then down along a cosine to a fiftieth."""
    return min(1, (step + 1) / warm) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / steps)))


class Run:
    """model, its moving average ema, the optimizer and the steps done; more is whatever else the run has to remember."""

    def __init__(self, path, model, opt, **more):
        self.path, self.model, self.opt, self.more = path, model, opt, more
        self.ema, self.step = copy.deepcopy(model), 0
        if os.path.exists(path):
            saved = torch.load(path, weights_only=True)
            for name in ("model", "ema", "opt"):
                getattr(self, name).load_state_dict(saved[name])
            self.step = saved["step"]
            self.more = {k: saved.get(k, v) for k, v in more.items()}
            print("goes on at step", self.step, flush=True)

    def done(self, **more):
        """One more step is: average the trained weights."""
        self.more, decay = more, min(EMA, (self.step + 1) / (self.step + 10))
        with torch.no_grad():
            for e, m in zip(self.ema.parameters(), self.model.parameters()):
                if m.requires_grad:
                    e.lerp_(m, 1 - decay)
        self.step += 1

    def save(self):
        """Written beside and moved, so that a run killed meanwhile has its last checkpoint still."""
        state = {name: getattr(self, name).state_dict() for name in ("model", "ema", "opt")}
        torch.save({**state, "step": self.step, **self.more}, self.path + ".new")
        os.replace(self.path + ".new", self.path)
