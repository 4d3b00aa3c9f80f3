"""A checkpoint -> the folder "export": f16 safetensors, configs and reference vectors, as carlens and infer.py read them.

usage: export.py CHECKPOINT.pt SIZE
The reference vectors are computed by infer.py, which shares no code with the training, and compared with it at the end.
"""
import hashlib, json, os, shutil, sys
import numpy as np, torch
from PIL import Image
from safetensors.torch import save_file
from tokenizers import Tokenizer
from captions import Attributes, load_meta
from model import DIM, FEATURES, HIDDEN, TAPS, TEXT_CONFIG, load, tokenize
from rare_nouns import settle

C, OUT = "cache", "export"
size = int(sys.argv[2])
os.makedirs(f"{OUT}/reference", exist_ok=True)
model, tok = load(sys.argv[1]), Tokenizer.from_file(f"{C}/tokenizer.json")
print("put among the things:", len(settle(model, Attributes(load_meta()), tok)), "nouns")
sd, out = model.state_dict(), {}
for k, v in sd.items():
    if k.startswith("text.clip."):
        out[k[len("text.clip."):]] = v
    elif k.startswith("trunk."):
        out["vision_model." + k[len("trunk."):]] = v
w, std, mean = sd["head.fc1.weight"], sd["head.std"], sd["head.mean"]
out["vision_model.head.fc1.weight"] = w / std  # the standardisation is folded in
out["vision_model.head.fc1.bias"] = sd["head.fc1.bias"] - w @ (mean / std)
out["vision_model.head.query"] = sd["head.query"]
out["vision_model.head.proj.weight"] = sd["head.proj.weight"]
out["logit_scale"] = sd["logit_scale"].clamp(max=float(np.log(50)))
out = {k: v.contiguous().to(torch.float16) for k, v in out.items()}
assert all(torch.isfinite(v).all() for v in out.values())
save_file(out, f"{OUT}/model.safetensors", metadata={"format": "pt"})
os.chmod(f"{OUT}/model.safetensors", 0o644)
shutil.copy(f"{C}/tokenizer.json", f"{OUT}/tokenizer.json")
json.dump({
    "architectures": ["CLIPModel"], "model_type": "clip", "projection_dim": DIM, "logit_scale_init_value": 2.6592,
    "torch_dtype": "float16",
    "text_config": {"model_type": "clip_text_model", **TEXT_CONFIG, "attention_dropout": 0.0},
    "vision_config": {"model_type": "efficientnet_lite0_attention_pool", "image_size": size, "num_channels": 3, "grid": size // 32,
                      "taps": TAPS, "feature_channels": FEATURES, "hidden_size": HIDDEN, "hidden_act": "gelu",
                      "projection_dim": DIM, "strides": [b.depthwise.stride[0] for b in model.trunk.blocks]},
}, open(f"{OUT}/config.json", "w"), indent=2)
json.dump({
    "image_processor_type": "CLIPImageProcessor", "do_resize": True, "size": {"height": size, "width": size}, "resample": 2,
    "resize_policy": "squash", "do_center_crop": False, "do_convert_rgb": True, "do_rescale": True, "rescale_factor": 1 / 255,
    "do_normalize": True, "image_mean": [127 / 255] * 3, "image_std": [128 / 255] * 3,
}, open(f"{OUT}/preprocessor_config.json", "w"), indent=2)

# --- reference vectors, computed from the exported files themselves
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from infer import Clip
torch.set_grad_enabled(False)
clip = Clip(OUT)


def synthetic():
    y, x = np.mgrid[0:224, 0:224]
    yield "gradient", np.stack([x, y, (x + y) // 2], -1)
    yield "checker", np.where(((x // 28 + y // 28) % 2)[..., None] == 1, [220, 30, 40], [30, 60, 200])
    y, x = np.mgrid[0:400, 0:640]
    scene = np.stack([120 + y // 8, 140 + y // 8, 200 - y // 4], -1)
    scene[(abs(x - 320) < 200) & (abs(y - 240) < 70)] = [230, 200, 20]
    for cx in (200, 440):
        scene[(x - cx) ** 2 + (y - 310) ** 2 < 45 ** 2] = [20, 20, 20]
    yield "scene640x400", scene


ref = {"note": "computed in f32 from the f16 weights; embeddings are unit length; cosine tolerance for a port: 1e-3", "texts": [], "images": []}
for s in ["red tesla", "a photo of a white ford mustang", "blue honda accord sedan", "yellow sports car", "SUV", "Rolls-Royce Phantom",
          "a photo of a golden retriever", "show me a dark green 1994 audi 100 station wagon in front of a house"]:
    ids, e = clip.text(s)
    ref["texts"].append(dict(text=s, input_ids=ids, embedding=[round(v, 7) for v in e.tolist()]))
for name, a in synthetic():
    f = f"reference/{name}.png"
    Image.fromarray(a.astype(np.uint8)).save(f"{OUT}/{f}")
    img = Image.open(f"{OUT}/{f}")
    x = clip.pixels(img)
    rgb = np.asarray(img.convert("RGB").resize((size, size), Image.BILINEAR))
    ref["images"].append(dict(file=f, size=list(img.size), resized_rgb_sha256=hashlib.sha256(rgb.tobytes()).hexdigest(),
                              pixel_sum=x.sum().item(), pixel_abs_sum=x.abs().sum().item(), pixel_first8=x.flatten()[:8].tolist(),
                              embedding=[round(v, 7) for v in clip.image(x)[0].tolist()]))
json.dump(ref, open(f"{OUT}/reference.json", "w"))

# --- the plain re-implementation must agree with the training code
model.eval()
for t in ref["texts"]:
    e = model.text(tokenize(tok, [t["text"]]))[0]
    assert (e @ torch.tensor(t["embedding"])) > 0.9995, t["text"]
x = clip.pixels(Image.open(f"{OUT}/reference/scene640x400.png"))
cos = (model.image(x * 128 + 127)[0] @ clip.image(x)[0]).item()
assert cos > 0.999, cos
n = sum(v.numel() for v in out.values())
vis = sum(v.numel() for k, v in out.items() if k.startswith("vision"))
print(f"{n / 1e6:.2f} M parameters (image {vis / 1e6:.2f} M), file {os.path.getsize(OUT + '/model.safetensors') / 1e6:.2f} MB, f16/f32 image cosine {cos:.6f}")
