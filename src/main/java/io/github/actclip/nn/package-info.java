/**
 * Modules with a learnable clip. Users need {@link io.github.actclip.nn.Net}, and {@link
 * io.github.actclip.nn.Calibration} to start a threshold from data.
 */
package io.github.actclip.nn;
