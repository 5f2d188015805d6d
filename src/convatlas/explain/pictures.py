"""Images as small pictures inside a page."""

import base64
import io

from PIL import Image
from torch import Tensor

LOSSLESS_SIDE = 64  # pixels: up to here every one is worth keeping


def to_pil(image: Tensor) -> Image.Image:
    """Return an image as Pillow has it; of more than three channels the first three.

    Shape: uint8 (channels, h, w); of two channels the first is shown, as grey
    """
    image = image[: 3 if len(image) >= 3 else 1]
    pixels = image.permute(1, 2, 0).contiguous().numpy()
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def data_uri(image: Tensor, *, side: int = 112) -> str:
    """Return the image as an address that holds its bytes, no longer than `side` pixels.

    Small images are kept exactly (PNG), larger ones are reduced (JPEG, some 4 kB each).

    Shape: uint8 (channels, h, w), of which `to_pil` shows as many as there are colours.
    """
    picture = to_pil(image)
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    small = max(picture.size) <= LOSSLESS_SIDE
    packed = io.BytesIO()
    if small:
        picture.save(packed, "PNG", optimize=True)
    else:
        picture.save(packed, "JPEG", quality=82)
    kind = "png" if small else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(packed.getvalue()).decode('ascii')}"
