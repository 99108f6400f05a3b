/**
 * The training loop. Users need {@link io.github.actclip.train.Trainer} with its {@link
 * io.github.actclip.train.TrainerOptions}, {@link io.github.actclip.train.Evaluator}, and {@link
 * io.github.actclip.train.ThresholdWatch} to notice a threshold that does not learn.
 */
package io.github.actclip.train;
