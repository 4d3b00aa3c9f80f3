"""The rows and pictures that may be trained on."""
import json, os
import numpy as np

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
