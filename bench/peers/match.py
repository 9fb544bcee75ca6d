"""Matching scores of all pictures with all texts by BlipForImageTextRetrieval of transformers.

    python match.py FOLDER THREADS STEPS forward|shared

FOLDER is InferFolder's. `forward` calls the model as it is, picture by picture with all texts, so that the image tower runs once for each pair;
`shared` takes the model apart and runs the tower once for each picture. Texts begin with [ENC], as BLIP was trained.
"""
import json
import sys

import torch
import transformers
from transformers import AutoTokenizer, BlipForImageTextRetrieval, BlipImageProcessor

from timed import pictures, run

folder, threads, steps, how = sys.argv[1:5]
model = BlipForImageTextRetrieval.from_pretrained(f"{folder}/theirs").eval()
processor = BlipImageProcessor.from_pretrained(f"{folder}/theirs")
tokenizer = AutoTokenizer.from_pretrained(f"{folder}/theirs")
with open(f"{folder}/texts.json") as file:
    texts = json.load(file)


def scores():
    pixels = processor(images=pictures(f"{folder}/images"), return_tensors="pt")["pixel_values"]
    text = tokenizer(texts, padding=True, return_tensors="pt")
    ids, mask = text["input_ids"], text["attention_mask"]
    ids[:, 0] = tokenizer.convert_tokens_to_ids("[ENC]")
    tokens = model.vision_model(pixel_values=pixels)[0] if how == "shared" else None
    logits = []
    for i in range(len(pixels)):
        if tokens is None:
            logits.append(model(input_ids=ids, attention_mask=mask, pixel_values=pixels[i].expand(len(ids), -1, -1, -1)).itm_score)
        else:
            seen = tokens[i].expand(len(ids), -1, -1)
            visible = torch.ones(seen.shape[:-1], dtype=torch.long)
            hidden = model.text_encoder(
                input_ids=ids, attention_mask=mask, encoder_hidden_states=seen, encoder_attention_mask=visible
            )
            logits.append(model.itm_head(hidden.last_hidden_state[:, 0]))
    return torch.cat(logits).softmax(-1)[:, 1].tolist()


run(scores, threads, steps, f"transformers {transformers.__version__} {how}")
