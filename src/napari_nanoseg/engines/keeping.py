"""How many candidates are kept for thresholds that are chosen later."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


class Keeping:
    """The least probability that is kept; it rises when there would be too many candidates.

    Parameters
    ----------
    probability : float
        Candidates above it are all kept.
    floor : float
        Those above this lower one are kept as long as there is room for them.
    """

    def __init__(self, probability: float, floor: float):
        self.probability = probability
        self.floor = min(floor, probability)

    def crowded(self, probabilities: Sequence[NDArray[np.float32]], most: int) -> bool:
        """Whether there are too many candidates of these probabilities; then the floor has been raised."""
        if self.floor >= self.probability or sum(map(len, probabilities)) <= most:
            return False
        half = float(np.partition(np.concatenate(list(probabilities)), -most // 2)[-most // 2])
        self.floor = min(self.probability, half)
        return True
