"""The commands of ``python -m fastconv``, and the layers of real nets that they run."""
