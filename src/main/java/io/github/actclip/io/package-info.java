/**
 * State dicts and the files that hold them.
 *
 * <p>{@link io.github.actclip.io.StateDict} turns a module into named tensors and back, and named
 * tensors into files and back, which Python writes and reads, too: safetensors, and what {@code
 * torch.save} makes. The suffix of the file says which. Together they save and restore a module:
 *
 * <pre>{@code
 * StateDict.write(Path.of("net.pt"), StateDict.of(net));
 * StateDict.load(net, StateDict.read(Path.of("net.pt")));
 * }</pre>
 *
 * <p>What a threshold's number means goes with it, so that a clip does not take what another kind
 * of clip has learned.
 *
 * <p>{@link io.github.actclip.io.Safetensors} is that format alone, with the texts beside its
 * tensors.
 */
package io.github.actclip.io;
