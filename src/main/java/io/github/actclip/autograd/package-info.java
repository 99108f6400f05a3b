/**
 * Custom autograd functions written in Java, and how a threshold gets its gradient. Users need
 * {@link io.github.actclip.autograd.CustomFunction} with its {@link
 * io.github.actclip.autograd.FunctionContext}, {@link io.github.actclip.autograd.Autograd} to run
 * backward, {@link io.github.actclip.autograd.GradientCheck} to test a function, and {@link
 * io.github.actclip.autograd.ThresholdGradient} with {@link
 * io.github.actclip.autograd.ClipFunctions} to choose how a threshold learns.
 */
package io.github.actclip.autograd;
