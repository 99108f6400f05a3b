/**
 * Modules with learned thresholds. Users need {@link io.github.actclip.nn.Network} for a network of
 * their own, {@link io.github.actclip.nn.Clip} and {@link io.github.actclip.nn.FakeQuantize} with
 * their options, and {@link io.github.actclip.nn.Calibration} for a start from data.
 */
package io.github.actclip.nn;
