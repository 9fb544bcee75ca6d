"""JPEG files to stored embeddings of CLIP's image tower.

    python embed.py FOLDER THREADS transformers|open_clip|bfloat16

FOLDER is InferFolder's. Files are read with Pillow, 64 at a time, and the embeddings saved as one .npy file.
"""
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from timed import report

folder, threads, library = sys.argv[1:4]
torch.set_num_threads(int(threads))
batch_size = 64


def with_transformers():
    import transformers
    from transformers import CLIPModel
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    model = CLIPModel.from_pretrained(f"{folder}/theirs").eval()
    processor = CLIPImageProcessorPil.from_pretrained(f"{folder}/theirs")
    if library == "bfloat16":
        model = model.bfloat16()

    def embed(images):
        pixels = processor(images=images, return_tensors="pt")["pixel_values"].to(model.dtype)
        return model.get_image_features(pixel_values=pixels).pooler_output

    return embed, f"transformers {transformers.__version__} {'model.bfloat16()' if library == 'bfloat16' else 'float32'}"


def open_clip_state(weights):
    """Names of transformers to open_clip's, of the image tower."""
    visual = {
        "class_embedding": weights["vision_model.embeddings.class_embedding"],
        "positional_embedding": weights["vision_model.embeddings.position_embedding.weight"],
        "conv1.weight": weights["vision_model.embeddings.patch_embedding.weight"],
        "proj": weights["visual_projection.weight"].T.contiguous(),
    }
    renamed = {
        "vision_model.pre_layrnorm": "ln_pre",
        "vision_model.post_layernorm": "ln_post",
        "layer_norm1": "ln_1",
        "layer_norm2": "ln_2",
        "self_attn.out_proj": "attn.out_proj",
        "mlp.fc1": "mlp.c_fc",
        "mlp.fc2": "mlp.c_proj",
        "vision_model.encoder.layers.": "transformer.resblocks.",
    }
    for name, weight in weights.items():
        if not name.startswith("vision_model.") or ".embeddings." in name:
            continue
        for theirs, ours in renamed.items():
            name = name.replace(theirs, ours)
        kind = name.rsplit(".", 1)[-1]
        if "self_attn.q_proj" in name:
            parts = [name.replace("q_proj", part) for part in ("q_proj", "k_proj", "v_proj")]
            source = [part.replace("transformer.resblocks.", "vision_model.encoder.layers.") for part in parts]
            visual[name.split("self_attn")[0] + f"attn.in_proj_{kind}"] = torch.cat([weights[one] for one in source])
        elif "self_attn." not in name:
            visual[name] = weight
    return visual


def with_open_clip():
    import open_clip
    from safetensors.torch import load_file

    with open(f"{folder}/theirs/config.json") as file:
        config = json.load(file)
    vision = config["vision_config"]
    model = open_clip.CLIP(
        config["projection_dim"],
        {
            "image_size": vision["image_size"],
            "layers": vision["num_hidden_layers"],
            "width": vision["hidden_size"],
            "head_width": vision["hidden_size"] // vision["num_attention_heads"],
            "patch_size": vision["patch_size"],
        },
        {"context_length": 8, "vocab_size": 16, "width": 64, "heads": 1, "layers": 1},
        quick_gelu=True,
    ).eval()
    model.visual.load_state_dict(open_clip_state(load_file(f"{folder}/theirs/model.safetensors")))
    transform = open_clip.image_transform(vision["image_size"], is_train=False)
    embed = lambda images: model.encode_image(torch.stack([transform(image) for image in images]))
    return embed, f"open_clip {open_clip.__version__}"


embed, peer = with_open_clip() if library == "open_clip" else with_transformers()


def embeddings(name):
    files = sorted(Path(f"{folder}/{name}").glob("*.jpg"))
    parts = []
    for start in range(0, len(files), batch_size):
        images = [Image.open(file).convert("RGB") for file in files[start : start + batch_size]]
        parts.append(F.normalize(embed(images).float(), dim=-1))
    return torch.cat(parts).numpy()


with torch.inference_mode():
    embeddings("warm")
    start = time.perf_counter()
    all_embeddings = embeddings("images")
    np.save(f"{folder}/{library}.npy", all_embeddings)
    seconds = time.perf_counter() - start
report([seconds], all_embeddings[:4].tolist(), peer)
