package io.github.actclip.nn.models;

import io.github.actclip.nn.ActivationOptions;
import io.github.actclip.nn.LayerGraph;
import io.github.actclip.runtime.ActclipException;
import java.util.List;
import java.util.Objects;

/**
 * The shape of a {@link ResNet}, and how it clips.
 *
 * @param stem what comes before the blocks
 * @param blocks how many basic blocks each stage has, 1 to 4 stages of 1 to {@value #MAX_BLOCKS}
 * @param width channels of the first stage, 1 to {@value #MAX_WIDTH}; each next one has twice as
 *     many, of half the height and width
 * @param inChannels channels of the images, 1 to 4,096
 * @param numClasses number of logits, 1 to 1,000,000
 * @param activation how it clips
 */
public record ResNetOptions(
    Stem stem,
    List<Integer> blocks,
    int width,
    int inChannels,
    int numClasses,
    ActivationOptions activation) {

  /** What comes before the blocks. */
  public enum Stem {
    /** For images of some 32 pixels: a 3×3 convolution. */
    CIFAR(3, 1),
    /** For images of some 224 pixels: a 7×7 convolution and max pooling, both of stride 2. */
    IMAGENET(7, 2);

    final int kernel;
    final int stride;

    Stem(int kernel, int stride) {
      this.kernel = kernel;
      this.stride = stride;
    }

    <V> V pool(LayerGraph<V> graph, V x) {
      return this == CIFAR ? x : graph.maxPool(3, 2, 1, x);
    }
  }

  /** Of 3×3. */
  private static final int KERNEL = 9;

  private static final int MAX_STAGES = 4;
  private static final int MAX_BLOCKS = 200;
  private static final int MAX_WIDTH = 1024;

  /**
   * Checks the values.
   *
   * @throws ActclipException bad input, when one of them is out of range
   */
  public ResNetOptions {
    Objects.requireNonNull(stem, "stem");
    blocks = List.copyOf(blocks);
    Inputs.requireBetween("the number of stages", blocks.size(), 1, MAX_STAGES);
    blocks.forEach(count -> Inputs.requireBetween("the blocks of a stage", count, 1, MAX_BLOCKS));
    Inputs.requireBetween("width", width, 1, MAX_WIDTH);
    Inputs.requireBetween("inChannels", inChannels, 1, Inputs.MAX_CHANNELS);
    Inputs.requireBetween("numClasses", numClasses, 1, Inputs.MAX_CLASSES);
    Objects.requireNonNull(activation, "activation");
  }

  /** 20 layers for small images, of 16, 32 and 64 channels, with plain ReLUs. */
  public static ResNetOptions resnet20(int inChannels, int numClasses) {
    return new ResNetOptions(
        Stem.CIFAR, List.of(3, 3, 3), 16, inChannels, numClasses, ActivationOptions.relu());
  }

  /** Torchvision's of 18 layers, of 64 to 512 channels, with plain ReLUs. */
  public static ResNetOptions resnet18(int inChannels, int numClasses) {
    return new ResNetOptions(
        Stem.IMAGENET, List.of(2, 2, 2, 2), 64, inChannels, numClasses, ActivationOptions.relu());
  }

  /** The same shape with another way to clip. */
  public ResNetOptions with(ActivationOptions other) {
    return new ResNetOptions(stem, blocks, width, inChannels, numClasses, other);
  }

  /** How many pixels of the images, along each side, become one before the last pooling. */
  int stride() {
    int ofStem = stem == Stem.CIFAR ? 1 : 4;
    return ofStem << (blocks.size() - 1);
  }

  /**
   * How many numbers the weights of such a network are; those of normalisation, biases and
   * thresholds not counted.
   */
  public long weightCount() {
    long count = (long) stem.kernel * stem.kernel * inChannels * width;
    long in = width;
    for (int i = 0; i < blocks.size(); i++) {
      long out = (long) width << i;
      long shortcut = in == out ? 0 : in * out;
      count += KERNEL * out * (in + (2L * blocks.get(i) - 1) * out) + shortcut;
      in = out;
    }
    return count + in * numClasses;
  }
}
