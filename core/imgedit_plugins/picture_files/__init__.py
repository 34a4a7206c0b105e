"""Picture files: JPEG, PNG, TIFF and WebP, with all that a photograph carries.

`open_picture` reads by content and gives upright pixels, `save_picture` writes by extension and
leaves either the whole new file or what was there before, `read_header` decodes no pixels.

libvips does the pixels of all four formats on the way in and of PNG and TIFF on the way out,
because Pillow opens 16-bit RGB as 8-bit; Pillow encodes JPEG and WebP, which have 8 bits anyway,
because libvips rewrites EXIF (and adds some where there was none) while Pillow stores it as given.
"""

from imgedit_plugins.picture_files.reading import (
    DEFAULT_MAX_PIXELS,
    MAX_PIXELS_VARIABLE,
    Header,
    open_picture,
    read_header,
)
from imgedit_plugins.picture_files.writing import EXTENSIONS, save_picture

__all__ = [
    "DEFAULT_MAX_PIXELS",
    "EXTENSIONS",
    "MAX_PIXELS_VARIABLE",
    "Header",
    "open_picture",
    "read_header",
    "save_picture",
]
