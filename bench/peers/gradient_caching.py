"""One contrastive step on a large batch by gradient caching (Gao et al. 2021), in plain PyTorch.

    python gradient_caching.py MODEL FOLDER THREADS STEPS

FOLDER is TrainFolder's: its batches are the micro-batches. All embeddings without a graph; the loss and its gradients of them; then
each micro-batch again, with its embeddings' gradients carried back into the weights. Prints one JSON line {seconds, mb, outputs, peer}.
"""
import json
import resource
import sys
import time

import torch

from losses import Training, clip_embeds, contrastive

_, folder, threads, steps = sys.argv[1:5]
torch.set_num_threads(int(threads))
training = Training(folder)
weights = training.weights
optimizer = training.optimizer()
micro_batches = training.batches("same")
seconds, outputs = [], []
for _ in range(int(steps)):
    start = time.perf_counter()
    optimizer.zero_grad(set_to_none=True)
    with torch.no_grad():
        embeds = [clip_embeds(training, weights, training.batch(one)) for one in micro_batches]
    images, texts = (torch.cat(side).requires_grad_() for side in zip(*embeds))
    loss = contrastive(images @ texts.T * weights["logit_scale"].exp())
    loss.backward()
    sizes = [len(one["rows"]) for one in micro_batches]
    for one, image_grad, text_grad in zip(micro_batches, images.grad.split(sizes), texts.grad.split(sizes)):
        image, text = clip_embeds(training, weights, training.batch(one))
        torch.autograd.backward([image, text], [image_grad, text_grad])
    optimizer.step()
    training.clamp()
    seconds.append(time.perf_counter() - start)
    if not outputs:
        norm = torch.stack([w.grad.norm() for w in weights.values() if w.grad is not None]).norm()
        outputs.append({"itc_loss": loss.item(), "grad_norm": norm.item()})
mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"seconds": seconds, "mb": mb, "outputs": outputs, "peer": f"torch {torch.__version__} gradient caching"}))
