package io.github.actclip.op;

import io.github.actclip.runtime.Internal;
import org.bytedeco.pytorch.Tensor;

/**
 * What {@link PoolOp#maxPoolClip} and {@link PoolOp#convMaxPoolClip} give.
 *
 * @param output (B, C, ⌊H/2⌋, ⌊W/2⌋) of (B, C, H, W) that are pooled, of their dtype
 * @param codes what {@link PoolOp#maxPoolClipBackward} or {@link PoolOp#convMaxPoolClipBackward}
 *     needs to know, in a form that only they read: which of the four was the largest, and whether
 *     it passed; null where backward was said not to follow
 */
@Internal
public record Pooled(Tensor output, Tensor codes) {}
