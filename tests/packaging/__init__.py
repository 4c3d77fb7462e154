"""What is shipped: wheel, unit, installer, image. The slow ones are scripts that `.ci/run` calls."""
