/**
 * Optimizers with groups for thresholds, schedules, loss scaling, precision. Users need {@link
 * io.github.actclip.optim.OptimizerType} with its {@link io.github.actclip.optim.OptimizerConfig},
 * also in loops of their own, as they do {@link io.github.actclip.optim.LearningRateSchedule},
 * {@link io.github.actclip.optim.GradScaler} and {@link io.github.actclip.optim.OptimizerState}.
 */
package io.github.actclip.optim;
