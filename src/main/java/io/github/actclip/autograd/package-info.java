/**
 * Custom autograd functions written in Java. Users need {@link
 * io.github.actclip.autograd.CustomFunction} with its {@link
 * io.github.actclip.autograd.FunctionContext}, and {@link io.github.actclip.autograd.GradientCheck}
 * to test one.
 */
package io.github.actclip.autograd;
