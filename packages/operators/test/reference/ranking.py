"""Makes ranking.json: AUC, average precision, precision, recall and F1 as scikit-learn computes them, ties included.

    pip install scikit-learn && python ranking.py > ranking.json
"""
import json
import sys

import numpy as np
from sklearn.metrics import average_precision_score, precision_recall_fscore_support, roc_auc_score

cases = []
for seed, size, digits in [(0, 40, 6), (1, 60, 1), (2, 25, 0), (3, 200, 2)]:
    random = np.random.default_rng(seed)
    flags = random.random(size) < 0.4
    scores = np.round(np.clip(0.35 * flags + random.random(size) * 0.8, 0, 1), digits).astype(np.float32)
    precision, recall, f1, _ = precision_recall_fscore_support(flags, scores >= 0.5, average="binary", zero_division=0)
    cases.append(
        {
            "scores": [float(s) for s in scores],
            "flags": [bool(f) for f in flags],
            "roc_auc": float(roc_auc_score(flags, scores)),
            "average_precision": float(average_precision_score(flags, scores)),
            "precision": float(precision),
            "recall": float(recall),
            "f1": float(f1),
        }
    )
json.dump(cases, sys.stdout)
print()
