/**
 * The clips as operations on tensors. Users need {@link io.github.actclip.op.ClipOp} to clip inside
 * a network of their own, and {@link io.github.actclip.op.ClipStatistics} to write a rule of their
 * own by which a threshold learns.
 */
package io.github.actclip.op;
