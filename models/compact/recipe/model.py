"""The two towers. Image: EfficientNet-lite0 (BatchNorm folded from the start) + multi-stage attention pooling.
Text: HF CLIPTextModelWithProjection, small."""
import torch, torch.nn as nn, torch.nn.functional as F
from safetensors.torch import load_file
from transformers import CLIPTextConfig, CLIPTextModelWithProjection

# repeats, kernel, stride, expansion, out channels
STAGES = [(1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320)]
TAPS = [0, 2, 4, 7, 10, 14, 15]  # blocks whose outputs are pooled to the last grid (end of every stage)
FEATURES = 3 + 16 + 24 + 40 + 80 + 112 + 192 + 320  # input pixels + stages = 787
HIDDEN, DIM = 768, 512
BF16 = torch.cpu._is_avx512_bf16_supported()  # without the instructions bfloat16 is slower than f32
TEXT_CONFIG = dict(vocab_size=4096, hidden_size=256, intermediate_size=768, num_hidden_layers=4, num_attention_heads=4,
                   max_position_embeddings=32, hidden_act="quick_gelu", layer_norm_eps=1e-5, projection_dim=DIM,
                   bos_token_id=4094, eos_token_id=4095, pad_token_id=0)


def conv_same(x, conv):
    """TensorFlow 'SAME' padding for even inputs: stride 2 pads one less before than after."""
    k = conv.kernel_size[0]
    if conv.stride[0] == 1:
        return F.conv2d(x, conv.weight, conv.bias, 1, k // 2, 1, conv.groups)
    a = (k - 2) // 2
    return F.conv2d(F.pad(x, (a, k - 2 - a) * 2), conv.weight, conv.bias, 2, 0, 1, conv.groups)


class Block(nn.Module):
    def __init__(self, cin, cout, k, stride, expand):
        super().__init__()
        mid = cin * expand
        self.expand = nn.Conv2d(cin, mid, 1) if expand > 1 else None
        self.depthwise = nn.Conv2d(mid, mid, k, stride, groups=mid)
        self.project = nn.Conv2d(mid, cout, 1)
        self.residual = stride == 1 and cin == cout

    def forward(self, x):
        y = F.relu6(self.expand(x), inplace=True) if self.expand is not None else x
        y = self.project(F.relu6(conv_same(y, self.depthwise), inplace=True))
        return x + y if self.residual else y


class Trunk(nn.Module):
    """-> [batch, 787, grid, grid]: input pixels and every stage's output, average-pooled to the last grid."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, 2)
        blocks, cin = [], 32
        for r, k, s, e, cout in STAGES:
            for i in range(r):
                blocks.append(Block(cin, cout, k, s if i == 0 else 1, e))
                cin = cout
        self.blocks = nn.ModuleList(blocks)
        self.frozen_blocks = 0  # the stem and this many blocks get no gradient (and run in bfloat16 while training)

    def forward(self, x):
        grid = x.shape[-1] // 32
        taps = [F.avg_pool2d(x, 32)]
        for i in range(-1, len(self.blocks)):
            frozen = self.training and i < self.frozen_blocks
            with torch.set_grad_enabled(torch.is_grad_enabled() and not frozen), torch.autocast("cpu", torch.bfloat16, enabled=frozen and BF16):
                x = F.relu6(conv_same(x, self.stem), inplace=True) if i < 0 else self.blocks[i](x if frozen else x.float())
            if i in TAPS:
                n = x.shape[-1] // grid
                taps.append((F.avg_pool2d(x, n) if n > 1 else x).float())
        return torch.cat(taps, 1)

    def load_imagenet(self, path):
        """Fold BatchNorm (eps 1e-3) of the .pth into the convolutions."""
        sd = torch.load(path, weights_only=True)

        def put(conv, w, bn):
            g = sd[bn + ".weight"] / (sd[bn + ".running_var"] + 1e-3).sqrt()
            conv.weight.data = (sd[w + ".weight"] * g[:, None, None, None]).contiguous()
            conv.bias.data = sd[bn + ".bias"] - sd[bn + ".running_mean"] * g

        put(self.stem, "_conv_stem", "_bn0")
        for i, b in enumerate(self.blocks):
            p = f"_blocks.{i}."
            if b.expand is not None:
                put(b.expand, p + "_expand_conv", p + "_bn0")
            put(b.depthwise, p + "_depthwise_conv", p + "_bn1")
            put(b.project, p + "_project_conv", p + "_bn2")


class Head(nn.Module):
    """[batch, 787, g, g] -> standardise -> 1x1 conv -> GELU -> attention pooling with one query -> linear -> unit 512-d."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(FEATURES))
        self.register_buffer("std", torch.ones(FEATURES))
        self.fc1 = nn.Linear(FEATURES, HIDDEN)  # a 1x1 convolution, written as a linear map per position
        self.query = nn.Parameter(torch.zeros(HIDDEN))
        self.proj = nn.Linear(HIDDEN, DIM, bias=False)
        self.drop = nn.Dropout(0.1)

    def forward(self, f):
        x = f.flatten(2).transpose(1, 2)
        x = F.gelu(self.fc1((x - self.mean) / self.std))
        a = (x @ self.query * HIDDEN ** -0.5).softmax(1)
        x = (a.unsqueeze(-1) * x).sum(1)
        return F.normalize(self.proj(self.drop(x)), dim=-1)


class TextTower(nn.Module):
    def __init__(self):
        super().__init__()
        self.clip = CLIPTextModelWithProjection(CLIPTextConfig(**TEXT_CONFIG))

    def forward(self, ids):
        """Sorted by length and cut into groups, so that little work is spent on padding; bfloat16 while training."""
        n = (ids == TEXT_CONFIG["eos_token_id"]).int().argmax(1) + 1
        order = n.argsort()
        with torch.autocast("cpu", torch.bfloat16, enabled=self.training and BF16):
            e = torch.cat([self.clip(input_ids=ids[g, :n[g].max()]).text_embeds.float() for g in order.chunk(4)])
        return F.normalize(e[order.argsort()], dim=-1)


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk, self.head, self.text = Trunk(), Head(), TextTower()
        self.logit_scale = nn.Parameter(torch.tensor(2.66))

    def image(self, x):
        """x: uint8 or float pixels 0..255, [batch, 3, s, s]."""
        return self.head(self.trunk((x.float() - 127) / 128).float())


def load(path):
    """A model from what train.py or train_text.py saved (its moving average), from plain weights, or from an exported
    model.safetensors, in which the head's standardisation is folded into its first layer."""
    model = Model()
    if path.endswith(".safetensors"):
        state = {"head.mean": torch.zeros(FEATURES), "head.std": torch.ones(FEATURES)}
        for k, v in load_file(path).items():
            if k.startswith("vision_model.head."):
                k = k[len("vision_model."):]
            elif k.startswith("vision_model."):
                k = "trunk." + k[len("vision_model."):]
            elif k != "logit_scale":
                k = "text.clip." + k
            state[k] = v
    else:
        state = torch.load(path, weights_only=True)
        state = state.get("ema", state)
    model.load_state_dict({k: v.float() for k, v in state.items()})
    model.trunk.to(memory_format=torch.channels_last)
    return model


def tokenize(tok, texts):
    """Padded with 0 up to the longest of the batch (causal mask: padding after the end token changes nothing)."""
    ids = [e.ids[:31] + [4095] if len(e.ids) > 32 else e.ids for e in tok.encode_batch(texts)]
    out = torch.zeros(len(ids), max(map(len, ids)), dtype=torch.long)
    for i, x in enumerate(ids):
        out[i, :len(x)] = torch.tensor(x)
    return out


def pair_losses(sim, pos, neg):
    """-log softmax of every positive pair against its row's sure negatives only, so two right answers never push each other
    away and unknown pairs are left alone; 0 elsewhere. All [rows, columns]."""
    return F.softplus(sim.masked_fill(~neg, -1e4).logsumexp(1, keepdim=True) - sim) * pos


def contrastive_loss(sim, pos, neg, weight, rows=None):
    """Label-aware InfoNCE, both directions. sim, pos, neg: [pictures, captions].
    weight: of each caption; telling captions count more than 'a car'.
    rows: how many of the pictures ask for captions; every caption asks among all of them."""
    r = slice(rows)
    w, has = pos[r] * weight, pos[r].any(1)
    image_to_text = ((pair_losses(sim[r], pos[r], neg[r]) * weight).sum(1) / w.sum(1).clamp(min=1e-6))[has].mean()
    per_caption = pair_losses(sim.T, pos.T, neg.T).sum(1) / pos.sum(0).clamp(min=1)
    w = weight * pos.any(0)
    return (image_to_text + (per_caption * w).sum() / w.sum()) / 2
