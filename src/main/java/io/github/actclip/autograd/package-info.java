/**
 * Custom autograd functions written in Java. Users need {@link
 * io.github.actclip.autograd.CustomFunction} with its {@link
 * io.github.actclip.autograd.FunctionContext}, {@link io.github.actclip.autograd.Autograd} to get
 * its exceptions as they are, and {@link io.github.actclip.autograd.GradientCheck} to test one.
 */
package io.github.actclip.autograd;
