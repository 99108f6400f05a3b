/**
 * Writes and restores a training, bit for bit. Users need {@link
 * io.github.actclip.checkpoint.Checkpointer} to write and {@link
 * io.github.actclip.checkpoint.Checkpoint} to go on after a break, where a {@code Run} does not do
 * both for them; and {@link io.github.actclip.checkpoint.Snapshot} in loops of their own.
 */
package io.github.actclip.checkpoint;
