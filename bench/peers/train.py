"""The training steps of `npm run bench -- train` in PyTorch.

    python train.py MODEL FOLDER THREADS STEPS eager|compile|autocast same|longest|fixed

FOLDER is TrainFolder's. The first two steps are on our batches, so that their losses can be compared; what is timed are the
batches named by the last argument: ours (`same`), or the same rows in their order, padded to the longest of a batch or to the full length.
`autocast` computes in bfloat16 where PyTorch thinks it right. Prints one JSON line {seconds, mb, outputs, peer}.
"""
import json
import resource
import sys
import time

import torch

from losses import Training, blip_losses, clip_losses

model, folder, threads, steps, mode, whose = sys.argv[1:7]
torch.set_num_threads(int(threads))
training = Training(folder)
weights, twin = training.weights, training.twin
losses_of = clip_losses if model.startswith("clip") else blip_losses
if mode == "compile":
    losses_of = torch.compile(losses_of)
optimizer = training.optimizer()
momentum = training.setting["optimizer"].get("momentum", 1)


def step(batch):
    start = time.perf_counter()
    if twin:
        with torch.no_grad():
            torch._foreach_mul_(list(twin.values()), momentum)
            torch._foreach_add_(list(twin.values()), [weights[name] for name in twin], alpha=1 - momentum)
    with torch.autocast("cpu", torch.bfloat16, enabled=mode == "autocast"):
        losses, enqueued = losses_of(training, weights, batch)
    optimizer.zero_grad(set_to_none=True)
    sum(losses.values()).backward()
    optimizer.step()
    training.clamp()
    with torch.no_grad():
        for name, rows in enqueued.items():
            training.state[name][: len(rows)] = rows
    spent = time.perf_counter() - start
    return spent, {name: loss.item() for name, loss in losses.items()}


ours = training.batches("same")
outputs = [step(training.batch(ours[number % len(ours)]))[1] for number in range(2)]
timed = training.batches(whose)
seconds = []
for _ in range(int(steps)):
    spent = [step(training.batch(one))[0] for one in timed]
    seconds.append(sum(spent) / len(spent))
mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
padding = {"same": "", "longest": ", padded to the longest", "fixed": ", padded to the full length"}[whose]
print(json.dumps({"seconds": seconds, "mb": mb, "outputs": outputs, "peer": f"torch {torch.__version__} {mode}{padding}"}))
