/**
 * Writes networks for other runtimes: {@link io.github.actclip.export.Onnx} with {@link
 * io.github.actclip.export.OnnxOptions}.
 */
package io.github.actclip.export;
