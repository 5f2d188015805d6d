"""Which files are images or sounds by their names, and what their suffixes promise."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

SUFFIX_FORMATS = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), "JPEG"),
    **dict.fromkeys((".png", ".apng"), "PNG"),
    **dict.fromkeys((".tif", ".tiff"), "TIFF"),
    **dict.fromkeys((".ppm", ".pgm", ".pbm", ".pnm"), "PPM"),
    **dict.fromkeys((".jp2", ".j2k", ".jpx"), "JPEG2000"),
    **dict.fromkeys((".heic", ".heif"), "HEIF"),  # named as unreadable, not passed over
    ".bmp": "BMP",
    ".gif": "GIF",
    ".webp": "WEBP",
    ".avif": "AVIF",
    ".tga": "TGA",
}
SOUND_FORMATS = {  # as libsndfile names them
    **dict.fromkeys((".wav", ".wave"), "WAV"),
    **dict.fromkeys((".ogg", ".oga", ".opus"), "OGG"),
    **dict.fromkeys((".aif", ".aiff", ".aifc"), "AIFF"),
    **dict.fromkeys((".au", ".snd"), "AU"),
    ".flac": "FLAC",
    ".mp3": "MP3",
    ".caf": "CAF",
    ".w64": "W64",
    ".rf64": "RF64",
    # Named as unreadable, not passed over:
    **dict.fromkeys((".m4a", ".aac", ".mp4", ".wma"), "AAC"),
}


@dataclass(frozen=True)
class FileKind:
    """What a data set consists of: how such files are named and called.

    Args:
        one: what a file is called, with its article: `an image`.
        many: the same in the plural.
        example: the name of such a file.
        formats: by suffix.
        group: what the files of one folder share.
        groups: the same in the plural.
    """

    one: str
    many: str
    example: str
    formats: Mapping[str, str] = field(hash=False)
    group: str = "class"
    groups: str = "classes"

    def holds(self, file: str) -> bool:
        """Return whether a file is of this kind by its name."""
        return os.path.splitext(file)[1].lower() in self.formats

    @property
    def word(self) -> str:
        """What a file is called, without an article."""
        return self.one.partition(" ")[2]

    @property
    def not_named(self) -> str:
        """Why a file of another name is left out."""
        return f"not named as {self.one}"


IMAGES = FileKind("an image", "images", "photo.jpg", SUFFIX_FORMATS)
ARRAYS = replace(IMAGES, example="photo.npy", formats={".npy": "NPY"})  # images as well
SOUNDS = FileKind("a sound", "sounds", "clip.wav", SOUND_FORMATS)
TEXTS = FileKind("a text", "texts", "note.txt", {".txt": "TXT"})
SPEECH = replace(SOUNDS, group="speaker", groups="speakers")

KINDS = {kind.many: kind for kind in (IMAGES, SOUNDS)}


def is_image(file: str) -> bool:
    """Return whether a file is an image by its name."""
    return IMAGES.holds(file)
