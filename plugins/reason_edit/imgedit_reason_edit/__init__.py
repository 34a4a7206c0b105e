"""reason_edit: edits by instructions that leave to the reader what is meant (ReasonPix2Pix)."""
