/**
 * Writes networks for other runtimes: {@link io.github.actclip.export.Onnx} with {@link
 * io.github.actclip.export.OnnxOptions}, in floating point or in integers. {@link
 * io.github.actclip.export.IntegerNetwork} is a network of quantizers in integer arithmetic alone.
 */
package io.github.actclip.export;
