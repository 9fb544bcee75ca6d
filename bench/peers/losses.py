"""CLIP's and BLIP's losses in PyTorch on a folder of bench/train/TrainFolder.ts: same sizes, same initial weights, same rows as ours.

Attention, layer norm and AdamW are PyTorch's fused ones.
"""
import json

import numpy as np
import torch
import torch.nn.functional as F

alpha = 0.4


class Training:
    def __init__(self, folder):
        with open(f"{folder}/tensors.json") as file:
            self.setting = json.load(file)
        self.folder = folder
        storage = np.fromfile(f"{folder}/tensors.bin", dtype=np.uint8)
        kinds = {"float32": np.float32, "int32": np.int32}

        def tensors(part):
            view = lambda one: storage[one["offset"] : one["offset"] + one["bytes"]].view(kinds[one["dtype"]])
            return {name: torch.from_numpy(view(one).reshape(one["shape"]).copy()) for name, one in self.setting[part].items()}

        self.weights = {name: torch.nn.Parameter(tensor) for name, tensor in tensors("weights").items()}
        self.state = tensors("state")
        self.texts = tensors("texts")
        self.twin = {name: self.weights[name].detach().clone() for name in self.setting["twin"]}

    def batches(self, whose):
        return self.setting["batches"][whose]

    def batch(self, one):
        """Inputs of a batch; its pixels are read when they are asked for."""
        rows, tokens = one["rows"], one["tokens"]
        side = self.setting["image_size"]
        size = 3 * side * side
        pixels = np.empty((len(rows), 3, side, side), np.float32)
        for i, row in enumerate(rows):
            pixels[i] = np.fromfile(f"{self.folder}/pixels.bin", np.float32, size, offset=row * size * 4).reshape(3, side, side)
        cut = {name: text[rows][:, :tokens].contiguous() for name, text in self.texts.items()}
        return {"pixel_values": torch.from_numpy(pixels), **cut}

    def optimizer(self):
        """Weight decay on matrices only in CLIP, on everything in BLIP."""
        given = self.setting["optimizer"]
        decays = lambda weight: weight.ndim >= 2 or bool(self.twin)
        groups = [
            {"params": [w for w in self.weights.values() if decays(w)], "weight_decay": given["weight_decay"]},
            {"params": [w for w in self.weights.values() if not decays(w)], "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(
            [group for group in groups if group["params"]], lr=given["lr"], betas=given["betas"], eps=given["eps"], fused=True
        )

    def clamp(self):
        for name, (low, high) in self.setting["optimizer"]["clamp"].items():
            self.weights[name].data.clamp_(low, high)

    def sizes(self, tower):
        sizes = self.setting["sizes"][tower]
        return range(sizes["num_hidden_layers"]), sizes["num_attention_heads"]


def linear(w, name, x):
    return F.linear(x, w[f"{name}.weight"], w.get(f"{name}.bias"))


def norm(w, name, x, eps):
    return F.layer_norm(x, x.shape[-1:], w[f"{name}.weight"], w[f"{name}.bias"], eps)


def attend(heads, q, k, v, mask=None, causal=False):
    q, k, v = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v, mask, is_causal=causal).transpose(1, 2).flatten(2)


def quick_gelu(x):
    return x * torch.sigmoid(1.702 * x)


def unit(x):
    return F.normalize(x, dim=-1)


def block(w, name, x, heads, eps, activation, fused_qkv, causal=False):
    h = norm(w, f"{name}.layer_norm1", x, eps)
    if fused_qkv:
        x = x + linear(w, f"{name}.self_attn.projection", attend(heads, *linear(w, f"{name}.self_attn.qkv", h).chunk(3, -1)))
    else:
        q, k, v = (linear(w, f"{name}.self_attn.{part}_proj", h) for part in "qkv")
        x = x + linear(w, f"{name}.self_attn.out_proj", attend(heads, q, k, v, causal=causal))
    h = norm(w, f"{name}.layer_norm2", x, eps)
    return x + linear(w, f"{name}.mlp.fc2", activation(linear(w, f"{name}.mlp.fc1", h)))


def vision(training, w, pixels, blip):
    layers, heads = training.sizes("vision")
    kernel = "vision_model.embeddings.patch_embedding"
    patch = w[f"{kernel}.weight"].shape[-1]
    x = F.conv2d(pixels, w[f"{kernel}.weight"], w.get(f"{kernel}.bias"), stride=patch).flatten(2).transpose(1, 2)
    x = torch.cat([w["vision_model.embeddings.class_embedding"].expand(len(x), 1, -1), x], 1)
    x = x + w["vision_model.embeddings.position_embedding" + ("" if blip else ".weight")]
    eps, activation = (1e-6, F.gelu) if blip else (1e-5, quick_gelu)
    if not blip:
        x = norm(w, "vision_model.pre_layrnorm", x, eps)
    for layer in layers:
        x = block(w, f"vision_model.encoder.layers.{layer}", x, heads, eps, activation, blip)
    return norm(w, "vision_model.post_layernorm", x if blip else x[:, 0], eps)


def clip_embeds(training, w, batch):
    """Image and text embeddings of unit length."""
    ids = batch["input_ids"]
    layers, heads = training.sizes("text")
    x = F.embedding(ids, w["text_model.embeddings.token_embedding.weight"])
    x = x + w["text_model.embeddings.position_embedding.weight"][: ids.shape[1]]
    for layer in layers:
        x = block(w, f"text_model.encoder.layers.{layer}", x, heads, 1e-5, quick_gelu, False, causal=True)
    ends = (ids == training.setting["ids"]["sep"]).int().argmax(-1)
    text = linear(w, "text_projection", norm(w, "text_model.final_layer_norm", x[torch.arange(len(x)), ends], 1e-5))
    image = linear(w, "visual_projection", vision(training, w, batch["pixel_values"], False))
    return unit(image), unit(text)


def contrastive(logits):
    own = torch.arange(len(logits))
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2


def clip_losses(training, w, batch):
    image, text = clip_embeds(training, w, batch)
    return {"itc_loss": contrastive(image @ text.T * w["logit_scale"].exp())}, {}


def bert(training, w, ids, own, tokens=None, mask=None, causal=False):
    eps = 1e-12
    layers, heads = training.sizes("text")
    embeddings = "text_encoder.embeddings"
    x = F.embedding(ids, w[f"{embeddings}.word_embeddings.weight"]) + w[f"{embeddings}.position_embeddings.weight"][: ids.shape[1]]
    x = norm(w, f"{embeddings}.LayerNorm", x, eps)

    def attention(name, x, memory, mask=None, causal=False):
        q, k, v = linear(w, f"{name}.self.query", x), linear(w, f"{name}.self.key", memory), linear(w, f"{name}.self.value", memory)
        return norm(w, f"{name}.output.LayerNorm", linear(w, f"{name}.output.dense", attend(heads, q, k, v, mask, causal)) + x, eps)

    for layer in layers:
        shared = f"text_encoder.encoder.layer.{layer}"
        x = attention(f"{own}.encoder.layer.{layer}.attention", x, x, mask, causal)
        if tokens is not None:
            x = attention(f"{shared}.crossattention", x, tokens)
        wide = F.gelu(linear(w, f"{shared}.intermediate.dense", x))
        x = norm(w, f"{shared}.output.LayerNorm", linear(w, f"{shared}.output.dense", wide) + x, eps)
    return x


def starting_with(ids, token):
    ids = ids.clone()
    ids[:, 0] = token
    return ids


def blip_losses(training, w, batch):
    """Losses, and what is enqueued: the twin's embeddings. The twin has followed the weights already."""
    setting, twin, state = training.setting, training.twin, training.state
    ids, mask = batch["input_ids"], batch["attention_mask"].bool()
    visible = mask[:, None, None, :]
    encode = lambda w: (
        (tokens := vision(training, w, batch["pixel_values"], True)),
        unit(linear(w, "vision_proj", tokens[:, 0])),
        unit(linear(w, "text_proj", bert(training, w, ids, "text_encoder", mask=visible)[:, 0])),
    )
    tokens, image, text = encode(w)
    with torch.no_grad():
        _, image_m, text_m = encode(twin)
        images, texts = torch.cat([image_m, state["image_queue"]]), torch.cat([text_m, state["text_queue"]])
        own = torch.eye(len(ids), len(images))
        soft = lambda a, b: alpha * F.softmax(a @ b.T / w["temp"], -1) + (1 - alpha) * own
        targets = soft(image_m, texts), soft(text_m, images)
    i2t, t2i = image @ texts.T / w["temp"], text @ images.T / w["temp"]
    itc = (F.cross_entropy(i2t, targets[0]) + F.cross_entropy(t2i, targets[1])) / 2
    order = torch.arange(len(ids))
    other_image, other_text = (order + 1) % len(ids), (order + 3) % len(ids)
    rows = lambda x: torch.cat([x, x, x[other_text]])
    faces = torch.cat([tokens, tokens[other_image], tokens])
    asked = starting_with(ids, setting["ids"]["enc"])
    hidden = bert(training, w, rows(asked), "text_encoder", faces, rows(visible))
    match = torch.zeros(3 * len(ids), dtype=torch.long)
    match[: len(ids)] = 1
    itm = F.cross_entropy(linear(w, "itm_head", hidden[:, 0]), match)
    told = starting_with(ids, setting["ids"]["dec"])
    head = "text_decoder.cls.predictions"
    x = F.gelu(linear(w, f"{head}.transform.dense", bert(training, w, told, "text_decoder.bert", tokens, causal=True)))
    logits = F.linear(norm(w, f"{head}.transform.LayerNorm", x, 1e-12), w["text_encoder.embeddings.word_embeddings.weight"], w[f"{head}.bias"])
    labels = told[:, 1:].long().masked_fill(~mask[:, 1:], -100)
    lm = F.cross_entropy(logits[:, :-1].flatten(0, 1), labels.flatten(), label_smoothing=0.1)
    return {"itc_loss": itc, "itm_loss": itm, "lm_loss": lm}, {"image_queue": image_m, "text_queue": text_m}
