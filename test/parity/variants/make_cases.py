"""
Makes the cases beside this file: every model class of transformers x activation x dtype, tiny and random.

    pip install torch transformers==5.23.0 tokenizers==0.23.3
    python test/parity/variants/make_cases.py

The expectations are computed on the CPU in float32 from weights that the stored dtype holds exactly. Cases named
tokens_* have a tokenizer of the cases one folder up, with token ids of the texts in texts.json.
"""
import json
import pathlib
import shutil

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from transformers import (
    AutoTokenizer,
    BlipConfig,
    BlipForConditionalGeneration,
    BlipForImageTextRetrieval,
    BlipModel,
    CLIPConfig,
    CLIPModel,
)

HERE = pathlib.Path(__file__).parent
ACTIVATIONS = ["gelu", "quick_gelu", "gelu_new", "gelu_pytorch_tanh", "relu", "silu"]
DTYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}
ROWS, LENGTH, VOCAB, SIZE = 3, 7, 40, 16
TEXT = dict(vocab_size=VOCAB, hidden_size=8, intermediate_size=12, num_hidden_layers=2, num_attention_heads=2)
VISION = dict(hidden_size=12, intermediate_size=20, num_hidden_layers=2, num_attention_heads=3, image_size=SIZE, patch_size=8)


def clip_config(act):
    return CLIPConfig(
        text_config=dict(TEXT, hidden_act=act, max_position_embeddings=9, eos_token_id=39, bos_token_id=38, pad_token_id=39),
        vision_config=dict(VISION, hidden_act=act),
        projection_dim=6,
    )


def blip_config(act):
    ids = dict(bos_token_id=38, eos_token_id=3, sep_token_id=3, pad_token_id=0)
    dropout = dict(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    return BlipConfig(
        text_config=dict(TEXT, hidden_act=act, max_position_embeddings=12, **ids, **dropout),
        vision_config=dict(VISION, hidden_act=act, layer_norm_eps=1e-6),
        projection_dim=6,
        image_text_hidden_size=5,
    )


def randomized(model, dtype):
    """Weights large enough that activations and attention are far from linear, and exact in the stored dtype."""
    for name, p in model.named_parameters():
        if name == "logit_scale":
            p.data.fill_(2.0)
        elif "norm" in name.lower():
            p.data.normal_(1.0 if name.endswith("weight") else 0.0, 0.2)
        else:
            p.data.normal_(0.0, 0.5 if p.ndim < 2 else 1.2 * p.shape[-1] ** -0.5)
        p.data.copy_(p.data.to(dtype).float())
    return model.eval()


def token_rows(first, last, pad):
    ids = torch.full((ROWS, LENGTH), pad)
    mask = torch.zeros(ROWS, LENGTH, dtype=torch.long)
    for row, length in enumerate([LENGTH, 4, 5]):
        ids[row, 0], ids[row, length - 1] = first, last
        ids[row, 1 : length - 1] = torch.randint(5, 36, (length - 2,))
        mask[row, :length] = 1
    return ids, mask


def pooled(features):
    return getattr(features, "pooler_output", features)


def dual_encoder(model, pixels, ids, mask):
    out = model(pixel_values=pixels, input_ids=ids, attention_mask=mask, return_loss=True)
    expected = {
        "image_embeds": out.image_embeds,
        "text_embeds": out.text_embeds,
        "logits_per_image": out.logits_per_image,
        "logits_per_text": out.logits_per_text,
        "image_embeds_raw": pooled(model.get_image_features(pixel_values=pixels)),
        "text_embeds_raw": pooled(model.get_text_features(input_ids=ids, attention_mask=mask)),
    }
    return dict(expected, loss=out.loss) if isinstance(model, BlipModel) else expected


def retrieval(model, pixels, ids, mask):
    enc = ids.clone()
    enc[:, 0] = 37
    image = model.vision_model(pixel_values=pixels).last_hidden_state
    text = model.text_encoder(input_ids=ids, attention_mask=mask, return_dict=True).last_hidden_state
    itm = lambda rows: model(pixel_values=pixels, input_ids=rows, attention_mask=mask, use_itm_head=True).itm_score
    itc = model(pixel_values=pixels, input_ids=ids, attention_mask=mask, use_itm_head=False).itm_score
    return {
        "input_ids_enc": enc,
        "image_embeds_raw": model.vision_proj(image[:, 0]),
        "text_embeds_raw": model.text_proj(text[:, 0]),
        "vision_last_hidden": image,
        "text_last_hidden": text,
        "itc_score": itc,
        "itm_logits_cls": itm(ids),
        "itm_logits_enc": itm(enc),
    }


def captioner(model, pixels, ids, mask):
    with torch.enable_grad():
        model.zero_grad()
        image = model.vision_model(pixel_values=pixels).last_hidden_state
        logits = model.text_decoder(input_ids=ids, attention_mask=mask, encoder_hidden_states=image).logits
        labels = ids.masked_fill(mask == 0, -100)
        flat, targets = logits[:, :-1].reshape(-1, VOCAB), labels[:, 1:].reshape(-1)
        losses = {s: F.cross_entropy(flat, targets, label_smoothing=s) for s in (0.0, 0.1)}
        losses[0.1].backward()
    chosen = logits.log_softmax(-1)[:, :-1].gather(-1, ids[:, 1:, None])[..., 0]
    wanted = ["self_attn.qkv.weight", "word_embeddings.weight", "crossattention.self.value.weight", "transform.dense.weight"]
    grads = {f"grad.{n}": p.grad for n, p in model.named_parameters() if any(n.endswith(w) for w in wanted)}
    expected = {"labels": labels, "logits": logits, "token_logprobs": chosen}
    return dict(expected, loss_ls00=losses[0.0], loss_ls01=losses[0.1], **grads)


CLASSES = {
    "clip": (CLIPModel, clip_config, dual_encoder, (38, 39, 39), "expected_forward"),
    "blip_model": (BlipModel, blip_config, dual_encoder, (2, 3, 0), "expected_forward"),
    "blip_itm": (BlipForImageTextRetrieval, blip_config, retrieval, (2, 3, 0), "expected_forward"),
    "blip_caption": (BlipForConditionalGeneration, blip_config, captioner, (38, 3, 0), "expected_lm"),
}


def stored(model, dtype):
    """As save_pretrained writes it: tied weights once."""
    seen, tensors = set(), {}
    for name, value in model.state_dict().items():
        if value.data_ptr() in seen or name.endswith("position_ids"):
            continue
        seen.add(value.data_ptr())
        tensors[name] = value.to(dtype).contiguous()
    return tensors


def make(kind, act, dtype_name):
    cls, config_of, outputs, specials, file = CLASSES[kind]
    torch.manual_seed(hash_of(kind, act, dtype_name))
    config = config_of(act)
    model = randomized(cls(config), DTYPES[dtype_name])
    pixels = torch.randn(ROWS, 3, SIZE, SIZE)
    ids, mask = token_rows(*specials)
    with torch.no_grad():
        expected = outputs(model, pixels, ids, mask)
    expected |= {"pixel_values": pixels, "input_ids": ids, "attention_mask": mask}
    folder = HERE / f"{kind}_{act}_{dtype_name}"
    folder.mkdir(exist_ok=True)
    config.architectures = [cls.__name__]
    config.to_json_file(folder / "config.json", use_diff=True)
    save_file(stored(model, DTYPES[dtype_name]), folder / "model.safetensors")
    save_file({k: v.detach().clone().contiguous() for k, v in expected.items()}, folder / f"{file}.safetensors")
    return folder


def hash_of(*names):
    return sum((i + 1) * ord(c) for i, c in enumerate("/".join(names)))


def tokens(name, model_folder, source, files, length):
    """A case with a tokenizer and nothing but token ids to compare; any model will do."""
    folder = HERE / name
    folder.mkdir(exist_ok=True)
    for file in ["config.json", "model.safetensors"]:
        shutil.copy(model_folder / file, folder)
    for file in files:
        shutil.copy(HERE.parent / source / file, folder)
    tokenizer = AutoTokenizer.from_pretrained(HERE.parent / source)
    rows = []
    for text in json.loads((HERE / "texts.json").read_text()):
        padded = tokenizer(text, padding="max_length", truncation=True, max_length=length)
        whole = tokenizer(text)["input_ids"]
        rows.append(
            {
                "text": text,
                "input_ids": padded["input_ids"],
                "attention_mask": padded["attention_mask"],
                "unpadded_untruncated": whole,
                "decoded": tokenizer.decode(whole, skip_special_tokens=True),
            }
        )
    (folder / "expected_tokens.json").write_text(json.dumps(rows, ensure_ascii=False, separators=(",", ":")))


if __name__ == "__main__":
    folders = {(k, a, d): make(k, a, d) for k in CLASSES for a in ACTIVATIONS for d in DTYPES}
    clip, blip = folders["clip", "gelu", "f16"], folders["blip_itm", "gelu", "f16"]
    tokens("tokens_bpe", clip, "clip_gelu", ["vocab.json", "merges.txt"], 24)
    tokens("tokens_bpe_json", clip, "clip_quickgelu", ["tokenizer.json"], 77)
    tokens("tokens_wordpiece", blip, "blip_itm", ["vocab.txt"], 30)
    tokens("tokens_wordpiece_json", blip, "blip_caption", ["tokenizer.json"], 30)
