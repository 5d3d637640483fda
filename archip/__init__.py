"""archip finds neural networks and the chips they run on, together."""
