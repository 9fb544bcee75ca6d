"""
Makes ../blip_retrieval: ITC and ITM where rows of the batch and of the queue show the same image, as in finetuning for
retrieval.

    pip install torch safetensors
    python test/parity/variants/make_retrieval_cases.py

Written from the formulas of ALBEF (model_retrieval.py) and LAVIS (blip_retrieval.py): a row's targets are shared evenly by
all candidates with its `idx`, mixed with the momentum model's; a negative has another `idx`. The 1e-4 beside ITM's weights
is that of BLIP's pre-training. Every round draws its sizes, images and features anew; `idx` has 48 bits, stored as two
halves, and some images share one half.
"""
import pathlib

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

FOLDER = pathlib.Path(__file__).parent.parent / "blip_retrieval"
ROUNDS, HALF = 12, 1 << 24


def images(count):
    """The first three differ in one half only."""
    ids = torch.randint(HALF * HALF, (count,))
    high, low = ids // HALF, ids % HALF
    ids[1] = high[0] * HALF + (low[0] + 1) % HALF
    ids[2] = (high[0] + 1) % HALF * HALF + low[0]
    return ids


def halves(idx):
    return torch.stack([idx // HALF, idx % HALF], 1).float()


def soft_loss(logits, targets):
    return -(F.log_softmax(logits, dim=1) * targets).sum(dim=1).mean()


def weights(logits, same):
    return (F.softmax(logits, dim=1) + 1e-4).masked_fill(same, 0)


def grads(loss, leaves):
    return dict(zip(leaves, torch.autograd.grad(loss, leaves.values(), retain_graph=True)))


def round_of(number):
    torch.manual_seed(number)
    bs, width = int(torch.randint(3, 10, ())), int(torch.randint(3, 9, ()))
    queue = 0 if number % 4 == 3 else int(torch.randint(1, 20, ()))
    pool = images(max(3, bs // 2))
    # At least two images in the batch; half of the queue may not have been filled yet.
    idx = torch.cat([pool[:2], pool[torch.randint(len(pool), (bs - 2,))]])[torch.randperm(bs)]
    idx_queue = pool[torch.randint(len(pool), (queue,))]
    idx_queue[: queue // 2 if number % 2 else 0] = -100
    leaves = dict(image_embeds=torch.randn(bs, width), text_embeds=torch.randn(bs, width), temp=torch.rand(()) * 0.4 + 0.07)
    leaves = {name: value.requires_grad_() for name, value in leaves.items()}
    given = dict(twin_image_embeds=torch.randn(bs, width), twin_text_embeds=torch.randn(bs, width))
    queues = {f"{side}_queue": F.normalize(torch.randn(queue, width), dim=1) for side in ["image", "text"]}
    alpha = torch.tensor(0.0 if number == 0 else float(torch.rand(())))

    image_feat, text_feat = (F.normalize(leaves[name], dim=-1) for name in ["image_embeds", "text_embeds"])
    image_feat_m, text_feat_m = (F.normalize(value, dim=-1) for value in given.values())
    image_feat_all = torch.cat([image_feat_m, queues["image_queue"]]).t()
    text_feat_all = torch.cat([text_feat_m, queues["text_queue"]]).t()
    temp = leaves["temp"]

    pos_idx = torch.eq(idx[:, None], torch.cat([idx, idx_queue])[None]).float()
    sim_targets = pos_idx / pos_idx.sum(1, keepdim=True)
    with torch.no_grad():
        mixed = lambda sim_m: alpha * F.softmax(sim_m, dim=1) + (1 - alpha) * sim_targets
        sim_i2t_targets = mixed(image_feat_m @ text_feat_all / temp)
        sim_t2i_targets = mixed(text_feat_m @ image_feat_all / temp)
    sim_i2t = image_feat @ text_feat_all / temp
    sim_t2i = text_feat @ image_feat_all / temp
    loss_ita = (soft_loss(sim_i2t, sim_i2t_targets) + soft_loss(sim_t2i, sim_t2i_targets)) / 2

    same = torch.eq(idx[:, None], idx[None])
    in_batch = same.float() / same.float().sum(1, keepdim=True)
    plain = image_feat @ text_feat.t() / temp
    plain_loss = (soft_loss(plain, in_batch) + soft_loss(plain.t(), in_batch)) / 2

    stored = dict(leaves, **given, alpha=alpha, idx=halves(idx), sim_targets=sim_targets, loss_ita=loss_ita, plain_loss=plain_loss)
    if queue > 0:
        # No image: -100 in both halves.
        empty = torch.full((queue, 2), -100.0)
        stored |= dict(queues, idx_queue=torch.where(idx_queue[:, None] < 0, empty, halves(idx_queue)))
    stored |= dict(targets_i2t=sim_i2t_targets, targets_t2i=sim_t2i_targets)
    stored |= dict(weights_i2t=weights(sim_i2t[:, :bs], same), weights_t2i=weights(sim_t2i[:, :bs], same))
    stored |= {f"grad.{name}": value for name, value in grads(loss_ita, leaves).items()}
    stored |= {f"plain_grad.{name}": value for name, value in grads(plain_loss, leaves).items()}
    return {f"round{number}.{name}": value.detach().float().clone().contiguous() for name, value in stored.items()}


if __name__ == "__main__":
    torch.set_num_threads(1)
    FOLDER.mkdir(exist_ok=True)
    rounds = [round_of(number) for number in range(ROUNDS)]
    save_file({name: value for each in rounds for name, value in each.items()}, FOLDER / "expected_retrieval.safetensors")
