"""Any instruction-editing pipeline of diffusers as the painter behind an expressive instruction."""

from imgedit_modelkit.diffusion.instruction_pipelines import PipelinePainter, pipeline_class

__all__ = ["PipelinePainter", "pipeline_class"]
