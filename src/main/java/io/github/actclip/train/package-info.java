/**
 * The training loop. Users need {@link io.github.actclip.train.Trainer} with its {@link
 * io.github.actclip.train.TrainerOptions}, {@link io.github.actclip.train.Loss} and {@link
 * io.github.actclip.train.Metric}; {@link io.github.actclip.train.Evaluator} to measure a network;
 * and, also in loops of their own, {@link io.github.actclip.train.ThresholdWatch} to notice a
 * threshold that does not learn, and {@link io.github.actclip.train.EarlyStopping}.
 */
package io.github.actclip.train;
