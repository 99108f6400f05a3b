/**
 * State dicts and the files that hold them.
 *
 * <p>{@link io.github.actclip.io.StateDict} turns a module into named tensors and back; {@link
 * io.github.actclip.io.Safetensors} stores named tensors in the file format that Python's {@code
 * safetensors} reads and writes. Together they save and restore a module:
 *
 * <pre>{@code
 * Safetensors.write(file, StateDict.of(net), Map.of());
 * StateDict.load(net, Safetensors.read(file));
 * }</pre>
 */
package io.github.actclip.io;
