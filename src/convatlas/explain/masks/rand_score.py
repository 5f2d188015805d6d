"""How well regions are kept apart: the Rand score of connected components.

Two pixels of one true region should lie in one found region. Unlike IoU this counts what a gap in
a thin border costs: two cells become one.

Source: Arganda-Carreras et al., "Crowdsourcing the creation of image segmentation algorithms for
    connectomics", Frontiers in Neuroanatomy 2015, section 2.3.
"""

import numpy as np
from torch import Tensor


def rand_score(found: Tensor, truth: Tensor, *, inside: int = 1) -> float:
    """Return the foreground-restricted Rand F-score of the regions of one class, 0..1.

    Regions are connected sets of pixels of the class `inside`, by edges; only pixels that truly
    are of that class count. 1 where no true region is merged with another or torn.

    Shape: whole numbers (h, w) or (d, h, w)
    """
    from scipy import ndimage

    regions = []
    for mask in (found, truth):
        numbered = np.zeros(mask.shape, dtype=np.int32)
        ndimage.label((mask == inside).numpy(), output=numbered)
        regions.append(numbered)
    return rand_f_score(*regions)


def rand_f_score(found: np.ndarray, truth: np.ndarray) -> float:
    """Return the F-score of pairs of pixels that share a region, among those with a true region.

    A pixel without a found region (0) is a region of its own.

    Shape: whole numbers of one shape; regions from 1 up, 0 is none
    """
    there = truth > 0
    a, b = found[there].astype(np.int64), truth[there].astype(np.int64)
    known = a > 0
    joint = a[known] * (int(b.max(initial=0)) + 1) + b[known]
    both, of_found, of_truth = (_pairs(each) for each in (joint, a[known], b))
    return 2 * both / (of_found + of_truth) if of_found + of_truth else 1.0


def _pairs(regions: np.ndarray) -> int:
    """Count pairs of different pixels that share a region."""
    sizes = np.unique(regions, return_counts=True)[1]
    return int((sizes * (sizes - 1) // 2).sum())
