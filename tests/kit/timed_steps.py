"""Seconds of the trainer's step in one of several ways: `timed_steps.py WAY`."""

import sys
import time
from statistics import median

import torch
from torch import nn

from models.cpus import granted_cpus
from models.networks.depthwise import Depthwise
from models.networks.detector import Detector, DetectorShape
from models.networks.lite import load_imagenet
from models.networks.weights import read_weights
from models.training.assignment import PaddedTruth
from models.training.loss import detection_loss
from models.training.memory import keep_freed_memory

SIDE, BATCH, WARM, STEPS = 320, 16, 3, 12


def main() -> None:
    way = sys.argv[1]
    torch.set_flush_denormal(True)
    torch.set_num_threads(granted_cpus())
    if "memory given back" not in way:
        keep_freed_memory()
    if "torchs depthwise" in way:
        Depthwise.forward = nn.Conv2d.forward
    network = Detector(DetectorShape(6, colour=False, reference=True, stem_stride=4))
    load_imagenet(network.backbone, read_weights(), 1)
    network = network.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), 1e-4)
    pixels = torch.rand(BATCH, 3, SIDE, SIDE).to(memory_format=torch.channels_last)
    corners = torch.randint(0, SIDE - 60, (BATCH, 5, 2)).float()
    boxes = torch.cat([corners, corners + torch.randint(8, 60, (BATCH, 5, 2))], 2)
    truth = PaddedTruth(boxes, torch.randint(0, 6, (BATCH, 5)), torch.ones(BATCH, 5, dtype=torch.bool))
    times = []
    for _ in range(WARM + STEPS):
        started_s = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=way != "fp32"):
            logits, sides = network(pixels)
        class_loss, box_loss = detection_loss(logits, sides, truth, SIDE, SIDE)
        optimizer.zero_grad(set_to_none=True)
        (class_loss + box_loss).backward()
        optimizer.step()
        times.append(time.perf_counter() - started_s)
    sys.stdout.write(str(median(times[WARM:])))


if __name__ == "__main__":
    main()
