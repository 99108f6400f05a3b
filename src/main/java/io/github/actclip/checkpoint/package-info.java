/**
 * Writes and restores a training, bit for bit. Users need {@link
 * io.github.actclip.checkpoint.Checkpointer} to write, and {@link
 * io.github.actclip.checkpoint.Checkpoint} to go on after a break.
 */
package io.github.actclip.checkpoint;
