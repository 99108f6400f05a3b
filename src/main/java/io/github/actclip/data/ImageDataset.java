package io.github.actclip.data;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.TensorScope;
import java.nio.FloatBuffer;
import java.nio.LongBuffer;
import java.nio.file.Path;
import java.util.List;
import java.util.zip.CRC32C;
import org.bytedeco.pytorch.MemoryFormatOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.MemoryFormat;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Labelled images of ten classes, presented as 3×32×32 whatever they are on the disk.
 *
 * <p>The raw bytes stay on the Java heap, so there is nothing to close. Immutable and thread-safe.
 */
public final class ImageDataset implements Dataset {

  /** The {@link #source} of the images that come with this library. */
  public static final String EMBEDDED = "embedded";

  private static final int CLASSES = 10;

  private static final List<String> FASHION_MNIST =
      List.of(
          "T-shirt/top",
          "trouser",
          "pullover",
          "dress",
          "coat",
          "sandal",
          "shirt",
          "sneaker",
          "bag",
          "ankle boot");

  /** What a {@link FloatBuffer} over a tensor can hold. */
  private static final int MAX_BATCH_SIZE = Integer.MAX_VALUE / (PixelFormat.VALUES * Float.BYTES);

  private final String source;
  private final String name;
  private final PixelFormat format;
  private final byte[] pixels;
  private final byte[] labels;
  private volatile Long checksum;

  /** The arrays are the data set's from now on; every label must have been checked. */
  ImageDataset(String source, String name, PixelFormat format, byte[] pixels, byte[] labels) {
    this.source = source;
    this.name = name;
    this.format = format;
    this.pixels = pixels;
    this.labels = labels;
  }

  /**
   * The images that come with this library, a class-balanced random subset of Fashion-MNIST: 8,000
   * to train on and 2,000 to test with.
   */
  public static ImageDataset embedded(Split split) {
    return IdxFiles.embedded(split);
  }

  /**
   * Reads a folder, in either of two formats:
   *
   * <ul>
   *   <li>IDX, as MNIST and Fashion-MNIST have it: {@code train-images-idx3-ubyte}, {@code
   *       train-labels-idx1-ubyte}, {@code t10k-images-idx3-ubyte}, {@code t10k-labels-idx1-ubyte},
   *       as they are or compressed by gzip. The images are 28×28 and grey; they are padded by two
   *       zeros on each side and repeated to three channels.
   *   <li>CIFAR-10's binary version: {@code data_batch_1.bin}, …, {@code test_batch.bin}. All
   *       training files that are there are read, in the order of their numbers.
   * </ul>
   *
   * <p>Names may be in upper case. Of several that stand for one IDX file, the first is read: with
   * a dash, that with {@code .gz}, with a dot before {@code idx}, that with {@code .gz}; first
   * those in the folder, then those in folders that have such a name themselves.
   *
   * <p>Where the folder has no such file, it is looked for in the folders in it, and in those in
   * these: in {@code cifar-10-batches-bin}, or in torchvision's {@code MNIST/raw}. Images and
   * labels are read from one folder.
   *
   * @throws ActclipException bad input, naming the file, when one is missing or unsound; naming the
   *     folders, when several could be meant
   */
  public static ImageDataset load(Path folder, Split split) {
    DataFolder.requireReadable(folder);
    Path home =
        DataFolder.home(
            folder,
            inside -> holds(inside, Split.TRAIN) || holds(inside, Split.TEST),
            inside -> holds(inside, split),
            "IDX files like train-images-idx3-ubyte nor CIFAR-10 files like data_batch_1.bin");
    String source = folder.toAbsolutePath().normalize().toString();
    boolean idx = IdxFiles.areIn(home, Split.TRAIN) || IdxFiles.areIn(home, Split.TEST);
    return idx ? IdxFiles.read(home, split, source) : Cifar10Files.read(home, split, source);
  }

  private static boolean holds(Path folder, Split split) {
    return IdxFiles.areIn(folder, split) || Cifar10Files.areIn(folder, split);
  }

  /** How many images there are; at least one. */
  @Override
  public int size() {
    return labels.length;
  }

  /**
   * The class of an image, from 0 to {@link #numClasses()} − 1.
   *
   * @throws ActclipException bad input, when there is no such image
   */
  public int label(int index) {
    if (index < 0 || index >= size()) {
      throw ActclipException.badInput(
          "There is no image %d; the images are 0 to %d", index, size() - 1);
    }
    return labels[index];
  }

  /** How many classes there are: 10. */
  public int numClasses() {
    return CLASSES;
  }

  /** Those of the embedded images; a folder does not say what its classes are. */
  @Override
  public List<String> classes() {
    return source.equals(EMBEDDED) ? FASHION_MNIST : List.of();
  }

  /** Of an image of any size: it is resized to that of these. */
  @Override
  public Preprocessing preprocessing() {
    return format.preprocessing().named(classes());
  }

  /** Where it came from: {@value #EMBEDDED}, or the folder's absolute path. */
  @Override
  public String source() {
    return source;
  }

  /**
   * The CRC-32C of the raw pixels and labels, by which a training that goes on notices other
   * images.
   */
  @Override
  public long checksum() {
    Long known = checksum; // Every checkpoint asks; two threads may compute the same.
    if (known == null) {
      CRC32C crc = new CRC32C();
      crc.update(pixels);
      crc.update(labels);
      known = crc.getValue();
      checksum = known;
    }
    return known;
  }

  @Override
  public String name() {
    return name;
  }

  /**
   * Makes a batch.
   *
   * @param indices which images, at most 174,762
   * @return float32 (B, 3, 32, 32) in channels-last memory format, where a pixel's 0 to 255 are 0
   *     to 1, and their classes, int64 (B); the open scope's, or the caller's to close
   * @throws ActclipException bad input, when there is no such image, or none or too many are asked
   *     for
   */
  @Override
  public Batch batch(int... indices) {
    if (indices.length < 1 || indices.length > MAX_BATCH_SIZE) {
      throw ActclipException.badInput(
          "A batch of %d images was asked for; it can have 1 to %d",
          indices.length, MAX_BATCH_SIZE);
    }
    try (TensorScope scope = new TensorScope()) {
      long[] shape = {indices.length, PixelFormat.CHANNELS, PixelFormat.SIDE, PixelFormat.SIDE};
      Tensor images =
          torch.empty(
              shape,
              new TensorOptions(ScalarType.Float),
              new MemoryFormatOptional(MemoryFormat.ChannelsLast));
      Tensor classes =
          torch.empty(new long[] {indices.length}, new TensorOptions(ScalarType.Long), null);
      FloatBuffer pixels = images.permute(0, 2, 3, 1).createBuffer();
      LongBuffer numbers = classes.createBuffer();
      float[] image = new float[PixelFormat.VALUES];
      for (int index : indices) {
        numbers.put(label(index));
        decode(index, image);
        pixels.put(image);
      }
      return new Batch(scope.pass(images), scope.pass(classes));
    }
  }

  /** Decodes one image: see {@link PixelFormat#decode}. */
  void decode(int index, float[] out) {
    format.decode(pixels, index * format.bytes, out);
  }

  /** Throws unless {@code label}, read from {@code file}, is one of the classes. */
  static void checkLabel(Object file, int index, byte label) {
    if (label < 0 || label >= CLASSES) {
      throw ActclipException.badInput(
          "%s gives image %d the label %d; labels are 0 to %d",
          file, index, label & 0xff, CLASSES - 1);
    }
  }
}
