"""The rows and pictures that may be trained on, and the checkpoint of a run that can be stopped."""
import json, os
import numpy as np, torch

C = "cache"


class TrainingSet:
    def __init__(self):
        self.rows = [r for r in json.load(open(f"{C}/labelled.json")) if r["split"] == "train"] + json.load(open(f"{C}/recolour.json"))
        self.images = {"": np.load(f"{C}/images.npy"), "recolour": np.load(f"{C}/recolour.npy")}
        if os.path.exists(f"{C}/render.json"):
            self.rows += [r for r in json.load(open(f"{C}/render.json")) if r["split"] == "train"]
            self.images["render"] = np.load(f"{C}/render.npy")
        self.pool = [self.picture(r) for r in self.rows if r["src"] in ("imagenet", "tiny")]  # backgrounds

    def picture(self, row):
        """uint8 [224, 224, 3], squashed."""
        return self.images[row["src"] if row["src"] in self.images else ""][row["row"]]


def save(path, **state):
    """Written beside and moved, so that a run killed meanwhile has its last checkpoint still."""
    torch.save(state, path + ".new")
    os.replace(path + ".new", path)
