"""Picture files: JPEG, PNG, TIFF, WebP, AVIF, HEIF and JPEG XL, with all that a photograph carries.

`open_picture` reads by content and gives upright pixels, `save_picture` writes by extension and
leaves either the whole new file or what was there before, `read_header` decodes no pixels.
`with_plan` puts an edit plan into a picture's XMP, `plan_in_file` finds it there.

libvips does the pixels of the first five formats on the way in, and of PNG, TIFF and AVIF on the
way out, because Pillow opens 16-bit RGB as 8-bit; Pillow encodes JPEG and WebP, which have 8 bits
anyway, because libvips rewrites EXIF (and adds some where there was none) while Pillow stores it
as given. HEIC goes through pillow-heif and JPEG XL through OpenImageIO, which are extras.
docs/files.md compares the libraries.
"""

from imgedit_plugins.picture_files.plan_in_xmp import plan_in_file, with_plan
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
    "plan_in_file",
    "read_header",
    "save_picture",
    "with_plan",
]
