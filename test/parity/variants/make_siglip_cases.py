"""
Makes the cases of SigLIP: beside this file SiglipModel x activation x dtype, tiny and random; and ../siglip_model with
hidden states, an image size that is no multiple of the patch's, three steps of training, and a small SentencePiece
tokenizer on the texts of texts.json; the same pieces as a tokenizer.json; and a CLIP of open_clip with a logit_bias.

    pip install torch torchvision transformers==5.23.0 open_clip_torch==3.3.0 sentencepiece protobuf pillow
    python test/parity/variants/make_siglip_cases.py

The expectations are computed on the CPU in float32 from weights that the stored dtype holds exactly.
"""
import json
import pathlib
import re
import shutil
import string
import sys
import tempfile
import unicodedata

import open_clip
import sentencepiece
import torch
from safetensors.torch import save_file
from sentencepiece import sentencepiece_model_pb2
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast, SiglipConfig, SiglipImageProcessorPil, SiglipModel, SiglipTokenizer

HERE = pathlib.Path(__file__).parent
sys.path.append(str(HERE))
from make_cases import ACTIVATIONS, DTYPES, hash_of  # noqa: E402

ROWS, LENGTH = 3, 7


def siglip_config(act, vocab=40, size=16, width=12):
    text = dict(vocab_size=vocab, hidden_size=8, intermediate_size=12, num_hidden_layers=2, num_attention_heads=2)
    ids = dict(bos_token_id=1, eos_token_id=1, pad_token_id=1)
    vision = dict(hidden_size=width, intermediate_size=20, num_hidden_layers=2, num_attention_heads=3)
    return SiglipConfig(
        text_config=dict(text, hidden_act=act, max_position_embeddings=LENGTH, projection_size=width, **ids),
        vision_config=dict(vision, hidden_act=act, image_size=size, patch_size=8),
    )


def randomized(model, dtype):
    """Weights large enough that activations and attention are far from linear, and exact in the stored dtype."""
    for name, p in model.named_parameters():
        if name == "logit_scale":
            p.data.fill_(1.5)
        elif name == "logit_bias":
            p.data.fill_(-1.25)
        elif "norm" in name.lower():
            p.data.normal_(1.0 if name.endswith("weight") else 0.0, 0.2)
        else:
            p.data.normal_(0.0, 0.5 if p.ndim < 2 else 1.2 * p.shape[-1] ** -0.5)
        p.data.copy_(p.data.to(dtype).float())
    return model.eval()


def outputs(model, pixels, ids, mask, hidden=False):
    given = dict(pixel_values=pixels, input_ids=ids, **({} if mask is None else {"attention_mask": mask}))
    out = model(**given, return_loss=pixels.shape[0] == ids.shape[0], output_hidden_states=hidden)
    vision, text = out.vision_model_output, out.text_model_output
    expected = dict(
        given,
        image_embeds=out.image_embeds,
        text_embeds=out.text_embeds,
        image_embeds_raw=vision.pooler_output,
        text_embeds_raw=text.pooler_output,
        logits_per_image=out.logits_per_image,
        logits_per_text=out.logits_per_text,
        probs_per_image=out.logits_per_image.sigmoid(),
        vision_last_hidden=vision.last_hidden_state,
        text_last_hidden=text.last_hidden_state,
    )
    if hidden:
        expected |= {f"vision_hidden_{i}": state for i, state in enumerate(vision.hidden_states)}
        expected |= {f"text_hidden_{i}": state for i, state in enumerate(text.hidden_states)}
    return expected if out.loss is None else dict(expected, loss=out.loss)


def save(tensors, path):
    save_file({k: v.detach().clone().contiguous() for k, v in tensors.items()}, path)


def store(model, dtype, folder):
    folder.mkdir(exist_ok=True)
    model.config.architectures = ["SiglipModel"]
    model.config.to_json_file(folder / "config.json", use_diff=True)
    save({k: v.to(dtype) for k, v in model.state_dict().items()}, folder / "model.safetensors")


def variant(act, dtype_name):
    """Every second one is given an attention mask, which hides padding; the published models read it."""
    torch.manual_seed(hash_of("siglip", act, dtype_name))
    model = randomized(SiglipModel(siglip_config(act)), DTYPES[dtype_name])
    ids = torch.randint(3, 40, (ROWS, LENGTH))
    mask = torch.ones(ROWS, LENGTH, dtype=torch.long)
    for row, length in enumerate([LENGTH, 4, 5]):
        ids[row, length - 1 :] = 1
        mask[row, length:] = 0
    with torch.no_grad():
        expected = outputs(model, torch.randn(ROWS, 3, 16, 16), ids, mask if ACTIVATIONS.index(act) % 2 else None)
    folder = HERE / f"siglip_{act}_{dtype_name}"
    store(model, DTYPES[dtype_name], folder)
    save(expected, folder / "expected_forward.safetensors")


def train(model, pixels, ids, folder, lr=1e-3, steps=3):
    """AdamW as SigLIP's code has it: decay on the kernels of layers only."""
    spared = lambda name, p: p.ndim < 2 or name.endswith(("position_embedding.weight", "token_embedding.weight", "probe"))
    named = dict(model.named_parameters())
    groups = [
        dict(params=[p for n, p in named.items() if spared(n, p) == part], weight_decay=0.0 if part else 0.1)
        for part in (True, False)
    ]
    recipe = dict(lr=lr, betas=[0.9, 0.95], eps=1e-8, weight_decay=0.1)
    optimizer = torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.95), eps=1e-8)
    expected = dict(pixel_values=pixels, input_ids=ids)
    losses, scales, biases = [], [], []
    for step in range(steps):
        optimizer.zero_grad()
        out = model(pixel_values=pixels, input_ids=ids, return_loss=True)
        out.loss.backward()
        if step == 0:
            expected["logits_per_image0"] = out.logits_per_image
            expected |= {f"grad0.{n}": p.grad.clone() for n, p in named.items()}
        expected[f"grad_norm{step}"] = torch.stack([p.grad.norm() for p in named.values()]).norm()[None]
        optimizer.step()
        losses.append(out.loss.item())
        scales.append(model.logit_scale.item())
        biases.append(model.logit_bias.item())
    expected |= {f"param3.{n}": p for n, p in named.items()}
    save(expected, folder / "expected_train.safetensors")
    recipe |= dict(losses=losses, logit_scale_after=scales, logit_bias_after=biases)
    (folder / "expected_train.json").write_text(json.dumps(recipe, indent=1))


def rules(texts):
    """A small map of characters: what NFKC makes of those that occur, spaces, control characters, and composed letters."""
    table = {c: unicodedata.normalize("NFKC", c) for c in set("".join(texts))}
    table |= {c: " " for c in "\t\n\r\u00a0\u200b\u2028\u3000"} | {c: "" for c in "\x01\x07\x1f\x7f"}
    for base in "aeiouncAEIOUNC":
        for mark in "\u0300\u0301\u0302\u0303\u0308\u0327\u030a":
            table[base + mark] = unicodedata.normalize("NFC", base + mark)
    points = lambda text: " ".join(f"{ord(c):X}" for c in text)
    return "".join(f"{points(a)}\t{points(b)}\n" for a, b in sorted(table.items()) if a != b and "\0" not in a)


def train_tokenizer(texts, folder):
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        (scratch / "texts").write_text("\n".join(t.replace("\n", " ").lower() for t in texts))
        (scratch / "rules.tsv").write_text(rules(texts))
        sentencepiece.SentencePieceTrainer.train(
            input=str(scratch / "texts"),
            model_prefix=str(scratch / "spiece"),
            normalization_rule_tsv=str(scratch / "rules.tsv"),
            model_type="unigram",
            vocab_size=700,
            hard_vocab_limit=False,
            character_coverage=0.99,
            num_threads=1,
            minloglevel=2,
            **dict(pad_id=0, eos_id=1, unk_id=2, bos_id=-1),
        )
        model = sentencepiece_model_pb2.ModelProto.FromString((scratch / "spiece.model").read_bytes())
    # Paths of this machine, which would change the bytes from run to run.
    for spec, names in [(model.trainer_spec, ["input", "model_prefix"]), (model.normalizer_spec, ["normalization_rule_tsv"])]:
        for name in names:
            spec.ClearField(name)
    (folder / "spiece.model").write_bytes(model.SerializeToString())
    settings = dict(tokenizer_class="SiglipTokenizer", do_lower_case=True, eos_token="</s>", pad_token="</s>", unk_token="<unk>")
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=1))
    return SiglipTokenizer.from_pretrained(folder)


ODD = ["", " ", "</s>", "x</s>", "a </s> b", "<unk> x", "<pad> x", "\u2581x", "don't stop-now", "a\u200b b", "\u200bfoo", "x\x1cy\x85z"]


def expected_tokens(tokenizer, texts):
    for text in texts:
        whole = tokenizer(text)["input_ids"]
        cut = tokenizer(text, padding="max_length", truncation=True, max_length=LENGTH)["input_ids"]
        decoded = tokenizer.decode(whole, skip_special_tokens=True)
        yield dict(text=text, input_ids=cut, unpadded_untruncated=whole, decoded=decoded)


def full_case():
    """20 px and patches of 8: the last 4 columns and rows are nobody's."""
    folder = HERE.parent / "siglip_model"
    folder.mkdir(exist_ok=True)
    texts = json.loads((HERE / "texts.json").read_text())
    tokenizer = train_tokenizer(texts, folder)
    rows = list(expected_tokens(tokenizer, texts + ODD))
    (folder / "expected_tokens.json").write_text(json.dumps(rows, ensure_ascii=False, separators=(",", ":")))
    torch.manual_seed(hash_of("siglip", "model"))
    model = randomized(SiglipModel(siglip_config("gelu_pytorch_tanh", vocab=len(tokenizer), size=20)), torch.float32)
    processor = SiglipImageProcessorPil(size={"height": 20, "width": 20})
    processor.save_pretrained(folder)
    from PIL import Image

    images = [Image.open(path) for path in sorted((HERE.parent / "images").iterdir())]
    pixels = processor(images=images, return_tensors="pt")["pixel_values"]
    named = json.loads((HERE.parent / "texts.json").read_text())
    ids = tokenizer([named[i] for i in (0, 1, 4, 5, 8)], padding="max_length", truncation=True, max_length=LENGTH, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        expected = outputs(model, pixels, ids, None, hidden=True)
    expected["pixel_values_pil"] = expected.pop("pixel_values")
    store(model, torch.float32, folder)
    save(expected, folder / "expected_forward.safetensors")
    train(model.train(), pixels[:5], ids, folder)


def unigram_json(pieces):
    """The same pieces as a tokenizer.json, with the steps that conversions of SigLIP's tokenizer have."""
    tokenizer = Tokenizer(models.Unigram([(p.piece, p.score) for p in pieces.pieces], 2))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Lowercase(),
            normalizers.Replace(Regex("[" + re.escape(string.punctuation) + "]"), ""),
            normalizers.Replace(Regex(r"\s+"), " "),
            normalizers.Strip(),
            normalizers.Precompiled(pieces.normalizer_spec.precompiled_charsmap),
            normalizers.Replace(Regex(" {2,}"), "\u2581"),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="\u2581", prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(replacement="\u2581", prepend_scheme="always")
    special = dict(lstrip=True, rstrip=True, special=True, normalized=False)
    tokenizer.add_special_tokens([AddedToken(name, **special) for name in ("<pad>", "</s>", "<unk>")])
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return tokenizer


def unigram_case():
    folder = HERE / "tokens_unigram_json"
    folder.mkdir(exist_ok=True)
    for file in ["config.json", "model.safetensors"]:
        shutil.copy(HERE.parent / "siglip_model" / file, folder)
    spiece = (HERE.parent / "siglip_model" / "spiece.model").read_bytes()
    tokenizer = unigram_json(sentencepiece_model_pb2.ModelProto.FromString(spiece))
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    texts = json.loads((HERE / "texts.json").read_text()) + ODD
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>", unk_token="<unk>", pad_token="</s>")
    rows = list(expected_tokens(fast, texts))
    (folder / "expected_tokens.json").write_text(json.dumps(rows, ensure_ascii=False, separators=(",", ":")))


def open_clip_case():
    """open_clip's CLIP is given a bias by init_logit_bias, to be trained by the sigmoid loss."""
    torch.manual_seed(hash_of("open_clip", "bias"))
    vision = dict(image_size=16, layers=1, width=16, head_width=8, patch_size=8)
    text = dict(context_length=LENGTH, vocab_size=40, width=16, heads=2, layers=1)
    config = dict(embed_dim=12, init_logit_bias=-10, vision_cfg=vision, text_cfg=text)
    model = open_clip.model.CLIP(12, vision, text, init_logit_bias=-10)
    for p in model.parameters():
        p.data += 0.2 * torch.randn_like(p)
    model.logit_bias.data.fill_(-1.25)
    model = model.eval()
    ids = torch.randint(1, 38, (ROWS, LENGTH))
    ids[:, -1] = 39
    pixels = torch.randn(ROWS, 3, 16, 16)
    with torch.no_grad():
        image, text = model.encode_image(pixels, normalize=True), model.encode_text(ids, normalize=True)
        logits = model.get_logits(pixels, ids)[0]
        loss = open_clip.loss.SigLipLoss()(image, text, model.logit_scale.exp(), model.logit_bias)
    folder = HERE / "open_clip_bias"
    folder.mkdir(exist_ok=True)
    (folder / "open_clip_config.json").write_text(json.dumps(dict(model_cfg=config), indent=1))
    save(model.state_dict(), folder / "open_clip_model.safetensors")
    expected = dict(pixel_values=pixels, tokens=ids, image_features=image, text_features=text)
    save(dict(expected, logits_per_image=logits, loss=loss), folder / "expected_forward.safetensors")


if __name__ == "__main__":
    torch.set_num_threads(1)
    for act in ACTIVATIONS:
        for dtype_name in DTYPES:
            variant(act, dtype_name)
    full_case()
    unigram_case()
    open_clip_case()
