"""Makes caption_metrics.json: tokens and scores of the COCO caption evaluation (pycocoevalcap 1.2, Java for its tokeniser).

    pip install pycocoevalcap && python caption_metrics.py > caption_metrics.json
"""
import contextlib
import json
import os
import sys

from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

TEXTS = [
    "A man riding a wave on top of a surfboard.",
    "man rowing boat: medium-dark skin tone",
    "The dog's bowl isn't empty; it can't be!",
    'They said "hello" -- and left (quietly) ...',
    "Red, green & blue lights at 7:30",
    "we're sure they'll see what I've done, I'd say",
    "cafe au lait, crepes, jalapeno",
    "woman: light skin tone, white hair",
    "A U.S. flag",
    "it's 5 o'clock",
    "keycap: #",
    "thinking   face\twith   spaces ",
]

IMAGES = [
    ("a man riding a wave on a surfboard", ["a man riding a wave on top of a surfboard", "a surfer rides a large wave", "the man surfs"]),
    ("a dog in a red car", ["a brown dog sits in a car", "dog sitting in the front seat of a red car"]),
    ("smiling face with smiling eyes", ["smiling face with smiling eyes"]),
    ("face face face face", ["grinning face with big eyes", "happy face"]),
    ("apple", ["green apple", "apple"]),
    ("person rowing boat medium skin tone", ["man rowing boat medium dark skin tone", "a person in a boat"]),
    ("a cat", ["two elephants walk along a dusty road", "elephants on a road"]),
    ("a plate of food with rice and beans on a table", ["a plate of rice and beans", "rice and beans on a plate on a table"]),
]


def score(images):
    gts = {i: refs for i, (_, refs) in enumerate(images)}
    res = {i: [caption] for i, (caption, _) in enumerate(images)}
    with contextlib.redirect_stdout(sys.stderr):
        bleu, _ = Bleu(4).compute_score(gts, res, verbose=0)
        rouge, rouge_each = Rouge().compute_score(gts, res)
        cider, cider_each = Cider().compute_score(gts, res)
    return {
        "images": [{"caption": c, "references": r} for c, r in images],
        "bleu_1": bleu[0],
        "bleu_4": bleu[3],
        "rouge_l": float(rouge),
        "cider_d": float(cider),
        "rouge_l_each": [float(x) for x in rouge_each],
        "cider_d_each": [float(x) for x in cider_each],
    }


tokens = PTBTokenizer().tokenize({i: [{"caption": t}] for i, t in enumerate(TEXTS)})
json.dump(
    {
        "tokens": [{"text": t, "tokens": tokens[i][0].split()} for i, t in enumerate(TEXTS)],
        "several_references": score(IMAGES),
        "one_reference": score([(c, r[:1]) for c, r in IMAGES]),
        "one_image": score(IMAGES[:1]),
    },
    sys.stdout,
    indent=1,
)
sys.stdout.write(os.linesep)
