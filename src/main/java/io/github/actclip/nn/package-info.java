/** Modules with a learnable clip. Users need {@link io.github.actclip.nn.Net}. */
package io.github.actclip.nn;
