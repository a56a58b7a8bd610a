"""Mask R-CNN with a feature pyramid: inference, and models from and to Detectron2."""
