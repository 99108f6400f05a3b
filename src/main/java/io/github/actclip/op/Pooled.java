package io.github.actclip.op;

import org.bytedeco.pytorch.Tensor;

/**
 * What {@link ClipOp#maxPoolClip} gives.
 *
 * @param output (B, C, ⌊H/2⌋, ⌊W/2⌋), of the dtype of x
 * @param codes what {@link ClipOp#maxPoolClipBackward} needs to know, in a form that only it reads:
 *     which of the four was the largest, and whether it passed
 */
public record Pooled(Tensor output, Tensor codes) {}
