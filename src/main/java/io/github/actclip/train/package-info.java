/**
 * The training loop and what it leaves behind. Users need {@link io.github.actclip.train.Trainer}
 * with its {@link io.github.actclip.train.TrainerOptions}, {@link
 * io.github.actclip.train.Evaluator}, {@link io.github.actclip.train.ThresholdWatch} to notice a
 * threshold that does not learn, and {@link io.github.actclip.train.RunDirectory} to save and
 * reload, and {@link io.github.actclip.train.Checkpointer} with {@link
 * io.github.actclip.train.Checkpoint} to go on after a break.
 */
package io.github.actclip.train;
