"""One peer of carlens, which does what it is told on standard input.

    python peers.py export FOLDER
    python peers.py ENGINE FOLDER THREADS

FOLDER holds a CLIP checkpoint in Hugging Face layout and what `peers.rs` has
written beside it: `pixels.f32`, 32 pictures of [3, 224, 224], and `ids.json`,
texts as input ids. `export` writes ONNX models next to them. An engine answers
each line with one line of JSON:

    time picture 8      seconds of the best run within a fifth of a second
    time text 0         the same, of the first text
    embed picture 8     embeddings
    embed text 0        the same
    load /some/pictures seconds to embed each as the article does, one by one
    search a red car    the number of the nearest of 1,000 random embeddings
"""

import json
import pathlib
import sys
import time

import numpy as np

WHILE = 0.2


def export(folder):
    import torch
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from transformers import CLIPTextModelWithProjection, CLIPVisionModelWithProjection

    # Pairs of products overflow 16 bits where the processor has no better instruction.
    overflows = "vnni" not in pathlib.Path("/proc/cpuinfo").read_text()

    class Alone(torch.nn.Module):
        """A tower's embedding, without its other outputs."""

        def __init__(self, tower):
            super().__init__()
            self.tower = tower.from_pretrained(folder, attn_implementation="eager").eval()

        def forward(self, given):
            return self.tower(given)[0]

    pixels = torch.zeros(2, 3, 224, 224)
    # The end token has the greatest number, by which it is found.
    ids = torch.tensor([json.loads((folder / "ids.json").read_text())[0]] * 2)
    for name, tower, given, axes in [
        ("picture", CLIPVisionModelWithProjection, pixels, {0: "batch"}),
        ("text", CLIPTextModelWithProjection, ids, {0: "batch", 1: "tokens"}),
    ]:
        whole = str(folder / f"{name}.onnx")
        with torch.no_grad():
            torch.onnx.export(
                Alone(tower), (given,), whole, input_names=["given"],
                output_names=["embedding"], dynamic_axes={"given": axes}, opset_version=17,
                dynamo=False,
            )
        quantize_dynamic(
            whole, str(folder / f"{name}.int8.onnx"), weight_type=QuantType.QInt8,
            op_types_to_quantize=["MatMul", "Gemm"], reduce_range=overflows,
        )
    print(json.dumps("exported"), flush=True)


class PyTorch:
    """transformers as it comes: f32, with PyTorch's own attention."""

    def __init__(self, folder, threads):
        import torch
        from transformers import CLIPModel

        torch.set_num_threads(threads)
        self.torch, self.model = torch, CLIPModel.from_pretrained(folder).eval()

    def picture(self, pixels):
        with self.torch.inference_mode():
            return self.tensor(self.model.get_image_features(self.torch.from_numpy(pixels)))

    def text(self, ids):
        with self.torch.inference_mode():
            return self.tensor(self.model.get_text_features(self.torch.from_numpy(ids)))

    def tensor(self, found):
        return (found if hasattr(found, "numpy") else found.pooler_output).numpy()


class OnnxRuntime:
    def __init__(self, folder, threads, suffix=""):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.sessions = {
            name: onnxruntime.InferenceSession(str(folder / f"{name}{suffix}.onnx"), options)
            for name in ("picture", "text")
        }

    def picture(self, pixels):
        return self.sessions["picture"].run(None, {"given": pixels})[0]

    def text(self, ids):
        return self.sessions["text"].run(None, {"given": ids})[0]


class OpenVino:
    def __init__(self, folder, threads, precision):
        import openvino

        core = openvino.Core()
        settings = {
            "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": "1",
            "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": precision,
        }
        self.models = {
            name: core.compile_model(core.read_model(str(folder / f"{name}.onnx")), "CPU", settings)
            for name in ("picture", "text")
        }

    def picture(self, pixels):
        return self.models["picture"]([pixels])[0]

    def text(self, ids):
        return self.models["text"]([ids])[0]


class Article:
    """The loader of the article, which gives each picture to SentenceTransformer,
    without its database."""

    def __init__(self, folder, threads):
        import torch
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.models import CLIPModel

        torch.set_num_threads(threads)
        self.model = SentenceTransformer(modules=[CLIPModel(str(folder))], device="cpu")

    def load(self, pictures):
        from PIL import Image

        began = time.perf_counter()
        for path in sorted(pathlib.Path(pictures).iterdir()):
            self.model.encode(Image.open(path))
        return time.perf_counter() - began

    def search(self, text):
        stored = np.random.default_rng(0).standard_normal((1000, 512), dtype=np.float32)
        return int(np.argmax(stored @ self.model.encode(text)))


ENGINES = {
    "pytorch": PyTorch,
    "onnxruntime": OnnxRuntime,
    "onnxruntime-int8": lambda folder, threads: OnnxRuntime(folder, threads, ".int8"),
    "openvino": lambda folder, threads: OpenVino(folder, threads, "f32"),
    "openvino-bf16": lambda folder, threads: OpenVino(folder, threads, "bf16"),
    "article": Article,
}


def best(run):
    """As `peers.rs` times carlens."""
    began, least = time.perf_counter(), float("inf")
    while time.perf_counter() - began < WHILE:
        start = time.perf_counter()
        run()
        least = min(least, time.perf_counter() - start)
    return least


def main():
    what, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    if what == "export":
        return export(folder)
    engine = ENGINES[what](folder, int(sys.argv[3]))
    pixels = np.fromfile(folder / "pixels.f32", dtype=np.float32).reshape(-1, 3, 224, 224)
    texts = [np.array([ids], dtype=np.int64) for ids in json.loads((folder / "ids.json").read_text())]
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        order, of, *rest = line.rstrip("\n").split(" ", 2)
        if order == "load":
            answer = engine.load(" ".join([of, *rest]))
        elif order == "search":
            answer = engine.search(" ".join([of, *rest]))
        else:
            number = int(rest[0])
            if of == "picture":
                given, run = np.ascontiguousarray(pixels[:number]), engine.picture
            else:
                given, run = texts[number], engine.text
            answer = best(lambda: run(given)) if order == "time" else run(given).tolist()
        print(json.dumps(answer), flush=True)


main()
