/**
 * What a training leaves in its folder: metrics, the network, a page, event files for TensorBoard.
 * Users need {@link io.github.actclip.report.RunDirectory} to save and reload.
 */
package io.github.actclip.report;
