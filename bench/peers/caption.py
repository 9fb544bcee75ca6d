"""Captions by BlipForConditionalGeneration of transformers.

    python caption.py FOLDER THREADS STEPS greedy|beam|nucleus BATCH TOKENS

FOLDER is InferFolder's. All pictures are one batch. Every caption has TOKENS tokens, [DEC] included.
"""
import sys

import transformers
from transformers import AutoTokenizer, BlipForConditionalGeneration, BlipImageProcessor

from timed import pictures, run

folder, threads, steps, method, _, tokens = sys.argv[1:7]
model = BlipForConditionalGeneration.from_pretrained(f"{folder}/theirs").eval()
processor = BlipImageProcessor.from_pretrained(f"{folder}/theirs")
tokenizer = AutoTokenizer.from_pretrained(f"{folder}/theirs")
how = {
    "greedy": {"num_beams": 1, "do_sample": False},
    "beam": {"num_beams": 3, "do_sample": False},
    "nucleus": {"do_sample": True, "top_p": 0.9, "top_k": 0, "repetition_penalty": 1.1},
}[method]


def captions():
    pixels = processor(images=pictures(f"{folder}/images"), return_tensors="pt")["pixel_values"]
    ids = model.generate(pixel_values=pixels, max_length=int(tokens), min_length=int(tokens), **how)
    return tokenizer.batch_decode(ids, skip_special_tokens=True)


run(captions, threads, steps, f"transformers {transformers.__version__}")
