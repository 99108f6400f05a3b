/**
 * Data sets, what changes them on their way, and the batches made of them.
 *
 * <p>A user needs few types. A {@link io.github.actclip.data.Dataset} is samples: {@link
 * io.github.actclip.data.ImageDataset} comes with images and reads IDX and CIFAR-10 folders, {@link
 * io.github.actclip.data.ImageFolder} decodes images of one's own, {@link
 * io.github.actclip.data.CsvDataset} reads tables, {@link io.github.actclip.data.TensorDataset} has
 * them in memory, and one of one's own is four methods. A {@link io.github.actclip.data.Transform}
 * changes them, as {@link io.github.actclip.data.Augmentation} and {@link
 * io.github.actclip.data.Normalization} do. What they do, a {@link
 * io.github.actclip.data.Preprocessing} says. A {@link io.github.actclip.data.DataLoader} makes
 * each {@link io.github.actclip.data.Batch}.
 */
package io.github.actclip.data;
