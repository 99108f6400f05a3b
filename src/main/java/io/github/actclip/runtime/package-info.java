/**
 * Loading LibTorch, its threads, devices, and the lifetime of tensors. Users need {@link
 * io.github.actclip.runtime.LibTorch#load}, which comes before any other use of LibTorch, {@link
 * io.github.actclip.runtime.Devices}, {@link io.github.actclip.runtime.TensorScope} and {@link
 * io.github.actclip.runtime.ActclipException}.
 */
package io.github.actclip.runtime;
