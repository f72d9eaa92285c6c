"""The canonical order of examples, the digest of a dataset, and choices that follow from the order alone.

Two files with the same examples in different orders are the same dataset. So examples are put into the order of their
own SHA-256 before anything else happens to them: it does not depend on the source, and it is as good as a random order.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Int, Int64, UInt8


def example_digests(
    images: UInt8[np.ndarray, "examples channels height width"], labels: Int64[np.ndarray, " examples"]
) -> list[bytes]:
    """SHA-256 of every example: the bytes of its image (channels, height, width), then its label as 8 bytes."""
    size = int(np.prod(images.shape[1:]))
    pixels = np.ascontiguousarray(images).reshape(-1).data
    label_bytes = memoryview(np.ascontiguousarray(labels, dtype="<i8").tobytes())
    digests = []
    for index in range(len(images)):
        digest = hashlib.sha256(pixels[index * size : (index + 1) * size])
        digest.update(label_bytes[8 * index : 8 * index + 8])
        digests.append(digest.digest())
    return digests


def canonical_order(digests: Sequence[bytes]) -> Int64[np.ndarray, " examples"]:
    """Indices that sort the examples by digest; twins (same image, same label) are interchangeable."""
    return np.array(sorted(range(len(digests)), key=digests.__getitem__), dtype=np.int64)


def dataset_digest(train: Sequence[bytes], test: Sequence[bytes], image_shape: Sequence[int]) -> str:
    """SHA-256 in hexadecimal of the sizes and of the sorted digests of the training, then the test examples."""
    digest = hashlib.sha256(" ".join(map(str, (len(train), len(test), *image_shape))).encode() + b"\n")
    for digests in (train, test):
        digest.update(b"".join(sorted(digests)))
    return digest.hexdigest()


def stratified(labels: Int[np.ndarray, " examples"], size: int) -> Bool[np.ndarray, " examples"]:
    """Mark ``size`` examples, of every class its share: the first of each class in the given order.

    Shares that are not whole are settled by largest remainders; a class keeps at least one example unmarked,
    even if fewer than ``size`` are marked then.
    """
    counts = np.bincount(labels)
    quotas, remainders = np.divmod(counts * size, max(len(labels), 1))
    left = size - int(quotas.sum())
    for label in sorted(range(len(counts)), key=lambda label: (-remainders[label], label)):
        if left and quotas[label] + 1 < counts[label]:
            quotas[label] += 1
            left -= 1
    chosen = np.zeros(len(labels), dtype=bool)
    for label, quota in enumerate(quotas):
        chosen[np.flatnonzero(labels == label)[:quota]] = True
    return chosen
