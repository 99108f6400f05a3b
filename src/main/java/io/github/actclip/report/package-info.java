/**
 * What a training leaves in its folder: metrics, the network, a page, event files for TensorBoard.
 * Users need {@link io.github.actclip.report.Run} to train in a folder, and {@link
 * io.github.actclip.report.RunSummary} to read what came of it.
 */
package io.github.actclip.report;
