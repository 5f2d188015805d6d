"""What goes wrong when two networks train against each other, noticed while it happens.

Neither loss says whether images get better, as each is measured against an opponent that moves.
What can be seen is that the discriminator no longer errs, so that its judgement teaches nothing,
and that drawn images resemble each other more than real ones do.

Source: Goodfellow et al., "Generative Adversarial Nets", NIPS 2014, arXiv:1406.2661, sections 3
    and 6, on both.
"""

from collections.abc import Sequence

from torch import Tensor

WON = 0.99  # of real and drawn images that the discriminator tells apart
LOW_DIVERSITY = 0.5  # of that of real images
PATIENCE = 5  # looks in a row, before it is said


def diversity(images: Tensor) -> float:
    """Return the mean variance of a value over images: half of the mean squared distance of two.

    Shape: (n, c, h, w), n from 2 up
    """
    return float(images.float().var(0).mean())


class AdversarialWatch:
    """Say once what has been wrong for several looks in a row.

    Attributes:
        warnings: what was said.
    """

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self._won = self._alike = 0
        self._said: set[str] = set()

    def look(self, step: int, accuracy: float, relative_diversity: float) -> Sequence[str]:
        """Return what there is to say now.

        Args:
            accuracy: of the discriminator since the last look, of real and drawn images.
            relative_diversity: of drawn images, divided by that of real ones.
        """
        self._won = self._won + 1 if accuracy > WON else 0
        self._alike = self._alike + 1 if relative_diversity < LOW_DIVERSITY else 0
        found = {
            "won": (
                self._won,
                f"step {step:,}: the discriminator tells {accuracy:.1%} of real and drawn images "
                "apart, so that the generator learns little; a lower learning rate or "
                "real_label=0.9 helps",
            ),
            "alike": (
                self._alike,
                f"step {step:,}: drawn images differ by {relative_diversity:.0%} of what real ones "
                "do; the generator may have collapsed to a few images",
            ),
        }
        news = [
            text
            for kind, (looks, text) in found.items()
            if looks >= PATIENCE and kind not in self._said
        ]
        self._said |= {kind for kind, (looks, _) in found.items() if looks >= PATIENCE}
        self.warnings += news
        return news
