"""What the inference peers share: work is done once to warm up, then timed; the result is one JSON line {seconds, mb, outputs, peer}."""
import json
import resource
import time
from pathlib import Path

import torch
from PIL import Image


def pictures(folder):
    return [Image.open(path).convert("RGB") for path in sorted(Path(folder).iterdir()) if path.suffix in (".png", ".jpg")]


def report(seconds, outputs, peer):
    mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "mb": mb, "outputs": outputs, "peer": peer}))


def run(work, threads, steps, peer):
    torch.set_num_threads(int(threads))
    seconds = []
    with torch.inference_mode():
        outputs = work()
        for _ in range(int(steps)):
            start = time.perf_counter()
            work()
            seconds.append(time.perf_counter() - start)
    report(seconds, outputs, peer)
