/**
 * Networks that are ready to train. Users need {@link io.github.actclip.nn.models.Net} and its
 * {@link io.github.actclip.nn.models.NetOptions}.
 */
package io.github.actclip.nn.models;
