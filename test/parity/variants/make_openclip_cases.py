"""
Makes the cases openclip_* beside this file: configs that open_clip can say, tiny and random.

    pip install torch open_clip_torch==3.3.0 ftfy
    python test/parity/variants/make_openclip_cases.py

Expectations are computed on the CPU in float32 from weights that the stored dtype holds exactly. Texts are pooled at their highest
id, wherever it stands; rows are padded with 0. tokens_openclip has open_clip's tokenizer, with ids of the texts in texts.json.
"""
import copy
import json
import pathlib
import shutil

import torch
from open_clip.model import CLIP, CustomTextCLIP
from open_clip.tokenizer import SimpleTokenizer
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).parent
DTYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}
SIZE, LENGTH, VOCAB = 16, 9, 40
BASE = {
    "embed_dim": 6,
    "vision_cfg": {"image_size": SIZE, "layers": 2, "width": 12, "head_width": 4, "patch_size": 8},
    "text_cfg": {"context_length": LENGTH, "vocab_size": VOCAB, "width": 8, "heads": 2, "layers": 2},
}
# What differs from the base, by the case's name.
VARIANTS = {
    "gelu": {},
    "quickgelu": {"quick_gelu": True},
    "custom_text": {"custom_text": True},
    "mlp_ratio": {"vision_cfg": {"mlp_ratio": 2.0}, "text_cfg": {"mlp_ratio": 3.0}},
    "eps": {"vision_cfg": {"norm_kwargs": {"eps": 1e-2}}, "text_cfg": {"norm_kwargs": {"eps": 1e-3}}},
    "pools": {"vision_cfg": {"pool_type": "tok"}, "text_cfg": {"pool_type": "argmax"}},
    "logit_bias": {"init_logit_scale": 1.5, "init_logit_bias": -3.0},
    "one_head": {"vision_cfg": {"head_width": 12}, "text_cfg": {"heads": 1}},
}
CASES = [(name, "f32") for name in VARIANTS] + [(n, d) for n in ("gelu", "quickgelu") for d in ("f16", "bf16")]


def config_of(variant):
    config = copy.deepcopy(BASE)
    for key, value in VARIANTS[variant].items():
        config[key] = config[key] | value if isinstance(value, dict) else value
    return config


def randomized(model, dtype):
    for name, p in model.named_parameters():
        if name == "logit_scale":
            p.data.fill_(2.0)
        elif "ln_" in name:
            p.data.normal_(1.0 if name.endswith("weight") else 0.0, 0.2)
        elif name != "logit_bias":
            p.data.normal_(0.0, 0.5 if p.ndim < 2 else 1.2 * p.shape[-1] ** -0.5)
        p.data.copy_(p.data.to(dtype).float())
    return model.eval()


def token_rows():
    """Start 38, end 39; the last row ends before its padding's neighbour, the second is full."""
    rows = torch.zeros(4, LENGTH, dtype=torch.long)
    for row, length in enumerate([4, LENGTH, 2, 7]):
        rows[row, 0], rows[row, length - 1] = 38, 39
        rows[row, 1 : length - 1] = torch.randint(1, 37, (length - 2,))
    return rows


def make(variant, dtype_name):
    torch.manual_seed(sum(map(ord, variant + dtype_name)))
    config = config_of(variant)
    given = {k: v for k, v in config.items() if k != "custom_text"}
    kind = CustomTextCLIP if config.get("custom_text") else CLIP
    model = randomized(kind(**given), DTYPES[dtype_name])
    pixels, tokens = torch.randn(4, 3, SIZE, SIZE), token_rows()
    with torch.no_grad():
        image, text = model.encode_image(pixels), model.encode_text(tokens)
        unit_image, unit_text = model.encode_image(pixels, normalize=True), model.encode_text(tokens, normalize=True)
        logits = model.get_logits(pixels, tokens)[0]
    expected = {
        "pixel_values": pixels,
        "tokens": tokens,
        "image_features_raw": image,
        "text_features_raw": text,
        "image_features": unit_image,
        "text_features": unit_text,
        "logits_per_image": logits,
        "logit_scale": model.logit_scale.detach().exp(),
    }
    folder = HERE / f"openclip_{variant}_{dtype_name}"
    folder.mkdir(exist_ok=True)
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config}, indent=1) + "\n")
    kept = {name: value for name, value in model.state_dict().items() if not name.endswith("attn_mask")}
    stored = {name: value.to(DTYPES[dtype_name]).contiguous() for name, value in kept.items()}
    save_file(stored, folder / "open_clip_model.safetensors")
    save_file({name: value.clone().contiguous() for name, value in expected.items()}, folder / "expected_forward.safetensors")


def tokens():
    """Nothing but token ids to compare; the model is the smallest with room for them."""
    config = config_of("gelu")
    config["text_cfg"] |= {"context_length": 24, "vocab_size": 882}
    model = randomized(CLIP(**config), torch.float16)
    folder = HERE / "tokens_openclip"
    folder.mkdir(exist_ok=True)
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config}, indent=1) + "\n")
    kept = {name: value for name, value in model.state_dict().items() if not name.endswith("attn_mask")}
    save_file({name: value.half().contiguous() for name, value in kept.items()}, folder / "open_clip_model.safetensors")
    shutil.copy(HERE.parent / "openclip_tiny" / "bpe_tiny.txt.gz", folder)
    tokenizer = SimpleTokenizer(str(folder / "bpe_tiny.txt.gz"), context_length=24)
    rows = []
    for text in json.loads((HERE / "texts.json").read_text()):
        whole = tokenizer.encode(text)
        rows.append({"text": text, "ids": tokenizer(text)[0].tolist(), "encode": whole, "decoded": tokenizer.decode(whole)})
    (folder / "expected_tokens.json").write_text(json.dumps(rows, ensure_ascii=False, separators=(",", ":")))


if __name__ == "__main__":
    for case in CASES:
        make(*case)
    tokens()
