"""The trainer's work done by PyTorch: the same network, data, batch and optimizer, gradients averaged by
DistributedDataParallel over Gloo where there are several ranks. Prints kolo-train's last line, without the accuracy.

    RANK=0 WORLD_SIZE=1 python3 benchmarks/peers/torch_ddp.py --epochs 1 --batch 64

For benchmarks/train-gain.py --torch; needs torch and NumPy.
"""
import argparse
import gzip
import os
import sys
import time

import numpy
import torch
import torch.distributed as distributed

WARM_STEPS = 20


def read(path, header):
    with gzip.open(path, "rb") as file:
        return numpy.frombuffer(file.read(), numpy.uint8, offset=header)


def load(folder):
    images = read(os.path.join(folder, "train-images-idx3-ubyte.gz"), 16).reshape(-1, 784)
    labels = read(os.path.join(folder, "train-labels-idx1-ubyte.gz"), 8)
    return torch.from_numpy(images.astype(numpy.float32) / 255), torch.from_numpy(labels.astype(numpy.int64))


def make_model(world):
    torch.manual_seed(1)
    model = torch.nn.Sequential(torch.nn.Linear(784, 512), torch.nn.ReLU(), torch.nn.Linear(512, 256), torch.nn.ReLU(),
                                torch.nn.Linear(256, 10))
    if world > 1:
        model = torch.nn.parallel.DistributedDataParallel(model, gradient_as_bucket_view=True, static_graph=True)
    return model


def train(options, rank, world):
    images, labels = load(options.data)
    model = make_model(world)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    loss_of = torch.nn.CrossEntropyLoss()
    steps = len(labels) // (options.batch * world)
    for epoch in range(options.epochs):
        order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(epoch))[rank::world]
        for step in range(steps):
            if epoch == 0 and step == WARM_STEPS:
                begin = time.perf_counter()
            batch = order[step * options.batch:(step + 1) * options.batch]
            optimizer.zero_grad(set_to_none=world == 1)
            loss = loss_of(model(images[batch]), labels[batch])
            loss.backward()
            optimizer.step()
    seconds = time.perf_counter() - begin
    return (options.epochs * steps - WARM_STEPS) * options.batch * world / seconds, loss.item()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="/usr/share/datasets/fashion-mnist")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--batch", type=int, default=64)
    options = parser.parse_args()
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    torch.set_num_threads(1)
    if world > 1:
        distributed.init_process_group("gloo")
    rate, loss = train(options, rank, world)
    if rank == 0:
        print(f"loss={loss:.3f} epochs={options.epochs} ranks={world} samples_per_s={rate:.0f}")
    if world > 1:
        distributed.destroy_process_group()


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)  # PyTorch's threads now and then abort a process that ends by itself
