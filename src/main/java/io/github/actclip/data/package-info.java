/**
 * Image data sets, and the batches made of them.
 *
 * <p>A user needs two classes: {@link io.github.actclip.data.ImageDataset}, which comes with images
 * and reads IDX and CIFAR-10 folders, and {@link io.github.actclip.data.DataLoader}, which makes
 * each {@link io.github.actclip.data.Batch} of it.
 */
package io.github.actclip.data;
