/**
 * Modules with learned thresholds. Users need {@link io.github.actclip.nn.Network} for a network of
 * their own, {@link io.github.actclip.nn.Clip} and {@link io.github.actclip.nn.FakeQuantize} with
 * their options, {@link io.github.actclip.nn.Calibration} for a start from data, {@link
 * io.github.actclip.nn.QuantizedConv2d} and {@link io.github.actclip.nn.QuantizedLinear} for
 * quantized weights, {@link io.github.actclip.nn.Blocks} for modules as one operation, and {@link
 * io.github.actclip.nn.LayerGraph} to say what a network computes.
 */
package io.github.actclip.nn;
