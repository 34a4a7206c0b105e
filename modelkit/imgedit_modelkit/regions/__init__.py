"""Models that edit small pictures, at work on a part of a large one. See docs/diffusion.md.

`editing.edit_region` is the whole; nothing here needs torch.
"""
