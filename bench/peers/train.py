"""The training steps of `npm run bench -- train` in PyTorch: same sizes, same initial weights, same batch, the same losses.

    python train.py CASE FOLDER THREADS STEPS

FOLDER holds tensors.json and tensors.bin, written by bench/run.ts. Prints one JSON line {losses, seconds, mb, peer}. Attention,
layer norm and AdamW are PyTorch's fused ones.
"""
import json
import resource
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F

case, folder, threads, steps = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
torch.set_num_threads(threads)
with open(f"{folder}/tensors.json") as file:
    setting = json.load(file)
storage = np.fromfile(f"{folder}/tensors.bin", dtype=np.uint8)


def tensors(part):
    kinds = {"float32": np.float32, "int32": np.int32}
    view = lambda one: storage[one["offset"] : one["offset"] + one["bytes"]].view(kinds[one["dtype"]]).reshape(one["shape"])
    return {name: torch.from_numpy(view(one).copy()) for name, one in setting[part].items()}


weights = {name: torch.nn.Parameter(tensor) for name, tensor in tensors("weights").items()}
inputs = tensors("inputs")
state = tensors("state")
heads, layers, patch = 4, 4, 8


def linear(w, name, x):
    return F.linear(x, w[f"{name}.weight"], w.get(f"{name}.bias"))


def norm(w, name, x, eps):
    return F.layer_norm(x, x.shape[-1:], w[f"{name}.weight"], w[f"{name}.bias"], eps)


def split(x):
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def attend(q, k, v, mask=None, causal=False):
    return F.scaled_dot_product_attention(split(q), split(k), split(v), mask, is_causal=causal).transpose(1, 2).flatten(2)


def quick_gelu(x):
    return x * torch.sigmoid(1.702 * x)


def block(w, name, x, eps, activation, fused_qkv, causal=False):
    h = norm(w, f"{name}.layer_norm1", x, eps)
    if fused_qkv:
        x = x + linear(w, f"{name}.self_attn.projection", attend(*linear(w, f"{name}.self_attn.qkv", h).chunk(3, -1)))
    else:
        q, k, v = (linear(w, f"{name}.self_attn.{part}_proj", h) for part in "qkv")
        x = x + linear(w, f"{name}.self_attn.out_proj", attend(q, k, v, causal=causal))
    h = norm(w, f"{name}.layer_norm2", x, eps)
    return x + linear(w, f"{name}.mlp.fc2", activation(linear(w, f"{name}.mlp.fc1", h)))


def vision(w, pixels, blip):
    kernel = "vision_model.embeddings.patch_embedding"
    x = F.conv2d(pixels, w[f"{kernel}.weight"], w.get(f"{kernel}.bias"), stride=patch).flatten(2).transpose(1, 2)
    x = torch.cat([w["vision_model.embeddings.class_embedding"].expand(len(x), 1, -1), x], 1)
    x = x + w["vision_model.embeddings.position_embedding" + ("" if blip else ".weight")]
    eps, activation = (1e-6, F.gelu) if blip else (1e-5, quick_gelu)
    if not blip:
        x = norm(w, "vision_model.pre_layrnorm", x, eps)
    for layer in range(layers):
        x = block(w, f"vision_model.encoder.layers.{layer}", x, eps, activation, blip)
    return norm(w, "vision_model.post_layernorm", x if blip else x[:, 0], eps)


def unit(x):
    return F.normalize(x, dim=-1)


def clip_losses():
    w, ids = weights, inputs["input_ids"]
    x = F.embedding(ids, w["text_model.embeddings.token_embedding.weight"])
    x = x + w["text_model.embeddings.position_embedding.weight"][: ids.shape[1]]
    for layer in range(layers):
        x = block(w, f"text_model.encoder.layers.{layer}", x, 1e-5, quick_gelu, False, causal=True)
    ends = (ids == setting["eos_token_id"]).int().argmax(-1)
    text = linear(w, "text_projection", norm(w, "text_model.final_layer_norm", x[torch.arange(len(x)), ends], 1e-5))
    image = linear(w, "visual_projection", vision(w, inputs["pixel_values"], False))
    logits = unit(image) @ unit(text).T * w["logit_scale"].exp()
    own = torch.arange(len(logits))
    return {"itc_loss": (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2}


def bert(w, ids, own, tokens=None, mask=None, causal=False):
    eps = 1e-12
    embeddings = "text_encoder.embeddings"
    x = F.embedding(ids, w[f"{embeddings}.word_embeddings.weight"]) + w[f"{embeddings}.position_embeddings.weight"][: ids.shape[1]]
    x = norm(w, f"{embeddings}.LayerNorm", x, eps)

    def attention(name, x, memory, mask=None, causal=False):
        q, k, v = linear(w, f"{name}.self.query", x), linear(w, f"{name}.self.key", memory), linear(w, f"{name}.self.value", memory)
        return norm(w, f"{name}.output.LayerNorm", linear(w, f"{name}.output.dense", attend(q, k, v, mask, causal)) + x, eps)

    for layer in range(layers):
        shared = f"text_encoder.encoder.layer.{layer}"
        x = attention(f"{own}.encoder.layer.{layer}.attention", x, x, mask, causal)
        if tokens is not None:
            x = attention(f"{shared}.crossattention", x, tokens)
        wide = F.gelu(linear(w, f"{shared}.intermediate.dense", x))
        x = norm(w, f"{shared}.output.LayerNorm", linear(w, f"{shared}.output.dense", wide) + x, eps)
    return x


def blip_losses():
    w, ids, mask = weights, inputs["input_ids"], inputs["attention_mask"].bool()
    visible = mask[:, None, None, :]
    encode = lambda w: (
        (tokens := vision(w, inputs["pixel_values"], True)),
        unit(linear(w, "vision_proj", tokens[:, 0])),
        unit(linear(w, "text_proj", bert(w, ids, "text_encoder", mask=visible)[:, 0])),
    )
    tokens, image, text = encode(w)
    with torch.no_grad():
        torch._foreach_mul_(list(twin.values()), momentum)
        torch._foreach_add_(list(twin.values()), [w[name] for name in twin], alpha=1 - momentum)
        _, image_m, text_m = encode(twin)
        images, texts = torch.cat([image_m, state["image_queue"]]), torch.cat([text_m, state["text_queue"]])
        own = torch.eye(len(ids), len(images))
        soft = lambda a, b: alpha * F.softmax(a @ b.T / w["temp"], -1) + (1 - alpha) * own
        targets = soft(image_m, texts), soft(text_m, images)
    i2t, t2i = image @ texts.T / w["temp"], text @ images.T / w["temp"]
    itc = (F.cross_entropy(i2t, targets[0]) + F.cross_entropy(t2i, targets[1])) / 2
    rows = lambda x, picked: torch.cat([x, x, x[picked]])
    faces = torch.cat([tokens, tokens[inputs["neg_image_idx"]], tokens])
    hidden = bert(w, rows(inputs["encoder_ids"], inputs["neg_text_idx"]), "text_encoder", faces, rows(visible, inputs["neg_text_idx"]))
    match = torch.zeros(3 * len(ids), dtype=torch.long)
    match[: len(ids)] = 1
    itm = F.cross_entropy(linear(w, "itm_head", hidden[:, 0]), match)
    head = "text_decoder.cls.predictions"
    x = F.gelu(linear(w, f"{head}.transform.dense", bert(w, inputs["decoder_ids"], "text_decoder.bert", tokens, causal=True)))
    logits = F.linear(norm(w, f"{head}.transform.LayerNorm", x, 1e-12), w["text_encoder.embeddings.word_embeddings.weight"], w[f"{head}.bias"])
    labels = inputs["decoder_ids"][:, 1:].long().masked_fill(~mask[:, 1:], -100)
    lm = F.cross_entropy(logits[:, :-1].flatten(0, 1), labels.flatten(), label_smoothing=0.1)
    with torch.no_grad():
        state["image_queue"][: len(ids)], state["text_queue"][: len(ids)] = image_m, text_m
    return {"itc_loss": itc, "itm_loss": itm, "lm_loss": lm}


momentum, alpha = 0.995, 0.4
twin = {name: weights[name].detach().clone() for name in setting["twin"]}
decayed = [w for w in weights.values() if w.ndim >= 2 or case.startswith("blip")]
spared = [w for w in weights.values() if not (w.ndim >= 2 or case.startswith("blip"))]
groups = [{"params": decayed, "weight_decay": setting["weight_decay"]}, {"params": spared, "weight_decay": 0.0}]
optimizer = torch.optim.AdamW(
    [group for group in groups if group["params"]], lr=setting["lr"], betas=setting["betas"], eps=setting["eps"], fused=True
)
seconds, first = [], None
for step in range(steps + 2):
    start = time.perf_counter()
    losses = clip_losses() if case.startswith("clip") else blip_losses()
    optimizer.zero_grad(set_to_none=True)
    sum(losses.values()).backward()
    optimizer.step()
    for name, (low, high) in setting["clamp"].items():
        weights[name].data.clamp_(low, high)
    seconds.append(time.perf_counter() - start)
    first = first or {name: loss.item() for name, loss in losses.items()}
mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"losses": first, "seconds": seconds[2:], "mb": mb, "peer": f"torch {torch.__version__}"}))
