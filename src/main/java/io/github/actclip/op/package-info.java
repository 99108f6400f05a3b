/**
 * The clip as an operation on tensors. Users need {@link io.github.actclip.op.ClipOp} to clip
 * inside a network of their own.
 */
package io.github.actclip.op;
