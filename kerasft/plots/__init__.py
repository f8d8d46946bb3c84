"""Figures of matplotlib, for reports and TensorBoard; none touches pyplot or a screen."""
