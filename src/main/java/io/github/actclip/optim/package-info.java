/**
 * Optimizers with groups for thresholds, schedules, loss scaling, precision. Users need {@link
 * io.github.actclip.optim.OptimizerType} with its {@link io.github.actclip.optim.OptimizerConfig},
 * also in loops of their own, as they do {@link io.github.actclip.optim.LearningRateSchedule} and
 * {@link io.github.actclip.optim.GradScaler}.
 */
package io.github.actclip.optim;
