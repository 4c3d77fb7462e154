"""Training with everything on one accelerator: pictures, crops, defects, teachers and student, as tensor operations.

The same recipe as `models.training.train`, where a graphics card makes hundreds of epochs a matter of minutes.
"""
